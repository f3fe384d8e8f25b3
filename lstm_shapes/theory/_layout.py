"""Layout: how one layer and one call write "the last step" and "the forward half".

`Y[:, -1]`, `Y[-1]` and `Y[torch.arange(N), lengths - 1]` mean the same to three layouts. A law says it once, and
`last_step` says which of them, or what else, is the summary of a sequence that a classifier wants.
"""

from __future__ import annotations

from dataclasses import dataclass

from .call import Call
from .spec import Spec

__all__ = ["LastStep", "Layout", "last_step"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A spec, a call, and whether the layer trains (its dropout is at work).

    >>> layout = Layout(Spec(28, 256, bidirectional=True), Call())
    >>> layout.step("-1", "f"), layout.step("0", "b"), layout.own_last("f")
    ('Y[:, -1, :D]', 'Y[:, 0, D:]', 'Y[:, -1, :D]')
    """

    spec: Spec
    call: Call
    training: bool = True

    @property
    def layer(self) -> bool:
        """A sequence layer, with a Y."""
        return not self.spec.kind.step

    @property
    def cell(self) -> bool:
        """One step, whose state is its output."""
        return self.spec.kind.step

    @property
    def has_c(self) -> bool:
        """With a cell state."""
        return self.spec.has_c

    @property
    def two_way(self) -> bool:
        """With two directions."""
        return self.spec.bidirectional

    @property
    def chained(self) -> bool:
        """More than one layer of one direction."""
        return self.layer and self.spec.K * self.spec.R > 1

    @property
    def batched(self) -> bool:
        """With a batch axis."""
        return self.call.batched

    @property
    def unbatched(self) -> bool:
        """One sequence, without a batch axis."""
        return not self.call.batched

    @property
    def batch_leads(self) -> bool:
        """Whether Y starts with the batch axis."""
        return self.spec.batch_first and self.call.batched

    @property
    def packed(self) -> bool:
        """With lengths."""
        return self.call.lengths is not None

    @property
    def still(self) -> bool:
        """Whether two runs agree: dropout between layers makes them differ, while training."""
        return not (self.training and self.spec.dropout > 0 and self.spec.K > 1)

    @property
    def still_and_full(self) -> bool:
        """Whether two runs agree, and no row is shorter than L."""
        return self.still and not self.call.short

    @property
    def stepwise(self) -> bool:
        """Whether a call for each step gives what one call for all gives."""
        return self.still_and_full and (not self.two_way or self.call.L == 1)

    @property
    def last_of_X_alone(self) -> bool:
        """Whether the backward end of the top layer has read one step of X only."""
        return self.still and (self.spec.K == 1 or (self.call.N or 1) == self.call.T)

    def step(self, index: str, half: str = "") -> str:
        """One step of Y in this layout, of its forward (`f`) or backward (`b`) half or whole."""
        keys = [":", index] if self.batch_leads else [index]
        if half and self.call.batched and not self.batch_leads:
            keys.append(":")
        return f"Y[{', '.join([*keys, *self._half(half)])}]"

    def own_last(self, half: str = "") -> str:
        """Each row's own last step: gathered where rows are packed, step -1 elsewhere."""
        if not self.packed:
            return self.step("-1", half)
        keys = ["torch.arange(N)", "lengths - 1"]
        return f"Y[{', '.join([*(keys if self.spec.batch_first else reversed(keys)), *self._half(half)])}]"

    def _half(self, half: str) -> list[str]:
        W = self.spec.width
        return [f":{W}" if half == "f" else f"{W}:"] if half else []

    @property
    def words(self) -> dict[str, str]:
        """What laws are written with: steps, halves and states as this layer's user writes them."""
        spec, two_way = self.spec, self.two_way
        plain = self.layer and not two_way
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
            "N_and_width": f"N, {spec.width}" if self.batched else spec.width,
            "output": self.own_last() if plain else "hn",
            "cell_state": "cn[-1]" if plain else "cn",
            "finals": "hn, cn" if self.has_c else "hn",
            "zeros": "(zeros, zeros)" if self.has_c else "zeros",
            "kind": spec.cell,
            "layer_kind": spec.kind.layer,
            "other_layout": "time_major" if spec.batch_first else "batch_first",
            "other_batch_first": str(not spec.batch_first),
        }


@dataclass(frozen=True, slots=True)
class LastStep:
    """The expression, why, and its width: the `in_features` of the Linear that follows.

    `formula` is the width in symbols; `same` holds other expressions for the same numbers.
    """

    expression: str
    formula: str
    width: int
    why: str
    same: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        return {
            "expression": self.expression,
            "formula": self.formula,
            "width": self.width,
            "why": self.why,
            "same": list(self.same),
        }


def last_step(spec: Spec, call: Call | None = None) -> LastStep:
    """What has read the whole sequence, (N, R·H): `Y[:, -1]` for one direction, both last states for two.

    >>> last_step(Spec(28, 256, 3)).expression
    'Y[:, -1]'
    >>> last = last_step(Spec(28, 256, 3, bidirectional=True))
    >>> last.expression, last.formula, last.width
    ('torch.cat([hn[-2], hn[-1]], dim=-1)', '2·D', 512)
    """
    layout = Layout(spec, Call() if call is None else call)
    W, H = spec.width, spec.H
    if spec.kind.step:
        why = "A cell does one step and returns its state: h is the output."
        return LastStep("hn", W, H, why)
    if spec.bidirectional:
        halves = f"torch.cat([{layout.own_last('f')}, {layout.step('0', 'b')}], dim=-1)"
        why = (
            f"The directions end at opposite ends: {layout.step('-1')} would hold a backward half "
            "that has read one step only."
        )
        return LastStep("torch.cat([hn[-2], hn[-1]], dim=-1)", f"2·{W}", 2 * H, why, (halves,))
    if layout.packed:
        padded = layout.step("-1")
        why = f"hn holds each row after its own last step; {padded} is padding for rows shorter than L."
        return LastStep("hn[-1]", W, H, why, (layout.own_last(),))
    why = "The top layer's hidden state after the last step has read every step."
    return LastStep(layout.step("-1"), W, H, why, ("hn[-1]",))
