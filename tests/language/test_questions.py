"""What learners ask, and where each question is answered, in both languages: the sentence stands at its place.

The first thirteen are those of the lesson, in its order; `examples/lesson.py` walks through them. The others are what
is asked most in public threads.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import Any

import pytest

import lstm_shapes as ls
from docs.build import ROOT
from lstm_shapes.display import page_of
from lstm_shapes.language import say, speaking
from lstm_shapes.language._korean import TERMS
from lstm_shapes.theory._quiz import deal
from tests.language.test_language import texts

FIRST, NOTES, LAWS, CELL, FEEDBACK, QUIZ, COUNT = "first screen", "notes", "laws", "cell", "feedback", "quiz", "count"

# The question, where it is answered, with which sentence, and what this layer puts into its gaps.
QUESTIONS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Is N the number of batches?", NOTES, "note batch size", {}),
    ("Need D be Q?", NOTES, "note widths", {}),
    ("How many parameters have three layers, and two?", FIRST, "1,345,536", {}),
    ("Which axis is the batch, which the steps? What is x.size(0)?", FIRST, "note batch first", {}),
    ("What are h0 and c0?", FIRST, "is state", {"state": "h, c"}),
    ("And if they are left out?", LAWS, "law zero start: why", {}),
    ("What is Y?", FIRST, "is Y", {}),
    ("What are hn and cn?", FIRST, "is last", {"state": "h, c"}),
    ("Why have hn and cn one shape?", LAWS, "law equal widths: why", {}),
    ("What is fed back?", FEEDBACK, "primes", {}),
    ("Why are there so many, and what makes them fewer?", NOTES, "note D costs, half",
     {"share": "58%", "half": 128, "less": "345,088", "total": "1,345,536"}),
    ("Is [:, -1, :] different from [:, -1:]?", FIRST, "note open question", {}),
    ("And where all notes stand, in --full?", NOTES, "note open question", {}),
    ("Is rnn_out[:, -1, :] the last cell state?", FIRST, "note hidden, not cell", {"last": "Y[:, -1]"}),
    # ---- what is asked most
    ("What does torch call them? And after an Embedding?", FIRST, "torch's words",
     {"more": ", K=num_layers, Y=output, hn=h_n, cn=c_n"}),
    ("Why are there two biases?", FIRST, "two biases LSTM", {}),
    ("And in a GRU?", f"{FIRST} of a GRU", "two biases GRU", {}),
    ("Do parameters depend on the length?", NOTES, "note shared weights", {}),
    ("Does the layer remember between calls?", NOTES, "note nothing kept", {"states": "(hn, cn)"}),
    ("What is return_sequences?", NOTES, "note Keras", {"summary": "Y[:, -1]"}),
    ("One answer a step, or one a sequence: what goes where?", NOTES, "note which output",
     {"width": 256, "summary": "Y[:, -1]"}),
    ("What are three layers?", NOTES, "note chained", {"K": 3, "layer": "LSTM"}),
    ("Whose is hn where rows have lengths?", f"{FIRST} of packed rows", "note short rows",
     {"gathered": "Y[torch.arange(N), lengths - 1]"}),
    ("What does training keep?", NOTES, "note memory", {"kept": "236,640"}),
    ("Where are the cell states?", NOTES, "note cell states", {"top": "[-1]"}),
    ("What is torch's default layout?", FIRST, "note torch's words", {}),
    ("Which rows belong to which gate?", QUIZ, "gates are stacked",
     {"sizes": "G·D = 4·32", "rows": "{}, {}, {}, {}"}),
    ("What are the axes of weight_ih?", QUIZ, "weight is", {"name": "weight_ih_l0", "axes": "(G·D, Q) = (128, 14)"}),
    ("Which rows of the biases are the forget gate's?", CELL, "forget bias", {"end": "_l0", "rows": "[D:2D]"}),
    ("Where does a terminal say it?", f"{CELL} in characters", "forget bias", {"end": "_l0", "rows": "[D:2D]"}),
    ("Is it 1 feature, or 1 features?", f"{CELL} of one unit", "cell step", {}),
    ("Why does another tool count otherwise?", COUNT, "tools", {}),
)  # fmt: skip


@cache
def said(place: str, lang: str) -> str:
    """All that stands at a place, without the English words behind Korean terms."""
    lesson: dict[str, Any] = {"N": 2, "L": 20, "lang": lang}
    explanation = ls.explain(28, 256, 3, proof=False, **lesson)
    if place == QUIZ:
        with speaking(lang):
            return plain(" ".join(line for one in deal(5, 400, 5)[1] for line in (one.text, *one.derivation)))
    if place.startswith(CELL):
        sizes = (28, 256, 3) if place == CELL else (1, 1, 1)
        drawn = ls.picture(*sizes, kind="cell", **lesson)
        if "characters" in place:
            return plain(drawn.text)
        return plain(re.sub("<[^>]*>", " ", unescape(drawn.svg)))
    pages: dict[str, Any] = {
        FIRST: lambda: explanation.prediction,
        f"{FIRST} of a GRU": lambda: ls.predict(28, 256, cell="GRU", lang=lang),
        f"{FIRST} of packed rows": lambda: ls.predict(28, 256, lengths=(5, 3), lang=lang),
        NOTES: lambda: explanation.notes,
        LAWS: lambda: explanation.laws,
        COUNT: lambda: explanation.counts,
        FEEDBACK: lambda: ls.gates(ls.build(3, 4), ls.run(3, 4).X.plain(), lang=lang).feedback,
    }
    return plain(" ".join(texts(page_of(pages[place]()))))


def plain(text: str) -> str:
    for term in TERMS.values():
        text = text.replace(f"({term})", "")
    return " ".join(text.replace("`", "").split())


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(("question", "place", "key", "gaps"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
def test_the_answer_stands_at_its_place(question: str, place: str, key: str, gaps: dict[str, Any], lang: str) -> None:
    """The whole sentence, as the table of the language has it."""
    shown = said(place, lang)
    if key == "1,345,536":
        assert key in ls.explain(28, 256, 3, proof=False, lang=lang).__repr__()
        assert ls.count(28, 256, 2).total == 819_200
    elif key == "cell step":
        assert "1 features" not in shown
    elif key in ("gates are stacked", "weight is"):
        with speaking(lang):
            sentence = plain(say(key, **dict.fromkeys(("name", "axes", "sizes", "rows"), "\x00")))
        assert re.search(re.escape(sentence).replace("\0", ".+?"), shown), sentence
        assert "(G·D, Q) = " in shown
    else:
        with speaking(lang):
            words = {name: say(f"state {gap}") if name == "state" else gap for name, gap in gaps.items()}
            assert plain(say(key, **words)) in shown


def test_what_only_a_page_of_its_own_answers() -> None:
    """The view that changes nothing, the names that do not exist, Keras' gates, ONNX: in README.ko.md and the docs."""
    korean = " ".join((ROOT / "README.ko.md").read_text(encoding="utf-8").split())
    assert "아무것도 바꾸지 않습니다" in korean
    assert "(1345536, 819200)" in korean
    assert "배치 하나에 든 시퀀스의 수" in korean
    assert "셀 상태는 cn에만 있습니다" in korean
    pages = {path.name: " ".join(path.read_text(encoding="utf-8").split()) for path in (ROOT / "docs").glob("*.md")}
    assert "`.view([-1, 10])` changes nothing" in pages["which-slice.md"]
    for answer in ("flatten_parameters()", "i, o, f, c for an LSTM", "**time-major by default**", "torch r, z, n"):
        assert answer in pages["keras.md"]


def test_the_glossary_has_every_term() -> None:
    """Each word whose English is given behind it on a page, with that word, in the same row."""
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    found = {row[4]: row[0] for row in rows}
    assert {term: found.get(term) for term in TERMS} == TERMS
