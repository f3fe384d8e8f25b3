"""The first screen of a layer, and what is behind it."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from hypothesis import given

from lstm_shapes import Spec, explain, laws, picture, predict
from lstm_shapes._views.explanation import every_block, explanation_view, first_blocks, prediction_view, slices_sheet
from lstm_shapes._views.predicted import shapes_view
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Lines, Page, Sheet
from lstm_shapes.language import say
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.notes import notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import slices
from lstm_shapes.theory.symbols import CELLS
from tests.snapshot import Snapshot
from tests.strategies import cases

LAYERS: dict[str, dict[str, Any]] = {
    "lesson": {"N": 2, "L": 20},
    "GRU": {"cell": "GRU"},
    "RNN": {"cell": "RNN"},
    "two directions": {"bidirectional": True},
    "projected": {"proj_size": 64},
    "packed": {"lengths": (20, 17, 4)},
    "unbatched": {"N": None},
    "time major": {"batch_first": False},
    "without bias": {"bias": False},
    "dropout of one layer": {"K": 1, "dropout": 0.5},
    "deep": {"K": 40},
    "cell": {"K": 1, "cell": "LSTMCell"},
}
ALL: dict[str, Any] = {"K": 3, "batch_first": False, "bidirectional": True, "proj_size": 64, "lengths": (20, 17, 4)}


@pytest.mark.parametrize("name", LAYERS)
def test_the_answer_is_one_screen(name: str) -> None:
    """At most 50 lines of 80 columns with the line of proof, whatever the layer."""
    text = as_text(explain(28, 256, **{"K": 3, **LAYERS[name]}, proof=False), width=80)
    assert len(text.splitlines()) <= 49  # the proof is one line more
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["lesson", "two directions", "packed", "cell"])
def test_the_first_screen_as_it_is_read(name: str, snapshot: Snapshot) -> None:
    """Held as files, for people to read."""
    found = explain(28, 256, **{"K": 3, **LAYERS[name]}, proof=False)
    snapshot(name.replace(" ", "_"), as_text(found, width=80))


def test_all_options_at_once(snapshot: Snapshot) -> None:
    """The most there can be takes some lines more."""
    text = snapshot("all", as_text(explain(28, 256, **ALL, proof=False), width=80))
    assert len(text.splitlines()) <= 62


def test_the_lesson_is_answered_at_first_sight() -> None:
    """Shapes, parameters and what costs, the last step, the open question, hidden or cell, and a line of proof."""
    text = " ".join(as_text(explain(28, 256, 3, N=2, L=20), width=80).split())
    for words in (
        "X (N, L, Q) (2, 20, 28)",
        "h0, c0 (K, N, D) (3, 2, 256) states before step 0, zeros if left out",
        "Y (N, L, D) (2, 20, 256)",
        "hn, cn (K, N, D) (3, 2, 256)",
        "58% of the parameters are 1,345,536 recurrent H·D matrices: a smaller D saves most",
        "because cuDNN has two; an LSTM only adds them",
        "★ Y[:, -1, :], Y[:, -1], (N, D) (2, 256) last step hn[-1]",
        "Is Y[:, -1, :] different from Y[:, -1:]? Yes",
        "x.size(0) is N, the batch",
        "Y[:, -1] is hidden state, not cell state",
        "torch's own default is batch_first=False",
        "✓ 26 of 26 claims hold against torch",
        "more: .slices .notes .laws .counts .proof",
    ):
        assert words in text


@given(cases())
def test_what_to_mind_is_the_first_of_the_notes(case: tuple[Spec, Call]) -> None:
    """In their order; first the lesson's open question, where batches come first so that it can be asked."""
    spec, call = case
    mind = first_blocks(Prediction(spec, call))[-1]
    assert isinstance(mind, Lines)
    asked = spec.batch_first and not spec.kind.step and call.batched
    question, found = say("note open question"), notes(spec, call)
    assert found[:1] == (question,) if asked else question not in found
    assert list(mind.items) == [note for note in found if note in mind.items]
    assert len(mind.items) <= 7 + asked


