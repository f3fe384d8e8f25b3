"""`lstm-shapes count`: the counts as they are in Python, as a page and as data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lstm_shapes import count
from lstm_shapes.display import as_text
from tests.command_line import here, refused

CALLS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "layer alone": (["28", "256", "3"], {"K": 3}),
    "N and L": (["28", "256", "3", "-n", "5", "-l", "11"], {"K": 3, "N": 5, "L": 11}),
    "N alone": (["28", "256", "2", "--batch", "7"], {"K": 2, "N": 7}),
    "unbatched": (["28", "256", "--unbatched", "--steps", "9"], {"N": None, "L": 9}),
    "lengths": (["28", "256", "--lengths", "5,3"], {"lengths": (5, 3)}),
    "options": (
        ["28", "256", "-r", "-p", "8", "--no-bias", "--dtype", "bfloat16"],
        {"bidirectional": True, "proj_size": 8, "bias": False, "dtype": "bfloat16"},
    ),
    "cell": (["28", "256", "--cell", "GRUCell"], {"cell": "GRUCell"}),
}


@pytest.mark.parametrize(("arguments", "options"), CALLS.values(), ids=CALLS)
def test_the_counts_are_those_of_python(
    capsys: pytest.CaptureFixture[str], arguments: list[str], options: dict[str, Any]
) -> None:
    """As data with --json, as the page that shows itself without; MACs wherever there is a call."""
    counts = count(28, 256, **options)
    code, out, err = here(capsys, "count", *arguments, "--json")
    assert (code, json.loads(out), err) == (0, counts.to_dict(), "")
    assert (json.loads(out)["macs"] is not None) == bool({"N", "lengths"} & options.keys())
    assert here(capsys, "count", *arguments) == (0, f"{as_text(counts)}\n", "")


REFUSED = {
    "enormous": (["9" * 4000, "256"], "2**60"),
    "beyond 64 bits": ([str(2**63), "256"], "2**60"),
    "no dtype": (["28", "256", "--dtype", ""], "dtype must be one of"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_a_layer_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """Exit 2, and one line that names what is wrong, cut where the number is too long to read."""
    ended = here(capsys, "count", *arguments)
    refused(ended, says)
    assert ended.out == ""
