"""Errors name what is wrong, what was given and what to do next."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.errors import LstmShapesError, ScrambledAxesWarning, ShapeError, SpecError, in_one_sentence

SPEC_ERROR = SpecError("Q", "a whole number of at least 1", got=0, hint="Use 28")
SHAPE_ERROR = ShapeError("h0", "(K·R, N, H)", expected=(2, 3, 20), got=(3, 2, 20), hint="Keep it")


def test_spec_error_says_all_its_parts() -> None:
    """The sentence has field, rule, value and hint; the same parts are attributes."""
    assert str(SPEC_ERROR) == "Q must be a whole number of at least 1, got 0. Use 28."
    parts = (SPEC_ERROR.name, SPEC_ERROR.rule, SPEC_ERROR.got, SPEC_ERROR.hint)
    assert parts == ("Q", "a whole number of at least 1", 0, "Use 28")


def test_shape_error_says_all_its_parts() -> None:
    """The sentence has the formula, the sizes it means, and the sizes that came."""
    assert str(SHAPE_ERROR) == "h0 must be (K·R, N, H) = (2, 3, 20), got (3, 2, 20). Keep it."
    assert (SHAPE_ERROR.name, SHAPE_ERROR.formula) == ("h0", "(K·R, N, H)")
    assert (SHAPE_ERROR.expected, SHAPE_ERROR.got) == ((2, 3, 20), (3, 2, 20))
    assert SHAPE_ERROR.hint == "Keep it"


def test_shape_error_leaves_out_what_it_does_not_know() -> None:
    """Without expected and got there is no dangling `= None, got None`."""
    assert str(ShapeError("x", "a tensor")) == "x must be a tensor."


@pytest.mark.parametrize("hint", ["Do this", "Do this.", "  Do this.  "])
def test_a_hint_ends_with_one_full_stop(hint: str) -> None:
    """However a hint is written, the message reads as two sentences."""
    assert str(SpecError("Q", "big", 1, hint)) == "Q must be big, got 1. Do this."


def test_both_are_value_errors_of_one_base() -> None:
    """One `except LstmShapesError` catches what this library raises; `except ValueError` does as well."""
    for error in (SPEC_ERROR, SHAPE_ERROR):
        assert isinstance(error, LstmShapesError)
        assert isinstance(error, ValueError)
    assert issubclass(ScrambledAxesWarning, UserWarning)


@pytest.mark.parametrize("error", [SPEC_ERROR, SHAPE_ERROR], ids=["spec", "shape"])
def test_errors_survive_pickle_and_copy(error: LstmShapesError) -> None:
    """A worker process can hand an error back, with its parts."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__
    assert str(copy.deepcopy(error)) == str(error)
    assert copy.copy(error).__dict__ == error.__dict__


class Hostile:
    """Something whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    """The message about a bad value does not itself fail on the value."""
    assert str(SpecError("Q", "a number", Hostile())) == "Q must be a number, got <Hostile>."


def test_a_long_value_is_cut() -> None:
    """A page of input makes a line of message, and says that it was cut."""
    message = str(SpecError("Q", "a number", "x" * 100_000))
    assert len(message) < 150
    assert "…" in message


@given(st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.floats()))
def test_messages_are_one_short_line(value: object) -> None:
    """Whatever was given: one line, below 200 characters."""
    for error in (SpecError("Q", "a number", value), ShapeError("x", "(N,)", expected=value, got=value or 0)):
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 250


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("colors", "NoColor")
shell.run_cell("import lstm_shapes as ls")
shell.run_cell({cell!r})
"""


@pytest.mark.parametrize(
    "cell",
    ["ls.explain(28, 256, num_layer=3)", "ls.Spec(0, 1)", "def f():\n    ls.run(28, 0)\nf()", "ls.annotate(3, 'N')"],
)
def test_a_notebook_shows_the_readers_lines_and_the_sentence(cell: str) -> None:
    """No frame of ours, and none that a dataclass wrote for us; the reader's own functions are there."""
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK.format(cell=cell)], capture_output=True, text=True, check=True
    )
    said = done.stdout + done.stderr
    assert cell.splitlines()[-1] in said
    assert "File " not in said
    assert re.search(r"^(Spec|Shape)Error: .+\.?$", said, re.MULTILINE)


def test_a_repl_shows_two_frames_at_most() -> None:
    """The caller's, and the door where the frames below were taken off."""
    code = "import lstm_shapes as ls\nls.explain(28, 256, num_layer=3)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.count('File "') == 2
    assert done.stderr.splitlines()[-1].endswith("Did you mean num_layers (K)?")


def test_the_cause_is_kept() -> None:
    """Whoever wants to know what lay below finds it where Python keeps it."""

    @in_one_sentence
    def door() -> None:
        try:
            int("x")
        except ValueError as error:
            raise SpecError("size", "a number", "x") from error

    with pytest.raises(SpecError, match="size must be a number") as caught:
        door()
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_was_not_given_is_not_shown() -> None:
    """An argument that is missing has no value to speak of."""
    assert str(SpecError("D", "given")) == "D must be given."
    assert str(SpecError("D", "given", None)) == "D must be given, got None."
    assert SpecError("D", "given").got is None
