"""Laws: identities between X, Y, hn and cn, the condition under which each holds, and their false friends.

A false friend looks like an identity and is none for the layer at hand: `Y[:, -1] == hn[-1]` of a bidirectional LSTM.

Source: "Outputs" of the RNN, LSTM and GRU documentation in torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, Any, overload

from lstm_shapes.display import Several
from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.language import has, say, speaking

from ._given import Given, LayerSizes, Sizes, takes
from .call import Call
from .expression import Expression, is_law
from .slices import Layout
from .spec import Source

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TOLERANCES", "Law", "Laws", "distance", "largest", "laws", "rounding"]

# Two ways to compute one thing add the same products in another order. The largest differences over 3,000 random
# layers with random states, relative to the largest value, were 3.6e-7 in float32 and 1.1e-15 in float64. On CUDA
# (docs/devices.md) kernels differ more: 1.2e-5 in float32, and 9.6e-4 where TF32 multiplies with 10 bits of mantissa.
TOLERANCES: dict[str, float] = {
    "bfloat16": 5e-2,
    "float16": 1e-2,
    "tf32": 5e-3,
    "float32 on cuda": 5e-5,
    "float32": 1e-5,
    "float64": 1e-12,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `about`, `where` and `variant` are facts of a `Layout`, `text` is written with its words.

    What is written in the grammar of expressions is measured as it is written, and holds where both sides are made of
    the same cells. For the others the layer runs again: `lab/_laws.py` does that under the same name.
    """

    name: str
    about: str
    text: str = ""
    """Empty where no expression says it, and a sentence does."""
    where: str = ""
    """Where it holds, if the layer has to run again, another way; empty for an expression, which says so itself."""
    variant: str = ""
    """Where another sentence says it."""
    with_torchs: bool = False
    """Whether the other side is computed with layers of torch's own, from weights of torch's names."""


