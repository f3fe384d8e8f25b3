"""Recurrent layers and what feeds them: packing, padding, windows, and the layers' own outputs by their contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis, settle, unknown, whole

from .combining import join_fixed, sum_out
from .positions import pick, take
from .table import Answer, Operand, Plain, axis_at, described, named_in, rule


@rule("lstm gru rnn_tanh rnn_relu", own_record=True)
def recurrent(input: Operand, *given: Any, out: Sequence[tuple[int, ...]]) -> Answer:
    """The axes of Y, hn and cn, from the axes of the layer's input, batched or not or packed.

    torch hands over (input, hx, weights, bias?, K, dropout, train?, R?, batch_first?); packed, (data, sizes, hx, …).

    >>> arguments = [], [Plain((1024, 28))], True, 3, 0.0, True, True, True
    >>> Y, hn, cn = recurrent(Axes.of("N L Q", (2, 20, 28)), *arguments, out=[(2, 20, 512), (6, 2, 256), (6, 2, 256)])
    >>> Y, hn
    ((N=2, L=20, R·D=512), (K·R=6, N=2, D=256))
    """
    if not isinstance(input, Axes):
        return None
    packed = isinstance(given[2], list)
    hx, (weight, *_), _, K, _, _, both, *batch_first = given[packed:]
    hidden, width = out[1][-1], out[-1][-1]
    name = "P" if hidden != width else "D"

    def axis(*factors: tuple[str, int]) -> Axis:
        """A composite of atoms that the layer makes; R of 1, as in most layers, is left out."""
        return Axis(tuple(_atom(weight, symbol, size) for symbol, size in factors if (symbol, size) != ("R", 1)))

    R = 2 if both else 1
    gone = dict(input.fixed)
    sum_out(gone, input[-1])
    front = list(input.axes[:-1])
    time = 1 if not packed and batch_first[0] and len(input) == 3 else 0
    if front[time].blank:
        # Equal steps, as of a vector repeated to be decoded: the layer tells them apart.
        front[time] = axis(("L", front[time].size))
    inside = front[0].atoms[0].origin.packed if packed else None
    sequences = [inside[0]] if inside else [axis for at, axis in enumerate(front) if at != time]
    if inside or not packed:
        _read([*sequences, inside[1] if inside else front[time]], [*["N"] * len(sequences), "L"])
    _read([input[-1]], ["Q"])
    for state, symbol in zip(hx if isinstance(hx, list) else [hx], (name, "D"), strict=False):
        _read(state or (), ["K·R" if both else "K", *["N"] * len(sequences), symbol])
    Y = settle([*front, axis(("R", R), (name, hidden))], gone)
    if packed and inside is None:
        return [Y, None, None]
    states = [[axis(("K", K), ("R", R)), *sequences, axis(one)] for one in ((name, hidden), ("D", width))]
    return [Y, *(settle(rows, gone) for rows in states)]


def _read(axes: Any, names: Sequence[str]) -> None:
    """A layer reads these axes so: those that are named last get their names, and those of a state of zeros do."""
    for axis, name in zip(axes, names, strict=False):
        if not isinstance(axis, Axis) or len(axis.atoms) != 1:
            continue
        origin = axis.atoms[0].origin
        if origin.naming is not None:
            origin.naming.bind(origin, name)
        elif origin.blank:
            origin.read_as(name)


def _atom(weight: Operand, symbol: str, size: int) -> Atom:
    return weight.atom(symbol, size) if isinstance(weight, Plain) else whole(symbol, size)


@rule("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell", own_record=True)
def cell(input: Operand, hx: Any, weight: Operand, *_: object, out: Any) -> Answer:
    """The state after one step of a cell: (N, D), at the step that the input belongs to."""
    states = hx if isinstance(hx, list) else [hx]
    for state, symbol in ((input, "Q"), *((one, "D") for one in states if one is not None)):
        _read(state, ["N", symbol] if isinstance(state, Axes) and len(state) == 2 else [symbol])
    source = input if isinstance(input, Axes) else states[0]
    if not isinstance(source, Axes):
        return None
    gone = join_fixed(named_in([input, *states]), computed=True)
    sum_out(gone, source[-1])
    size = (out[0] if isinstance(out, list) else out)[-1]
    return settle([*source.axes[:-1], Axis((_atom(weight, "D", size),))], gone)


@rule("_pack_padded_sequence", own_record=True)
def pack(input: Axes, lengths: Operand, batch_first: bool, *, out: Any) -> Answer:
    """Padded rows packed: (N, L, Q) → (T, Q), all real steps in one axis that remembers N and L."""
    N, L = input[:2] if batch_first else input[1::-1]
    _read([N, L, *(lengths if isinstance(lengths, Axes) else ())], ["N", "L", "N"])
    atom = whole("T", out[0][0])
    atom.origin.packed = (N, L)
    return [input.changed([Axis((atom,)), *input.axes[2:]], (*N.atoms, *L.atoms), ("packed",)), None]


@rule("_pad_packed_sequence", own_record=True)
def pad_packed(data: Axes, sizes: Operand, batch_first: bool, *_: object, out: Any) -> Answer:
    """Packed data padded back to rows: N and L as they were before packing."""
    N, L = out[0][:2] if batch_first else out[0][1::-1]
    inside = data[0].atoms[0].origin.packed if data[0].atoms else None
    rows = [unknown(N), unknown(L)]
    gone = dict(data.fixed)
    if inside and inside[0].size == N:
        sequences, steps = inside
        rows[0] = sequences
        if steps.size >= L:
            rows[1], _ = pick(steps, range(L))
        for atom in (*sequences.atoms, *steps.atoms):
            gone.pop(atom.origin, None)
    return [settle([*(rows if batch_first else rows[::-1]), *data.axes[1:]], gone), None]


@rule("pad")
def pad(input: Axes, pad: Sequence[int], *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """An axis that got padding is not the axis it was; one that was cut (pad < 0) is a piece of it."""
    for back, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = len(input) - 1 - back
        axis = input[dim]
        if before > 0 or after > 0:
            words = "+".join([*["pad"] * (before > 0), axis.name, *["pad"] * (after > 0)])
            input = input.changed(input.put(dim, described(words if axis.known else UNKNOWN, out[dim], [axis])))
        else:
            input = take(input, dim, range(axis.size)[-before : axis.size + after])
    return input


def _windowed(input: Axes, sizes: tuple[int, ...], spatial: int, channels: Axis | None = None) -> Axes:
    """Windows that slide over so many axes: positions are new, and channels too where a weight makes them.

    Where there are as many positions as before, each stands where it stood; a walk calls the others L′.
    """
    start = len(input) - spatial
    rows = list(input)
    gone = dict(input.fixed)
    if channels is not None:
        sum_out(gone, rows[start - 1])
        rows[start - 1] = channels
    for at, size in enumerate(sizes[start:], start):
        axis = rows[at]
        windows = axis.name.rstrip("′") + "′" if axis.known and len(axis.atoms) == 1 else UNKNOWN
        rows[at] = axis if size == axis.size and size > 1 else described(windows, size, (axis,))
    return settle(rows, gone)


def _enter(spatial: int) -> None:
    """The rules of windows over one, two and three axes."""

    def convolution(input: Axes, weight: Operand, *_: object, out: tuple[int, ...], **__: object) -> Axes:
        return _windowed(input, out, spatial, axis_at(weight, 0))

    def pool(input: Axes, *_: object, out: Any, **__: object) -> Axes:
        return _windowed(input, out[0] if isinstance(out, list) else out, spatial)

    rule(f"conv{spatial}d")(convolution)
    pools = ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool")
    rule(" ".join(f"{name}{spatial}d" for name in pools))(pool)


for _spatial in (1, 2, 3):
    _enter(_spatial)
