"""quiz from Python: any function may ask, any end is an end, and the score shows itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lstm_shapes as ls
from tests.cards import cards, right
from tests.snapshot import as_text


def prompts(answers: list[str]) -> Callable[[str], str]:
    """`input` that has been told what to say, and then reaches its end."""
    rest: Iterator[str] = iter(answers)

    def ask(prompt: str) -> str:
        try:
            return next(rest)
        except StopIteration:
            raise EOFError from None

    return ask


def test_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    """`ls.quiz` plays through any function that asks, and returns a score that shows itself."""
    score = ls.quiz(level=4, seed=9, rounds=3, ask=prompts([right(card) for card in cards(4, 9, 3)]))
    assert (score.right, score.asked, score.rounds) == (3, 3, 3)
    assert "3 of 3: " in capsys.readouterr().out
    assert "Score, level 4: 3 of 3 right" in repr(score)
    assert "<table>" in score._repr_html_()


def test_input_is_the_default(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `ask` the answers come from Python's own input, looked up when it is needed."""
    monkeypatch.setattr("builtins.input", prompts([""]))
    assert ls.quiz(rounds=5).asked == 1
    assert "1 of 5: " in capsys.readouterr().out


def test_ctrl_c_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is an end, not an error."""

    def ask(prompt: str) -> str:
        raise KeyboardInterrupt

    assert ls.quiz(ask=ask).asked == 0
    assert "Quiz, level 1" in capsys.readouterr().out


def test_none_is_an_end_and_a_tuple_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """A dialog that was closed returns None; a function may return the shape itself."""
    place, card = next((place, card) for place, card in enumerate(cards(1, 0)) if card.topic == "shapes")
    told: list[Any] = [*("" for _ in range(place)), card.expected, None]
    score = ls.quiz(seed=0, ask=lambda prompt: told.pop(0))
    assert (score.right, score.asked, told) == (1, place + 1, [])
    assert "✓ Right." in capsys.readouterr().out


def test_ask_must_be_callable(capsys: pytest.CaptureFixture[str]) -> None:
    """A string is no function; the error comes before anything is printed."""
    bad: Any = "2,3,20"
    with pytest.raises(ls.SpecError, match="ask must be a function from a prompt to an answer"):
        ls.quiz(ask=bad)
    assert capsys.readouterr().out == ""


def test_score_without_answers_shows_itself() -> None:
    """A quiz left at once has a score that says so, and how to play it again."""
    score = ls.quiz(seed=8, ask=prompts([]))
    assert "nothing answered" in as_text(score)
    assert "ls.quiz(1, seed=8)" in as_text(score)


def test_python_is_told_how_to_go_on_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of the command line is mentioned, before the first question or after the last."""
    score = ls.quiz(5, rounds=8, ask=lambda prompt: "")
    said = capsys.readouterr().out + as_text(score)
    assert "`ls.quiz(ask=f)`".strip("`") in " ".join(said.split())
    assert "lstm-shapes" not in said
    assert "--" not in said.replace("─", "")


def test_another_quiz_each_time_unless_a_seed_is_given() -> None:
    """Without a seed the questions change; random itself is left alone."""
    import random

    random.seed(3)
    state = random.getstate()
    seeds = {ls.quiz(ask=lambda prompt: "q").seed for _ in range(5)}
    assert len(seeds) > 1
    assert random.getstate() == state
    assert ls.quiz(seed=4, ask=lambda prompt: "q").seed == 4


def test_no_torch() -> None:
    """A quiz starts at once: torch is never loaded."""
    code = (
        "import sys, lstm_shapes as ls\n"
        "repr(ls.quiz(5, rounds=8, ask=lambda prompt: ''))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
