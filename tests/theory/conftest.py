"""theory/ needs no torch, and neither do these tests, but for those that ask torch whether theory is right."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

HERE = Path(__file__).parent
ASKS_TORCH = re.compile(
    r"^\s*(import torch|from torch|from lstm_shapes\.lab|import rich|from rich|from tests\.reading_oracle)",
    re.MULTILINE,
)

# `make pythons` runs the others where there is nothing but pytest and hypothesis.
collect_ignore = (
    []
    if importlib.util.find_spec("torch")
    else [path.name for path in HERE.glob("test_*.py") if ASKS_TORCH.search(path.read_text(encoding="utf-8"))]
)
