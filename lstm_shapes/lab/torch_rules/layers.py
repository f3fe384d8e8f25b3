"""Rules of recurrent layers and cells, of packing and padding, of convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, Rule, called, features, named, operand, operands, rule
from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules import sequences
from lstm_shapes.theory.axis_rules.moving import take
from lstm_shapes.theory.axis_rules.picking import unknown
from lstm_shapes.theory.axis_rules.reducing import resize
from lstm_shapes.theory.axis_rules.sequences import Widths
from lstm_shapes.theory.axis_tracks import fresh


@rule("lstm", "gru", "rnn_tanh", "rnn_relu", own_record=True)
def recurrent(out: Sequence[Tensor], input: Tensor, *args: Any) -> Answer:
    """(input, hx, weights, bias?, K, dropout, train?, R?, batch_first?), or (data, sizes, hx, weights, …)."""
    packed = isinstance(args[2], list | tuple)
    K, both, batch_first = (args[4], args[7], False) if packed else (args[3], args[6], args[7])
    hn = out[1]
    width = out[2].shape[-1] if len(out) > 2 else hn.shape[-1]
    R = 2 if both else 1
    P = hn.shape[-1] if hn.shape[-1] != width else 0
    weight = args[2 if packed else 1][0]

    def made(symbol: str, size: int) -> Atom:
        return features(weight, symbol, size).atoms[0]

    return sequences.recurrent(operand(input), Widths(K, R, width, P), batch_first, packed, made)


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", own_record=True)
def cell(out: Any, input: Tensor, hx: Any, weight: Tensor, *_: Any) -> Answer:
    first = out if isinstance(out, Tensor) else out[0]
    hidden = hx if isinstance(hx, Tensor) else hx[0] if hx else None
    width = features(weight, "D", first.shape[-1])
    return sequences.cell(operand(input), None if hidden is None else operand(hidden), width)


@rule("_pack_padded_sequence")
def pack(out: tuple[Tensor, Tensor], input: Tensor, lengths: Tensor, batch_first: bool) -> Answer:
    return [sequences.pack(named(input), out[0].shape[0], batch_first), None]


@rule("_pad_packed_sequence")
def unpack(out: Sequence[Tensor], data: Tensor, sizes: Tensor, batch_first: bool, *_: Any) -> Answer:
    return [sequences.pad_packed(named(data), tuple(out[0].shape), batch_first), None]


@rule("pad_sequence")
def pad_sequence(out: Tensor, rows: Sequence[Tensor], batch_first: bool = False, *_: Any, **__: Any) -> Answer:
    return sequences.pad_sequence(operands(rows), tuple(out.shape), batch_first)


@rule("pad")
def pad(out: Tensor, input: Tensor, pad: Sequence[int], *_: Any, **__: Any) -> Answer:
    """An axis that got padding is not the axis it was; one that was cut (pad < 0) is a piece of it."""
    axes = named(input)
    for at, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = len(axes) - 1 - at
        if before > 0 or after > 0:
            axes = resize(axes, {dim: out.shape[dim]})
        else:
            axes = take(axes, dim, range(axes[dim].size)[-before : axes[dim].size + after])
    return axes


def _positions(axis: Axis, size: int) -> Axis:
    """Windows along an axis are no axis of the input; a walk calls them L′ all the same, for its readers."""
    if len(called) and axis.known and len(axis.atoms) == 1:
        return Axis((fresh(axis.name.rstrip("′") + "′", size),))
    return unknown(size)


def _windowed(spatial: int) -> Rule:
    """The rule of windows that slide over so many axes: positions are new, channels too under weights."""

    def windowed(out: Any, input: Tensor, *args: Any, **kwargs: Any) -> Answer:
        axes = named(input)
        first = out if isinstance(out, Tensor) else out[0]
        weight = next((value for value in args if isinstance(value, Tensor)), kwargs.get("weight"))
        kept = len(axes) - (spatial or len(axes) - 2) - (weight is not None)
        made = [] if weight is None else [features(weight, UNKNOWN, first.shape[kept], "0")]
        positions = [
            _positions(axis, size)
            for axis, size in zip(axes[kept + len(made) :], first.shape[kept + len(made) :], strict=True)
        ]
        return Axes((*axes.axes[:kept], *made, *positions), axes.fixed)

    return windowed


for _n in (1, 2, 3):
    _pools = ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool")
    rule(*(f"{name}{_n}d" for name in ("conv", "conv_transpose", *_pools)))(_windowed(_n))
rule("interpolate", "upsample")(_windowed(0))
