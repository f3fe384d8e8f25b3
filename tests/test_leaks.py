"""Many calls leave a process as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from tests.leaks import CALLS, growth

ROOT = Path(__file__).resolve().parent.parent


def test_nothing_is_left_behind() -> None:
    """Hooks, threads, files, modules and streams exactly as before, no tensor alive, next to no blocks of memory."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.leaks", "20"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == list(CALLS)
    for name, blocks, size, resident, changed in lines:
        assert float(blocks) < 15, (name, blocks)  # caches of torch and rich still fill up; a model is hundreds
        assert float(size) <= 0, (name, size)
        assert float(resident) < 500_000, (name, resident)
        assert changed == "[]", (name, changed)


def test_the_count_sees_what_is_kept() -> None:
    """A tensor, an object and a hook that a call leaves behind."""
    kept: list[object] = []
    handles = []

    def leak() -> None:
        kept.append(torch.zeros(10))
        kept.extend([object()] * 1 for _ in range(20))
        handles.append(register_module_forward_hook(lambda *_: None))

    try:
        blocks, size, _, changed = growth(leak, 5)
    finally:
        for handle in handles:
            handle.remove()
    assert blocks > 20
    assert size == pytest.approx(40)
    assert [line.partition(":")[0] for line in changed] == ["hooks"]
