"""Tensors as the pure rules understand them: named axes, or plain sizes; made once, where a function is dispatched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lstm_shapes.theory.axes import Axes, Axis, made
from lstm_shapes.theory.axis_rules.indexing import Key, Picks
from lstm_shapes.theory.axis_rules.table import Plain
from lstm_shapes.theory.origins import Atom, whole

__all__ = ["axes_of", "called", "flat", "key_of", "operand", "sizes_in", "weight_axes"]

_MOST = 1 << 16
"""How many positions of an index tensor are read; a longer one is not asked whether it repeats itself."""

called: Any = WeakIdKeyDictionary()
"""Weight -> axis of it -> what that axis is called for as long as a walk lasts: fc, after the layer."""

# Tensors are compared by identity here, and forgotten when nobody else holds them.
_MADE: Any = WeakIdKeyDictionary()


class _Weight(Plain):
    """A plain tensor that makes the same axes each time that it is used."""

    tensor: Tensor

    def made(self, at: int) -> Axis:
        """What axis `at` of a weight makes; of `W.t()`, what that axis of W makes."""
        at %= len(self)
        base = self.tensor._base
        if base is None:
            base = self.tensor
        else:
            strides = [(base.stride(dim), size) for dim, size in enumerate(base.shape)]
            here = (self.tensor.stride(at), self[at])
            if here not in strides:
                return made(self[at])
            at = strides.index(here)
        names = called.get(base, {})
        size = base.shape[at]
        own = names.get("own", "")
        name = names.get(str(at), f"{own}.{at}" if own and base.dim() > 1 else own)
        return _remembered(base, (at, name, size), lambda: made(size, name))

    def atom(self, symbol: str, size: int) -> Atom:
        """What a layer with this weight makes: D, K or R."""
        return _remembered(self.tensor, (symbol, size), lambda: Axis((whole(symbol, size),))).atoms[0]


def _remembered(weight: Tensor, key: object, make: Callable[[], Axis]) -> Axis:
    axes: dict[object, Axis] = _MADE.setdefault(weight, {})
    return axes[key] if key in axes else axes.setdefault(key, make())


def axes_of(value: object) -> Axes | None:
    """The axes that a tensor carries, None where it is plain or no tensor.

    >>> axes_of(torch.zeros(2)) is None
    True
    """
    axes = getattr(value, "__dict__", {}).get("_axes") if isinstance(value, Tensor) else None
    return axes if isinstance(axes, Axes) else None


def weight_axes(tensor: Tensor) -> Axes:
    """The axes of a weight that nothing with names has met yet: those that it would make.

    >>> weight_axes(torch.zeros(2, 3))
    (?=2, ?=3)
    """
    weight = _Weight(tensor.shape)
    weight.tensor = tensor
    return Axes(tuple(weight.made(at) for at in range(len(weight))))


def operand(value: Any, axes: Callable[[object], Axes | None] = axes_of) -> Any:
    """An argument as a rule takes it: axes for a named tensor, sizes for a plain one, lists of them in lists.

    >>> operand((torch.zeros(2, 3), 1.5)), operand((1, 2))
    ([(2, 3), 1.5], (1, 2))
    """
    if isinstance(value, Tensor):
        named = axes(value)
        if named is not None:
            return named
        plain = _Weight(value.shape)
        plain.tensor = value
        return plain
    if isinstance(value, list | tuple) and any(isinstance(one, Tensor | list | tuple) for one in value):
        return [operand(one, axes) for one in value]
    return value


def sizes_in(out: Any) -> Any:
    """The sizes of what a function returned: one shape, or a list of them."""
    return tuple(out.shape) if isinstance(out, Tensor) else [tuple(one.shape) for one in out if isinstance(one, Tensor)]


def flat(values: Sequence[Any], more: Mapping[str, Any]) -> list[Any]:
    """Arguments, and what stands in lists among them."""
    each = [*values, *more.values()]
    return [one for value in each for one in (value if isinstance(value, tuple | list) else [value])]


def key_of(key: Any, axes: Callable[[object], Axes | None] = axes_of) -> tuple[Key, ...] | None:
    """What stands in `t[key]`, with tensors read out; None where there is no rule for it.

    >>> key_of((slice(None), -1))
    (slice(None, None, None), -1)
    >>> key_of(torch.tensor([True, False]))
    (Picks(shape=(1,), values=(0,), axes=None),)
    """
    parts: list[Key] = []
    for one in key if isinstance(key, tuple) else (key,):
        read = _parts(one, axes)
        if read is None:
            return None
        parts += read
    return tuple(parts)


def _parts(key: Any, axes: Callable[[object], Axes | None]) -> list[Key] | None:
    if key is None or isinstance(key, EllipsisType):
        return [key]
    if isinstance(key, slice):
        return [slice(*(None if end is None else int(end) for end in (key.start, key.stop, key.step)))]
    if isinstance(key, bool):
        return None
    if hasattr(key, "__index__") and not isinstance(key, Tensor) and getattr(key, "ndim", 0) == 0:
        return [int(key)]
    if isinstance(key, Tensor):
        return _positions(key, axes(key))
    if isinstance(key, Sequence) and not isinstance(key, str):
        plain = all(isinstance(one, int) for one in key)
        return _positions(torch.as_tensor(list(key))) if plain and len(key) else None
    return _positions(torch.as_tensor(key)) if hasattr(key, "__array__") else None


def _positions(key: Tensor, axes: Axes | None = None) -> list[Key] | None:
    if key.dtype in (torch.bool, torch.uint8):
        if key.dim() == 0 or key.is_meta:
            return None
        # A mask takes positions in order, so its own name would be that of the axis it masks, or a lie.
        return [Picks(tuple(where.shape), _values(where)) for where in key.nonzero(as_tuple=True)]
    if key.dim() == 0:
        return None if key.is_meta else [int(key.item())]
    return [Picks(tuple(key.shape), _values(key), axes)]


def _values(index: Tensor) -> tuple[int, ...] | None:
    """The positions in an index tensor, None where they can not be read or are too many to keep."""
    if index.is_meta or index.numel() > _MOST:
        return None
    return tuple(map(int, index.flatten().tolist()))
