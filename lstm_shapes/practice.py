"""quiz: questions played through at a prompt, in a terminal, a REPL, a notebook or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING

from .errors import SpecError
from .theory.quiz.deck import questions
from .theory.quiz.score import Answered, Score
from .theory.spec import whole

if TYPE_CHECKING:
    from rich.console import Console

    from .theory.quiz.question import Question

__all__ = ["quiz"]

_QUIT = ("quit", "exit")


def quiz(level: int = 1, *, rounds: int = 10, seed: int = 0, ask: Callable[[str], str] | None = None) -> Score:
    """Practise: questions about random layers, each wrong answer derived; returns the score by topic.

    Levels 1 to 5 go from one direction, batch first, to projections and packed rows. `ask` gets the prompt and
    returns an answer, or None for no more; it is `input` if left out. An answer that cannot be read is asked for
    again. Ctrl-C and the end of the input end the quiz with the score so far. Loads no torch.

    >>> answers = iter(["(2, 3, 20)", "quit"])
    >>> score = quiz(level=1, seed=0, ask=lambda prompt: next(answers))
    Quiz, level 1: one direction, batch first
    ...
    >>> score.asked <= 1
    True

    Raises: SpecError for a level, a seed or rounds that are none.
    """
    cards = questions(level, seed)
    rounds = whole("rounds", rounds)
    if ask is not None and not callable(ask):
        raise SpecError("ask", "a function from a prompt to an answer, such as input", ask)
    from rich.console import Console

    from .views.quiz import opening, question_view

    screen = Console(highlight=False)
    answers: list[Answered] = []
    screen.print(opening(level))
    try:
        for number, question in enumerate(islice(cards, rounds), start=1):
            screen.print(question_view(question, number, rounds))
            answered = _answer(question, ask or _typed, screen)
            if answered is None:
                break
            answers.append(answered)
    except (KeyboardInterrupt, EOFError):
        screen.print()  # the prompt's line is still open
    screen.print()
    return Score(level, seed, rounds, tuple(answers))


def _typed(prompt: str) -> str:
    """`input`, with the arrow keys where Python has them: Up brings back the last answer."""
    # In a pipe some builds of readline write their own start sequence into it.
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(ImportError):
            import_module("readline")
    return input(prompt)


def _answer(question: Question, ask: Callable[[str], str], screen: Console) -> Answered | None:
    """Ask until the answer can be read; None where somebody has had enough."""
    from .views.quiz import verdict_view

    while True:
        told: object = ask("> ")
        given = str(told).strip()
        if told is None or given.lower() in _QUIT:
            return None
        verdict = question.grade(given)
        screen.print(verdict_view(question, verdict, given))
        if verdict.right is not None or not given:
            return Answered(question, given, bool(verdict.right))
