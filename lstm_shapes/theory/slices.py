"""How one layer and one call write "the last step" and "the forward half", and what the usual slices of Y and hn give.

A slice is a text in the grammar of expressions; the sentence is read off its axes and the cells that it reads, so it
means another thing in another layout, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from lstm_shapes.display import Several
from lstm_shapes.language import language, say

from .axes import Axes
from .call import Call
from .counts import Counts
from .expression import Expression, is_law
from .predict import Prediction
from .reads import Part
from .spec import Spec


@dataclass(frozen=True)
class Layout:
    """A spec, a call, and whether the layer trains (its dropout is at work).

    >>> layout = Layout(Spec(28, 256, bidirectional=True), Call())
    >>> layout.step("-1", "f"), layout.step("0", "b"), layout.own_last("f")
    ('Y[:, -1, :D]', 'Y[:, 0, D:]', 'Y[:, -1, :D]')
    >>> layout.fits("layer batched -packed")
    True
    """

    spec: Spec
    call: Call
    training: bool = True

    @property
    def batch_leads(self) -> bool:
        """Whether Y starts with the batch axis."""
        return self.spec.batch_first and self.call.batched

    @cached_property
    def facts(self) -> dict[str, bool]:
        """What is true of this layer and call, by the words in which laws, notes and the quiz ask for it."""
        spec, call = self.spec, self.call
        return {
            "layer": not spec.kind.step,
            "cell": spec.kind.step,
            "has_c": spec.has_c,
            "two_way": spec.bidirectional,
            "deep": spec.K > 1,
            "chained": spec.K * spec.R > 1,
            "projected": spec.P > 0,
            "dropout": spec.dropout > 0,
            "batch_first": spec.batch_first,
            "batched": call.batched,
            "packed": call.lengths is not None,
            "short": call.short,
            # Two runs agree: dropout between layers makes them differ, while training.
            "still": not (self.training and spec.dropout > 0 and spec.K > 1),
            # A call for each step gives what one call for all gives.
            "stepwise": spec.R == 1 or call.L == 1,
            # The backward end of the top layer has read one step of X only.
            "last_of_X_alone": spec.K == 1 or (call.N or 1) == call.T,
            # D can be made smaller; it can be halved, and there is room for the projection; it is what costs.
            "wide": spec.D > 1,
            "halved": spec.D > 2 * spec.P + 1,
            "D_costs": Counts(spec).D_costs,
        }

    def fits(self, about: str) -> bool:
        """Whether these facts hold, and of those with a - before them none."""
        return all(self.facts[word.removeprefix("-")] is not word.startswith("-") for word in about.split())

    def step(self, index: str, half: str = "") -> str:
        """One step of Y in this layout, of its forward (`f`) or backward (`b`) half or whole."""
        keys = [":", index] if self.batch_leads else [index]
        if half and self.call.batched and not self.batch_leads:
            keys.append(":")
        return f"Y[{', '.join([*keys, *self._half(half)])}]"

    def own_last(self, half: str = "") -> str:
        """Each row's own last step: gathered where rows are packed, step -1 elsewhere."""
        if self.call.lengths is None:
            return self.step("-1", half)
        keys = ["torch.arange(N)", "lengths - 1"]
        return f"Y[{', '.join([*(keys if self.spec.batch_first else reversed(keys)), *self._half(half)])}]"

    def _half(self, half: str) -> list[str]:
        return {"": [], "f": [f":{self.spec.width}"], "b": [f"{self.spec.width}:"]}[half]

    @cached_property
    def words(self) -> dict[str, str]:
        """What laws are written with: steps, halves and states as this layer's user writes them."""
        spec, two_way = self.spec, self.spec.bidirectional
        plain = not spec.kind.step and not two_way
        return {
            "last": self.step("-1"),
            "last_of_the_wrong_axis": "Y[-1]" if self.batch_leads else "Y[:, -1]",
            "last_forward": self.step("-1", "f"),
            "last_backward": self.step("-1", "b"),
            "first_backward": self.step("0", "b"),
            "own_last": self.own_last(),
            "own_last_forward": self.own_last("f"),
            "own_last_backward": self.own_last("b"),
            "own_last_of_one_way": self.own_last("f" if two_way else ""),
            "row_of_one_way": "-2" if two_way else "-1",
            "N_and_width": f"N, {spec.width}" if self.call.batched else spec.width,
            "output": self.own_last() if plain else "hn",
            "cell_state": "cn[-1]" if plain else "cn",
            "finals": "hn, cn" if spec.has_c else "hn",
            "zeros": "(zeros, zeros)" if spec.has_c else "zeros",
            "kind": spec.cell,
            "layer_kind": spec.kind.layer,
            "other_layout": "time_major" if spec.batch_first else "batch_first",
            "other_batch_first": str(not spec.batch_first),
        }


