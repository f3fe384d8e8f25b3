"""Identities and their false friends: does it hold for this layer?"""

from __future__ import annotations

from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.quiz.answers import Choice
from lstm_shapes.theory.quiz.draw import Draws
from lstm_shapes.theory.quiz.question import Question

__all__ = ["MAKERS"]

# The laws whose two sides a learner can type: the others run the layer again.
_TYPED = (
    "last step",
    "wrong axis",
    "gathered step",
    "forward half",
    "backward half",
    "backward half at the end",
    "unflattened",
    "unflattened wrongly",
    "flattened to rows",
    "output is cell state",
    "equal widths",
)

_WORDS = (("yes", "y", "true", "holds"), ("no", "n", "false", "does not hold"))


def _law(draws: Draws) -> Question:
    draw = draws.draw(step=False)
    known = [law for law in laws(draw.spec, call=draw.call) if law.name in _TYPED]
    law = draw.random.choice(known)
    left, _, right = law.expression.partition(" == ")
    same = law.expression if left.endswith(".shape") else f"torch.equal({left}, {right})"
    answer = Choice(("it holds", "it does not hold"), int(not law.holds), (same, f"not {same}"), _WORDS)
    when = "It never does." if law.condition == "never" else f"It does under this condition: {law.condition}."
    lines = (law.why, when)
    return Question("laws", draw.spec, draw.call, f"Does `{law.expression}` hold here?", answer, lines)


MAKERS = ((2, _law),)
