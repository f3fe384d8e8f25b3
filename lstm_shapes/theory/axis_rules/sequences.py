"""Recurrent layers and what feeds them: packing, padding, and the layers' own outputs by their contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lstm_shapes.theory.axes import Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.broadcasting import Operand, agree, join_fixed, places
from lstm_shapes.theory.axis_rules.picking import pick, unknown
from lstm_shapes.theory.axis_rules.reducing import sum_out
from lstm_shapes.theory.axis_tracks import Gone, Track, compact, fresh, leave, settle, steady

__all__ = ["Widths", "cell", "pack", "pad_packed", "pad_sequence", "recurrent"]


@dataclass(frozen=True, slots=True)
class Widths:
    """What a recurrent layer is made of, as far as its outputs' axes go."""

    K: int
    R: int
    D: int
    P: int = 0

    @property
    def hidden(self) -> tuple[str, int]:
        """The hidden state's symbol and width."""
        return ("P", self.P) if self.P else ("D", self.D)


def recurrent(
    x: Operand,
    widths: Widths,
    batch_first: bool,
    packed: bool = False,
    made: Callable[[str, int], Atom] = fresh,
) -> tuple[Axes | None, ...]:
    """The axes of Y, hn and cn, from the axes of the layer's input, batched or not or packed.

    `made` gives the atom of an axis that the layer makes, so that a layer called twice makes the same ones.

    >>> Y, hn, cn = recurrent(Axes.of("N L Q", (2, 20, 28)), Widths(3, 2, 256), batch_first=True)
    >>> Y, hn
    ((N=2, L=20, R·D=512), (K·R=6, N=2, D=256))
    """
    if not isinstance(x, Axes):
        return None, None, None
    name, width = widths.hidden
    gone = dict(x.fixed)
    sum_out(gone, x[-1])
    features = _product(made, ("R", widths.R), (name, width))
    rows = _product(made, ("K", widths.K), ("R", widths.R))
    if packed:
        track = x[0].atoms[0].track
        sequences = track.packed[0] if track and track.packed else None
        between = [sequences] if sequences else None
    elif len(x) == 2:
        between = []
    else:
        between = [x[0 if batch_first else 1]]
    Y = settle([*x.axes[:-1], features], gone)
    if between is None:
        return Y, None, None
    hn = settle([rows, *between, _product(made, (name, width))], gone)
    cn = settle([rows, *between, _product(made, ("D", widths.D))], gone)
    return Y, hn, cn


def cell(x: Operand, hidden: Operand | None, width: Axis) -> Axes | None:
    """The state after one step of a cell: (N, D), at the step that x belongs to.

    >>> cell(Axes.of("N Q", (2, 28)), None, Axes.of("D", (256,))[0])
    (N=2, D=256)
    """
    source = x if isinstance(x, Axes) else hidden
    if not isinstance(source, Axes):
        return None
    gone = dict(source.fixed)
    sum_out(gone, source[-1])
    return settle([*source.axes[:-1], width], gone)


def pack(x: Axes, total: int, batch_first: bool) -> Axes:
    """Padded rows packed: (N, L, Q) → (T, Q), all real steps in one axis that remembers N and L.

    >>> pack(Axes.of("N L Q", (2, 20, 28)), 31, batch_first=True)
    (T=31, Q=28)
    """
    N, L = (x[0], x[1]) if batch_first else (x[1], x[0])
    track = fresh("T", total).track
    gone = dict(x.fixed)
    if track is not None:
        track = replace(track, packed=(N, L))
    leave(gone, (*N.atoms, *L.atoms), ("packed",))
    return settle([Axis((Atom("T", total, track),)), *x.axes[2:]], gone)


def pad_packed(data: Axes, sizes: Sequence[int], batch_first: bool) -> Axes:
    """Packed data padded back to rows of these sizes: N and L as they were before packing.

    >>> packed = pack(Axes.of("N L Q", (2, 20, 28)), 31, batch_first=True)
    >>> pad_packed(packed, (2, 18, 28), batch_first=True)
    (N=2, L=18, Q=28)
    """
    N, L = (sizes[0], sizes[1]) if batch_first else (sizes[1], sizes[0])
    track = data[0].atoms[0].track
    rows = [unknown(N), unknown(L)]
    gone = dict(data.fixed)
    if track and track.packed and track.packed[0].size == N:
        sequences, steps = track.packed
        rows[0] = sequences
        if steps.size >= L:
            rows[1], _ = pick(steps, range(L))
        for atom in (*sequences.atoms, *steps.atoms):
            if atom.track:
                gone.pop(atom.track.token, None)
    return settle([*(rows if batch_first else rows[::-1]), *data.axes[1:]], gone)


def pad_sequence(rows: Sequence[Operand], sizes: Sequence[int], batch_first: bool) -> Axes | None:
    """Sequences (L, Q) of different lengths in one tensor: a new axis says which sequence, L is padded.

    >>> pad_sequence([Axes.of("L Q", (5, 28)), Axes.of("L Q", (3, 28))], (2, 5, 28), batch_first=True)
    (N=2, L=5, Q=28)
    """
    named = [row for row in rows if isinstance(row, Axes)]
    if len(named) < len(rows):
        return None
    longest = max(named, key=lambda row: row[0].size)
    # Padding comes after the steps: each sequence must begin as the longest one does.
    begins = all(places(pick(longest[0], range(row[0].size))[0].atoms) == places(row[0].atoms) for row in named)
    steps = longest[0] if begins else unknown(longest[0].size)
    rest = [agree([row[at] for row in named], sizes[at + 1], chooses=True) for at in range(1, len(named[0]))]
    gone = join_fixed(named)
    which = _which(named, gone) if begins and len(named) > 1 else unknown(len(rows))
    front = [which, steps] if batch_first else [steps, which]
    return settle([*front, *rest], gone)


def _which(rows: Sequence[Axes], gone: dict[int, Gone]) -> Axis:
    """Which sequence it is: the axis that they are rows of; N, where they are tensors of their own."""
    records = [dict(row.fixed) for row in rows]
    moving = [tuple(atom.track for axis in row.axes[1:] for atom in axis.atoms) for row in rows]
    tokens = [
        {*record, *(atom.track.token for axis in row for atom in axis.atoms if atom.track)}
        for record, row in zip(records, rows, strict=True)
    ]
    if sum(map(len, tokens)) == len(set().union(*tokens)):
        return Axis((fresh("N", len(rows)),)) if all(row.known for row in rows) else unknown(len(rows))
    apart = [token for token in set().union(*records) if len({record.get(token) for record in records}) > 1]
    if len(apart) != 1 or len(set(moving)) > 1:
        return unknown(len(rows))
    found = [record.get(apart[0], ("", None)) for record in records]
    at = tuple(step for _, step in found if isinstance(step, int))
    if len(at) < len(rows) or not steady(at):
        return unknown(len(rows))
    del gone[apart[0]]
    return Axis((Atom(found[0][0], len(rows), Track(apart[0], found[0][0], compact(at))),))


def _product(made: Callable[[str, int], Atom], *factors: tuple[str, int]) -> Axis:
    """A composite of atoms that a layer makes; R of 1, as in most layers, is left out."""
    return Axis(tuple(made(name, size) for name, size in factors if (name, size) != ("R", 1)))
