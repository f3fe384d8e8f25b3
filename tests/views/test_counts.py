"""What `count` shows: parameters, what is kept for backward, and why another tool prints another number."""

from __future__ import annotations

import re

import pytest

import lstm_shapes as ls
from lstm_shapes.display import as_text
from tests.snapshot import Snapshot

NUMBER = re.compile(r"^(layer \d+|layers \d+ to \d+|total)\b.*?([\d,]+)$")


def rows_of(text: str) -> dict[str, int]:
    """The numbers at the right of a parameter table."""
    found = (NUMBER.match(line) for line in text.splitlines())
    rows: dict[str, int] = {}
    for match in found:
        if match:
            rows.setdefault(match[1], int(match[2].replace(",", "")))  # a later table has a total of its own
    return rows


@pytest.mark.parametrize("K", [1, 3, 4, 5, 1_000])
def test_parameter_rows_add_up(snapshot: Snapshot, K: int) -> None:
    """The layers printed, with those that share a row, sum to the total printed."""
    rows = rows_of(snapshot(f"28_256_{K}", as_text(ls.count(28, 256, K, N=2, L=20), width=80)))
    total = rows.pop("total")
    assert total == ls.count(28, 256, K).total
    assert sum(rows.values()) == total
    assert len(rows) == min(K, 3 if K > 4 else K)


def test_without_a_call_there_are_parameters_only() -> None:
    """The page says what to give for the rest."""
    text = as_text(ls.count(28, 64, 2), width=80)
    assert "give N and L, or lengths, for MACs" in text
    assert "Kept for backward" not in text


def test_with_a_call_memory_and_other_tools_follow() -> None:
    """The rows of what is kept add up to the total; every tool of the table is named."""
    counts = ls.count(28, 64, 2, N=3, L=5)
    text = as_text(counts, width=80)
    kept = text[text.index("Kept for backward") : text.index("What autograd saves")]
    *rows, total = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]+)$", kept, re.MULTILINE)]
    assert counts.activation_bytes == 4 * total
    assert sum(rows) == total
    for tool in ("torchinfo", "FlopCounterMode", "thop", "ptflops", "Keras"):
        assert tool in text
    assert max(map(len, text.splitlines())) <= 80
