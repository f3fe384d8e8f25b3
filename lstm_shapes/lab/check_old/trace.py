"""What the torch functions of one run did: names, shapes, lines, and which layer each tensor descends from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch.utils.weak import WeakIdKeyDictionary

from .where import Where, here_key, resolve

__all__ = ["Loss", "Op", "Trace", "is_loss", "tensors_in"]

# A tensor's origin: ("input", k, "") or ("call", index of the layer call, "Y" | "hn" | "cn").
Origin = tuple[str, int, str]

_LOSSES = {"cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"}
# Functions that cut memory anew, and those that leave it as it is: a chain of them is one reshape.
RESHAPES = ("view", "reshape", "unflatten", "_unsafe_view", "view_as", "reshape_as", "resize", "flatten", "ravel")
_KEEP = ("contiguous", "clone", "unsqueeze", "squeeze")
_SILENT = {"size", "dim", "__len__", "numel", "is_floating_point", "stride", "_set_grad_enabled", "is_contiguous"}
_PROPERTIES = {"T", "mT", "H", "mH", "data", "real"}
_LIMIT = 50_000


def is_loss(name: str) -> bool:
    """Whether a torch function compares a prediction with a target."""
    return name.endswith("_loss") or name in _LOSSES


@dataclass(eq=False, slots=True)
class Op:
    """One torch function: what went in and came out, as shapes, and where it was called."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[torch.dtype, ...]
    devices: tuple[str, ...]
    origins: tuple[frozenset[Origin], ...]
    note: tuple[Any, ...]
    key: Any
    calls: int
    result: tuple[int, ...] = ()
    base: tuple[int, ...] = ()  # the shape before the first of a chain of reshapes
    failed: bool = False

    @property
    def where(self) -> Where | None:
        return resolve(self.key)

    @property
    def origin(self) -> frozenset[Origin]:
        """Everything that any argument descends from."""
        return frozenset().union(*self.origins)


@dataclass(eq=False, slots=True)
class Loss:
    """A loss function's two tensors."""

    name: str
    prediction: Tensor
    target: Tensor | None
    key: Any

    @property
    def where(self) -> Where | None:
        return resolve(self.key)


def tensors_in(value: Any, depth: int = 4) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists, dicts and packed sequences."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    elif depth and isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item, depth - 1)


def _plain(value: Any, depth: int = 3) -> Any:
    """An argument without its tensors: slices, numbers and names stay, a tensor becomes "tensor"."""
    if isinstance(value, Tensor):
        return "tensor"
    if isinstance(value, PackedSequence):
        return "PackedSequence"
    if depth and isinstance(value, (tuple, list)):
        return tuple(_plain(item, depth - 1) for item in value)
    if value is None or value is Ellipsis or isinstance(value, (bool, int, float, str, slice)):
        return value
    return type(value).__name__


class Trace:
    """The operations of one run, in order, and the origins of the tensors that are alive."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.origins: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._bases: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def mark(self, tensor: Tensor, origin: Origin) -> None:
        """From here on this tensor is (also) the given thing."""
        self.origins[tensor] = frozenset({origin})

    def origin(self, tensor: Tensor) -> frozenset[Origin]:
        try:
            found: frozenset[Origin] = self.origins[tensor]
        except KeyError:
            return frozenset()
        return found

    def enter(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], calls: int) -> Op | None:
        """A function is about to run; None where it is not worth a record."""
        name = getattr(func, "__name__", "")
        if name == "__get__":
            name = getattr(getattr(func, "__self__", None), "__name__", "")
            if name not in _PROPERTIES:
                return None
        if name in _SILENT or len(self.ops) >= _LIMIT:
            return None
        given = list(tensors_in((args, kwargs)))
        op = Op(
            name,
            tuple(tuple(t.shape) for t in given),
            tuple(t.dtype for t in given),
            tuple(str(t.device) for t in given),
            tuple(self.origin(t) for t in given),
            (*(_plain(a) for a in args), *(f"{k}={_plain(v)!r}" for k, v in kwargs.items())),
            here_key(),
            calls,
        )
        self.ops.append(op)
        if given:
            chained = name in (*RESHAPES, *_KEEP) and given[0] in self._bases
            op.base = self._bases[given[0]] if chained else op.shapes[0]
        return op

    def leave(self, op: Op, result: Any) -> None:
        """The function is done: its results descend from what its arguments descend from."""
        origin = op.origin
        for k, tensor in enumerate(tensors_in(result)):
            if k == 0:
                op.result = tuple(tensor.shape)
                if op.name in RESHAPES or op.name in _KEEP:
                    self._bases[tensor] = op.base
            if origin:
                self.origins[tensor] = self.origin(tensor) | origin
