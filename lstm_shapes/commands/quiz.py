"""`lstm-shapes quiz`: practise at the prompt."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

__all__ = ["quiz"]

Level = Annotated[int, typer.Option(metavar="1..5", help="1 is one direction, 5 is everything")]
Rounds = Annotated[int, typer.Option(metavar="N", help="how many questions")]
Seed = Annotated[int, typer.Option(metavar="S", help="the same seed asks the same questions")]


def quiz(level: Level = 1, rounds: Rounds = 10, seed: Seed = 0) -> None:
    """Questions about random layers; a wrong answer is derived, and the score comes by topic.

    Shapes are answered as 2,3,20 or (2, 3, 20) or K,N,D; numbers as 1,024 or 4*(Q*D + D*D + 2*D).

    Examples:

      lstm-shapes quiz

      lstm-shapes quiz --level 3 --seed 7 --rounds 5
    """
    # Loaded by who plays: every other command would wait for it.
    from lstm_shapes.practice import quiz as play
    from lstm_shapes.views.quiz import score_view

    Console(highlight=False).print(score_view(play(level, rounds=rounds, seed=seed)))
