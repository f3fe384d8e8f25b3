"""Rules of cat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, called, operand, operands, rule
from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules import joining
from lstm_shapes.theory.axis_rules.broadcasting import Operand
from lstm_shapes.theory.axis_rules.moving import expand


@rule("cat", "concat", "concatenate")
def cat(out: object, tensors: Sequence[Tensor], dim: int = 0, **other: Any) -> Answer:
    given, dim = operands(tensors), other.get("axis", dim)
    axes = joining.cat(given, dim)
    return _side_by_side(axes, given, dim) if len(called) else axes


def _side_by_side(axes: Axes, given: Sequence[Operand], dim: int) -> Axes:
    """Features of several tensors in one axis; a walk calls it after all of them: embed+D."""
    names = dict.fromkeys(operand[dim].name if isinstance(operand, Axes) else UNKNOWN for operand in given)
    if axes[dim].known or len(names) > 4 or not set(names) - {UNKNOWN}:
        return axes
    return _renamed(axes, dim, "stacked" if set(names) == {NEW} else "+".join(names))


def _renamed(axes: Axes, dim: int, name: str) -> Axes:
    atom = axes[dim].atoms[0]
    rows = list(axes)
    rows[dim] = Axis((Atom(name, atom.size, atom.track and replace(atom.track, label=name)),))
    return Axes(tuple(rows), axes.fixed)


@rule("stack")
def stack(out: object, tensors: Sequence[Tensor], dim: int = 0, **other: Any) -> Answer:
    axes, dim = joining.stack(operands(tensors), other.get("axis", dim)), other.get("axis", dim)
    # A walk says at least that this axis counts what was stacked.
    return _renamed(axes, dim, "stacked") if len(called) and not axes[dim].known else axes


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
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    found = [operand(tensor) for tensor in given]
    return [
        expand(axes, tuple(result.shape)) if isinstance(axes, Axes) else None
        for axes, result in zip(found, out, strict=True)
    ]
