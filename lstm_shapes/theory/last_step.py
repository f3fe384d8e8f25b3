"""last_step: the summary of a sequence that a classifier wants, which is not always `Y[:, -1]`."""

from __future__ import annotations

from dataclasses import dataclass

from .call import Call
from .layout import Layout
from .spec import Spec

__all__ = ["LastStep", "last_step"]


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