def test_what_is_named_as_more_is_there() -> None:
    """Each name of the last line is an attribute that shows itself, and a notebook has each folded."""
    found = explain(7, 5, 2, lengths=(4, 2, 1))
    page = explanation_view(found)
    names = page.more.removeprefix("more: ").replace("`", "").split()
    assert names == [".slices", ".notes", ".laws", ".counts", ".proof"]
    assert all(len(repr(getattr(found, name[1:])).splitlines()) > 3 for name in names)
    titles = [block.title for block in page.folded]
    assert titles[:2] == ["Slices", "Packed rows: where each step lies in data"]
    assert titles[3:6] == ["Notes", "Laws", "Proof"]
    html = found._repr_html_()
    assert html.count("<details><summary>") == len(titles)
    assert all(f"<summary>{title}</summary>" in html for title in titles)
    assert not any(title in as_text(found) for title in titles)


@pytest.mark.parametrize("cell", ["LSTM", "GRUCell"])
def test_a_prediction_is_the_first_screen(cell: str) -> None:
    """Shapes, parameters, what to read and to mind; the command prints the shapes first, then the rest."""
    prediction = predict(7, 5, cell=cell, N=3)
    page, first = prediction_view(prediction), shapes_view(prediction)
    assert (page.title, page.subtitle) == (first.title, first.subtitle)
    assert page.blocks == (*first.blocks, *first_blocks(prediction))
    read = [] if prediction.Y is None else ["Reading it"]
    assert [block.title for block in page.blocks] == ["Shapes", "Parameters", *read, "Mind"]


def test_everything_is_in_full(snapshot: Snapshot) -> None:
    """`--full`: every slice, note and law, where packed rows lie, and what there is to count."""
    found = explain(28, 256, **ALL, proof=False)
    page = Page("", "", every_block(found))
    snapshot("full", as_text(page, width=80))
    rows = {block.title: len(block.rows) for block in page.blocks if isinstance(block, Sheet)}
    assert (rows["Slices"], rows["Laws"]) == (len(found.slices), len(found.laws))


@pytest.mark.parametrize("cell", CELLS)
def test_one_is_singular(cell: str) -> None:
    """Nowhere in words, drawings or their texts does a layer of one of everything have 1 features, steps or layers."""
    sizes: dict[str, Any] = {"cell": cell, "N": 1} if cell.endswith("Cell") else {"cell": cell, "N": 1, "L": 1}
    shown = [as_text(explain(1, 1, **sizes, proof=False))]
    for drawn in (picture(1, 1, **sizes, kind=kind) for kind in ("cell", "grid")):
        shown += [drawn.text, drawn.svg]
    one_of_many = r"(?<![\d,.·=])1 (feature|step|sequence|layer|sample|row|unit|gate|parameter|direction)s\b"
    assert not re.search(one_of_many, "\n".join(shown))


@given(cases())
def test_every_slice_has_a_row(case: tuple[Spec, Call]) -> None:
    """A star, the expression, symbols and sizes of each; a cell has no rows."""
    every = slices(Prediction(*case))
    sheet = slices_sheet("Slices", ((one.expression, one) for one in every))
    rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
    assert rows == [
        ("★" if one.wanted else "", one.expression, one.axes.formula, str(one.axes.sizes), one.meaning) for one in every
    ]
    assert bool(rows) != case[0].kind.step


@pytest.mark.parametrize("name", ["slices", "notes", "laws"])
def test_a_part_is_a_tuple_that_shows_itself(name: str) -> None:
    """Still a tuple in every way; a REPL and a notebook show a page in place of every field."""
    found: Any = getattr(explain(28, 256, 3, proof=False), name)
    assert (*found,) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert repr(found) == as_text(found)
    assert "(name=" not in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert name[:4].title() in found._repr_html_() or "Identities" in found._repr_html_()


def test_a_cell_has_no_slices_and_says_so() -> None:
    """Nothing to index."""
    assert "nothing to slice" in repr(explain(7, 5, cell="GRUCell", proof=False).slices)


def test_laws_are_counted_and_are_plain_data() -> None:
    """Identities and false friends."""
    found = laws(28, 256, 3)
    assert repr(found).startswith("Identities that hold: ")
    assert found[0].expression in repr(found)
    assert found.to_dict() == {"laws": [law.to_dict() for law in found]}
