"""Named axes: an axis is a product of atoms, and a shape is a row of axes.

`N` is one atom. The first axis of a bidirectional LSTM's `hn` is `K·R`: two atoms, layer-major, so that
stepping along it runs through the directions of layer 0, then of layer 1. What operations do to axes is in
`_axis_rules`. Coordinates that an operation took away (`Y[:, 3]`) stay on record in `Axes.fixed`, so that stacking
the steps of a loop gives back L.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from math import prod
from typing import Any, overload
from weakref import WeakValueDictionary

from lstm_shapes.display import encodable
from lstm_shapes.errors import ShapeError, SpecError

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
        self,
        name: str = "",
        made: bool = False,
        naming: Naming | None = None,
        blank: bool = False,
        same: Origin | None = None,
    ) -> None:
        self._name, self._same = name, same and same.root
        self.made = made
        """Whether a weight made it."""
        self.blank = blank
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
"""The origins of an axis that `expand` or `repeat` makes."""


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
    return origin.derived.get(reason) or origin.derived.setdefault(reason, make())


def relabelled(origin: Origin, *reason: object) -> Origin:
    """Another origin of the same name: the same one each time for the same reason."""

    return derived(origin, reason, lambda: Origin(made=origin.made, naming=origin.naming, same=origin))


def factors(origin: Origin, inner: int) -> tuple[Origin, Origin]:
    """An axis as rows of `inner` elements: which row it is, and which element of a row.

    The four gates of a cell are the rows of an axis of 4·D that a weight makes, so all of them run along the same D.

    >>> gate, unit = factors(Origin("fc", made=True), 5)
    >>> gate.name, unit.name
    ('fc/5', 'fc')
    """
    if inner not in origin.factors:
        rows = Origin(made=origin.made, naming=origin.naming)
        elements = Origin(made=origin.made, naming=origin.naming, same=origin if origin.made else None)
        rows.factor = elements.factor = (origin, inner)
        origin.factors[inner] = rows, elements
    return origin.factors[inner]


def cut(atom: Atom) -> tuple[Atom, ...]:
    """The factors of an axis that a program has cut in two and given names to, else the atom itself."""
    for inner, (rows, elements) in atom.origin.factors.items():
        if rows.named and elements.named and not atom.origin.named:
            return Atom(rows, range(atom.size // inner)), Atom(elements, range(inner))
    return (atom,)


def changes_every_step(at: Steps) -> bool:
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


NEW = "1"
"""The name of an axis of size 1 that `None` or `unsqueeze` has just made: a product of no atoms."""

_LIMIT = 32
"""How many removed coordinates are kept on record, give or take: a loop of many steps must not grow without bound."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a tensor: the row-major product of its atoms, first atom slowest.

    >>> Axis((whole("K", 3), whole("R", 2))), Axis()
    (K·R=6, 1)
    """

    atoms: tuple[Atom, ...] = ()

    def __post_init__(self) -> None:
        # Rows of a made axis and the elements of a row, side by side again, are that axis.
        for i, (rows, elements) in enumerate(pairwise(self.atoms)):
            origin, n = rows.origin.factor or (None, 0)
            if origin is None or origin.factors[n] != (rows.origin, elements.origin) or elements.at != range(n):
                continue
            if isinstance(rows.at, range) and rows.at and rows.at.step == 1:
                again = Atom(origin, range(rows.at.start * n, rows.at.stop * n))
                object.__setattr__(self, "atoms", (*self.atoms[:i], again, *self.atoms[i + 2 :]))
                return

    @property
    def name(self) -> str:
        """`K·R` for a composite; `?` as soon as one of its atoms is unknown, and `1` where no step could be taken."""
        names = [atom.name for atom in self.atoms]
        if UNKNOWN in names:
            return NEW if self.size == 1 else UNKNOWN
        return "·".join(names) or NEW

    @property
    def size(self) -> int:
        """How many elements long: the product of the atoms' sizes."""
        return prod(atom.size for atom in self.atoms)

    @property
    def known(self) -> bool:
        """Whether the axis has a name."""
        return self.name != UNKNOWN

    @property
    def gives_way(self) -> bool:
        """Whether it takes the name of what it meets."""
        return bool(self.atoms) and all(atom.origin.gives_way and not atom.part for atom in self.atoms)

    @property
    def waits(self) -> bool:
        """Whether it is an axis of an input that has no name yet."""
        return len(self.atoms) == 1 and self.atoms[0].origin.naming is not None and not self.atoms[0].origin.named

    @property
    def made(self) -> bool:
        """Whether a weight made it."""
        return all(atom.origin.made for atom in self.atoms)

    @property
    def blank(self) -> bool:
        """Whether nothing changes along it, so that it claims nothing."""
        return bool(self.atoms) and all(atom.origin.blank for atom in self.atoms)

    def same(self, other: Axis) -> bool:
        """Whether both visit the same coordinates of the same origins."""
        return len(self.atoms) == len(other.atoms) and all(map(Atom.same, self.atoms, other.atoms))

    def __repr__(self) -> str:
        return NEW if self.name == NEW and self.size == 1 else encodable(f"{self.name}={self.size}")


