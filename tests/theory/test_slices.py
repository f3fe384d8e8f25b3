"""slices: what `Y[:, -1]` and its relatives are called, what they mean, and which a classifier wants."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from lstm_shapes.language import say
from lstm_shapes.theory.predict import predict
from lstm_shapes.theory.slices import Slice, slices


def by_expression(**fields: Any) -> dict[str, Slice]:
    return {row.expression: row for row in slices(predict(7, 5, 3, N=2, **{"L": 4, **fields}))}


def wanted(**fields: Any) -> set[str]:
    return {name for name, row in by_expression(**fields).items() if row.wanted}


def test_the_lessons_table() -> None:
    """The eight expressions of the lesson, with the sizes torch gives them."""
    rows = by_expression()
    assert {name: row.axes.sizes for name, row in rows.items()} == {
        "Y[:, -1, :]": (2, 5),
        "Y[:, -1]": (2, 5),
        "Y[:, -1:]": (2, 1, 5),
        "Y[:, -1:, :]": (2, 1, 5),
        "Y[-1]": (4, 5),
        "hn[-1]": (2, 5),
        "hn[0]": (2, 5),
        "hn[:, 0]": (3, 5),
    }
    assert rows["Y[:, -1:]"].axes.names == ("N", "L", "D")
    assert rows["Y[:, -1:]"].meaning == "last step, step axis kept"
    assert "takes its axis away" in say("note open question")
    assert "last sample, not" in rows["Y[-1]"].meaning


def test_time_major_turns_the_meanings_round() -> None:
    """Without batch_first `Y[-1]` is the last step, and `Y[:, -1]` the last sample."""
    rows = by_expression(batch_first=False)
    assert rows["Y[-1]"].meaning == "last step"
    assert rows["Y[-1]"].axes.names == ("N", "D")
    assert "last sample, not" in rows["Y[:, -1]"].meaning
    assert rows["Y[:, -1:]"].meaning.endswith("not last step, batch axis kept")


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, {"Y[:, -1]", "Y[:, -1, :]", "hn[-1]"}),
        ({"batch_first": False}, {"Y[-1]", "hn[-1]"}),
        ({"N": None}, {"Y[-1]", "hn[-1]"}),
        ({"bidirectional": True}, {"hn[-2]", "hn[-1]"}),
        ({"N": 2, "lengths": (4, 2)}, {"hn[-1]"}),
        ({"N": 2, "lengths": (4, 4)}, {"Y[:, -1]", "Y[:, -1, :]", "hn[-1]"}),
    ],
)
def test_what_a_classifier_wants(fields: dict[str, Any], names: set[str]) -> None:
    """One summary of each sequence: the top layer after everything was read, in every direction."""
    fields = dict(fields)
    N = fields.pop("N", 2)
    rows = slices(predict(7, 5, 3, N=N, L=4, **fields))
    assert {row.expression for row in rows if row.wanted} == names


def test_halves_of_a_bidirectional_output() -> None:
    """Each half is named D, and the half that has read one step only is called so."""
    rows = by_expression(bidirectional=True)
    assert rows["Y[:, -1, :D]"].axes.names == ("N", "D")
    assert "read everything" in rows["Y[:, -1, :D]"].meaning
    assert "read everything" in rows["Y[:, 0, D:]"].meaning
    assert "one step only" in rows["Y[:, -1, D:]"].meaning
    assert "Y[:, -1, :P]" in by_expression(bidirectional=True, proj_size=3)


def test_short_rows_are_zeros_at_the_last_step() -> None:
    """Where rows are shorter than L, nothing read at the last step is said to have read everything."""
    rows = by_expression(bidirectional=True, lengths=(4, 2))
    for name in ("Y[:, -1]", "Y[:, -1:]", "Y[:, -1, :D]", "Y[:, -1, D:]"):
        assert "zeros for rows shorter than L" in rows[name].meaning
        assert "read everything" not in rows[name].meaning
    assert "read everything" in rows["Y[:, 0, D:]"].meaning


def test_a_cell_has_nothing_to_slice() -> None:
    """A cell returns no Y, so there are no slices; a slice is plain data for JSON."""
    assert slices(predict(7, 5, cell="LSTMCell")) == ()
    assert by_expression()["Y[:, -1]"].to_dict() == {
        "expression": "Y[:, -1]",
        "names": ["N", "D"],
        "sizes": [2, 5],
        "meaning": "last step",
        "wanted": True,
    }


def test_a_batch_of_any_size_takes_no_memory() -> None:
    """Slices of a thousand million rows are read as fast and as small as those of two."""
    by_expression()
    tracemalloc.start()
    rows = {row.expression: row for row in slices(predict(7, 5, 3, N=10**9, L=10**6))}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows["Y[:, -1]"].axes.sizes == (10**9, 5)
    assert peak < 10**6
