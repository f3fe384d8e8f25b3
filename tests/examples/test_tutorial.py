"""examples/tutorial.ipynb: it runs from top to bottom, asks before it answers, and is committed without outputs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "examples" / "tutorial.ipynb"

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
    (3, 5, 3),
    (3, 5, 8),
    (4, 3, 4),
    8,
    True,
)


def notebook() -> Any:
    return nbformat.read(FILE, as_version=4)


def predictions(book: Any) -> list[Any]:
    return [cell for cell in book.cells if "prediction" in cell.metadata.get("tags", ())]


def executed(book: Any) -> str:
    """Everything that a reader sees after running all cells."""
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = []
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            shown.append(output.get("text") or output.data.get("text/plain", ""))
            if "text/html" in output.get("data", {}):
                assert "<script" not in output.data["text/html"]
    return "\n".join(shown)


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
    shown = executed(book)
    assert shown.count("The answer: ") == (0 if knows else len(RIGHT))
    assert shown.count("✗ You said") == 0
    assert len(re.findall("^.*✓ [^R]", shown, flags=re.M)) >= (len(RIGHT) if knows else 0)


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_wrong_predictions_are_told() -> None:
    """A wrong prediction stands beside the answer."""
    book = notebook()
    book.cells = book.cells[: book.cells.index(predictions(book)[0]) + 2]
    predictions(book)[0].source = "c_shape = (5, 2)"
    assert "✗ You said (5, 2); it is (2, 5)" in executed(book)


def test_estimates_have_a_tolerance() -> None:
    """A quarter is right where it is 0.26, and a half is not; elsewhere nothing but the answer is."""
    scope: dict[str, Any] = {}
    exec(notebook().cells[1].source, scope)
    compare = scope["compare"]
    assert compare(0.25, 0.26, within=0.05) == "✓ 0.26"
    assert compare(0.5, 0.26, within=0.05) == "✗ You said 0.5; it is 0.26"
    assert compare("a quarter", 0.26, within=0.05).startswith("✗")
    assert compare(7, 8) == "✗ You said 7; it is 8"


def test_outputs_are_stripped() -> None:
    """git holds what was written, not what was computed."""
    for cell in notebook().cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_every_question_waits_for_a_prediction() -> None:
    """Each section asks in italics, then leaves room for an answer, and only then answers, with a picture."""
    book = notebook()
    sections: list[list[Any]] = []
    for cell in book.cells:
        if cell.cell_type == "markdown" and re.match(r"## \d", cell.source):
            sections.append([])
        if sections and not cell.source.startswith("## What now"):
            sections[-1].append(cell)
    assert len(sections) == 10
    for cells in sections:
        assert re.search(r"^\*.*\?", cells[0].source, flags=re.M | re.S), cells[0].source
        assert "prediction" in cells[1].metadata.get("tags", ())
        assert any(re.search(r"^ls\.picture\(|\.heatmap\(", cell.source, flags=re.M) for cell in cells), cells[0].source
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
