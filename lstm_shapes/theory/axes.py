"""Named axes: an axis is a product of atoms, and a shape is a row of axes.

`N` is one atom. The first axis of a bidirectional LSTM's `hn` is `K·R`: two atoms, layer-major, so that
stepping along it runs through the directions of layer 0, then of layer 1. What operations do to axes is in
`axis_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, overload

from lstm_shapes.errors import ShapeError, SpecError

if TYPE_CHECKING:
    from lstm_shapes.theory.axis_tracks import Track

__all__ = ["NEW", "UNKNOWN", "Atom", "Axes", "Axis"]

UNKNOWN = "?"
"""The honest name of an axis that no single coordinate runs along."""

NEW = "1"
"""The name of an axis of size 1 that `None` or `unsqueeze` has just made."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One coordinate and how many values it takes: `N=2`.

    >>> Atom("N", 2)
    N=2
    """

    name: str
    size: int
    track: Track | None = field(default=None, compare=False)
    """Where the atom came from (see `axis_tracks`): says whether two pieces are pieces of one whole."""

    @property
    def opaque(self) -> bool:
        """Whether it is a product whose factors nobody gave: `K·R` of size 6 may be 3 · 2 or 6 · 1."""
        return "·" in self.name

    def __repr__(self) -> str:
        return f"{self.name}={self.size}"

    def __reduce__(self) -> tuple[object, ...]:
        # A track is an identity within one process: a copy from elsewhere must not claim it.
        return (Atom, (self.name, self.size))


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a tensor: the row-major product of its atoms, first atom slowest.

    >>> Axis((Atom("K", 3), Atom("R", 2)))
    K·R=6
    """

    atoms: tuple[Atom, ...]

    @property
    def name(self) -> str:
        """`K·R` for a composite; `?` as soon as one of its atoms is unknown."""
        names = [atom.name for atom in self.atoms]
        if not names or UNKNOWN in names:
            return UNKNOWN
        return "·".join(names)

    @property
    def symbol(self) -> str:
        """What formulas call this axis: its name."""
        return self.name

    @property
    def size(self) -> int:
        """How many elements long: the product of the atoms' sizes."""
        return prod(atom.size for atom in self.atoms)

    @property
    def known(self) -> bool:
        """Whether the axis has a name."""
        return self.name != UNKNOWN

    def __repr__(self) -> str:
        return f"{self.name}={self.size}"


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
    fixed: tuple[tuple[int, tuple[str, object]], ...] = field(default=(), compare=False)
    """Coordinates that were indexed or summed away, by track: `Y[:, 0]` is another place than `Y[:, 1]`."""

    def __reduce__(self) -> tuple[object, ...]:
        # Identities stay in their process, the coordinates that are visited do not: Y[2:] starts at 2 elsewhere too.
        from lstm_shapes.theory.axis_copies import pack, unpack

        return (unpack, pack(self))

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
        words = _words(names)
        for name, size in atoms.items():
            _check_size(name, size)
        if sizes is None:
            return cls(tuple(Axis(_atoms_of(word, None, atoms)) for word in words))
        found = tuple(sizes)
        for position, size in enumerate(found):
            _check_size(f"size of axis {position}", size)
        if len(found) != len(words):
            raise ShapeError(
                "axes",
                f"one name for each of the {len(found)} axes of {found}",
                got=" ".join(words),
                hint=_count_hint(len(words), found),
            )
        return cls(tuple(Axis(_atoms_of(word, size, atoms)) for word, size in zip(words, found, strict=True)))

    @property
    def names(self) -> tuple[str, ...]:
        """One name an axis: `("K·R", "N", "H")`; `?` where there is none."""
        return tuple(axis.name for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """One size an axis, equal to the tensor's shape."""
        return tuple(axis.size for axis in self.axes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What formulas call the axes."""
        return tuple(axis.symbol for axis in self.axes)

    @property
    def formula(self) -> str:
        """The axes in symbols: `(K·R, N, H)`."""
        return f"({', '.join(self.symbols)}{',' if len(self) == 1 else ''})"

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

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.axes))}{',' if len(self) == 1 else ''})"


def _atoms_of(word: str, size: int | None, known: dict[str, int]) -> tuple[Atom, ...]:
    """The atoms of one axis, with at most one size left to arithmetic."""
    names = [name.strip() for name in word.replace("*", "·").split("·")]
    for name in names:
        if name not in (UNKNOWN, NEW) and not name.isidentifier():
            raise SpecError("an axis name", "a word such as N or K·R, or ? or 1", got=word)
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
        return (Atom("·".join(names), size),)
    atoms = tuple(Atom(name, sizes[name] or 0) for name in names)
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


def _check_size(name: str, size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise SpecError(name, "a whole number of at least 0", got=size)


def _count_hint(words: int, sizes: tuple[int, ...]) -> str:
    if words < len(sizes):
        return f"{len(sizes) - words} more needed; write ? for an axis without a name"
    return f"{words - len(sizes)} too many; a 2-D tensor of one sequence is (L, Q)"