NEW_AXIS = Axis()


def unknown(size: int) -> Axis:
    """An axis that no single coordinate runs along; of size 1, along which no step is taken, a new one."""
    return Axis((whole(UNKNOWN, size),)) if size != 1 else NEW_AXIS


def made(size: int, name: str = "") -> Axis:
    """An axis that a weight makes: a coordinate of its own, which gives way to the name of what it meets."""
    return Axis((whole(name, size, made=True),)) if size != 1 or name else NEW_AXIS


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value stands that was computed from several coordinates of one origin: between these two."""

    low: int
    high: int
    along: Origin | None = None
    """An axis along which the elements stand side by side, as after `cat([e, context], -1)`; computed over, it ends."""


Fixed = dict[Origin, object]
"""Coordinates that are gone: where each stood when it went. A number, a Span, or a value that says less."""


@dataclass(frozen=True, slots=True)
class Axes(Sequence[Axis]):
    """The axes of one tensor, in order. Empty for a scalar.

    >>> X = Axes.of("N L Q", (2, 20, 28))
    >>> X
    (N=2, L=20, Q=28)
    >>> X.names, X.sizes
    (('N', 'L', 'Q'), (2, 20, 28))
    >>> Axes.of("K·R N H", K=3, R=2, N=4, H=5)
    (K·R=6, N=4, H=5)
    """

    axes: tuple[Axis, ...] = ()
    fixed: tuple[tuple[Origin, object], ...] = field(default=(), compare=False)
    """Coordinates that were indexed or summed away: `Y[:, 0]` is another place than `Y[:, 1]`."""

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain data for JSON."""
        return {"names": list(self.names), "sizes": list(self.sizes)}

    @classmethod
    def of(cls, names: str | Iterable[str], sizes: Iterable[int] | None = None, **atoms: int) -> Axes:
        """Axes from names, with sizes for each axis, for each atom, or both.

        `?` names nothing, `1` a new axis of size 1, and `·` or `*` joins the atoms of a composite.

        >>> Axes.of("K*R N H", (6, 4, 5), R=2)[0].atoms
        (K=3, R=2)

        Raises:
            SpecError: a name is not a name, or a size not a whole number of at least 0.
            ShapeError: names and sizes do not fit each other.
        """
        words, given = _words(names), None if sizes is None else tuple(sizes)
        every = [*atoms.items(), *((f"size of axis {at}", size) for at, size in enumerate(given or ()))]
        for name, size in every:
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise SpecError(name, "a whole number of at least 0", got=size)
        if given is not None and len(given) != len(words):
            need, missing = f"one name for each of the {len(given)} axes of {given}", len(given) - len(words)
            hint = f"{missing} more needed; write ? for an axis without a name"
            if missing < 0:  # and 0 it is not
                hint = f"{-missing} too many; a 2-D tensor of one sequence is (L, Q)"
            raise ShapeError("axes", need, got=" ".join(words), hint=hint)
        pairs = zip(words, given or [None] * len(words), strict=True)
        return cls(tuple(Axis(_atoms_of(word, size, atoms)) for word, size in pairs))

    @property
    def names(self) -> tuple[str, ...]:
        """One name an axis: `("K·R", "N", "H")`; `?` where there is none."""
        return tuple(axis.name for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """One size an axis, equal to the tensor's shape."""
        return tuple(axis.size for axis in self.axes)

    @property
    def formula(self) -> str:
        """The axes in symbols: `(K·R, N, H)`."""
        return f"({', '.join(self.names)}{',' if len(self) == 1 else ''})"

    @property
    def known(self) -> bool:
        """Whether every axis has a name."""
        return all(axis.known for axis in self.axes)

    def __len__(self) -> int:
        return len(self.axes)

    def __iter__(self) -> Iterator[Axis]:
        return iter(self.axes)

    @overload
    def __getitem__(self, index: int) -> Axis: ...
    @overload
    def __getitem__(self, index: slice) -> Axes: ...
    def __getitem__(self, index: int | slice) -> Axis | Axes:
        if isinstance(index, slice):
            return Axes(self.axes[index], self.fixed)
        return self.axes[index]

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.axes + other.axes)

    def put(self, at: int, *axes: Axis) -> tuple[Axis, ...]:
        """The axes with others in the place of one."""
        at %= len(self.axes)
        return (*self.axes[:at], *axes, *self.axes[at + 1 :])

    def changed(self, axes: Iterable[Axis], still: Iterable[Atom] = (), where: object = None) -> Axes:
        """Other axes of the same tensor, where these atoms stand still now: at their first coordinate, or `where`."""
        gone = dict(self.fixed)
        fix(gone, still, where)
        return settle(axes, gone)

    def __repr__(self) -> str:
        return encodable(f"({', '.join(map(repr, self.axes))}{',' if len(self) == 1 else ''})")


