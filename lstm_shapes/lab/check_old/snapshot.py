"""Everything a run may change, remembered and put back bit for bit, also after an exception or a KeyboardInterrupt."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .reach import Reached

__all__ = ["Snapshot"]

_TABLES = ("_parameters", "_buffers", "_modules")
_CONTAINERS = (dict, list, set)


class Snapshot:
    """Takes a picture of modules, optimizers, kept values and random states; `restore` puts all of it back.

    Only what differs is written, so that an untouched parameter keeps its version counter too.
    """

    def __init__(self, reached: Reached) -> None:
        self._known: set[int] = set()
        self._probes: list[Callable[[], bool]] = []
        self._undo: list[Callable[[], None]] = []
        self._names = reached.names
        self._values: dict[int, _Value] = {}
        for optimizer in reached.optimizers:
            self._optimizer(optimizer)
        for space, word in reached.globals:
            self._slot(space, word)
        for thing in reached.objects:
            self._attributes(thing)
        for module in list(reached.modules.values()):
            self.module(module)
        self._random = _RandomState()

    def module(self, module: nn.Module) -> None:
        """Take a module that was not reachable before: the recorder calls this at first sight."""
        if id(module) in self._known:
            return
        for inner in module.modules():
            if id(inner) in self._known:
                continue
            self._known.add(id(inner))
            self._attributes(inner)

    def restore(self) -> None:
        """Put everything back."""
        for undo in self._undo:
            undo()
        for value in self._values.values():
            value.restore()
        self._random.restore()

    def restore_random(self) -> None:
        """Put back the random states only."""
        self._random.restore()

    def changed(self) -> bool:
        """Whether a kept value (not a parameter, not a buffer) is another one than before."""
        return any(probe() for probe in self._probes)

    # ------------------------------------------------------------------ the parts
    def _attributes(self, thing: Any) -> None:
        space = vars(thing)
        before = dict(space)
        tables = {name: dict(table) for name, table in before.items() if isinstance(table, dict)}
        lists = {name: list(row) for name, row in before.items() if type(row) is list}

        def undo() -> None:
            for name in [name for name in space if name not in before]:
                del space[name]
            space.update(before)
            for name, table in tables.items():
                current = before[name]
                if current.keys() != table.keys() or any(current[k] is not v for k, v in table.items()):
                    current.clear()
                    current.update(table)
            for name, row in lists.items():
                if len(before[name]) != len(row) or any(a is not b for a, b in zip(before[name], row, strict=True)):
                    before[name][:] = row

        def probe() -> bool:
            skip = (*_TABLES, "training")
            return any(
                name not in before or before[name] is not value
                for name, value in space.items()
                if (name not in skip and not name.startswith("_")) or name not in before
            )

        self._undo.append(undo)
        self._probes.append(probe)
        for name, value in before.items():
            self._tensors(tables.get(name, value))

    def _slot(self, space: dict[str, Any], word: str) -> None:
        before = space[word]

        def undo() -> None:
            space[word] = before

        self._undo.append(undo)
        self._probes.append(lambda: space.get(word) is not before)
        self._tensors(before)

    def _optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        state = {
            p: {k: v.clone() if isinstance(v, Tensor) else v for k, v in s.items()} for p, s in optimizer.state.items()
        }
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]

        def undo() -> None:
            optimizer.state.clear()
            for p, kept in state.items():
                optimizer.state[p] = {k: v.clone() if isinstance(v, Tensor) else v for k, v in kept.items()}
            for group, kept_group in zip(optimizer.param_groups, groups, strict=False):
                group.update(kept_group)

        self._undo.append(undo)
        for group in optimizer.param_groups:
            self._tensors(group["params"])

    def _tensors(self, value: Any, depth: int = 3) -> None:
        if isinstance(value, Tensor):
            if id(value) not in self._values:
                self._values[id(value)] = _Value(value)
        elif depth and isinstance(value, (list, tuple)) and len(value) < 1000:
            for item in value:
                self._tensors(item, depth - 1)
        elif depth and isinstance(value, dict):
            for item in value.values():
                self._tensors(item, depth - 1)


class _Value:
    """One tensor: its elements, its grad and its requires_grad."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.data = tensor.data
        self.copy = None if tensor.is_meta else tensor.detach().clone()
        self.requires_grad = tensor.requires_grad
        self.leaf = tensor.is_leaf
        self.grad = tensor.grad if tensor.is_leaf else None
        self.grad_copy = None if self.grad is None else self.grad.detach().clone()

    def restore(self) -> None:
        tensor = self.tensor
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            if self.copy is not None:
                if tensor.data_ptr() != self.data.data_ptr() or tensor.shape != self.data.shape:
                    tensor.data = self.data
                if not _same(tensor, self.copy):
                    tensor.copy_(self.copy)
            if self.leaf and tensor.is_leaf:
                if tensor.grad is not self.grad:
                    tensor.grad = self.grad
                if self.grad is not None and self.grad_copy is not None and not _same(self.grad, self.grad_copy):
                    self.grad.copy_(self.grad_copy)
                if tensor.requires_grad != self.requires_grad:
                    tensor.requires_grad_(self.requires_grad)


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit; a NaN differs, and is then simply written again."""
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.detach(), b)


class _RandomState:
    """Every generator that a run may draw from: torch's on all devices, Python's, and NumPy's where it is loaded."""

    def __init__(self) -> None:
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if _cuda_in_use() else None
        self._python = random.getstate()
        self._numpy = sys.modules.get("numpy.random")
        self._numpy_state = None if self._numpy is None else self._numpy.get_state()

    def restore(self) -> None:
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        random.setstate(self._python)
        if self._numpy is not None:
            self._numpy.set_state(self._numpy_state)


def _cuda_in_use() -> bool:
    """Whether CUDA has been started; asking its generators must not start it."""
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
