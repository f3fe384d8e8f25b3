"""Questions about random layers; a wrong answer is derived.

Shapes are answered as 2,3,20 or (2, 3, 20) or K,N,D; numbers as 1,024 or
4*(Q*D + D*D + 2*D). The score comes by topic.

Examples:

  lstm-shapes quiz

  lstm-shapes quiz --level 3 --seed 7 --rounds 5
"""

from __future__ import annotations

from ._parser import Parser, whole

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.add_argument("--level", metavar="1..5", type=whole, help="1 is one direction, 5 is everything (default: 1)")
    parser.add_argument("--rounds", metavar="N", type=whole, help="how many questions (default: 10)")
    parser.add_argument("--seed", metavar="S", type=whole, help="the same seed asks the same questions (default: 0)")


def main(*, level: int = 1, rounds: int = 10, seed: int = 0) -> int:
    from rich.console import Console

    from lstm_shapes.practice import quiz
    from lstm_shapes.views.quiz import score_view

    Console(highlight=False).print(score_view(quiz(level, rounds=rounds, seed=seed)))
    return 0
