"""The table of laws: one row a law, in the order in which a learner meets them.

Each row says to which layers it applies, how it is written, when it holds, and why (or why not). `sides`
gives the pairs of tensors that must be equal; None means that the layer has to run again, which `lab/laws.py`
does under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .places import Place

__all__ = ["RULES", "Rule"]

Sides = Callable[[Place, Any], list[tuple[Any, Any]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    applies: Callable[[Place], bool]
    expression: Callable[[Place], str]
    holds: Callable[[Place], bool]
    condition: str
    why: str
    why_not: str = ""
    sides: Sides | None = None
    with_torchs: bool = False
    """Whether the other side is computed with layers of torch's own, from weights of torch's names."""


def _always(place: Place) -> bool:
    return True


def _wrong_axis(place: Place) -> str:
    return "Y[-1]" if place.batch_leads else "Y[:, -1]"


def _has_c(place: Place) -> bool:
    return place.spec.has_c


def _finals(place: Place) -> str:
    return "hn, cn" if _has_c(place) else "hn"


def _no_dropout(place: Place) -> bool:
    return not place.dropping


_STILL = "no dropout between layers at work: dropout=0, K = 1, or layer.eval()"
_DROPS = "Dropout draws another mask at every call, so no two calls agree; layer.eval() switches it off."

_ROWS = (
    # ---- what Y and hn share: read off one run, equal to the last bit
    Rule(
        "last step",
        lambda p: p.layer,
        lambda p: f"{p.step('-1')} == hn[-1]",
        lambda p: not p.two_way and p.full,
        "one direction, and no row shorter than L",
        "Y is the top layer's hidden state at every step, hn[-1] the same state after the last one.",
        "hn[-1] is one direction after each row's own steps; this step of Y has both halves, or padding.",
        lambda p, r: [(p.take(r.Y, -1), r.hn[-1])],
    ),
    Rule(
        "wrong axis",
        lambda p: p.layer and p.call.batched,
        lambda p: f"{_wrong_axis(p)} == hn[-1]",
        lambda p: not p.two_way and p.call.N == p.call.L == 1,
        "one direction, and N = L = 1",
        "With one sequence of one step there is nothing to mix up.",
        "-1 stands on the batch axis: this is the last sequence at all its steps, not the last step of each.",
        lambda p, r: [(r.Y[-1] if p.batch_leads else r.Y[:, -1], r.hn[-1])],
    ),
    Rule(
        "gathered step",
        lambda p: p.packed,
        lambda p: f"{p.own_last('f' if p.two_way else '')} == hn[{-p.spec.R}]",
        _always,
        "always, for packed rows",
        "hn holds each row after its own last step, which is step length - 1 of Y.",
        sides=lambda p, r: [(p.take_own_last(r.Y, "f" if p.two_way else ""), r.hn[-p.spec.R])],
    ),
    Rule(
        "forward half",
        lambda p: p.two_way,
        lambda p: f"{p.step('-1', 'f')} == hn[-2]",
        lambda p: p.full,
        "two directions, and no row shorter than L",
        "The forward half has read everything at the last step, and hn[-2] is the top layer's forward row.",
        "A row shorter than L is padded with zeros there; its own last step is length - 1.",
        lambda p, r: [(p.take(r.Y, -1, "f"), r.hn[-2])],
    ),
    Rule(
        "backward half",
        lambda p: p.two_way,
        lambda p: f"{p.step('0', 'b')} == hn[-1]",
        _always,
        "two directions",
        "The backward half reads from the end, so it has read everything at step 0.",
        sides=lambda p, r: [(p.take(r.Y, 0, "b"), r.hn[-1])],
    ),
    Rule(
        "backward half at the end",
        lambda p: p.two_way,
        lambda p: f"{p.step('-1', 'b')} == hn[-1]",
        lambda p: p.call.L == 1,
        "L = 1",
        "With one step the first is the last.",
        "The backward half starts at the end: there it has seen one step only.",
        lambda p, r: [(p.take(r.Y, -1, "b"), r.hn[-1])],
    ),
    Rule(
        "unflattened",
        lambda p: p.two_way,
        lambda p: f"hn.view(K, R, {'N, ' * p.call.batched}{p.spec.width})[-1, 0] == {p.own_last('f')}",
        _always,
        "two directions",
        "The first axis of hn is layer-major: both directions of layer 0, then of layer 1.",
        sides=lambda p, r: [(_cut(r.hn, p.spec.K, 2)[-1, 0], p.take_own_last(r.Y, "f"))],
    ),
    Rule(
        "unflattened wrongly",
        lambda p: p.two_way,
        lambda p: f"hn.view(R, K, {'N, ' * p.call.batched}{p.spec.width})[0, -1] == {p.own_last('f')}",
        lambda p: p.spec.K == 1,
        "K = 1",
        "With one layer K·R and R·K are the same.",
        "hn is layer-major: as (R, K, …) its rows are handed to other layers and directions.",
        lambda p, r: [(_cut(r.hn, 2, p.spec.K)[0, -1], p.take_own_last(r.Y, "f"))],
    ),
    Rule(
        "flattened to rows",
        lambda p: p.layer and p.call.batched,
        lambda p: "hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)",
        lambda p: p.spec.K * p.spec.R == 1 or p.call.N == 1,
        "K·R = 1 or N = 1",
        "With one row of states, or one sequence, there is one way to lay the numbers out.",
        "hn starts with K·R, not with N: view alone mixes the states of different sequences.",
        lambda p, r: [(_rows(r.hn, p.call.N), _rows(r.hn.transpose(0, 1), p.call.N))],
    ),
    # ---- the cell state
    Rule(
        "output is cell state",
        _has_c,
        lambda p: f"{p.own_last()} == cn[-1]" if p.layer and not p.two_way else "hn == cn",
        lambda p: False,
        "never",
        "",
        "h = o * tanh(c): Y and hn are hidden state; the cell state leaves the layer in cn only.",
        lambda p, r: [(p.take_own_last(r.Y), r.cn[-1]) if p.layer and not p.two_way else (r.hn, r.cn)],
    ),
    Rule(
        "equal widths",
        _has_c,
        lambda p: "hn.shape == cn.shape",
        lambda p: not p.spec.P,
        "no projection",
        "Cell state and hidden state are both D wide.",
        "A projection makes h P wide and leaves c at D.",
        # Shapes alone: zeros of the one against zeros of the other.
        lambda p, r: [(r.hn.new_zeros(r.hn.shape), r.cn.new_zeros(r.cn.shape))],
    ),
    # ---- the layer run again, another way
    Rule(
        "zero start",
        _always,
        lambda p: f"layer(X) == layer(X, {'(zeros, zeros)' if _has_c(p) else 'zeros'})",
        _no_dropout,
        _STILL,
        "A state that is left out is a state of zeros.",
        _DROPS,
    ),
    Rule(
        "feedback",
        lambda p: p.layer,
        lambda p: f"layer(X) == one call for each step, with {_finals(p)} fed back",
        lambda p: p.full and (not p.two_way or p.call.L == 1) and not p.dropping,
        f"one direction (or L = 1), no row shorter than L, {_STILL}",
        "What was before a step reaches it through the fed-back state and in no other way.",
        "Step by step the backward direction cannot see what follows, short rows run on into padding, "
        "and dropout draws another mask at every step.",
    ),
    Rule(
        "cell loop",
        lambda p: not p.layer,
        lambda p: f"a loop over {p.spec.cell} == {p.spec.kind.layer} with the same weights",
        _always,
        "always",
        "A cell is one step of the one-layer layer; the loop that feeds its state back is the layer.",
        with_torchs=True,
    ),
    Rule(
        "layout",
        lambda p: p.layer and p.call.batched,
        lambda p: (
            "layer(X) == time_major(X.transpose(0, 1)), Y transposed back"
            if p.spec.batch_first
            else "layer(X) == batch_first(X.transpose(0, 1)), Y transposed back"
        ),
        _no_dropout,
        _STILL,
        "batch_first says in which order X and Y lie in memory; states, weights and results stay the same.",
        _DROPS,
        with_torchs=True,
    ),
    Rule(
        "layout, one sequence",
        lambda p: p.layer and not p.call.batched,
        lambda p: f"layer(X) == the same layer with batch_first={not p.spec.batch_first}",
        _no_dropout,
        _STILL,
        "Without a batch axis X is (L, Q) in both layouts.",
        _DROPS,
        with_torchs=True,
    ),
    Rule(
        "chain",
        lambda p: p.layer and p.spec.K * p.spec.R > 1,
        lambda p: (
            "layer(X) == K one-layer layers chained" + (", the backward ones on reversed rows" if p.two_way else "")
        ),
        _no_dropout,
        _STILL,
        "Each layer reads the Y of the one below, each direction is its own layer, hn stacks their ends.",
        "Dropout zeroes part of what each layer hands to the next.",
        with_torchs=True,
    ),
    Rule(
        "one step seen",
        lambda p: p.two_way,
        lambda p: f"{p.own_last('b')} == top layer alone on the last step of what it reads",
        _no_dropout,
        _STILL,
        "The backward direction starts at the last step: nothing later exists, and nothing earlier has come.",
        _DROPS,
        with_torchs=True,
    ),
    Rule(
        "one step seen of X",
        lambda p: p.two_way,
        lambda p: f"{p.own_last('b')} == whole layer on the last step of X",
        lambda p: (p.spec.K == 1 or p.one_step) and not p.dropping,
        f"K = 1 or one step, {_STILL}",
        "The backward direction starts at the last step of X, and has read no other.",
        "The top layer reads both halves of the layer below, whose forward half has read every step of X.",
    ),
    Rule(
        "rows alone",
        lambda p: p.call.batched,
        lambda p: "layer(X) == each row alone" + (", without its padding" if p.packed else ""),
        _no_dropout,
        _STILL,
        "The sequences of a batch never meet.",
        _DROPS,
    ),
    Rule(
        "padding read",
        lambda p: p.packed,
        lambda p: "layer(packed) == layer(padded X)",
        lambda p: p.full and not p.dropping,
        f"no row shorter than L, {_STILL}",
        "With nothing padded there is nothing to leave out.",
        "Without packing the layer reads the padding as if it were data (and dropout draws another mask).",
    ),
)


def _cut(hn: Any, first: int, second: int) -> Any:
    return hn.reshape(first, second, *hn.shape[1:])


def _rows(states: Any, N: int | None) -> Any:
    return states.reshape(N, -1)


RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
