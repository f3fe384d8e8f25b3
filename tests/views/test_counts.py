"""What `count` shows: parameters, what is kept for backward, and why another tool prints another number."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import pytest

import lstm_shapes as ls
from lstm_shapes._views.counts import parameters_sheet
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page
from tests.snapshot import Snapshot

NUMBER = re.compile(r"^(layer \d+|layers \d+, \d+|layers \d+ to [\d,]+|total)  .*?((?:[\d,]+ × )?[\d,]+)$")


def rows_of(text: str) -> dict[str, int]:
    """The numbers at the right of a parameter table."""
    found = (NUMBER.match(line) for line in text.splitlines())
    rows: dict[str, int] = {}
    for match in found:
        if match:
            number = prod(int(factor.replace(",", "")) for factor in match[2].split(" × "))
            rows.setdefault(match[1], number)  # a later table has a total of its own
    return rows


@pytest.mark.parametrize("K", [1, 3, 4, 5, 1_000])
def test_parameter_rows_add_up(snapshot: Snapshot, K: int) -> None:
    """The layers printed, with those that share a row, sum to the total printed."""
    rows = rows_of(snapshot(f"28_256_{K}", as_text(ls.count(28, 256, K, N=2, L=20), width=80)))
    total = rows.pop("total")
    assert total == ls.count(28, 256, K).total
    assert sum(rows.values()) == total
    assert len(rows) == min(K, 2)


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


def parameters(Q: int, D: int, K: int = 1, **options: Any) -> str:
    """The parameter table alone, as it is printed."""
    return as_text(Page("", "", (parameters_sheet(ls.count(Q, D, K, **options), full=True),)), width=80)


def test_D_costs_where_it_does() -> None:
    """The sentence is not said of a layer that is all input."""
    assert "D costs" in parameters(28, 256)
    assert "D costs" not in parameters(65_536, 8)


def test_a_formula_and_its_numbers_share_a_line_where_they_fit() -> None:
    """Else the numbers stand below, beginning with the equals sign."""
    assert "4·(Q·D + D·D + 2D) = 4·(28·256 + 256·256 + 2·256)" in parameters(28, 256)
    assert re.search(r"\+ P·D\) +51,200\n += 2·\(4·\(", parameters(28, 128, 1, bidirectional=True, proj_size=16))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "an LSTM only adds them"),
        ({"cell": "GRUCell"}, "b_hn stands under the reset gate"),
        ({"cell": "RNN"}, "2D: two biases, because cuDNN has two; an RNN only adds them."),
    ],
    ids=str,
)
def test_why_there_are_two_biases(options: dict[str, Any], said: str) -> None:
    """Said of each cell as it is true of it, and not of a layer without bias."""
    assert said in " ".join(parameters(28, 64, **options).split())
    assert "cuDNN" not in parameters(28, 64, bias=False, **options)


def test_keras_has_a_row_where_it_differs() -> None:
    """One bias fewer a gate, and the number it prints."""
    assert re.search(r"Keras.*minus 3,072 +1,342,464", parameters(28, 256, 3))


@pytest.mark.parametrize("options", [{"cell": "GRU"}, {"bias": False}, {"proj_size": 64}])
def test_keras_has_no_row_where_it_is_alike_or_has_no_such_layer(options: dict[str, Any]) -> None:
    """A GRU has two biases there too; without bias there is none to miss; it has no projection."""
    assert "Keras" not in parameters(28, 256, 3, **options)
