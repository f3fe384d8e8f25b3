"""notes: each stands where its condition holds and nowhere else; its sentence is whole. tests/lab holds them."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given

from lstm_shapes.language._english import SENTENCES
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.notes import NOTES, keyed_notes, meaning, notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases

PACKED, ALONE = {"lengths": (4, 2)}, {"N": None}
CELL = {"cell": "GRUCell", "K": 1}
TWO = {"bidirectional": True}


def told(D: int = 5, K: int = 3, lengths: Any = None, N: int | None = 2, **fields: Any) -> dict[str, str]:
    """The notes of a layer by their keys."""
    spec, call = Spec(7, D, K, **fields), Call(N, 4, lengths)
    keys = [key for key, _ in keyed_notes(spec, call)]
    return dict(zip(keys, notes(spec, call), strict=True))


# Key -> a layer and call that has the note with some of its words, and one that has it not.
WHERE: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "open question": (TWO, "`Y[:, -1, :]` different from `Y[:, -1:]`? Yes", {"batch_first": False}),
    "batch first": ({}, "`x.size(0)` is N, the batch", {"batch_first": False}),
    "time first": ({"batch_first": False}, "`x.size(0)` is L, the steps", ALONE),
    "states and layout": ({"cell": "GRU"}, "`batch_first` never moves the axes of a state", ALONE),
    "hidden, not cell": ({"batch_first": False}, "`Y[-1]` is hidden state", {"cell": "GRU"}),
    "cell states": (TWO, "`gates(layer, x)[-1, 0].c`", {"cell": "RNN"}),
    "top layer": ({}, "so `Y[:, -1]` equals `hn[-1]`.", {"K": 1}),
    "top layer, short rows": (PACKED, "for rows of full length", {}),
    "half a summary": (TWO, "Join `hn[-2]` (forward)", {}),
    "short rows": (PACKED, "`Y[torch.arange(N), lengths - 1]`", {"lengths": (4, 4)}),
    "short rows, two directions": (
        {**PACKED, **TWO, "batch_first": False},
        "`Y[lengths - 1, torch.arange(N), :D]` is `hn[-2]`",
        PACKED,
    ),
    "projection": ({"proj_size": 2}, "c stays D = 5 wide", {}),
    "unbatched": (ALONE, "one sequence, (L, Q), never a batch", {}),
    "one step": (CELL, "returns `h`, no Y", {}),
    "no dropout": ({"dropout": 0.5, "K": 1}, "`dropout=0.5` does nothing here", {"dropout": 0.5}),
    "dropout": ({"dropout": 0.5}, "in train mode only", {"dropout": 0.5, "K": 1}),
    "chained": ({"cell": "GRU"}, "3 one-layer GRUs chained", {"K": 1}),
    "batch size": ({}, "not the number of batches", ALONE),
    "widths": ({}, "D need not be Q", CELL),
    "shared weights": ({}, "neither N nor L", CELL),
    "D costs": ({"proj_size": 4, "K": 1, "bias": False}, "D is what costs: 3", {}),
    "D costs, half": ({"D": 6}, f"With D = 3 it is {Counts(Spec(7, 3, 3)).total:,}", {"D": 1}),
    "share": ({"D": 2, "proj_size": 1, "K": 1}, "% of the parameters", {"D": 1}),
    "share, half": ({"D": 3, "K": 1}, "% of the parameters", {"D": 1}),
    "memory": ({}, f"about {2 * 4 * (7 + 2 * 5 + 3 * 7 * 5)} numbers", CELL),
    "nothing kept": ({"cell": "RNN"}, "pass `hn` to the next one", TWO),
    "nothing kept, two directions": (TWO, "begins at the end", {}),
    "which output": (TWO, "`nn.Linear(10, n)` on `torch.cat([hn[-2], hn[-1]], dim=-1)`", CELL),
    "Keras": (PACKED, "`return_sequences=False` is `hn[-1]`", CELL),
    "torch's words": (ALONE, "`batch_first=False`", CELL),
}


@pytest.mark.parametrize("key", NOTES)
def test_a_note_follows_its_condition(key: str) -> None:
    """Said where it is true of the layer, and not said where it is not."""
    there, words, not_there = WHERE[key]
    assert words in told(**there)[key]
    assert key not in told(**not_there)


@pytest.mark.parametrize(("D", "P", "half"), [(1, 0, None), (2, 0, True), (3, 1, False), (4, 1, True), (5, 2, False)])
@pytest.mark.parametrize("costs", [True, False])
def test_the_half_of_D_is_told_where_it_is_more_than_P(D: int, P: int, half: bool | None, costs: bool) -> None:
    """A layer of half the width has room for the projection, or is not spoken of."""
    keys = told(D, 3 if costs else 1, proj_size=P, bias=not costs).keys() & {
        "D costs",
        "D costs, half",
        "share",
        "share, half",
    }
    assert {key.endswith("half") for key in keys} == (set() if half is None else {half})
    assert len(keys) <= 1


@given(cases())
def test_no_note_is_said_twice_and_no_gap_stays_open(case: tuple[Spec, Call]) -> None:
    """Every key occurs once, with what its sentence asks for."""
    found = keyed_notes(*case)
    assert len({key for key, _ in found}) == len(found)
    for key, gaps in found:
        assert {name for _, name, _, _ in string.Formatter().parse(SENTENCES[f"note {key}"]) if name} <= set(gaps), key


@pytest.mark.parametrize("key", NOTES)
def test_sentences_are_whole(key: str) -> None:
    """A capital or code in front, a full stop behind, and code in pairs of backticks: nothing is put together."""
    assert re.fullmatch(r"([A-Z`{]|torch's).*\.", SENTENCES[f"note {key}"])
    assert SENTENCES[f"note {key}"].count("`") % 2 == 0


@given(cases())
def test_every_tensor_has_a_sentence(case: tuple[Spec, Call]) -> None:
    """Also the pairs that share a row; and no sentence speaks of what the layer lacks."""
    spec, call = case
    prediction = Prediction(spec, call)
    pairs = ["h0, c0", "hn, cn"] if prediction.c0 == prediction.h0 else []
    for name in (*prediction.tensors, *pairs):
        text = meaning(spec, call, name)
        assert ("N sequences" in text) <= call.batched
        assert ("direction" in text or "half" in text) <= (spec.R == 2)
        assert ("each row's own" in text) == (call.lengths is not None and name[:2] in ("hn", "cn"))
        assert ("feed" in text) == (spec.kind.step and name[:2] in ("hn", "cn"))


def test_X_says_what_its_axes_count() -> None:
    """In symbols, which stand beside their sizes: nobody reads of "1 features"."""
    assert meaning(Spec(1, 256), Call(), "X") == "input: N sequences, L steps, Q features"
    assert meaning(Spec(1, 256), Call(N=None), "X") == "input: L steps, Q features"
    assert meaning(Spec(1, 256, cell="LSTMCell"), Call(N=2, L=1), "X") == "input: one step of N sequences, Q features"


def test_h_is_hidden_and_c_is_cell() -> None:
    """The lesson's slip: Y is hidden state."""
    for spec in (Spec(28, 256, 3), Spec(28, 256, bidirectional=True), Spec(28, 256, cell="LSTMCell")):
        for name in Prediction(spec, Call()).tensors:
            text = meaning(spec, Call(), name)
            assert ("hidden state" in text) == (name in ("h0", "Y", "hn"))
            assert ("cell state" in text) == (name in ("c0", "cn"))