def _atoms_of(word: str, size: int | None, known: dict[str, int]) -> tuple[Atom, ...]:
    """The atoms of one axis, with at most one size left to arithmetic."""
    names = [name.strip() for name in word.replace("*", "·").split("·")]
    for name in names:
        if name not in (UNKNOWN, NEW) and not name.isidentifier():
            hint = 'Names stand apart by blanks: "N L Q"' if "," in word else ""
            raise SpecError("an axis name", "a word such as N or K·R, or ? or 1", word, hint)
    sizes = {name: 1 if name == NEW else known.get(name) for name in names}
    missing = [name for name, given in sizes.items() if given is None]
    if size is None:
        if missing:
            raise ShapeError("axes", f"given a size for {word}", hint=f"pass {missing[0]}=…, or the sizes of all axes")
    elif len(missing) == 1 and names.count(missing[0]) == 1:
        rest = prod(given for given in sizes.values() if given is not None)
        # An axis of size 0 tells nothing of its factors but that one of them is 0.
        sizes[missing[0]] = size // rest if rest else 0
    elif missing:
        # The factors cannot be told apart: the composite is kept as one opaque atom.
        return (whole("·".join(names), size),)
    atoms = tuple(whole(name, sizes[name] or 0) for name in names if name != NEW)
    if size is not None and prod(atom.size for atom in atoms) != size:
        raise ShapeError(
            f"axis {word}",
            " · ".join(f"{name}={known.get(name, 1 if name == NEW else '…')}" for name in names),
            got=size,
            hint="the tensor and the names do not belong together; check the order of the names",
        )
    return atoms


def _words(names: object) -> list[str]:
    if isinstance(names, str):
        return names.split()
    # A set has no order, a dict's values would go unread, and str(None) would be a name.
    if isinstance(names, Iterable) and not isinstance(names, (set, frozenset, Mapping)):
        words = list(names)
        if all(isinstance(word, str) for word in words):
            return words
    hint = "Write ? for an axis without a name; sizes are keywords"
    raise SpecError("names", 'words in the order of the axes, "N L Q" or ["N", "L", "Q"]', got=names, hint=hint)


def forgotten() -> object:
    """A value that equals no other: where a coordinate stands that depends on the data."""
    return object()


