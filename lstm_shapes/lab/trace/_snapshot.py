"""Everything a run may change, remembered and put back bit for bit, also after an exception or a KeyboardInterrupt."""

from __future__ import annotations

import operator
import random
import sys
from collections import deque
from collections.abc import Callable
from types import CellType
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._private import MODULE_TABLES

from ._reachable import Reached, generator, slots_of

__all__ = ["Snapshot"]

_MISSING = object()


class Snapshot:
    """Takes a picture of all that was reached and of the random states; `restore` puts all of it back.

    `given` is what the program is called with. Only what differs is written, so that an untouched parameter keeps its
    version counter too. `lost` names what is seen and cannot be put back.
    """

    def __init__(self, reached: Reached, given: Reached | None = None) -> None:
        self._reached = reached
        self._given = given
        self._undo: list[Callable[[], None]] = []
        self._probes: list[Callable[[], bool]] = []
        self._counts = [0, 0, 0]
        self._random = _RandomState()
        if given is not None:
            self._take(given, [0, 0, 0])
            self._probes.clear()  # what is handed in is kept by its owner
        self._update()

    @property
    def lost(self) -> tuple[str, ...]:
        return (*self._reached.lost, *(self._given.lost if self._given is not None else ()))

    def module(self, module: nn.Module) -> None:
        """Take a module that was not reachable before: the recorder calls this at first sight."""
        self._reached.add(module)
        self._update()

    def restore(self) -> None:
        """Put everything back."""
        for undo in self._undo:
            undo()
        self._random.restore()

    def restore_random(self) -> None:
        """Put back the random states only."""
        self._random.restore()

    def changed(self) -> bool:
        """Whether a kept value (not a parameter, not a buffer) is another one than before."""
        return any(probe() for probe in self._probes)

    # ------------------------------------------------------------------ the parts
    def _update(self) -> None:
        reached, counts = self._reached, self._counts
        self._counts = [len(reached.things), len(reached.globals), len(reached.cells)]
        self._take(reached, counts)

    def _take(self, reached: Reached, after: list[int]) -> None:
        things, words, cells = after
        for space, word in reached.globals[words:]:
            self._slot(space, word)
        for cell in reached.cells[cells:]:
            self._cell(cell)
        for thing in reached.things[things:]:
            self._thing(thing)

    def _thing(self, thing: Any) -> None:
        state = generator(thing)
        if isinstance(thing, Tensor):
            self._undo.append(_Value(thing).restore)
        elif state is not None:
            self._random.also(*state)
        elif isinstance(thing, dict):
            self._undo.append(_table(thing))
        elif isinstance(thing, (list, deque, bytearray)):
            self._undo.append(_row(thing))
        elif isinstance(thing, set):
            self._undo.append(_members(thing))
        elif type(thing).__module__ == "numpy":
            self._undo.append(_array(thing))
        else:
            self._attributes(thing)

    def _attributes(self, thing: Any) -> None:
        space = getattr(thing, "__dict__", {})
        before = dict(space)
        kept = slots_of(thing)

        def undo() -> None:
            for name in [name for name in space if name not in before]:
                del space[name]
            if len(space) != len(before) or any(space[name] is not value for name, value in before.items()):
                space.update(before)
            for name, value in kept:
                if getattr(thing, name, _MISSING) is not value:
                    object.__setattr__(thing, name, value)

        def probe() -> bool:
            return any(
                name not in before or before[name] is not value
                for name, value in space.items()
                if (name not in MODULE_TABLES and not name.startswith("_")) or name not in before
            ) or any(getattr(thing, name, _MISSING) is not value for name, value in kept)

        self._undo.append(undo)
        self._probes.append(probe)

    def _slot(self, space: dict[str, Any], word: str) -> None:
        before = space[word]

        def undo() -> None:
            space[word] = before

        self._undo.append(undo)
        self._probes.append(lambda: space.get(word) is not before)

    def _cell(self, cell: CellType) -> None:
        before = cell.cell_contents

        def undo() -> None:
            cell.cell_contents = before

        self._undo.append(undo)
        self._probes.append(lambda: cell.cell_contents is not before)


def _table(table: dict[Any, Any]) -> Callable[[], None]:
    before = list(table.items())

    def undo() -> None:
        now = table.items()
        if len(now) == len(before) and all(k is a and v is b for (k, v), (a, b) in zip(now, before, strict=True)):
            return
        table.clear()
        for key, value in before:
            table[key] = value

    return undo


def _row(row: Any) -> Callable[[], None]:
    before = list(row)

    def undo() -> None:
        if len(row) != len(before) or not all(map(operator.is_, row, before)):
            row.clear()
            row.extend(before)

    return undo


def _members(members: set[Any]) -> Callable[[], None]:
    before = list(members)

    def undo() -> None:
        if len(members) != len(before) or not members.issuperset(before):
            members.clear()
            members.update(before)

    return undo


def _array(array: Any) -> Callable[[], None]:
    before = array.copy()

    def undo() -> None:
        if array.shape == before.shape and array.tobytes() != before.tobytes():
            array[...] = before

    return undo


class _Value:
    """One tensor: its elements, its grad and its requires_grad."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.data = tensor.data
        self.copy = None if tensor.is_meta else _clone(tensor)
        self.requires_grad = tensor.requires_grad
        self.leaf = tensor.is_leaf
        self.grad = tensor.grad if tensor.is_leaf else None
        self.grad_copy = None if self.grad is None else _clone(self.grad)

    def restore(self) -> None:
        tensor = self.tensor
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            if self.copy is not None:
                if tensor.shape != self.data.shape or _address(tensor) != _address(self.data):
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


def _clone(tensor: Tensor) -> Tensor | None:
    """The elements, None where there are none yet (a parameter of a lazy module)."""
    if torch.nn.parameter.is_lazy(tensor):
        return None
    return tensor.detach().clone()


def _address(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse tensors have no memory of their own
        return 0


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit; a NaN differs, and is then simply written again."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    try:
        return torch.equal(a.detach(), b)
    except (RuntimeError, NotImplementedError):
        return False


class _RandomState:
    """Every generator that a run may draw from: torch's on all devices, Python's, NumPy's where it is loaded."""

    def __init__(self) -> None:
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if _cuda_in_use() else None
        self._python = random.getstate()
        self._numpy = sys.modules.get("numpy.random")
        self._numpy_state = None if self._numpy is None else self._numpy.get_state()
        self._others: list[tuple[Callable[[Any], Any], Any]] = []

    def also(self, read: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        """A generator that somebody holds."""
        self._others.append((write, read()))

    def restore(self) -> None:
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        random.setstate(self._python)
        if self._numpy is not None:
            self._numpy.set_state(self._numpy_state)
        for write, state in self._others:
            write(state)


def _cuda_in_use() -> bool:
    """Whether CUDA has been started; asking its generators must not start it."""
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
