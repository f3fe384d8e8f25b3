"""notes: each stands where its condition holds, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.notes import notes
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases


def text(D: int = 5, K: int = 3, call: Call | None = None, **fields: Any) -> str:
    return "\n".join(notes(Spec(7, D, K, **fields), call or Call(N=2, L=4)))


@pytest.mark.parametrize(
    ("words", "there", "not_there"),
    [
        ("never moves the axes of a state", {}, {"cell": "LSTMCell", "K": 1}),
        ("`x.size(0)` is N, the batch", {}, {"batch_first": False}),
        ("`x.size(0)` is L, the steps", {"batch_first": False}, {}),
        ("`Y[:, -1]` is hidden state, not cell state", {}, {"cell": "GRU"}),
        ("`Y[-1]` is hidden state, not cell state", {"batch_first": False}, {}),
        ("`hn[-1]` is the top layer", {}, {"K": 1}),
        ("no summary of both directions", {"bidirectional": True}, {}),
        ("c stays D = 5 wide", {"proj_size": 2}, {}),
        ("A cell does one step", {"cell": "GRUCell", "K": 1}, {}),
        ("`dropout=0.5` does nothing here", {"dropout": 0.5, "K": 1}, {"dropout": 0.5}),
        ("in train mode only", {"dropout": 0.5}, {"dropout": 0.5, "K": 1}),
        ("torch's own default is `batch_first=False`", {}, {"cell": "RNNCell", "K": 1}),
        ("D is what costs", {}, {"D": 1}),
    ],
)
def test_a_note_follows_its_condition(words: str, there: dict[str, Any], not_there: dict[str, Any]) -> None:
    """Said where it is true of the layer, and not said where it is not."""
    assert words in text(**there)
    assert words not in text(**not_there)


def test_notes_about_the_call() -> None:
    """Short rows and missing batch axes have notes of their own."""
    packed = Call(2, 4, (4, 2))
    assert "`Y[torch.arange(N), lengths - 1]`" in text(call=packed)
    assert "`Y[lengths - 1, torch.arange(N)]`" in text(call=packed, batch_first=False)
    assert "so `Y[torch.arange(N), lengths - 1]` equals `hn[-1]`" in text(call=packed)
    assert "`Y[torch.arange(N), lengths - 1, :D]`" in text(call=packed, bidirectional=True)
    assert "beyond each row's length" not in text(call=Call(2, 4, (4, 4)))
    assert "one sequence, (L, Q), never a batch" in text(call=Call(None, 4))
    assert "never a batch" not in text()


def test_what_half_of_D_would_cost_is_counted() -> None:
    """The number in the note is the count of that layer."""
    from lstm_shapes.theory.counts import Counts

    assert f"With D = 3 it is {Counts(Spec(7, 3, 3)).total:,}" in text(D=6)


def test_the_open_question_is_answered_where_it_can_be_asked() -> None:
    """`[:, -1, :]` or `[:, -1:]` is a question about batches that come first; it is the first note then."""
    asked = "Is `Y[:, -1, :]` different from `Y[:, -1:]`? Yes"
    assert notes(Spec(7, 5), Call())[0].startswith(asked)
    for spec, call in ((Spec(7, 5, 1, False), Call()), (Spec(7, 5), Call(None)), (Spec(7, 5, cell="GRUCell"), Call())):
        assert asked not in "".join(notes(spec, call))


@given(cases())
def test_the_first_screen_has_the_first_notes(case: tuple[Spec, Call]) -> None:
    """No gap is left unfilled, nothing is said twice, and the first screen's notes lead the list."""
    every, first = notes(*case), notes(*case, first=True)
    assert every[: len(first)] == first
    assert len(set(every)) == len(every)
    assert not any("{" in text or "}" in text for text in every)
