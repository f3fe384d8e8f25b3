"""Which question comes next: all topics of a level in turn, in random order, then all again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from lstm_shapes.errors import SpecError
from lstm_shapes.theory.spec import is_whole

from .draw import LEVELS, Draws
from .question import TOPICS, Question
from .topics import directions, laws, layout, packing, parameters, reshapes, shapes, slices

__all__ = ["questions"]

_Maker = Callable[[Draws], Question]

_MAKERS: dict[str, tuple[tuple[int, _Maker], ...]] = {
    "shapes": shapes.MAKERS,
    "layout": layout.MAKERS,
    "slices": slices.MAKERS,
    "parameters": parameters.MAKERS,
    "directions": directions.MAKERS,
    "packing": packing.MAKERS,
    "reshapes": reshapes.MAKERS,
    "laws": laws.MAKERS,
}


def questions(level: int = 1, seed: int = 0) -> Iterator[Question]:
    """Questions without end. The same level and seed give the same questions; no global chance is touched.

    >>> next(questions(level=1, seed=0)).topic in TOPICS
    True

    Raises: SpecError for a level or a seed that is none.
    """
    if not is_whole(level) or level not in LEVELS:
        raise SpecError("level", f"a whole number from 1 to {max(LEVELS)}", level)
    if not is_whole(seed):
        raise SpecError("seed", "a whole number", seed)
    return _deal(level, Random(f"{level} {seed}"))


def _deal(level: int, chance: Random) -> Iterator[Question]:
    draws = Draws(chance, level)
    fitting = {topic: [make for start, make in _MAKERS[topic] if start <= level] for topic in TOPICS}
    asked: list[tuple[tuple[str, ...], str]] = []
    while True:
        deck = [topic for topic in TOPICS if fitting[topic]]
        chance.shuffle(deck)
        for topic in deck:
            question = chance.choice(fitting[topic])(draws)
            while (question.given, question.text) in asked[-100:]:
                question = chance.choice(fitting[topic])(draws)
            asked.append((question.given, question.text))
            yield question