def last_step(spec: Spec, call: Call | None = None) -> str:
    """What has read the whole sequence, (N, R·H): `Y[:, -1]` for one direction, both last states for two.

    >>> last_step(Spec(28, 256, 3)), last_step(Spec(28, 256, 3, bidirectional=True))
    ('Y[:, -1]', 'torch.cat([hn[-2], hn[-1]], dim=-1)')
    """
    if spec.kind.step:
        return "hn"
    if spec.bidirectional:
        return "torch.cat([hn[-2], hn[-1]], dim=-1)"
    # Step -1 of Y is padding for rows shorter than L.
    return "hn[-1]" if call is not None and call.lengths else Layout(spec, call or Call()).step("-1")


@dataclass(frozen=True, slots=True)
class Slice:
    """An expression, the axes of what it gives, and what that is. `wanted`: what a classifier usually reads."""

    expression: str
    axes: Axes
    meaning: str
    wanted: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"expression": self.expression, **self.axes.to_dict(), "meaning": self.meaning, "wanted": self.wanted}


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
    prediction, layout = Prediction(spec, call), Layout(spec, call)
    texts = ["Y[-1]", "Y[-1:]", "Y[0]"]
    if call.batched:
        texts = ["Y[:, -1, :]", "Y[:, -1]", "Y[:, -1:]", "Y[:, -1:, :]", "Y[-1]"]
    if spec.R == 2:
        texts += [layout.step("-1", "f"), layout.step("0", "b"), layout.step("-1", "b"), "hn[-2]"]
    texts += ["hn[-1]", "hn[0]", *(["hn[:, 0]"] if call.batched else [])]
    rows, ends = [], Expression.of("hn[-1]").axes(prediction).names
    for text in texts if prediction.Y is not None else ():
        expression = Expression.of(text)
        axes, parts = expression.axes(prediction), expression.reads(prediction).parts
        meaning = (_of_Y if text[0] == "Y" else _of_hn)(axes.names, parts, prediction)
        if spec.R == 2:
            wanted = text in ("hn[-2]", "hn[-1]")  # both directions after all steps, to be joined
        else:
            wanted = "-1" in text and axes.names == ends and is_law(f"{text} == hn[-1]", spec, call)
        rows.append(Slice(text, axes, meaning, wanted))
    return Slices(rows)


def _of_Y(names: tuple[str, ...], parts: tuple[Part, ...], prediction: Prediction) -> str:
    """The sentence for a slice of Y with these axes, one clause for each axis that it narrows."""
    spec, call = prediction.spec, prediction.call
    if call.batched and ("N" not in names or len(parts[0].steps) > 1 or len(parts[0].rows) < (call.N or 1)):
        return _joined("last sample", "kept N" if "N" in names else "")
    step, directions = parts[0].steps[0], {part.direction for part in parts}
    last = step == call.L - 1
    words = [f"{'last' if last else 'first'} step"]
    if len(directions) < spec.R:
        (backward,) = directions
        words = [f"{words[0]}, {'backward' if backward else 'forward'}"]
        if not (last and call.short):
            words.append("everything" if step == (0 if backward else call.L - 1) else "one step")
    said = [_joined(*words, "kept L" if "L" in names else "")]
    if len(directions) == 2 and last and "L" not in names:
        said.append(say("slice half read"))
    if call.short and last:
        said.append(say("slice zeros"))
    return "; ".join(said)


def _of_hn(names: tuple[str, ...], parts: tuple[Part, ...], prediction: Prediction) -> str:
    """The sentence for a slice of hn, whose first axis is K·R."""
    if prediction.call.batched and "N" not in names:
        return say("slice sample 0")
    (part,) = parts
    layer = "only" if prediction.spec.K == 1 else "top" if part.layers[0] else "bottom"
    return _joined(f"hn {layer}", "" if prediction.spec.R == 1 else "backward" if part.direction else "forward")


def _joined(*words: str) -> str:
    """Phrases of a slice with commas between them."""
    return ", ".join(say(f"slice {word}") for word in words if word)
