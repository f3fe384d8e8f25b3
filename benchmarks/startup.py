"""How soon something is there: the import, the first table, the whole output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from fractions import Fraction

from .budget import Budget, SkipError, alternate

__all__ = ["BUDGETS"]

COMMAND = [sys.executable, "-m", "lstm_shapes", "explain", "28", "256", "3", "--batch", "2", "--steps", "20"]
SCRIPT = [
    sys.executable,
    "-c",
    "from torch import nn; from torchinfo import summary; "
    "print(summary(nn.LSTM(28, 256, 3, batch_first=True), (2, 20, 28), verbose=0))",
]
# The first table ends with the row of hn and cn.
FIRST_TABLE = re.compile(rb"\nhn, cn\s.*\n", re.DOTALL)


def importing(module: str) -> float:
    """Seconds that an import takes, without the interpreter's own start."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def whole(command: list[str]) -> float:
    """Seconds from the start of a command to its end, on a terminal."""
    return _on_terminal(command)[1]


def first_table() -> float:
    """Seconds until the first table stands on the terminal."""
    return _on_terminal(COMMAND)[0]


def _on_terminal(command: list[str]) -> tuple[float, float]:
    """When the first table and when the end was seen. A terminal, because a pipe shows nothing before the end."""
    try:
        import pty
    except ImportError:
        raise SkipError("this system has no pseudo-terminals") from None
    screen, inside = pty.openpty()
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, env=os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    )
    os.close(inside)
    seen, table = b"", float("inf")
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:  # how Linux reports the end of a terminal
            part = b""
        if not part:
            break
        seen += re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\r", b"", part)
        if table == float("inf") and FIRST_TABLE.search(seen):
            table = time.perf_counter() - start
    os.close(screen)
    if process.wait() != 0:
        raise RuntimeError(f"{command} failed:\n{seen.decode()}")
    return table, time.perf_counter() - start


def _import() -> tuple[float, str]:
    ours, torch = alternate(5, lambda: importing("lstm_shapes"), lambda: importing("torch"))
    return ours / torch, f"{ours * 1e3:.1f} ms against {torch * 1e3:.0f} ms"


def _first_table() -> tuple[float, str]:
    ours, script = alternate(5, first_table, lambda: whole(SCRIPT))
    return ours / script, f"{ours * 1e3:.0f} ms against {script * 1e3:.0f} ms"


def _whole() -> tuple[float, str]:
    ours, script = alternate(5, lambda: whole(COMMAND), lambda: whole(SCRIPT))
    return ours / script, f"{ours * 1e3:.0f} ms against {script * 1e3:.0f} ms"


BUDGETS = (
    Budget("import lstm_shapes", Fraction(1, 25), "of import torch", _import),
    Budget("CLI, first table on the screen", Fraction(1, 8), "of a script with torchinfo.summary", _first_table),
    Budget("CLI, whole output with proof", Fraction(13, 10), "× that script", _whole),
)
