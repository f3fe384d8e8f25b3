"""read_inputs: what a user's x says about the call, checked before torch sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.call import DEFAULT_N, Call
from lstm_shapes.theory.spec import Spec

from .tensors import AnnotatedTensor

__all__ = ["Inputs", "read_inputs", "require_order"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A call and its padded X; `packed` where the user's x was a PackedSequence."""

    call: Call
    X: Tensor
    packed: PackedSequence | None = None


def read_inputs(spec: Spec, x: Any, lengths: Iterable[int] | None = None) -> Inputs:
    """The call that `x` means to this layer: its last axis is Q, one axis fewer means unbatched.

    Raises: ShapeError that names the axis and the next step.
    """
    if isinstance(x, PackedSequence):
        return _read_packed(spec, x, lengths)
    if not isinstance(x, Tensor):
        raise ShapeError("x", "a torch.Tensor or a PackedSequence", got=type(x).__name__)
    if x.layout is not torch.strided:
        raise ShapeError("x", "a dense tensor", got=x.layout, hint="Write x.to_dense()")
    X = x.plain() if isinstance(x, AnnotatedTensor) else x
    batched, alone = _layouts(spec)
    formula = f"({', '.join(batched)}), or ({', '.join(alone)}) for one sequence"
    shape = tuple(X.shape)
    if X.dim() not in (len(batched), len(alone)):
        few, hint = X.dim() < len(alone), ""
        if few and shape and shape[-1] == spec.Q:
            hint = "x.unsqueeze(0) makes it one step"
        elif few and spec.Q == 1:
            hint = "x.unsqueeze(-1) adds a feature axis of Q = 1"
        raise ShapeError("x", formula, got=shape, hint=hint)
    if shape[-1] != spec.Q:
        swapped = [axis for axis, size in enumerate(shape[:-1]) if size == spec.Q]
        hint = f"Axis {swapped[0]} has size {spec.Q}: x.movedim({swapped[0]}, -1) puts it last" if swapped else ""
        raise ShapeError("x", f"{formula}, with Q = {spec.Q} last", got=shape, hint=hint)
    names = batched if X.dim() == len(batched) else alone
    sizes = dict(zip(names, shape, strict=True))
    if 0 in shape:
        raise ShapeError("x", f"{formula} with no axis of size 0", got=shape)
    if not X.is_floating_point():
        hint = "Embed tokens first, or call x.float()"
        raise ShapeError("x", f"{formula} in floating point", got=X.dtype, hint=hint)
    other = not spec.batch_first
    require_order("x", x, names, f"x.transpose(0, 1) moves them, or batch_first={other} reads them as they are")
    if lengths is None:
        return Inputs(Call(sizes.get("N"), sizes.get("L", 1)), X)
    if "N" not in sizes:
        raise ShapeError("x", f"({', '.join(batched)}) where lengths are given", got=shape)
    return Inputs(Call.of(spec, N=sizes["N"], L=sizes.get("L"), lengths=lengths), X)


def require_order(name: str, tensor: Any, meant: Iterable[str], hint: str) -> None:
    """Refuse a tensor whose own names say that its N, L and K·R stand in another order than the layer reads.

    Foreign and unknown names say nothing, and features may be called anything: layers stack.

    >>> require_order("x", torch.zeros(2, 3, 4), ("N", "L", "Q"), "")

    Raises: ShapeError with both orders.
    """
    if not isinstance(tensor, AnnotatedTensor):
        return
    read = [_ROWS.get(symbol, symbol) for symbol in meant]
    own = [_ROWS.get(symbol, symbol) for symbol in tensor.axes.names]
    moved = [symbol for symbol, here in zip(own, read, strict=True) if symbol in _ORDERED and symbol != here]
    if len(moved) > 1 and set(moved) <= set(read):
        formula = f"({', '.join(meant)}), as this layer reads it"
        raise ShapeError(name, formula, got=tensor.axes.formula, hint=hint)


_ROWS = {"K": "K·R", "R": "K·R"}
_ORDERED = {"N", "L", "K·R"}


def _layouts(spec: Spec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes of a batched and of an unbatched x."""
    if spec.kind.step:
        return ("N", "Q"), ("Q",)
    return (("N", "L", "Q") if spec.batch_first else ("L", "N", "Q")), ("L", "Q")


def _read_packed(spec: Spec, x: PackedSequence, lengths: Iterable[int] | None) -> Inputs:
    if spec.kind.step:
        raise ShapeError("x", f"one step, (N, Q) or (Q,), for {spec.cell}", got="PackedSequence")
    if lengths is not None:
        raise ShapeError("lengths", "left out for a PackedSequence", hint="It holds its own lengths")
    if x.data.dim() != 2 or x.data.shape[-1] != spec.Q:
        raise ShapeError("x.data", f"(T, Q) with Q = {spec.Q}", got=tuple(x.data.shape))
    X, found = pad_packed_sequence(x, batch_first=spec.batch_first)
    return Inputs(Call.of(spec, N=DEFAULT_N, lengths=torch.as_tensor(found, device="cpu")), X, x)
