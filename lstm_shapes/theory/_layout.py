"""Layout: how one layer and one call write "the last step" and "the forward half": `Y[:, -1]`, `Y[-1]` and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .call import Call
from .spec import Spec


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
    def batch_leads(self) -> bool:
        """Whether Y starts with the batch axis."""
        return self.spec.batch_first and self.call.batched

    @property
    def facts(self) -> dict[str, bool]:
        """What is true of this layer and call, by the words in which laws ask for it."""
        spec, call = self.spec, self.call
        # Two runs agree: dropout between layers makes them differ, while training.
        still = not (self.training and spec.dropout > 0 and spec.K > 1)
        full = still and not call.short
        return {
            "layer": not spec.kind.step,
            "cell": spec.kind.step,
            "has_c": spec.has_c,
            "two_way": spec.bidirectional,
            "chained": spec.K * spec.R > 1,
            "batched": call.batched,
            "unbatched": not call.batched,
            "packed": call.lengths is not None,
            "still": still,
            "still_and_full": full,
            # A call for each step gives what one call for all gives.
            "stepwise": full and (spec.R == 1 or call.L == 1),
            # The backward end of the top layer has read one step of X only.
            "last_of_X_alone": still and (spec.K == 1 or (call.N or 1) == call.T),
        }

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

    @property
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


class LastStep(NamedTuple):
    """An expression; its width in symbols and as a number, the `in_features` of the Linear that follows."""

    expression: str
    formula: str
    width: int
    same: tuple[str, ...] = ()
    """Other expressions for the same numbers."""


def last_step(spec: Spec, call: Call | None = None) -> LastStep:
    """What has read the whole sequence, (N, R·H): `Y[:, -1]` for one direction, both last states for two."""
    layout = Layout(spec, Call() if call is None else call)
    if spec.kind.step:
        return LastStep("hn", spec.width, spec.H)
    if spec.bidirectional:
        halves = f"torch.cat([{layout.own_last('f')}, {layout.step('0', 'b')}], dim=-1)"
        return LastStep("torch.cat([hn[-2], hn[-1]], dim=-1)", f"2·{spec.width}", 2 * spec.H, (halves,))
    if layout.call.lengths is not None:
        return LastStep("hn[-1]", spec.width, spec.H, (layout.own_last(),))
    return LastStep(layout.step("-1"), spec.width, spec.H, ("hn[-1]",))
