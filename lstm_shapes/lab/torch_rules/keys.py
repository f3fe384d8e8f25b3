"""Index expressions as the pure rules understand them: what stands in `t[...]`, with tensors read out."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.torch_rules.table import axes_of
from lstm_shapes.theory.axis_rules.indexing import Key, Picks

__all__ = ["key_of", "values_of"]

LIMIT = 1 << 16
"""How many positions of an index tensor are read; a longer one is not asked whether it repeats itself."""


def key_of(key: Any, input: Tensor) -> tuple[Key, ...] | None:
    """The key of `input[key]` for `axis_rules.indexing.index`, None where there is no rule for it.

    >>> key_of((slice(None), -1), torch.zeros(2, 3))
    (slice(None, None, None), -1)
    >>> key_of(torch.tensor([True, False]), torch.zeros(2, 3))
    (Picks(shape=(1,), values=(0,), axes=None),)
    """
    parts: list[Key] = []
    for one in key if isinstance(key, tuple) else (key,):
        found = _parts(one)
        if found is None:
            return None
        parts += found
    return tuple(parts)


def _parts(key: Any) -> list[Key] | None:
    if key is None or isinstance(key, EllipsisType):
        return [key]
    if isinstance(key, slice):
        return [slice(*(None if end is None else int(end) for end in (key.start, key.stop, key.step)))]
    if isinstance(key, bool):
        return None
    if hasattr(key, "__index__") and not isinstance(key, Tensor) and getattr(key, "ndim", 0) == 0:
        return [int(key)]
    if isinstance(key, Tensor):
        return _tensor(key)
    if isinstance(key, Sequence) and not isinstance(key, str):
        plain = all(isinstance(one, int) for one in key)
        return _tensor(torch.as_tensor(list(key))) if plain and len(key) else None
    if hasattr(key, "__array__"):
        return _tensor(torch.as_tensor(key))
    return None


def _tensor(key: Tensor) -> list[Key] | None:
    if key.dtype in (torch.bool, torch.uint8):
        if key.dim() == 0 or key.is_meta:
            return None
        with torch._C.DisableTorchFunctionSubclass():
            found = key.nonzero(as_tuple=True)
        # A mask takes positions in order, so its own name would be that of the axis it masks, or a lie.
        return [Picks((where.numel(),), values_of(where)) for where in found]
    if key.dim() == 0:
        return None if key.is_meta else [int(key.item())]
    return [Picks(tuple(key.shape), values_of(key), axes_of(key))]


def values_of(index: Tensor) -> tuple[int, ...] | None:
    """The positions in an index tensor, None where they can not be read or are too many to keep.

    >>> values_of(torch.tensor([[2, 0], [1, 1]]))
    (2, 0, 1, 1)
    >>> values_of(torch.zeros(2, device="meta")) is None
    True
    """
    if index.is_meta or index.numel() > LIMIT:
        return None
    with torch._C.DisableTorchFunctionSubclass():
        return tuple(map(int, index.flatten().tolist()))
