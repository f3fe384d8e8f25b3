"""A recorded call that moves elements, run again on other tensors of the same shapes: marks, or indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab._private import FUNCTIONS
from lstm_shapes.lab.trace import Call, Value, substituted
from lstm_shapes.lab.trace._families import SAME

__all__ = ["moved", "written"]


def moved(
    call: Call, of: Callable[[Value], Tensor | None], *, name: str = "", fill: float = 0, only_first: bool = False
) -> list[Tensor]:
    """What the call makes of other tensors; an operand for which `of` gives None keeps its elements.

    `name` runs another function in its place; `fill` is what padding holds; with `only_first` the operands behind the
    first keep their elements.
    """
    args, kwargs = list(call.args), {word: value for word, value in call.kwargs.items() if word != "dtype"}
    for word in ("input", "tensors"):
        if word in kwargs:
            args.insert(0, kwargs.pop(word))

    def elements(value: Value) -> Tensor:
        if value.elements is None or value.elements.is_meta:
            raise ValueError
        return value.elements.cpu()

    def filled(value: Value) -> Tensor:
        made = of(value)
        return elements(value) if made is None else made

    data = substituted(args[0], filled)
    rest, kwargs = substituted((tuple(args[1:]), kwargs), elements if only_first else filled)
    if call.name in SAME:
        return [data]
    if call.name in ("T", "mT", "H", "mH"):
        return [getattr(data, call.name)]
    if call.name == "_pad_packed_sequence":
        rest = (*rest[:2], fill, *rest[3:])
    # Marks do not lie in memory as the tensors did: a view of them may have to copy.
    name = {"view": "reshape", "view_as": "reshape_as"}.get(call.name, name or call.name)
    function = next(f for space in _SPACES if (f := getattr(space, name, None)) is not None)
    with torch.no_grad():
        result = function(data, *rest, **kwargs)
    return [t for t in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(t, Tensor)]


_SPACES: tuple[Any, ...] = (Tensor, torch, FUNCTIONS)


def written(call: Call, before: Tensor | None, value: Tensor, fill: float) -> Tensor:
    """A buffer behind the assignment to an index, `fill` where it held nothing before."""
    whole = value.new_full(call.args[0].shape, fill) if before is None else before.clone()
    whole[substituted(call.args[1], lambda index: index.elements)] = value
    return whole
