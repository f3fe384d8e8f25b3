"""The table of laws: one row a law, in the order in which a learner meets them.

Each row says which layers it is about, how it is written, and why it holds (or why not). What is written in the
grammar of expressions is measured as it is written, and holds where both sides are made of the same cells. The others
let the layer run again: `lab/laws.py` does that under the same name, and the row says where they hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from .layout import Layout

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `about` and `where` name properties of a `Layout`, `text` its words."""

    name: str
    about: str
    text: str
    condition: str
    why: str
    why_not: str = ""
    where: str = ""
    """Where it holds; empty for an expression, which says so itself."""
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
        return self.text.format_map(layout.words)


_STILL = "no dropout between layers at work: dropout=0, K = 1, or layer.eval()"
_DROPS = "Dropout draws another mask at every call, so no two calls agree; layer.eval() switches it off."

_ROWS = (
    # ---- what Y and hn share: read off one run, equal to the last bit
    Rule(
        "last step",
        "layer",
        "{last} == hn[-1]",
        "one direction, and no row shorter than L",
        "Y is the top layer's hidden state at every step, hn[-1] the same state after the last one.",
        "hn[-1] is one direction after each row's own steps; this step of Y has both halves, or padding.",
    ),
    Rule(
        "wrong axis",
        "layer batched",
        "{last_of_the_wrong_axis} == hn[-1]",
        "one direction, and N = L = 1",
        "With one sequence of one step there is nothing to mix up.",
        "-1 stands on the batch axis: this is the last sequence at all its steps, not the last step of each.",
    ),
    Rule(
        "gathered step",
        "packed",
        "{own_last_of_one_way} == hn[{row_of_one_way}]",
        "always, for packed rows",
        "hn holds each row after its own last step, which is step length - 1 of Y.",
    ),
    Rule(
        "forward half",
        "two_way",
        "{last_forward} == hn[-2]",
        "two directions, and no row shorter than L",
        "The forward half has read everything at the last step, and hn[-2] is the top layer's forward row.",
        "A row shorter than L is padded with zeros there; its own last step is length - 1.",
    ),
    Rule(
        "backward half",
        "two_way",
        "{first_backward} == hn[-1]",
        "two directions",
        "The backward half reads from the end, so it has read everything at step 0.",
    ),
    Rule(
        "backward half at the end",
        "two_way",
        "{last_backward} == hn[-1]",
        "L = 1",
        "With one step the first is the last.",
        "The backward half starts at the end: there it has seen one step only.",
    ),
    Rule(
        "unflattened",
        "two_way",
        "hn.view(K, R, {N_and_width})[-1, 0] == {own_last_forward}",
        "two directions",
        "The first axis of hn is layer-major: both directions of layer 0, then of layer 1.",
    ),
    Rule(
        "unflattened wrongly",
        "two_way",
        "hn.view(R, K, {N_and_width})[0, -1] == {own_last_forward}",
        "K = 1",
        "With one layer K·R and R·K are the same.",
        "hn is layer-major: as (R, K, …) its rows are handed to other layers and directions.",
    ),
    Rule(
        "flattened to rows",
        "layer batched",
        "hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)",
        "K·R = 1 or N = 1",
        "With one row of states, or one sequence, there is one way to lay the numbers out.",
        "hn starts with K·R, not with N: view alone mixes the states of different sequences.",
    ),
    # ---- the cell state
    Rule(
        "output is cell state",
        "has_c",
        "{output} == {cell_state}",
        "never",
        "",
        "h = o * tanh(c): Y and hn are hidden state; the cell state leaves the layer in cn only.",
    ),
    Rule(
        "equal widths",
        "has_c",
        "hn.shape == cn.shape",
        "no projection",
        "Cell state and hidden state are both D wide.",
        "A projection makes h P wide and leaves c at D.",
    ),
    # ---- the layer run again, another way
    Rule(
        "zero start",
        "",
        "layer(X) == layer(X, {zeros})",
        _STILL,
        "A state that is left out is a state of zeros.",
        _DROPS,
        "still",
    ),
    Rule(
        "feedback",
        "layer",
        "layer(X) == one call for each step, with {finals} fed back",
        f"one direction (or L = 1), no row shorter than L, {_STILL}",
        "What was before a step reaches it through the fed-back state and in no other way.",
        "Step by step the backward direction cannot see what follows, short rows run on into padding, "
        "and dropout draws another mask at every step.",
        "stepwise",
    ),
    Rule(
        "cell loop",
        "cell",
        "a loop over {kind} == {layer_kind} with the same weights",
        "always",
        "A cell is one step of the one-layer layer; the loop that feeds its state back is the layer.",
        where="cell",
        with_torchs=True,
    ),
    Rule(
        "layout",
        "layer batched",
        "layer(X) == {other_layout}(X.transpose(0, 1)), Y transposed back",
        _STILL,
        "batch_first says in which order X and Y lie in memory; states, weights and results stay the same.",
        _DROPS,
        "still",
        with_torchs=True,
    ),
    Rule(
        "layout, one sequence",
        "layer unbatched",
        "layer(X) == the same layer with batch_first={other_batch_first}",
        _STILL,
        "Without a batch axis X is (L, Q) in both layouts.",
        _DROPS,
        "still",
        with_torchs=True,
    ),
    Rule(
        "chain",
        "chained",
        "layer(X) == K one-layer layers chained{reversed}",
        _STILL,
        "Each layer reads the Y of the one below, each direction is its own layer, hn stacks their ends.",
        "Dropout zeroes part of what each layer hands to the next.",
        "still",
        with_torchs=True,
    ),
    Rule(
        "one step seen",
        "two_way",
        "{own_last_backward} == top layer alone on the last step of what it reads",
        _STILL,
        "The backward direction starts at the last step: nothing later exists, and nothing earlier has come.",
        _DROPS,
        "still",
        with_torchs=True,
    ),
    Rule(
        "one step seen of X",
        "two_way",
        "{own_last_backward} == whole layer on the last step of X",
        f"K = 1 or one step, {_STILL}",
        "The backward direction starts at the last step of X, and has read no other.",
        "The top layer reads both halves of the layer below, whose forward half has read every step of X.",
        "last_of_X_alone",
    ),
    Rule(
        "rows alone",
        "batched",
        "layer(X) == each row alone{unpadded}",
        _STILL,
        "The sequences of a batch never meet.",
        _DROPS,
        "still",
    ),
    Rule(
        "padding read",
        "packed",
        "layer(packed) == layer(padded X)",
        f"no row shorter than L, {_STILL}",
        "With nothing padded there is nothing to leave out.",
        "Without packing the layer reads the padding as if it were data (and dropout draws another mask).",
        "still_and_full",
    ),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
