"""The table of laws: one row a law, in the order in which a learner meets them.

Each row says which layers it is about and how it is written; when it holds and why are sentences of `language/`. What
is written in the grammar of expressions is measured as it is written, and holds where both sides are made of the same
cells. The others let the layer run again: `lab/laws.py` does that under the same name; the row says where they hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_shapes.language import say

from ._layout import Layout

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `about`, `where` and `variant` name properties of a `Layout`, `text` its words."""

    name: str
    about: str
    text: str = ""
    """Empty where no expression says it, and a sentence does."""
    where: str = ""
    """Where it holds; empty for an expression, which says so itself."""
    variant: str = ""
    """Where another sentence says it."""
    with_torchs: bool = False
    """Whether the other side is computed with layers of torch's own, from weights of torch's names."""

    @property
    def measured_again(self) -> bool:
        """Whether the layer has to run again, another way."""
        return bool(self.where)

    def applies(self, layout: Layout) -> bool:
        """Whether it is about this layer and call."""
        return all(getattr(layout, word) for word in self.about.split())

    def expression(self, layout: Layout) -> str:
        """As this layer's user writes it."""
        if self.text:
            return self.text.format_map(layout.words)
        varies = self.variant and getattr(layout, self.variant)
        return say(f"law {self.name}, {self.variant}" if varies else f"law {self.name}", **layout.words)

    @property
    def condition(self) -> str:
        """When it holds."""
        return say(f"law {self.name}: when")

    def why(self, holds: bool) -> str:
        """Why it holds, or why not."""
        return say(f"law {self.name}: {'why' if holds else 'why not'}")


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
    Rule("feedback", "layer", where="stepwise"),
    Rule("cell loop", "cell", where="cell", with_torchs=True),
    Rule("layout", "layer batched", where="still", with_torchs=True),
    Rule("layout, one sequence", "layer unbatched", where="still", with_torchs=True),
    Rule("chain", "chained", where="still", variant="two_way", with_torchs=True),
    Rule("one step seen", "two_way", where="still", with_torchs=True),
    Rule("one step seen of X", "two_way", where="last_of_X_alone"),
    Rule("rows alone", "batched", where="still", variant="packed"),
    Rule("padding read", "packed", where="still_and_full"),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
