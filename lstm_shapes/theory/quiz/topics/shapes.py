"""What goes in and what comes out: the shapes of Y, hn, cn and the first states."""

from __future__ import annotations

from lstm_shapes.theory.meanings import meaning
from lstm_shapes.theory.quiz.answers import Shape
from lstm_shapes.theory.quiz.draw import Draw, Draws
from lstm_shapes.theory.quiz.question import Question

__all__ = ["MAKERS", "rule"]


def rule(draw: Draw, name: str) -> str:
    """The axes of one tensor, in symbols and numbers, with the reason for their order."""
    axes = draw.prediction.tensors[name]
    why = "."
    if draw.spec.kind.step:
        why = ": a cell does one step of one layer, so there is neither a time axis nor a layer axis."
    elif name in ("X", "Y"):
        first = "N" if draw.spec.batch_first else "L"
        why = f": batch_first={draw.spec.batch_first} puts {first} first." if draw.call.batched else ": no batch axis."
    elif draw.call.batched:
        why = ", in both layouts: batch_first never moves the axes of a state."
    return f"`{name}` is {axes.formula} = {axes.sizes}{why}"


def _output(draws: Draws) -> Question:
    draw = draws.draw()
    names = [name for name in draw.prediction.tensors if name in ("Y", "hn", "cn")]
    name = draw.random.choice(names)
    return _shape(draw, name, f"What is the shape of `{name}`?", f"tuple({name}.shape)")


def _start(draws: Draws) -> Question:
    draw = draws.draw()
    name = draw.random.choice([name for name in draw.prediction.tensors if name in ("h0", "c0")])
    final = "hn" if name == "h0" else "cn"
    question = f"You pass your own first state, `layer(X, {draw.spec.states('0')})`. What shape must `{name}` have?"
    return _shape(draw, name, question, f"tuple({final}.shape)")


def _shape(draw: Draw, name: str, text: str, evidence: str) -> Question:
    tensors = draw.prediction.tensors
    others = tuple((other, axes) for other, axes in tensors.items() if axes.sizes != tensors[name].sizes)
    answer = Shape(tensors[name], draw.symbols, others)
    lines = (rule(draw, name), f"It is the {meaning(draw.spec, draw.call, name)}.")
    return Question("shapes", draw.spec, draw.call, text, answer, lines, evidence)


MAKERS = ((1, _output), (1, _output), (2, _start))
