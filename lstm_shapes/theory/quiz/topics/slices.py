"""What a slice of Y or hn is, and which slice is the last hidden state."""

from __future__ import annotations

from lstm_shapes.theory.places import Place
from lstm_shapes.theory.quiz.answers import Choice, Shape
from lstm_shapes.theory.quiz.draw import Draws
from lstm_shapes.theory.quiz.question import Question
from lstm_shapes.theory.slices import slices

from .shapes import rule

__all__ = ["MAKERS"]


def _shape(draws: Draws) -> Question:
    draw = draws.draw(step=False)
    one = draw.random.choice(slices(draw.prediction))
    name = one.expression.partition("[")[0]
    answer = Shape(one.axes, draw.symbols, ((name, draw.prediction.tensors[name]),))
    lines = (
        rule(draw, name),
        "A whole number takes its axis away, a slice with a colon keeps it.",
        f"`{one.expression}` is {answer.shown}: {one.meaning}.",
    )
    text = f"What is the shape of `{one.expression}`?"
    return Question("slices", draw.spec, draw.call, text, answer, lines, f"tuple({one.expression}.shape)")


def _last(draws: Draws) -> Question:
    """Y and hn meet in one corner: the top layer after the last step."""
    draw = draws.draw(step=False, bidirectional=False, packed=False, alone=False, deep=True)
    place = Place(draw.spec, draw.call)
    wrong = ["Y[-1]" if draw.spec.batch_first else "Y[:, -1]", "hn[0]", "hn[:, -1]"]
    if draw.spec.has_c:
        wrong[2] = "cn[-1]"
    options, right = draw.shuffled(place.step("-1"), *wrong)
    evidence = tuple(f"torch.equal({option}, hn[-1])" for option in options)
    text = "Which of these is the top layer's hidden state after the last step, for each sequence?"
    lines = (
        rule(draw, "Y"),
        "Y holds the top layer at every step, hn every layer after the last one. "
        f"They meet in one corner: `{place.step('-1')}` equals `hn[-1]`.",
        "`cn` is cell state, and `hn[0]` is the bottom layer.",
    )
    return Question("slices", draw.spec, draw.call, text, Choice(options, right, evidence), lines)


MAKERS = ((1, _shape), (1, _last))
