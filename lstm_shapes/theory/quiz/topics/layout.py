"""Which axis is which: the batch, the steps, the features."""

from __future__ import annotations

from lstm_shapes.theory.quiz.answers import Choice
from lstm_shapes.theory.quiz.draw import Draws
from lstm_shapes.theory.quiz.question import Question

from .shapes import rule

__all__ = ["MAKERS"]

_WORDS = {"N": "N, the sequences in the batch", "L": "L, the steps of a sequence", "Q": "Q, the features of a step"}


def _size(draws: Draws) -> Question:
    """The lesson says that x.size(0) is the sequence length; it is not, with batch_first."""
    draw = draws.draw(alone=False, step=False)
    position = draw.random.choice((0, 0, 1, 2))
    names = draw.prediction.X.names
    right = names[position]
    letters = [right, *(name for name in names if name != right)]
    options, place = draw.shuffled(*(_WORDS[letter] for letter in letters))
    evidence = tuple(f"X.size({position}) == {option[0]}" for option in options)
    text = f"What is `X.size({position})`?"
    words = tuple((option[0],) for option in options)
    lines = (rule(draw, "X"), f"So `X.size({position})` is {right} = {draw.symbols[right]}.")
    return Question("layout", draw.spec, draw.call, text, Choice(options, place, evidence, words), lines)


def _batch_axis(draws: Draws) -> Question:
    draw = draws.draw(alone=False, step=False)
    name = draw.random.choice([name for name in draw.prediction.tensors if name in ("Y", "hn", "cn")])
    axes = draw.prediction.tensors[name]
    options = tuple(f"axis {place}" for place in range(3))
    evidence = tuple(f"{name}.size({place}) == N" for place in range(3))
    text = f"Which axis of `{name}` counts the sequences of the batch?"
    answer = Choice(options, axes.names.index("N"), evidence, (("0",), ("1",), ("2",)))
    return Question("layout", draw.spec, draw.call, text, answer, (rule(draw, name),))


MAKERS = ((1, _size), (1, _batch_axis))
