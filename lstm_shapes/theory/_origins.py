"""Where an axis comes from: atoms, which of their origin's coordinates they visit, and names that are given last.

An origin is one coordinate of the data: which sample, which step, which feature. Every atom is cut from one. Two
pieces of one origin can be joined again under its name (`torch.cat(Y.split(5, 1), 1)` is L again); two features of
two layers can not. What an origin is called may be decided later, by a layer that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any
from weakref import WeakValueDictionary

UNKNOWN = "?"
"""The honest name of an axis that no single coordinate runs along."""

Steps = range | tuple[int, ...]
"""The coordinates that an atom visits, in order."""

MOST = 100_000
"""The longest list of coordinates that is written out, give or take; evenly spaced ones are a range of any length."""

_serials = count()


class Origin:
    """One coordinate of the data, the same one wherever it goes; compared by identity.

    Without a name it is called `?` for as long as nobody names it. One that a weight makes is called after its layer
    at most, and gives way to the name of an axis that it meets: the gates of a hand-written cell run along D.
    """

    def __init__(
        self, name: str = "", made: bool = False, naming: Naming | None = None, blank: Origin | bool = False
    ) -> None:
        self._name = name
        self._same: Origin | None = blank.root if isinstance(blank, Origin) else None
        self.made = made
        """Whether a weight made it."""
        self.blank = bool(blank)
        """Whether nothing changes along it, as in copies or in a buffer of zeros: it claims nothing."""
        self.naming = naming
        """Who names it, where that is decided later."""
        self.serial = next(_serials)
        self.derived: WeakValueDictionary[object, Origin] | None = None
        """What came of it, by the reason, for as long as anybody holds that: an axis keeps no program alive."""
        self.factors: dict[int, tuple[Origin, Origin]] = {}
        self.factor: tuple[Origin, int] | None = None
        """What it is a factor of, and the size of the inner factor."""
        self.packed: Any = None
        """The sequences and steps inside the one axis of packed data, for the way back to padded rows."""
        self.written: tuple[int, set[tuple[Origin, int]]] | None = None
        """Where a blank axis was written at first, and what stood how much further on there."""

    def __reduce__(self) -> tuple[object, ...]:
        return Origin, (self.root._name, self.made)  # in another process, another coordinate of that name

    @property
    def root(self) -> Origin:
        """The origin that decides what this one is called."""
        while self._same is not None:
            self = self._same
        return self

    @property
    def name(self) -> str:
        """What it is called, `?` where nobody said; the rows of a made axis after how long they are: `fc/5`."""
        if self.root._name or self.factor is None or not self.factor[0].root._name:
            return self.root._name or UNKNOWN
        return f"{self.factor[0].name}/{self.factor[1]}"

    def read_as(self, name: str) -> None:
        """Call a blank axis so, if nothing but a weight has given it a name."""
        root = self
        while root._same is not None and not root._same.made:
            root = root._same
        if root.blank and root is not COPIES and (root._same is not None or not root._name):
            root._same, root._name = None, name

    def filled_with(self, other: Origin) -> None:
        """A blank axis without a name is called as what it meets, or is filled with, is called now and later."""
        root, other = self.root, other.root
        if root.blank and not root._name and root is not COPIES and other is not root:
            root._same = other

    @property
    def named(self) -> bool:
        """Whether somebody has said what it is called."""
        return bool(self.root._name)

    @property
    def lost(self) -> bool:
        """Whether no name will ever be true of it."""
        return self.root._name == UNKNOWN

    @property
    def gives_way(self) -> bool:
        """Whether it takes the name of what it meets: made by a weight, blank, or not named yet."""
        return self.made or self.blank or (self.naming is not None and not self.named)

    @property
    def opaque(self) -> bool:
        """Whether it is a product whose factors nobody gave: `K·R` of size 6 may be 3 · 2 or 6 · 1."""
        return "·" in self.name


COPIES, DESCRIBED_COPIES = Origin(blank=True), Origin("copies", blank=True)
"""Where an axis comes from that `expand` or `repeat` makes."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two names that one origin was given, and where."""

    name: str
    where: object
    other: str
    other_where: object


