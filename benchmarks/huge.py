"""LSTM(65536, 65536, 8): 275 billion parameters, which nobody has to allocate to know their shapes.

torchinfo needs about half a minute and 9 GB of memory for it, even on the meta device; so this is asked for.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import lstm_shapes as ls

from .budget import Budget, SkipError, alternate

__all__ = ["BUDGETS"]

Q, D, K = 65536, 65536, 8
# 275 billion float32 weights are a terabyte: more than 4 GB in this process would mean that somebody allocated them.
PEAK = "print(__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss / 1e6)"


def _free_memory() -> float:
    """Bytes that can be had; endless where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), float("inf"))


@functools.cache
def summary() -> float:
    """Seconds of torchinfo.summary on meta, in a process of its own, so that its memory is given back."""
    free = _free_memory()
    if free < 12e9:
        raise SkipError(f"torchinfo.summary needs about 9 GB here, {free / 1e9:.0f} GB are free")
    code = (
        "import time, torch; from torch import nn; from torchinfo import summary\n"
        f"layer = nn.LSTM({Q}, {D}, {K}, batch_first=True, device='meta')\n"
        "t = time.perf_counter()\n"
        f"summary(layer, input_data=torch.empty(2, 20, {Q}, device='meta'), device='meta', verbose=0)\n"
        "print(time.perf_counter() - t)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def _predict() -> tuple[float, str]:
    def once() -> float:
        start = time.perf_counter()
        assert ls.predict(Q, D, K, N=2, L=20).counts.total == 64 * (D * D + D)
        return time.perf_counter() - start

    (seconds,) = alternate(25, once)
    return seconds / summary(), f"{seconds * 1e3:.2f} ms against {summary():.1f} s"


def _explain() -> tuple[float, str]:
    code = (
        "import lstm_shapes as ls, time; ls.explain(3, 5, 2, N=2, L=7).proof\n"  # loads torch
        f"t = time.perf_counter(); e = ls.explain({Q}, {D}, {K}, N=2, L=20); assert e.proof.ok; repr(e)\n"
        f"print(time.perf_counter() - t); {PEAK}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    seconds, gigabytes = map(float, done.stdout.split())
    if gigabytes > 4:
        raise RuntimeError(f"explain took {gigabytes:.1f} GB of memory: weights were allocated")
    return seconds / summary(), f"{seconds:.2f} s and {gigabytes:.1f} GB in all, against {summary():.1f} s"


BUDGETS = (
    Budget("predict 275 billion parameters", Fraction(1, 10_000), "of torchinfo.summary on meta", _predict),
    Budget("explain them, with proof", Fraction(1, 100), "of torchinfo.summary on meta", _explain),
)
