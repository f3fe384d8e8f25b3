"""Two directions: which row of hn, which half of Y, and what has read the whole sequence."""

from __future__ import annotations

from typing import Any

from lstm_shapes.theory.last_step import last_step
from lstm_shapes.theory.places import Place
from lstm_shapes.theory.quiz.answers import Choice, Number
from lstm_shapes.theory.quiz.draw import Draw, Draws
from lstm_shapes.theory.quiz.question import Question

from .shapes import rule

__all__ = ["MAKERS"]


def _draw(draws: Draws, **wanted: Any) -> Draw:
    return draws.draw(bidirectional=True, packed=False, step=False, **wanted)


def _ends(draw: Draw) -> str:
    place = Place(draw.spec, draw.call)
    return (
        f"Forward reads up to the last step: `hn[-2]` equals `{place.step('-1', 'f')}`. "
        f"Backward reads down to step 0: `hn[-1]` equals `{place.step('0', 'b')}`."
    )


def _final(draws: Draws) -> Question:
    draw = _draw(draws)
    place = Place(draw.spec, draw.call)
    half, row, step, other = draw.random.choice((("b", "hn[-1]", "0", "hn[-2]"), ("f", "hn[-2]", "-1", "hn[-1]")))
    at = place.step(step, half)
    wrong_end = place.step("-1" if step == "0" else "0", half)
    # Asked for a row of hn, or for a half of Y: the one is the evidence for the other.
    right, shown = draw.random.choice(((row, at), (at, row)))
    wrong = [other, wrong_end, *(["hn[0]"] if draw.spec.K > 1 else [])]
    options, where = draw.shuffled(right, *wrong)
    evidence = tuple(f"torch.equal({option}, {shown})" for option in options)
    name = "backward" if half == "b" else "forward"
    text = f"Which of these is the top layer's last hidden state of the {name} direction?"
    return Question("directions", draw.spec, draw.call, text, Choice(options, where, evidence), (_ends(draw),))


def _summary(draws: Draws) -> Question:
    draw = _draw(draws)
    place = Place(draw.spec, draw.call)
    last = last_step(draw.spec, draw.call)
    options, right = draw.shuffled(last.expression, place.step("-1"), place.step("0"))
    evidence = tuple(f"torch.equal({option}, {last.same[0]})" for option in options)
    text = "Which of these has read the whole sequence in both directions?"
    return Question("directions", draw.spec, draw.call, text, Choice(options, right, evidence), (last.why, _ends(draw)))


def _features(draws: Draws) -> Question:
    draw = _draw(draws)
    last = last_step(draw.spec, draw.call)
    mistakes = [(draw.spec.H, "That is the width of one direction; both are joined.")]
    if draw.spec.P:
        mistakes.append((2 * draw.spec.D, "That is twice the cell state's width; the projection makes h P wide."))
    return Question(
        "directions",
        draw.spec,
        draw.call,
        f"`nn.Linear(in_features, 10)` reads `{last.expression}`. What is in_features?",
        Number(last.width, draw.symbols, tuple(mistakes)),
        (f"Each of the two is {draw.spec.width} = {draw.spec.H} wide, so {last.formula} = {last.width}.",),
        f"{last.expression}.size(-1)",
    )


def _row(draws: Draws) -> Question:
    draw = _draw(draws, deep=True)
    layer, direction = draw.random.randrange(draw.spec.K), draw.random.randrange(2)
    row = 2 * layer + direction
    name = ("forward", "backward")[direction]
    mistake = direction * draw.spec.K + layer
    swapped = ((mistake, "That would be direction-major; hn runs through the directions of layer 0 first."),)
    return Question(
        "directions",
        draw.spec,
        draw.call,
        f"Which row of `hn`, counted from 0, is layer {layer}, {name}?",
        Number(row, draw.symbols, swapped if mistake != row else ()),
        (rule(draw, "hn"), f"Layer-major: row = 2·layer + direction = 2·{layer} + {direction} = {row}."),
        f"[torch.equal(row, hn.view(K, R, *hn.shape[1:])[{layer}, {direction}]) for row in hn].index(True)",
    )


MAKERS = ((3, _final), (3, _final), (3, _summary), (3, _features), (3, _row))
