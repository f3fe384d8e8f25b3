"""What a process holds, before and after many calls: `python -m tests.leaks 1000` counts for every call of the library.

It prints what a call leaves behind: blocks, bytes of tensors, bytes of the whole process; and what else changed.

Hooks, threads, open files, modules and what torch and Python are replaced with must be the same to the letter. Memory
is counted as blocks of Python's allocator and as bytes of live tensors; a call that keeps one object keeps one block.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer

import lstm_shapes as ls


class Net(nn.Module):
    """A model as a user has it: an embedding, dropout, a batch norm, a layer that is wrong or right, a head."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 8, 2, batch_first=batch_first, dropout=0.1)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(self.rnn(x)[0][:, -1]))
        return scores


def explain() -> None:
    str(ls.explain(4, 8, 2))


def run() -> None:
    str(ls.run(4, 8, 2, N=3, L=5))


def gates() -> None:
    trace = ls.gates(nn.LSTM(4, 8, batch_first=True), torch.randn(3, 5, 4))
    str(trace)
    _ = trace.f


def walk() -> None:
    str(ls.walk(Net(True), torch.randn(3, 5, 4)))


def check() -> None:
    str(ls.check(Net(False), torch.randn(3, 5, 4)))


def refused() -> None:
    str(ls.check(Net(True), torch.randn(3, 5, 7)))


def watch() -> None:
    model = Net(False)
    step = torch.optim.SGD(model.parameters(), 0.1)
    with ls.watch() as report:
        for _ in range(3):
            step.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(3, 5, 4)), torch.tensor([0, 1, 0])).backward()
            step.step()
    assert "LS201" in report.codes


def raised() -> None:
    try:
        with ls.watch():
            Net(True)(torch.randn(3, 5, 7))
    except RuntimeError:
        pass


def installed() -> None:
    ls.install()
    Net(True)(torch.randn(3, 5, 4))
    ls.uninstall()


CALLS: dict[str, Callable[[], None]] = {
    call.__name__: call for call in (explain, run, gates, walk, check, refused, watch, raised, installed)
}


def held() -> dict[str, Any]:
    """What must be the same to the letter."""
    spaces: dict[str, Any] = {**vars(nn.modules.module), **vars(optimizer)}
    return {
        "hooks": {name: len(value) for name, value in spaces.items() if name.startswith("_global") and _sized(value)},
        "modes": torch.overrides._len_torch_function_stack(),  # type: ignore[attr-defined]
        "threads": threading.active_count(),
        "files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else [],
        "modules": len(sys.modules),
        "streams": (id(sys.stdout), id(sys.stderr)),
        "warnings": (len(warnings.filters), id(warnings.showwarning)),
        "logging": logging.root.manager.disable,
        "excepthook": id(sys.excepthook),
        "load_state_dict": id(nn.Module.load_state_dict),
        "torch": (torch.get_num_threads(), torch.is_grad_enabled(), torch.is_warn_always_enabled()),
    }


def _sized(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def memory() -> tuple[int, int, int]:
    """Blocks of Python's allocator, bytes of the tensors that somebody holds, and of the process (0 but on Linux)."""
    for _ in range(3):
        gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor)]
    pages = Path("/proc/self/statm")
    resident = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0
    return sys.getallocatedblocks(), sum(t.numel() * t.element_size() for t in tensors if not t.is_meta), resident


def growth(call: Callable[[], None], calls: int) -> tuple[float, float, float, list[str]]:
    """What a call leaves behind, on average, of each that `memory` counts; and what else changed."""

    def again(count: int) -> None:
        for _ in range(count):
            torch.manual_seed(1)  # rich remembers how wide the last 4,096 texts are: they must be the same ones
            call()

    again(40)
    first, before = memory(), held()
    again(calls)
    last, after = memory(), held()
    blocks, size, resident = ((b - a) / calls for a, b in zip(first, last, strict=True))
    return (
        blocks,
        size,
        resident,
        [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]],
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    number = int(sys.argv[1])
    for name in sys.argv[2:] or CALLS:
        blocks, size, resident, changed = growth(CALLS[name], number)
        print(f"{name:<10} {blocks:9.2f} {size:9.2f} {resident:9.0f} {changed}", flush=True)