def fix(fixed: Fixed, atoms: Iterable[Atom], where: object = None) -> None:
    """Record that these atoms are no longer axes: they stand at their first coordinate, or at `where`."""
    for atom in atoms:
        if atom.origin.blank:
            continue
        here = where if where is not None else atom.at[0] if atom.size else "nowhere"
        # A row of a made axis that was taken before and has been computed with since is no place any more.
        if atom.origin in fixed and (atom.part or not atom.origin.made):
            before = fixed[atom.origin]
            # Two parts of one axis that stand still add up, as the digits of a number do.
            here = here + before if isinstance(here, int) and isinstance(before, int) else forgotten()
        fixed[atom.origin] = here


def freeze(fixed: Fixed) -> tuple[tuple[Origin, object], ...]:
    """The record of removed coordinates as it is stored; grown too long, one entry that equals no other."""
    if len(fixed) > _LIMIT:
        return ((Origin(UNKNOWN), forgotten()),)
    return tuple(sorted(fixed.items(), key=lambda item: item[0].serial))


def settle(axes: Iterable[Axis], fixed: Mapping[Origin, object] | Iterable[tuple[Origin, object]] = ()) -> Axes:
    """Axes after an operation: a part that is alone again gets the name of its origin back.

    An atom that was cut in two is `?` twice; when one half is indexed away or both are joined, the coordinate
    runs along one atom again, and that atom may carry the name.
    """
    rows = tuple(axes)
    gone = dict(fixed)
    # Only a cut atom can be renamed, and those are rare: most shapes go through untouched.
    if any(atom.part for axis in rows for atom in axis.atoms):
        uses = [atom.origin for axis in rows for atom in axis.atoms]

        def named(atom: Atom) -> Atom:
            offset = gone.get(atom.origin, 0)
            twice = uses.count(atom.origin) > 1
            if not atom.part or twice or not isinstance(offset, int) or not changes_every_step(atom.at):
                return atom
            gone.pop(atom.origin, None)
            return Atom(atom.origin, shifted(atom.at, offset))

        rows = tuple(Axis(tuple(map(named, axis.atoms))) for axis in rows)
    return Axes(rows, freeze(gone))


def forget(axes: Axes, operands: Iterable[Axes], made: bool = False) -> Axes:
    """The same axes, with every coordinate of the operands on record: one that was lost is forgotten.

    Without this two tensors that differ in a lost coordinate would pass for pieces of one whole. Nothing is ever
    called after an origin without a name, and with `made` nothing is recorded of what a weight has made.
    """
    gone = dict(axes.fixed)
    seen = {*gone, *(atom.origin for axis in axes for atom in axis.atoms)}
    for operand in operands:
        origins = [*(origin for origin, _ in operand.fixed), *(atom.origin for axis in operand for atom in axis.atoms)]
        for one in origins:
            if one not in seen and not one.blank and not (made and one.made) and (one.naming or one.named):
                gone[one] = forgotten()
    return axes if len(gone) == len(axes.fixed) else Axes(axes.axes, freeze(gone))


def blanks(sizes: Iterable[int], axes: Iterable[Axis] = ()) -> Axes:
    """The axes of a new tensor, which holds no coordinates yet; called after those of the tensor that it is like."""
    like = tuple(
        Axis(tuple(replace(atom, origin=Origin(blank=True, same=atom.origin)) for atom in axis.atoms)) for axis in axes
    )
    return Axes(like or tuple(Axis((Atom(Origin(blank=True), range(n)),)) if n != 1 else NEW_AXIS for n in sizes))


def unnamed(naming: Naming, sizes: Iterable[int], names: str = "") -> Axes:
    """The axes of an input that is named last, by what reads it; or at once, by a person."""
    sizes = tuple(sizes)
    pairs = zip(names.split() or [""] * len(sizes), sizes, strict=True)
    return Axes(tuple(Axis((Atom(Origin(word, naming=naming), range(size)),)) for word, size in pairs))


def renewed(axes: Axes) -> Axes:
    """The same axes with origins of their own, one for each that they had: written by another hand."""
    own: dict[Origin, Origin] = {}

    def other(origin: Origin) -> Origin:
        return own.setdefault(origin, relabelled(origin, object()))

    rows = tuple(Axis(tuple(replace(atom, origin=other(atom.origin)) for atom in axis.atoms)) for axis in axes)
    return Axes(rows, freeze({own.get(origin, origin): at for origin, at in axes.fixed}))
