"""Questions about random layers; a wrong answer is derived.

Shapes are answered as 7,1 or (7, 1) or Q,1; numbers as 1,234 or 7*(Q + 3).
The score comes by topic. Every quiz is another one, unless --seed is given.

Examples:

  lstm-shapes quiz

  lstm-shapes quiz --level 3 --seed 7 --rounds 5

  lstm-shapes quiz --level 2 --html quiz.html
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from . import _screen
from ._parser import Parser, whole


def declare(parser: Parser) -> None:
    parser.add_argument("--level", metavar="1..5", type=whole, help="1 is one direction, 5 is everything (default: 1)")
    parser.add_argument("--rounds", metavar="N", type=whole, help="how many questions (default: 10)")
    parser.add_argument("--seed", metavar="S", type=whole, help="the same seed asks the same questions")
    parser.lang()
    parser.html("ask nothing: write the questions to FILE, to be printed, and their key below them")


def main(*, level: int = 1, rounds: int = 10, seed: int | None = None, html: Path | None = None) -> int:
    from lstm_shapes.practice import a_seed, play

    if html is None:
        _screen.put(play(level, rounds, seed, command=True))
        return 0
    from lstm_shapes._views.quiz import sheet_view
    from lstm_shapes.display.html import document
    from lstm_shapes.theory._quiz.topics import questions
    from lstm_shapes.theory.spec import whole as whole_number

    seed = a_seed(seed)
    cards = list(islice(questions(level, seed), whole_number("rounds", rounds)))
    _screen.write(html, document(sheet_view(cards, level, seed)))
    return 0
