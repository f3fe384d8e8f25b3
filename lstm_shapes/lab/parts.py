"""Parts of a layer as layers of their own, weights copied: some layers of a stack, one direction, a cell."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lstm_shapes.theory.spec import Spec, Weights, suffix

from .build import build

__all__ = ["as_sequence_layer", "one_direction", "some_layers"]


def some_layers(layer: nn.Module, spec: Spec, first: int, last: int) -> tuple[nn.Module, Spec]:
    """Layers first to last - 1 of a stack, in all directions: they read R·H features, or Q at the bottom.

    >>> stack = build(28, 256, 3, bidirectional=True)
    >>> some_layers(stack, Spec.of(stack), 1, 3)[0]
    LSTM(512, 256, num_layers=2, batch_first=True, bidirectional=True)
    """
    part = spec.replace(Q=spec.input_width(first), K=last - first)

    def source(name: str) -> str:
        kind, _, rest = name.partition("_l")
        number, _, reverse = rest.partition("_")
        return f"{kind}_l{int(number) + first}" + (f"_{reverse}" if reverse else "")

    return _copied(layer, part, source), part


def one_direction(layer: nn.Module, spec: Spec, index: int, direction: int) -> tuple[nn.Module, Spec]:
    """One direction of one layer, 0 forward and 1 backward: a plain layer, to be fed reversed rows for 1."""
    part = spec.replace(Q=spec.input_width(index), K=1, bidirectional=False, dropout=0.0)
    end = suffix(spec, index, direction)
    return _copied(layer, part, lambda name: name.removesuffix("_l0") + end), part


def as_sequence_layer(cell: nn.Module, spec: Spec) -> tuple[nn.Module, Spec]:
    """The one-layer, time-major layer that loops over this cell."""
    part = spec.replace(cell=spec.kind.layer).replace(batch_first=False)
    return _copied(cell, part, lambda name: name.removesuffix("_l0")), part


def _copied(layer: nn.Module, spec: Spec, source: Callable[[str], str]) -> nn.Module:
    """A layer of this Spec; `source` says which of `layer`'s weights each of its weights is a copy of."""
    like = next(layer.parameters())
    part = build(spec, device=like.device, dtype=like.dtype).train(layer.training)
    with torch.no_grad():
        for name in Weights(spec):
            getattr(part, name).copy_(getattr(layer, source(name)))
    return part
