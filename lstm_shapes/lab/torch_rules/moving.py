"""Rules of indexing and of everything that moves, cuts or reshapes axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.torch_rules.keys import key_of, values_of
from lstm_shapes.lab.torch_rules.scrambles import tell
from lstm_shapes.lab.torch_rules.table import Answer, axes_of, called, dims_of, features, named, rule, rule_for
from lstm_shapes.theory.axes import UNKNOWN, Axes, Axis
from lstm_shapes.theory.axis_rules import indexing, moving, reshaping
from lstm_shapes.theory.axis_rules.picking import at_dim, unknown
from lstm_shapes.theory.axis_rules.reducing import resize
from lstm_shapes.theory.axis_tracks import fresh


@rule("__getitem__")
def getitem(out: object, input: Tensor, key: Any) -> Answer:
    found = key_of(key, input)
    if found is None:
        return None
    axes = axes_of(input)
    if axes is None:
        # A plain table looked up with named positions, as weight[tokens] is.
        rows = [unknown(size) for size in input.shape]
        rows[1:] = [features(input, UNKNOWN, size, f"axis {at}") for at, size in enumerate(input.shape) if at]
        axes = Axes(tuple(rows))
    return indexing.index(axes, found)


@rule("masked_select")
def masked_select(out: Tensor, input: Tensor, mask: Tensor) -> Answer:
    return getitem(out, input, mask) if mask.shape == input.shape else None


@rule("select")
def select(out: object, input: Tensor, dim: int, index: int) -> Answer:
    return indexing.select(named(input), dim, int(index))


@rule("narrow")
def narrow(out: Tensor, input: Tensor, dim: int, start: int, length: int) -> Answer:
    size = input.shape[dim]
    first = int(start) % size if size else 0
    return moving.take(named(input), dim, range(first, first + int(length)))


@rule("index_select")
def index_select(out: object, input: Tensor, dim: int, index: Tensor) -> Answer:
    axes = named(input)
    keys: list[indexing.Key] = [slice(None)] * len(axes)
    keys[at_dim(axes, dim)] = indexing.Picks((index.numel(),), values_of(index), axes_of(index))
    return indexing.index(axes, tuple(keys))


@rule("gather", "take_along_dim")
def gather(out: Tensor, input: Tensor, dim: Any = None, index: Any = None, **_: Any) -> Answer:
    if isinstance(dim, Tensor):
        dim = index  # take_along_dim(input, indices, dim)
    return None if not isinstance(dim, int) else indexing.gather(named(input), dim, tuple(out.shape))


@rule("transpose", "swapaxes", "swapdims")
def transpose(out: object, input: Tensor, dim0: int = 0, dim1: int = 0, **other: int) -> Answer:
    dim0, dim1 = other.get("axis0", dim0), other.get("axis1", dim1)
    return moving.transpose(named(input), dim0, dim1)


@rule("permute")
def permute(out: object, input: Tensor, *dims: Any, **kwargs: Any) -> Answer:
    return moving.permute(named(input), dims_of(dims or (kwargs["dims"],)))


@rule("t", "T", "H", "adjoint")
def turn(out: object, input: Tensor, *_: Any) -> Answer:
    axes = named(input)
    return moving.permute(axes, range(len(axes))[::-1]) if len(axes) <= 2 else None


@rule("mT", "mH")
def turn_last(out: object, input: Tensor, *_: Any) -> Answer:
    return moving.transpose(named(input), -2, -1)


@rule("movedim", "moveaxis")
def movedim(out: object, input: Tensor, source: Any, destination: Any) -> Answer:
    return moving.movedim(named(input), dims_of((source,)), dims_of((destination,)))


@rule("squeeze")
def squeeze(out: object, input: Tensor, *dims: Any, **kwargs: Any) -> Answer:
    dims = dims or ((kwargs["dim"],) if "dim" in kwargs else ())
    return moving.squeeze(named(input), dims_of(dims) if dims else None)


@rule("unsqueeze")
def unsqueeze(out: object, input: Tensor, dim: int) -> Answer:
    return moving.unsqueeze(named(input), dim)


@rule("flip")
def flip(out: object, input: Tensor, *dims: Any, **kwargs: Any) -> Answer:
    return moving.flip(named(input), dims_of(dims or (kwargs["dims"],)))


@rule("fliplr")
def fliplr(out: object, input: Tensor) -> Answer:
    return moving.flip(named(input), (1,))


@rule("flipud", "__reversed__")
def flipud(out: object, input: Tensor) -> Answer:
    return moving.flip(named(input), (0,)) if input.dim() else named(input)


@rule("roll")
def roll(out: object, input: Tensor, shifts: Any, dims: Any = None) -> Answer:
    axes = named(input)
    by, over = dims_of((shifts,)), () if dims is None else dims_of((dims,))
    if over:
        return moving.roll(axes, by, over)
    # Without dims the tensor is rolled as one long row, which moves every axis at once.
    return axes if len(axes) == 0 else moving.roll(axes, by, (0,)) if len(axes) == 1 else None


@rule("rot90")
def rot90(out: object, input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Answer:
    return moving.rot90(named(input), k, dims)


@rule("expand", "broadcast_to", "expand_as")
def expand(out: Tensor, input: Tensor, *_: Any, **__: Any) -> Answer:
    axes = named(input)
    return _copies(moving.expand(axes, tuple(out.shape)), axes)


def _copies(axes: Axes, before: Axes) -> Axes:
    """An axis of equal elements has no name; a walk says at least what it is."""
    if not len(called):
        return axes
    front = len(axes) - len(before)
    rows = [
        Axis((fresh("copies", axis.size),)) if not axis.known and (at < front or before[at - front].size == 1) else axis
        for at, axis in enumerate(axes)
    ]
    return Axes(tuple(rows), axes.fixed)


@rule("repeat", "tile")
def repeat(out: object, input: Tensor, *repeats: Any, **kwargs: Any) -> Answer:
    axes = named(input)
    times = dims_of(repeats or (kwargs.get("repeats", kwargs.get("dims")),))
    return _copies(moving.repeat(axes, (1,) * (len(axes) - len(times)) + times), axes)


@rule("repeat_interleave")
def repeat_interleave(out: Tensor, input: Tensor, repeats: Any = None, dim: int | None = None, **_: Any) -> Answer:
    axes = named(input)
    if isinstance(repeats, Tensor) and repeats.numel() != 1:
        return None if dim is None else resize(axes, {dim: out.shape[dim]})
    return moving.repeat_interleave(axes, int(repeats), dim)


@rule("unbind", "__iter__")
def unbind(out: Sequence[Tensor], input: Tensor, dim: int = 0) -> Answer:
    axes = named(input)
    return [indexing.select(axes, dim, at) for at in range(len(out))]


@rule("split", "chunk", "tensor_split", "split_with_sizes", "unsafe_split", "unsafe_chunk")
def split(out: Sequence[Tensor], input: Tensor, *args: Any, **kwargs: Any) -> Answer:
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    return _pieces(out, named(input), dim)


@rule("hsplit", "vsplit", "dsplit")
def axis_split(out: Sequence[Tensor], input: Tensor, *_: Any) -> Answer:
    axes = named(input)
    dims = [dim for dim in range(len(axes)) if any(piece.shape[dim] != input.shape[dim] for piece in out)]
    return _pieces(out, axes, dims[0]) if len(dims) == 1 else [axes] * len(out) if len(out) == 1 else None


def _pieces(out: Sequence[Tensor], axes: Axes, dim: int) -> Answer:
    start, found = 0, []
    for piece in out:
        stop = start + piece.shape[dim]
        found.append(moving.take(axes, dim, range(start, stop)))
        start = stop
    return found


@rule("diagonal")
def diagonal(out: Tensor, input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Answer:
    """The diagonal runs along both axes at once: it has their name only where they have the same one."""
    axes = named(input)
    rest = [axis for at, axis in enumerate(axes) if at not in (dim1 % len(axes), dim2 % len(axes))]
    return resize(Axes((*rest, axes[dim1]), axes.fixed), {-1: out.shape[-1]})


def linalg_diagonal(out: Tensor, A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Answer:
    """Of matrices, which are the last two axes unless others are named."""
    return diagonal(out, A, offset, dim1, dim2)


# By the function: torch.diagonal has its name and another default.
rule_for(torch.linalg.diagonal)(linalg_diagonal)


@rule("unfold")
def unfold(out: Tensor, input: Tensor, dimension: int, size: int, step: int) -> Answer:
    """Windows: which window is unknown to names, what is inside one too; the other axes stay."""
    at = dimension % input.dim()
    axes = resize(named(input), {at: out.shape[at]})
    return resize(Axes((*axes, moving.NEW_AXIS), axes.fixed), {-1: size})


@rule("reshape", "view", "view_as", "reshape_as", "flatten", "ravel", "unflatten", "_unsafe_view")
def reshape(out: Tensor, input: Tensor, *args: Any, **kwargs: Any) -> Answer:
    if any(isinstance(value, torch.dtype) for value in (*args, *kwargs.values())):
        return named(input) if out.shape == input.shape else None
    axes, scramble = reshaping.reshape(named(input), tuple(out.shape))
    if scramble is not None:
        tell(scramble)
    return axes