@dataclass(slots=True)
class Naming:
    """Names that are given last: inputs begin without one, and get it from the layers that read them.

    The first name stays, and a name that a person gave stays anyway; another one is a conflict, often the bug itself.
    """

    where: object = None
    """The place in the program that is running now: where a name is given, if `bind` is not told."""
    conflicts: list[Conflict] = field(default_factory=list)
    _bound: dict[Origin, object] = field(default_factory=dict)

    def bind(self, origin: Origin, name: str, where: object = None) -> bool:
        """Call an origin so; whether that is its name now."""
        root = origin.root
        where = self.where if where is None else where
        if root._name == name or root.made or root.blank or root._name == UNKNOWN:
            return root._name == name
        if not root._name and root.naming is self:
            root._name, self._bound[root] = name, where
            return True
        self._differ(Conflict(root.name, self._bound.get(root), name, where))
        return False

    def meet(self, a: Origin, b: Origin) -> None:
        """One of them is called as the other is, now and later: elements of both were computed with each other."""
        a, b = a.root, b.root
        # What a weight has made takes names and gives none.
        if a is b or any(one.lost or one.made or one.blank for one in (a, b)):
            return
        for one, other in ((a, b), (b, a)):
            if not one._name and one.naming is self:
                one._same = other
                return
        if a._name != b._name:
            self._differ(Conflict(a.name, self._bound.get(a), b.name, self._bound.get(b, self.where)))

    def place(self, origin: Origin) -> object:
        """Where an origin got its name, None where it had it from the beginning."""
        return self._bound.get(origin.root)

    def unbind(self, where: object) -> None:
        """Take back the names that were given at a place that is not to be believed."""
        for origin in [origin for origin, place in self._bound.items() if place is where]:
            origin._name = ""
            del self._bound[origin]

    def _differ(self, conflict: Conflict) -> None:
        if conflict not in self.conflicts:
            self.conflicts.append(conflict)


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """One coordinate and the values of it that are visited: `N=2`. Atoms of one name and size are equal."""

    origin: Origin
    at: Steps
    part: bool = False
    """Whether it is one of several digits of its origin, as 4 and 5 are of L = 20: together they have its name."""

    @property
    def name(self) -> str:
        """Its origin's name; `?` for a part of it."""
        return UNKNOWN if self.part else self.origin.name

    @property
    def size(self) -> int:
        return len(self.at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and (self.name, self.size) == (other.name, other.size)

    def __hash__(self) -> int:
        return hash(self.size)

    def __repr__(self) -> str:
        return f"{self.name}={self.size}"

    def same(self, other: Atom) -> bool:
        """Whether both visit the same values of one origin."""
        return self.origin is other.origin and self.at == other.at and self.part == other.part


def whole(name: str, size: int, made: bool = False) -> Atom:
    """All of a new origin."""
    return Atom(Origin(name, made), range(size))


def derived(origin: Origin, reason: object, make: Callable[[], Origin]) -> Origin:
    """What comes of an origin for some reason: the same one each time."""
    if origin.derived is None:
        origin.derived = WeakValueDictionary()
    other = origin.derived.get(reason)
    return origin.derived.setdefault(reason, make()) if other is None else other


def relabelled(origin: Origin, *reason: object) -> Origin:
    """Another origin of the same name: the same one each time for the same reason."""

    def make() -> Origin:
        other = Origin(made=origin.made, naming=origin.naming)
        other._same = origin.root
        return other

    return derived(origin, reason, make)


def factors(origin: Origin, inner: int) -> tuple[Origin, Origin]:
    """An axis as rows of `inner` elements: which row it is, and which element of a row.

    The four gates of a cell are the rows of an axis of 4·D that a weight makes, so all of them run along the same D.

    >>> gate, unit = factors(Origin("fc", made=True), 5)
    >>> gate.name, unit.name
    ('fc/5', 'fc')
    """
    if inner not in origin.factors:
        rows, elements = (Origin(made=origin.made, naming=origin.naming) for _ in range(2))
        elements._same = origin.root if origin.made else None
        rows.factor = elements.factor = (origin, inner)
        origin.factors[inner] = rows, elements
    return origin.factors[inner]


def cut(atom: Atom) -> tuple[Atom, ...]:
    """The factors of an axis that a program has cut in two and given names to, else the atom itself."""
    for inner, (rows, elements) in atom.origin.factors.items():
        if rows.named and elements.named and not atom.origin.named:
            return Atom(rows, range(atom.size // inner)), Atom(elements, range(inner))
    return (atom,)


def steady(at: Steps) -> bool:
    """Whether every step changes the coordinate, as the name of an axis promises: (0, 1, 0), and not (0, 0, 1)."""
    return isinstance(at, range) or all(a != b for a, b in pairwise(at))


def injective(at: Steps) -> bool:
    """Whether no coordinate is visited twice, as the row-major product of a composite needs: not (0, 1, 0)."""
    return isinstance(at, range) or len(set(at)) == len(at)


def shifted(at: Steps, offset: int) -> Steps:
    """Every coordinate so much further on."""
    if isinstance(at, range):
        return range(at.start + offset, at.stop + offset, at.step)
    return tuple(one + offset for one in at)


def compact(at: Steps) -> Steps:
    """The same coordinates as a range where they are evenly spaced, so that memory does not grow with size.

    >>> compact((3, 5, 7)), compact((3, 5, 6))
    (range(3, 8, 2), (3, 5, 6))
    """
    if isinstance(at, range):
        return at
    if len(at) < 2:
        return range(at[0], at[0] + 1) if at else range(0)
    step = at[1] - at[0]
    if step == 0 or any(b - a != step for a, b in pairwise(at)):
        return at
    return range(at[0], at[-1] + (1 if step > 0 else -1), step)


def joined(parts: Sequence[Steps]) -> Steps | None:
    """Steps one after the other; None where only a list could hold them and it would be longer than MOST.

    >>> joined([range(3), range(3, 9)]), joined([range(2), range(1)]), joined([range(10**9)] * 2)
    (range(0, 9), (0, 1, 0), None)
    """
    first, *others = [part for part in map(compact, parts) if len(part)] or [range(0)]
    for part in others:
        step = part[0] - first[-1]
        ranges = [one for one in (first, part) if isinstance(one, range)]
        if len(ranges) == 2 and step != 0 and all(len(one) == 1 or one.step == step for one in ranges):
            first = range(first[0], part[-1] + (1 if step > 0 else -1), step)
        elif len(first) + len(part) > MOST:
            return None
        else:
            first = (*first, *part)
    return compact(first)
