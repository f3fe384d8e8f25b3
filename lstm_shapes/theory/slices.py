"""What the usual slices of Y and hn give, and which of them a classifier wants.

The axes come from the same indexing rule that AnnotatedTensor uses; the sentence is read off the axes, so a
slice means another thing in another layout, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lstm_shapes.display import Shown

from .axes import Axes
from .axis_rules.indexing import index
from .predict import Prediction
from .spec import Spec

__all__ = ["OPEN_QUESTION", "Slice", "Slices", "slices"]

OPEN_QUESTION = (
    "Is `Y[:, -1, :]` different from `Y[:, -1:]`? Yes: an integer takes its axis away, a slice keeps it with size 1. "
    "`Y[:, -1, :]` and `Y[:, -1]` are the same tensor; `Y[:, -1:]` holds the same numbers with one axis more. "
    "Linear takes either, but cross entropy against N labels wants the first."
)
"""The lesson's open question, answered."""

_ALL = slice(None)
_LAST = slice(-1, None)


@dataclass(frozen=True, slots=True)
class Slice:
    """An expression, the axes of what it gives, and what that is. `wanted`: what a classifier usually reads."""

    expression: str
    axes: Axes
    meaning: str
    wanted: bool = False
    of: str = "Y"
    key: Any = field(default=(), repr=False, compare=False)
    """What `tensor[key]` is asked: `of` names the tensor."""

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
    Y, hn = prediction.Y, prediction.hn
    if Y is None:
        return Slices()
    spec, call = prediction.spec, prediction.call
    H = spec.H
    rows: list[tuple[str, str, Any]] = []
    if call.batched:
        rows += [
            ("Y", "[:, -1, :]", (_ALL, -1, _ALL)),
            ("Y", "[:, -1]", (_ALL, -1)),
            ("Y", "[:, -1:]", (_ALL, _LAST)),
            ("Y", "[:, -1:, :]", (_ALL, _LAST, _ALL)),
            ("Y", "[-1]", (-1,)),
        ]
    else:
        rows += [("Y", "[-1]", (-1,)), ("Y", "[-1:]", (_LAST,)), ("Y", "[0]", (0,))]
    if spec.R == 2:
        last, first = _at_step(prediction, -1), _at_step(prediction, 0)
        width = spec.width
        rows += [
            ("Y", _written(last, f":{width}"), (*last, slice(None, H))),
            ("Y", _written(first, f"{width}:"), (*first, slice(H, None))),
            ("Y", _written(last, f"{width}:"), (*last, slice(H, None))),
            ("hn", "[-2]", (-2,)),
        ]
    rows += [("hn", "[-1]", (-1,)), ("hn", "[0]", (0,))]
    if call.batched:
        rows.append(("hn", "[:, 0]", (_ALL, 0)))
    return Slices(
        Slice(
            name + text,
            index(Y if name == "Y" else hn, key),
            _of_Y(prediction, key) if name == "Y" else _of_hn(spec, key),
            _wanted(prediction, name, key),
            name,
            key,
        )
        for name, text, key in rows
    )


def _at_step(prediction: Prediction, step: int) -> tuple[Any, ...]:
    """The key of one step of Y, up to the axis after it."""
    assert prediction.Y is not None  # only sequence layers come here
    place = prediction.Y.names.index("L")
    return (_ALL,) * place + (step,) + (_ALL,) * (len(prediction.Y) - 2 - place)


def _written(key: tuple[Any, ...], last: str) -> str:
    return "[" + ", ".join([*(":" if part == _ALL else str(part) for part in key), last]) + "]"


def _of_Y(prediction: Prediction, key: tuple[Any, ...]) -> str:
    """The sentence for a slice of Y, one clause for each axis that the key narrows."""
    assert prediction.Y is not None
    spec, call = prediction.spec, prediction.call
    parts = dict(zip(prediction.Y.names, (*key, *[_ALL] * (len(prediction.Y) - len(key))), strict=True))
    step, row, width = parts["L"], parts.get("N", _ALL), list(parts.values())[-1]
    if step == _ALL and row != _ALL:
        kept = ", batch axis kept" if isinstance(row, slice) else ""
        return f"the last sample, not the last step{kept}"
    short = call.short
    half = ""
    if width != _ALL:
        forward = width.start is None
        seen_all = forward == (step == -1)
        half = " of the forward half" if forward else " of the backward half"
        if step != -1 or not short:
            half += ", which has read everything" if seen_all else ", which has read one step only"
    which = "first" if step == 0 else "last"
    text = f"{which} step{half}"
    if step == _LAST:
        text += ", step axis kept"
    elif half == "" and spec.R == 2:
        text += "; its backward half has read one step only" if step == -1 else ""
    if short and which == "last":
        text += "; zeros for rows shorter than L"
    return text


def _of_hn(spec: Spec, key: tuple[Any, ...]) -> str:
    """The sentence for a slice of hn, whose first axis is K·R."""
    if len(key) == 2:
        return "every layer for sample 0 only: the batch is axis 1"
    row = key[0]
    layer = "bottom layer" if row == 0 else "top layer"
    if spec.K == 1:
        layer = "the only layer"
    direction = ""
    if spec.R == 2:
        direction = ", forward" if row in (0, -2) else ", backward"
    return f"last hidden state, {layer}{direction}"


def _wanted(prediction: Prediction, name: str, key: tuple[Any, ...]) -> bool:
    """Whether this is the summary of the sequence that a classifier head usually reads."""
    spec, call = prediction.spec, prediction.call
    if spec.R == 2:
        # Both directions after all steps: hn[-2] and hn[-1], to be joined.
        return name == "hn" and key in ((-2,), (-1,))
    if name == "hn":
        return key == (-1,)
    if call.short:
        return False
    place = _at_step(prediction, -1).index(-1)
    return key[: place + 1] == _at_step(prediction, -1)[: place + 1] and set(map(str, key[place + 1 :])) <= {str(_ALL)}
