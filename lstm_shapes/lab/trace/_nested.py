"""Nested values: find the tensors of any output, rebuild any input with other tensors in their places."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def leaves(value: Any, path: str = "", depth: int = 8) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a value with its path: `[0]`, `['logits']`, `.state`."""
    if isinstance(value, Tensor):
        yield path, value
    elif type(value).__module__ == "numpy" and type(value).__name__ == "ndarray":
        if value.dtype.kind in "fiub" and value.ndim:  # a model that ends in .numpy(): the same numbers as a tensor
            yield path, torch.from_numpy(value.copy())
    elif isinstance(value, PackedSequence):
        yield f"{path}.data", value.data
    elif depth:
        if isinstance(value, dict):
            parts = [(f"[{key!r}]", item) for key, item in value.items()]
        elif isinstance(value, (tuple, list)):
            names = getattr(value, "_fields", None)
            parts = [(f"[{k}]" if names is None else f".{names[k]}", item) for k, item in enumerate(value)]
        elif dataclasses.is_dataclass(value):
            parts = [(f".{f.name}", getattr(value, f.name, None)) for f in dataclasses.fields(value)]
        else:
            parts = []
        for name, item in parts:
            yield from leaves(item, path + name, depth - 1)


def rebuild(value: Any, change: Callable[[Any], Any], depth: int = 8) -> Any:
    """The same structure with `change` applied to every tensor, packed sequence and list of whole numbers."""
    numbers = type(value) in (list, tuple) and len(value) > 0 and all(type(item) is int for item in value)
    if isinstance(value, (Tensor, PackedSequence)) or numbers:  # lengths are often a plain list of ints
        return change(value)
    if depth == 0:
        return value
    if type(value) is dict:
        return {key: rebuild(item, change, depth - 1) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rebuild(item, change, depth - 1) for item in value))
    if type(value) in (tuple, list):
        return type(value)(rebuild(item, change, depth - 1) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: rebuild(getattr(value, f.name), change, depth - 1) for f in dataclasses.fields(value) if f.init
        }
        return dataclasses.replace(value, **fields)
    return value


def parts(value: Any) -> list[Any]:
    """Every tensor, packed sequence and list of whole numbers of a nested value."""
    found: list[Any] = []

    def note(part: Any) -> Any:
        found.append(part)
        return part

    rebuild(value, note)
    return found


def mapped(value: Any, kind: type, change: Callable[[Any], Any], depth: int = 6, other: Any = None) -> Any:
    """The same tuples, dicts and slices with `change` applied to each part of a kind, and `other` to the rest."""
    if isinstance(value, kind):
        return change(value)
    value = value if other is None else other(value)
    if depth and isinstance(value, (tuple, list)):
        return tuple([mapped(item, kind, change, depth - 1, other) for item in value])
    if depth and isinstance(value, dict):
        return {key: mapped(item, kind, change, depth - 1, other) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*mapped((value.start, value.stop, value.step), kind, change, 1))
    return value


def tensors_of(value: Any, depth: int = 6) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists, dicts and slices."""
    tensors: list[Tensor] = []
    mapped(value, Tensor, tensors.append, depth)
    return iter(tensors)