_ROWS = (
    # ---- what Y and hn share: read off one run, equal to the last bit
    Rule("last step", "layer", "{last} == hn[-1]"),
    Rule("wrong axis", "layer batched", "{last_of_the_wrong_axis} == hn[-1]"),
    Rule("gathered step", "packed", "{own_last_of_one_way} == hn[{row_of_one_way}]"),
    Rule("forward half", "two_way", "{last_forward} == hn[-2]"),
    Rule("backward half", "two_way", "{first_backward} == hn[-1]"),
    Rule("backward half at the end", "two_way", "{last_backward} == hn[-1]"),
    Rule("unflattened", "two_way", "hn.view(K, R, {N_and_width})[-1, 0] == {own_last_forward}"),
    Rule("unflattened wrongly", "two_way", "hn.view(R, K, {N_and_width})[0, -1] == {own_last_forward}"),
    Rule("flattened to rows", "layer batched", "hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)"),
    # ---- the cell state
    Rule("output is cell state", "has_c", "{output} == {cell_state}"),
    Rule("equal widths", "has_c", "hn.shape == cn.shape"),
    # ---- the layer run again, another way
    Rule("zero start", "", "layer(X) == layer(X, {zeros})", where="still"),
    Rule("feedback", "layer", where="still -short stepwise"),
    Rule("cell loop", "cell", where="cell", with_torchs=True),
    Rule("layout", "layer batched", where="still", with_torchs=True),
    Rule("layout, one sequence", "layer -batched", where="still", with_torchs=True),
    Rule("chain", "chained", where="still", variant="two_way", with_torchs=True),
    Rule("one step seen", "two_way", where="still", with_torchs=True),
    Rule("one step seen of X", "two_way", where="still last_of_X_alone"),
    Rule("rows alone", "batched", where="still", variant="packed"),
    Rule("padding read", "packed", where="still -short"),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
"""The laws in the order in which a learner meets them; when each holds and why are sentences of `language/`."""


@dataclass(frozen=True, slots=True)
class Law:
    """An expression, whether it holds for this layer and call, and why.

    `condition` says in words when it holds, `why` gives the reason for this very case in one sentence.
    `exact`: both sides are copies of the same numbers and agree to the last bit; else computed twice, and
    agree within a tolerance.

    >>> law = laws(28, 256, bidirectional=True)[0]
    >>> law.expression, law.holds, law.kind
    ('Y[:, -1] == hn[-1]', False, 'false friend')
    """

    name: str
    expression: str
    holds: bool
    condition: str
    why: str
    exact: bool

    @property
    def kind(self) -> str:
        """`"identity"`, or `"false friend"` where it does not hold."""
        return "identity" if self.holds else "false friend"

    def residual(self, run: Any) -> float:
        """Largest absolute difference between the two sides in a `Run`; inf where their shapes differ.

        The run may have other sizes than the law was asked for, as long as the law says the same about it.

        >>> from lstm_shapes import run
        >>> laws(28, 256)[0].residual(run(28, 256))
        0.0

        Raises: ShapeError for a run that this law does not speak of, or that holds no numbers.
        """
        layout = Layout(run.spec, run.call, getattr(run.layer, "training", True))
        # The run may have other sizes: the law is written for it as its own user would.
        own = _law(RULES[self.name], layout)
        if own is None or own.holds != self.holds:
            hint = f"Ask laws({run.spec!r}, call={run.call!r}) for those of this run"
            with speaking("en"):  # as all errors
                rule_of_use = f"measured on a run of which the same is true: {_said(f'law {self.name}', 'when')}"
            raise ShapeError(self.expression, rule_of_use, hint=hint)
        if run.X.device.type == "meta":
            raise ShapeError(self.expression, "measured on a device that computes numbers", got="meta")
        return distance([Expression.of(own.expression).sides(run)] if self.exact else run.again(self.name))

    def tolerance(self, run: Any) -> float:
        """The largest residual that counts as equal: 0 if exact, else by dtype and size of values.

        Where the layer runs twice, sums are added in another order; rounding grows with the largest number in
        Y, hn and cn, which tanh keeps near 1 and relu does not.
        """
        return 0.0 if self.exact else rounding(run)

    def agrees(self, run: Any) -> bool:
        """Whether the two sides are equal in a `Run`, within the tolerance. False for nan."""
        return self.residual(run) <= self.tolerance(run)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fields = ("name", "expression", "holds", "kind", "condition", "why", "exact")
        return {field: getattr(self, field) for field in fields}


class Laws(Several[Law]):
    """The laws of one layer and call: a tuple that shows itself as a table."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"laws": [law.to_dict() for law in self]}


@overload
def laws(
    Q: int = ...,
    D: int = ...,
    K: int = 1,
    batch_first: bool = True,
    *,
    call: Call | None = None,
    training: bool | None = None,
    **words: Unpack[LayerSizes],
) -> Laws: ...
@overload
def laws(
    source: Source,
    /,
    *,
    layer: str = "",
    call: Call | None = None,
    training: bool | None = None,
    **words: Unpack[Sizes],
) -> Laws: ...
@takes(LayerSizes)
def laws(given: Given, *, call: Call | None = None, training: bool | None = None) -> Laws:
    """The identities that concern this layer and call, each with `holds`: `Y[:, -1] == hn[-1]` and the like.

    Args: those of a layer and a call, as help(laws) lists them
        call: the sizes of a call as one value, in place of N, L and lengths
        training: whether dropout between layers counts as at work; that of a layer of yours, else True

    >>> for law in laws(28, 256, 3)[:3]:
    ...     print(law.holds, law.expression)
    True Y[:, -1] == hn[-1]
    False Y[-1] == hn[-1]
    False hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)

    Raises: SpecError for a size that is none; ShapeError where sizes contradict each other.
    Source: the "Outputs" and "Variables" sections of LSTM, GRU and RNN in torch/nn/modules/rnn.py.
    """
    if call is not None and given.asked:
        raise SpecError("call", "given without N, L and lengths, which it holds", call)
    layout = Layout(given.spec, call or given.call, given.training if training is None else training)
    return Laws(law for rule in RULES.values() if (law := _law(rule, layout)))


def _law(rule: Rule, layout: Layout) -> Law | None:
    """What a rule says of this layer and call; None where it is not about them."""
    if not layout.fits(rule.about):
        return None
    key = f"law {rule.name}"
    variant = f", {rule.variant}" if rule.variant and layout.facts[rule.variant] else ""
    text = rule.text.format_map(layout.words) or say(f"{key}{variant}", **layout.words)
    holds = layout.fits(rule.where) if rule.where else is_law(text, layout.spec, layout.call)
    when, why = _said(key, "when"), _said(key, "why" if holds else "why not")
    return Law(rule.name, text, holds, when, why, exact=not rule.where)


def _said(key: str, what: str) -> str:
    """The sentence of a law, or that of all which nothing but dropout breaks."""
    own = f"{key}: {what}"
    return say(own if has(own) else f"law: {what}")


def largest(run: Any) -> float:
    """The largest absolute value in Y, hn and cn, at least 1: what rounding is measured against."""
    tensors = [tensor for tensor in (run.Y, run.hn, run.cn) if tensor is not None]
    return max(1.0, *(float(tensor.plain().detach().abs().max()) for tensor in tensors))


def rounding(run: Any) -> float:
    """How far two ways to compute this run's results may be apart: by its precision, and its largest value."""
    return TOLERANCES[run.precision] * largest(run)


def distance(pairs: Iterable[tuple[Any, Any]]) -> float:
    """Largest absolute difference over pairs of tensors or shapes; inf where shapes differ, nan where one is there."""
    greatest = 0.0
    for left, right in pairs:
        if isinstance(left, tuple):
            greatest = greatest if left == right else inf
            continue
        if tuple(left.shape) != tuple(right.shape):
            return inf
        largest_here = float((left.double() - right.double()).detach().abs().max())
        if isnan(largest_here):
            return largest_here
        greatest = max(greatest, largest_here)
    return greatest
