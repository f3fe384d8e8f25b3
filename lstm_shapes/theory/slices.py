"""What the usual slices of Y and hn give, and which of them a classifier wants.

Each is a text in the grammar of expressions; the sentence is read off its axes and the cells that it reads, so a slice
means another thing in another layout, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_shapes.display import Shown

from .axes import Axes
from .expression import Expression, is_law
from .layout import Layout
from .predict import Prediction

__all__ = ["OPEN_QUESTION", "Slice", "Slices", "slices"]

OPEN_QUESTION = (
    "Is `Y[:, -1, :]` different from `Y[:, -1:]`? Yes: an integer takes its axis away, a slice keeps it with size 1. "
    "`Y[:, -1, :]` and `Y[:, -1]` are the same tensor; `Y[:, -1:]` holds the same numbers with one axis more. "
    "Linear takes either, but cross entropy against N labels wants the first."
)
"""The lesson's open question, answered."""


@dataclass(frozen=True, slots=True)
class Slice:
    """An expression, the axes of what it gives, and what that is. `wanted`: what a classifier usually reads."""

    expression: str
    axes: Axes
    meaning: str
    wanted: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "expression": self.expression,
            **self.axes.to_dict(),
            "meaning": self.meaning,
            "wanted": self.wanted,
        }


class Slices(Shown, tuple[Slice, ...]):
    """The usual slices of one call: a tuple that shows itself as a table."""

    __slots__ = ()


def slices(prediction: Prediction) -> Slices:
    """The slices learners write, in the order of the lesson; none for a cell, which has no Y.

    >>> from lstm_shapes.theory.predict import predict
    >>> for row in slices(predict(28, 256, 3))[:3]:
    ...     print(row.expression, row.axes)
    Y[:, -1, :] (N=2, D=256)
    Y[:, -1] (N=2, D=256)
    Y[:, -1:] (N=2, L=1, D=256)
    """
    if prediction.Y is None:
        return Slices()
    return Slices(_slice(text, prediction) for text in _texts(Layout(prediction.spec, prediction.call)))


def _texts(layout: Layout) -> list[str]:
    if layout.batched:
        texts = ["Y[:, -1, :]", "Y[:, -1]", "Y[:, -1:]", "Y[:, -1:, :]", "Y[-1]"]
    else:
        texts = ["Y[-1]", "Y[-1:]", "Y[0]"]
    if layout.two_way:
        texts += [layout.step("-1", "f"), layout.step("0", "b"), layout.step("-1", "b"), "hn[-2]"]
    return [*texts, "hn[-1]", "hn[0]", *(["hn[:, 0]"] if layout.batched else [])]


def _slice(text: str, prediction: Prediction) -> Slice:
    expression = Expression.of(text)
    axes = expression.axes(prediction)
    meaning = _of_Y(expression, prediction) if text[0] == "Y" else _of_hn(expression, prediction)
    return Slice(text, axes, meaning, _wanted(text, axes, prediction))


def _of_Y(expression: Expression, prediction: Prediction) -> str:
    """The sentence for a slice of Y, one clause for each axis that it narrows."""
    assert prediction.Y is not None  # only sequence layers come here
    spec, call = prediction.spec, prediction.call
    names = expression.axes(prediction).names
    parts = expression.reads(prediction).parts
    if call.batched and ("N" not in names or len(parts[0].steps) > 1 or len(parts[0].rows) < (call.N or 1)):
        kept = ", batch axis kept" if "N" in names else ""
        return f"the last sample, not the last step{kept}"
    step, directions = parts[0].steps[0], {part.direction for part in parts}
    last = step == call.L - 1
    text = f"{'last' if last else 'first'} step"
    if len(directions) < spec.R:
        (backward,) = directions
        text += f" of the {'backward' if backward else 'forward'} half"
        if not (last and call.short):
            everything = step == (0 if backward else call.L - 1)
            text += f", which has read {'everything' if everything else 'one step only'}"
    if "L" in names:
        text += ", step axis kept"
    elif len(directions) == 2 and last:
        text += "; its backward half has read one step only"
    return f"{text}; zeros for rows shorter than L" if call.short and last else text


def _of_hn(expression: Expression, prediction: Prediction) -> str:
    """The sentence for a slice of hn, whose first axis is K·R."""
    spec = prediction.spec
    if prediction.call.batched and "N" not in expression.axes(prediction).names:
        return "every layer for sample 0 only: the batch is axis 1"
    (part,) = expression.reads(prediction).parts
    layer = "the only layer" if spec.K == 1 else "top layer" if part.layers[0] else "bottom layer"
    direction = "" if spec.R == 1 else ", backward" if part.direction else ", forward"
    return f"last hidden state, {layer}{direction}"


def _wanted(text: str, axes: Axes, prediction: Prediction) -> bool:
    """Whether this is the summary of the sequence that a classifier head usually reads."""
    if prediction.spec.R == 2:
        return text in ("hn[-2]", "hn[-1]")  # both directions after all steps, to be joined
    if "-1" not in text or axes.names != Expression.of("hn[-1]").axes(prediction).names:
        return False
    return is_law(f"{text} == hn[-1]", prediction.spec, prediction.call)
