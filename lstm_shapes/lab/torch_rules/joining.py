"""Rules of cat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, operand, operands, rule
from lstm_shapes.theory.axis_rules import joining


@rule("cat", "concat", "concatenate")
def cat(out: object, tensors: Sequence[Tensor], dim: int = 0, **other: Any) -> Answer:
    return joining.cat(operands(tensors), other.get("axis", dim))


@rule("stack")
def stack(out: object, tensors: Sequence[Tensor], dim: int = 0, **other: Any) -> Answer:
    return joining.stack(operands(tensors), other.get("axis", dim))


@rule("vstack", "row_stack")
def vstack(out: Tensor, tensors: Sequence[Tensor], **_: Any) -> Answer:
    if all(tensor.dim() == 1 for tensor in tensors):
        return joining.stack(operands(tensors), 0)
    return joining.cat(operands(tensors), 0) if all(tensor.dim() > 1 for tensor in tensors) else None


@rule("hstack")
def hstack(out: Tensor, tensors: Sequence[Tensor], **_: Any) -> Answer:
    if any(tensor.dim() == 0 for tensor in tensors):
        return None
    return joining.cat(operands(tensors), 0 if tensors[0].dim() == 1 else 1)


@rule("broadcast_tensors")
def broadcast_tensors(out: Sequence[Tensor], *tensors: Any) -> Answer:
    from lstm_shapes.theory.axes import Axes
    from lstm_shapes.theory.axis_rules.moving import expand

    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    found = [operand(tensor) for tensor in given]
    return [
        expand(axes, tuple(result.shape)) if isinstance(axes, Axes) else None
        for axes, result in zip(found, out, strict=True)
    ]
