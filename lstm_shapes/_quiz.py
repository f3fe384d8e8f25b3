"""quiz: questions played through at a prompt, in a terminal, a REPL, a notebook or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from .display import load_rich
from .errors import SpecError
from .language import speaking
from .theory._quiz import Answered, Question, Score, deal


def quiz(
    level: int = 1,
    *,
    rounds: int = 10,
    seed: int | None = None,
    ask: Callable[[str], str] | None = None,
    lang: str | None = None,
) -> Score:
    """Practise: questions about random layers, each wrong answer derived; returns the score by topic.

    Levels 1 to 5 go from one direction, batch first, to projections and packed rows. Every quiz is another one, unless
    a `seed` is given; the score says which it was. `ask` gets the prompt and returns an answer, or None for no more;
    it is `input` if left out. An answer that cannot be read is asked for again. `q`, Ctrl-C and the end of the input
    end the quiz with the score so far. `lang` is "en" or "ko". Loads no torch.

    >>> answers = iter(["(2, 3, 20)", "q"])
    >>> score = quiz(level=1, seed=0, ask=lambda prompt: next(answers))
    Quiz, level 1: one direction, batch first
    ...
    >>> score.asked <= 1
    True

    Raises: SpecError for a level, a seed, rounds or a language that are none.
    """
    with speaking(lang):
        return play(level, rounds, seed, ask)


def play(
    level: int, rounds: int, seed: int | None, ask: Callable[[str], str] | None = None, command: bool = False
) -> Score:
    """A quiz; `command`: in the words of the command line, else in Python's."""
    seed, cards = deal(level, rounds, seed)
    if ask is not None and not callable(ask):
        raise SpecError("ask", "a function from a prompt to an answer, such as input", ask)
    # Up brings back the last answer. In a pipe some builds of readline write their own start sequence into it.
    if ask is None and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401
    load_rich()
    from rich.console import Console

    from ._views.quiz import opening, question_view

    screen = Console(highlight=False)
    answers: list[Answered] = []
    screen.print(opening(level, command))
    try:
        for number, question in enumerate(cards, start=1):
            screen.print(question_view(question, number, rounds))
            answered = _answer(question, ask or input, screen.print)
            if answered is None:
                break
            answers.append(answered)
    except (KeyboardInterrupt, EOFError):
        screen.print()  # the prompt's line is still open
    screen.print()
    return Score(level, seed, rounds, tuple(answers), command)


def _answer(question: Question, ask: Callable[[str], str], show: Callable[[object], None]) -> Answered | None:
    """Ask until the answer can be read; None where the quiz is to end."""
    from ._views.quiz import verdict_view

    while True:
        told: object = ask("> ")
        given = str(told).strip()
        if told is None or given.lower() in ("q", "quit", "exit"):
            return None
        verdict = question.grade(given)
        show(verdict_view(question, verdict, given))
        if verdict.right is not None or not given:
            return Answered(question, given, bool(verdict.right))
