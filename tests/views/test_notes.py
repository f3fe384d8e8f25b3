"""The list of notes: where learners slip."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes import Spec
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.notes import notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import OPEN_QUESTION
from lstm_shapes.views.notes import notes_lines
from tests.strategies import cases


@given(cases())
def test_the_open_question_is_answered_where_it_can_be_asked(case: tuple[Spec, Call]) -> None:
    """All notes of the layer; `[:, -1, :]` or `[:, -1:]` is a question about batches that come first."""
    spec, call = case
    items = notes_lines(Prediction(spec, call)).items
    asked = spec.batch_first and not spec.kind.step and call.batched
    assert items == (*notes(spec, call), *[OPEN_QUESTION] * asked)
