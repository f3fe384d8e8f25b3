"""A recorded call that moves elements, run again on other tensors of the same shapes: marks, or indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.trace import Call, Value
from lstm_shapes.lab.trace.families import SAME

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

    def filled(item: Any, other: bool = True) -> Any:
        if isinstance(item, Value):
            made = of(item) if other else None
            if made is not None:
                return made
            if item.elements is None or item.elements.is_meta:
                raise ValueError
            return item.elements.cpu()
        if isinstance(item, tuple):
            return tuple(filled(one, other) for one in item)
        if isinstance(item, slice):
            return slice(*(filled(part, other) for part in (item.start, item.stop, item.step)))
        return item

    data = filled(args[0])
    if call.name in SAME:
        return [data]
    if call.name in ("T", "mT", "H", "mH"):
        return [getattr(data, call.name)]
    rest = [filled(item, not only_first) for item in args[1:]]
    if call.name == "_pad_packed_sequence":
        rest[2] = fill
    # Marks do not lie in memory as the tensors did: a view of them may have to copy.
    name = {"view": "reshape", "view_as": "reshape_as"}.get(call.name, name or call.name)
    function = next(f for space in _SPACES if (f := getattr(space, name, None)) is not None)
    with torch.no_grad():
        result = function(data, *rest, **{word: filled(item, not only_first) for word, item in kwargs.items()})
    return [t for t in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(t, Tensor)]


_SPACES: tuple[Any, ...] = (Tensor, torch, torch._C._VariableFunctions)


def written(call: Call, before: Tensor | None, value: Tensor, fill: float) -> Tensor:
    """A buffer behind the assignment to an index, `fill` where it held nothing before."""

    def plain(item: Any) -> Any:
        if isinstance(item, Value):
            return item.elements
        return tuple(plain(x) for x in item) if isinstance(item, tuple) else item

    whole = torch.full(call.args[0].shape, fill, dtype=value.dtype) if before is None else before.clone()
    whole[plain(call.args[1])] = value
    return whole
