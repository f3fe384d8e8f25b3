"""examples/tutorial.ipynb: it runs from top to bottom, asks before it answers, and shows what it would show now."""

from __future__ import annotations

import ast
import re
from base64 import b64decode
from typing import Any

import nbformat
import pytest

from docs.build import ROOT
from docs.notebook import FILE, run

# What a reader who knows it all writes, in the order of the questions.
RIGHT: tuple[Any, ...] = (
    (2, 5),
    (20, 3),
    True,
    True,
    False,
    (2, 5),
    (2, 1, 5),
    (7, 5),
    (3, 2, 5),
    -1,
    4 * (28 * 256 + 256 * 256 + 2 * 256),
    0.25,  # an estimate
    "L",
    (3, 2, 5),
    (2, 7, 10),
    (6, 2, 5),
    "Y[:, 0, 5:]",
    False,
    10,
    "zeros",
    "Y[torch.arange(3), lengths - 1]",
    0.67,  # an estimate
    2,
    64,
)


def notebook() -> Any:
    return nbformat.read(FILE, as_version=4)


def predictions(book: Any) -> list[Any]:
    return [cell for cell in book.cells if "prediction" in cell.metadata.get("tags", ())]


def shown(book: Any) -> list[str]:
    """What a reader sees of each output, as text; numbers of a training and the bars of a picture differ by machine."""
    texts = []
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            if "text/html" in output.get("data", {}):
                assert "<script" not in output.data["text/html"]
            text = output.get("text") or output.data.get("text/plain", "")
            texts.append(re.sub(r"[▁-█]+", "▁", re.sub(r"[−-]?\d+\.\d+(e[+-]\d+)?%?", "#", text)))
    return texts


# The kernel's client leaves sockets to the garbage collector, and asks for an event loop as tornado did before 3.10.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("knows", [False, True], ids=["no idea", "knows it all"])
def test_runs(knows: bool) -> None:
    """Without predictions each answer comes all the same; with the right ones each gets a tick."""
    book = notebook()
    cells = predictions(book)
    assert len(cells) == len(RIGHT)
    if knows:
        for cell, answer in zip(cells, RIGHT, strict=True):
            cell.source = re.sub(r"= None\b.*", f"= {answer!r}", cell.source)
    texts = shown(run(book))
    seen = "\n".join(texts)
    assert seen.count("The answer: ") == (0 if knows else len(RIGHT))
    assert seen.count("✗ You said") == 0
    assert len(re.findall("^.*✓ [^R]", seen, flags=re.M)) >= (len(RIGHT) if knows else 0)
    if not knows:
        assert texts == shown(notebook()), "the notebook shows something else than it would now: run `make docs`"


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_wrong_predictions_are_told() -> None:
    """A wrong prediction stands beside the answer."""
    book = notebook()
    book.cells = book.cells[: book.cells.index(predictions(book)[0]) + 2]
    predictions(book)[0].source = "c_shape = (5, 2)"
    assert "✗ You said (5, 2); it is (2, 5)" in "\n".join(shown(run(book)))


def test_estimates_have_a_tolerance() -> None:
    """A quarter is right where it is 0.26, and a half is not; elsewhere nothing but the answer is."""
    scope: dict[str, Any] = {}
    exec(notebook().cells[1].source, scope)
    compare = scope["compare"]
    assert compare(0.25, 0.26, within=0.05) == "✓ 0.26"
    assert compare(0.5, 0.26, within=0.05) == "✗ You said 0.5; it is 0.26"
    assert compare("a quarter", 0.26, within=0.05).startswith("✗")
    assert compare(7, 8) == "✗ You said 7; it is 8"


def test_no_two_pictures_are_equal() -> None:
    """Each drawing shows something new, whatever its words and sizes say."""
    outputs = [output for cell in notebook().cells for output in cell.get("outputs", ())]
    html = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    pages = [b64decode(image).decode() for image in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html)]
    words = r"<(title|desc|style)\b.*?</\1>|<text.*?</text>|aria-label=\"[^\"]*\"|\d[\d.]*"
    drawings = [re.sub(words, "", re.sub(".*?(<svg.*</svg>).*", "\\1", page, flags=re.S), flags=re.S) for page in pages]
    assert len(drawings) >= 9
    assert len(set(drawings)) == len(drawings)


def test_outputs_name_no_machine() -> None:
    """No path, process number or time of the machine on which it ran."""
    text = FILE.read_text(encoding="utf-8")
    own = re.escape(f"/{ROOT.parts[1]}/")  # where this checkout lies, and below it any file of a program
    assert not re.search(rf"ipykernel_\d|/home/|/root/|/tmp/|{own}|[^\w.<:/]/[\w.-]+/[\w./-]*\.py\b|iopub", text)


def test_the_model_is_put_right_with_check_walk_and_gates() -> None:
    """The last section goes from findings to none, and uses all three."""
    cells = notebook().cells
    start = next(place for place, cell in enumerate(cells) if cell.source.startswith("## 10."))
    text = "\n".join(cell.source for cell in cells[start:])
    for call in ("ls.check(", "ls.walk(", "ls.gates("):
        assert call in text
    reports = [said for said in shown(notebook()) if said.startswith("lstm_shapes check:")]
    assert [re.findall(r"LS2\d\d", said)[:1] for said in reports] == [["LS201"], ["LS203"], []]


def test_every_question_waits_for_a_prediction() -> None:
    """Each section asks in italics, then leaves room for an answer, and only then answers."""
    book = notebook()
    sections: list[list[Any]] = []
    for cell in book.cells:
        if cell.cell_type == "markdown" and re.match(r"## \d", cell.source):
            sections.append([])
        if sections and not cell.source.startswith("## What now"):
            sections[-1].append(cell)
    assert len(sections) == 10
    for cells in sections:
        asked = [place for place, cell in enumerate(cells) if re.search(r"^\*.*\?\*", cell.source, flags=re.M | re.S)]
        assert asked
        assert all("prediction" in cells[place + 1].metadata.get("tags", ()) for place in asked)
        asks = [cell.source for cell in cells if "compare(" in cell.source]
        assert asks
        assert not any(re.search(r"compare\(\w+, [\d*. ]+\)", source) for source in asks), "answered by hand"


def test_predictions_are_empty() -> None:
    """Nobody's answers are committed, and each says what is asked for."""
    for cell in predictions(notebook()):
        (line,) = ast.parse(cell.source).body
        assert isinstance(line, ast.Assign)
        assert isinstance(line.value, ast.Constant)
        assert line.value.value is None
        assert "#" in cell.source
