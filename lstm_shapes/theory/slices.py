"""What the usual slices of Y and hn give, and which of them a classifier wants.

Each is a text in the grammar of expressions; the sentence is read off its axes and the cells that it reads, so a slice
means another thing in another layout, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lstm_shapes.display import Several
from lstm_shapes.language import language, say

from ._layout import Layout
from .axes import Axes
from .call import Call
from .expression import Expression, is_law
from .predict import Prediction
from .spec import Spec

__all__ = ["Slice", "Slices", "slices"]


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


class Slices(Several[Slice]):
    """The usual slices of one call: a tuple that shows itself as a table."""


def slices(prediction: Prediction) -> Slices:
    """The slices learners write, in the order of the lesson; none for a cell, which has no Y.

    >>> from lstm_shapes.theory.predict import predict
    >>> for row in slices(predict(28, 256, 3))[:3]:
    ...     print(row.expression, row.axes)
    Y[:, -1, :] (N=2, D=256)
    Y[:, -1] (N=2, D=256)
    Y[:, -1:] (N=2, L=1, D=256)
    """
    return _slices(prediction.spec, prediction.call, language())


@lru_cache(maxsize=16)
def _slices(spec: Spec, call: Call, lang: str) -> Slices:
    """The same of the same layer, which one page asks for several times; its sentences are in a language."""
    prediction = Prediction(spec, call)
    texts = [] if prediction.Y is None else _texts(Layout(spec, call))
    return Slices(_slice(text, prediction) for text in texts)


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
        return say("slice last sample, kept" if "N" in names else "slice last sample")
    step, directions = parts[0].steps[0], {part.direction for part in parts}
    last = step == call.L - 1
    words = [f"slice {'last' if last else 'first'} step"]
    if len(directions) < spec.R:
        (backward,) = directions
        words.append("backward" if backward else "forward")
        if not (last and call.short):
            words.append("everything" if step == (0 if backward else call.L - 1) else "one step")
    said = [say(", ".join([*words, *(["kept"] if "L" in names else [])]))]
    if len(directions) == 2 and last and "L" not in names:
        said.append(say("slice half read"))
    if call.short and last:
        said.append(say("slice zeros"))
    return "; ".join(said)


def _of_hn(expression: Expression, prediction: Prediction) -> str:
    """The sentence for a slice of hn, whose first axis is K·R."""
    spec = prediction.spec
    if prediction.call.batched and "N" not in expression.axes(prediction).names:
        return say("slice sample 0")
    (part,) = expression.reads(prediction).parts
    layer = "only" if spec.K == 1 else "top" if part.layers[0] else "bottom"
    direction = "" if spec.R == 1 else ", backward" if part.direction else ", forward"
    return say(f"slice hn {layer}{direction}")


def _wanted(text: str, axes: Axes, prediction: Prediction) -> bool:
    """Whether this is the summary of the sequence that a classifier head usually reads."""
    if prediction.spec.R == 2:
        return text in ("hn[-2]", "hn[-1]")  # both directions after all steps, to be joined
    if "-1" not in text or axes.names != Expression.of("hn[-1]").axes(prediction).names:
        return False
    return is_law(f"{text} == hn[-1]", prediction.spec, prediction.call)
