"""The recurrence of one direction of one layer: its weights, its equations, and two ways to work them out.

`replay` does every step at once. A layer that has run has given away its h at every step, so the recurrent
contribution to all steps is one matrix product, like the input's, and all gates follow elementwise; only the cell
state is summed step by step. Where the h so computed is the layer's own at every step, then by induction the layer
computes by these equations. `unroll` goes layer by layer and step by step: for `gates(…, grad=True)`, where autograd
has to see every step, and for a module that computes in its own way.

In an equation `x` is the input contribution x_t·W_ihᵀ + b_ih and `h_part` the recurrent one h'·W_hhᵀ + b_hh, both
(…, G·D) with the gates' blocks in torch's order; `h` is h'. The same function does one step, (N, ·), and all steps at
once, (L, N, ·). What only a step-by-step sum can give, the cell state, it asks of `carry(f, u)`, which returns
f ⊙ c' + u. With `reuse` no graph is wanted, and the gates take the place of `x`. A projection is applied afterwards,
to what is returned as h.

Source: the equations of the LSTM, GRU and RNN sections in `torch/nn/modules/rnn.py`, as theory/cells.py writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstm_shapes.theory.spec import Spec, suffix

__all__ = ["STEPS", "Carry", "GateWeights", "Step", "replay", "steps_before", "unroll"]


_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


@dataclass(frozen=True, slots=True, eq=False)
class GateWeights:
    """W_ih (G·D × I), W_hh (G·D × H), their biases, and the projection W_hr (P × D); None for what is not there."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    hr: Tensor | None

    @classmethod
    def of(cls, layer: nn.Module, spec: Spec, k: int, r: int) -> GateWeights:
        """The layer's own parameters, by torch's names."""
        end = suffix(spec, k, r)
        has = (True, True, spec.bias, spec.bias, bool(spec.P))
        found: list[Any] = [
            getattr(layer, part + end) if here else None for part, here in zip(_PARTS, has, strict=True)
        ]
        ih, hh, b_ih, b_hh, hr = found
        return cls(ih, hh, b_ih, b_hh, hr)

    def copied(self) -> GateWeights:
        """The same numbers in memory of their own, which nobody changes; a graph goes through it."""
        return self._each(torch.clone)

    def to(self, dtype: torch.dtype) -> GateWeights:
        """The same in another dtype."""
        return self._each(lambda part: part.to(dtype))

    def _each(self, change: Callable[[Tensor], Tensor]) -> GateWeights:
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return GateWeights(*(None if part is None else change(part) for part in every))  # type: ignore[arg-type]

    def input(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """x·W_ihᵀ + b_ih, written to `out` where there is one."""
        if out is None:
            return linear(x, self.ih, self.b_ih)
        flat, room = x.reshape(-1, x.shape[-1]), out.view(-1, out.shape[-1])
        if self.b_ih is None:
            torch.mm(flat, self.ih.t(), out=room)
        else:
            torch.addmm(self.b_ih, flat, self.ih.t(), out=room)
        return out

    def recurrent(self, h: Tensor) -> Tensor:
        """h'·W_hhᵀ + b_hh."""
        return linear(h, self.hh, self.b_hh)


Carry = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor, Tensor, Carry, str, bool], dict[str, Tensor]]


def lstm(
    x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str, reuse: bool = False
) -> dict[str, Tensor]:
    """c = f ⊙ c' + i ⊙ g, h = o ⊙ tanh(c).

    >>> zero, c_before = torch.zeros(1, 4), torch.ones(1, 1)
    >>> lstm(zero, zero, zero, lambda f, u: f * c_before + u, "tanh")["c"]  # σ(0)·1 + σ(0)·tanh(0)
    tensor([[0.5000]])
    """
    total = torch.add(x, h_part, out=x if reuse else None)
    # σ of all four in one run over memory is quicker than of three blocks apart; g's is thrown away.
    g = total.chunk(4, dim=-1)[2].tanh()
    i, f, place, o = torch.sigmoid(total, out=total if reuse else None).chunk(4, dim=-1)
    if reuse:
        g = place.copy_(g)
    c = carry(f, i * g)
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * c.tanh()}


def gru(
    x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str, reuse: bool = False
) -> dict[str, Tensor]:
    """h = (1 − z) ⊙ n + z ⊙ h', with n = tanh(x_n + r ⊙ h_n): r gates h_n with its bias inside.

    >>> zero = torch.zeros(1, 3)
    >>> gru(zero, zero, torch.ones(1, 1), torch.add, "tanh")["h"]  # (1 − σ(0))·tanh(0) + σ(0)·1
    tensor([[0.5000]])
    """
    (r, z, n), (h_r, h_z, h_n) = x.chunk(3, dim=-1), h_part.chunk(3, dim=-1)
    r = torch.sigmoid(r + h_r, out=r if reuse else None)
    z = torch.sigmoid(z + h_z, out=z if reuse else None)
    n = torch.tanh(torch.addcmul(n, r, h_n), out=n if reuse else None)
    # n + z ⊙ (h' − n) is (1 − z) ⊙ n + z ⊙ h' with one product fewer, and how torch computes it.
    return {"r": r, "z": z, "n": n, "h": torch.addcmul(n, z, h - n)}


def rnn(
    x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str, reuse: bool = False
) -> dict[str, Tensor]:
    """h = tanh(x_h + h_h), or relu.

    >>> minus_three, one = torch.tensor([[-3.0]]), torch.tensor([[1.0]])
    >>> rnn(minus_three, one, one, torch.add, "relu")["h"]
    tensor([[0.]])
    """
    total = torch.add(x, h_part, out=x if reuse else None)
    if nonlinearity == "relu":
        return {"h": torch.clamp(total, min=0, out=total if reuse else None)}
    return {"h": torch.tanh(total, out=total if reuse else None)}


# Keyed by the sequence layer: LSTMCell steps as LSTM does.
STEPS: dict[str, Step] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}


# Elements of one block's gates, about 1 MiB in float32. First contact with memory is the dearest part of a small
# step, so what need not be kept is kept small enough to be used again.
BLOCK = 2**18


def replay(
    spec: Spec,
    weights: GateWeights,
    x: Tensor,
    start: dict[str, Tensor],
    h: Tensor,
    mask: Tensor | None,
    *,
    reverse: bool,
) -> dict[str, Tensor]:
    """One direction of one layer: each gate and state of every step, (L, N, ·).

    It reads `x`, (L, N, I), starts from `start`, (N, ·), and put out `h`, (L, N, H), by its own account; `mask` is
    (L, N), true where a row has a step.
    """
    kind, (L, N) = spec.kind, h.shape[:2]
    gates = x.new_empty(L, N, spec.G * spec.D)
    values = dict(zip(kind.gates, gates.chunk(spec.G, dim=-1), strict=True))
    for name in kind.states:
        values.setdefault(name, x.new_empty(L, N, spec.H if name == "h" else spec.D))
    before = steps_before(h, start["h"], mask, reverse=reverse)
    c = "c" if "c" in start else "h"  # a cell without c never asks to carry it
    carry = _Carry(start[c], values[c], mask, reverse=reverse)
    for block in _blocks(L, gates[0].numel(), reverse=reverse):
        carry.block = block
        products, h_part = weights.input(x[block], out=gates[block]), weights.recurrent(before[block])
        now = STEPS[kind.layer](products, h_part, before[block], carry, spec.nonlinearity, True)["h"]
        if "h" not in kind.gates:
            values["h"][block] = now if weights.hr is None else linear(now, weights.hr)
    if mask is not None:
        for tensor in (gates, *(values[name] for name in kind.states if name not in kind.gates)):
            tensor.masked_fill_(~mask[..., None], 0)
    return {name: values[name] for name, _ in kind.equations}


def steps_before(after: Tensor, start: Tensor, mask: Tensor | None, *, reverse: bool) -> Tensor:
    """The state that each step starts from, (L, N, ·): its neighbour's, or the initial one.

    `after` is the state that each step ends with. In reverse the neighbour is the later step, and a short row starts
    at its own last step: where the next one is padding.
    """
    if not reverse:
        return torch.cat([start[None], after[:-1]])
    neighbour = torch.cat([after[1:], start[None]])
    if mask is None:
        return neighbour
    begun = torch.cat([mask[1:], torch.zeros_like(mask[:1])])
    return torch.where(begun[..., None], neighbour, start)


def _blocks(L: int, width: int, *, reverse: bool) -> list[slice]:
    """Runs of steps whose gates stay in the processor's cache, in the order they are computed."""
    size = max(1, BLOCK // width)
    blocks = [slice(start, min(start + size, L)) for start in range(0, L, size)]
    return blocks[::-1] if reverse else blocks


class _Carry:
    """c = f ⊙ c' + u for each step of a block in turn, written into its place."""

    def __init__(self, start: Tensor, place: Tensor, mask: Tensor | None, *, reverse: bool) -> None:
        self.c = start
        self.place = place
        # A short row that reads backwards has not begun: it still has its initial state.
        self.waiting = ~mask[..., None] if reverse and mask is not None else None
        self.reverse = reverse
        self.block = slice(0, 0)

    def __call__(self, f: Tensor, u: Tensor) -> Tensor:
        rooms = self.place[self.block]
        ts = range(self.block.start, self.block.stop)
        steps = list(zip(ts, f.unbind(0), u.unbind(0), rooms.unbind(0), strict=True))
        for t, keep, new, room in reversed(steps) if self.reverse else steps:
            after = torch.addcmul(new, keep, self.c, out=room)
            self.c = after if self.waiting is None else torch.where(self.waiting[t], self.c, after)
        return rooms


Values = dict[str, Tensor]


def unroll(
    spec: Spec, weights: Sequence[GateWeights], X: Tensor, starts: Sequence[Values], mask: Tensor | None
) -> list[Values]:
    """Each gate and state of every layer and direction, (L, N, ·); bottom first, forward first: torch's own order.

    X is (L, N, Q), in whose dtype all is computed; `weights` and `starts`, (N, ·) each, have a place for each layer
    and direction; `mask` is (L, N), true where a row has a step.
    """
    found: list[Values] = []
    below = X
    for k in range(spec.K):
        for r in range(spec.R):
            own = weights[k * spec.R + r].to(X.dtype)
            found.append(_steps(spec, own, below, starts[k * spec.R + r], mask, reverse=bool(r)))
        below = torch.cat([values["h"] for values in found[-spec.R :]], dim=-1)
    return found


def _steps(spec: Spec, weights: GateWeights, x: Tensor, start: Values, mask: Tensor | None, *, reverse: bool) -> Values:
    """One direction of one layer."""
    step, products, L = STEPS[spec.kind.layer], weights.input(x), x.shape[0]
    history: list[Values] = [{}] * L
    before = start
    for t in reversed(range(L)) if reverse else range(L):
        c = before.get("c", before["h"])

        def carry(f: Tensor, u: Tensor, c: Tensor = c) -> Tensor:
            return torch.addcmul(u, f, c)

        values = step(products[t], weights.recurrent(before["h"]), before["h"], carry, spec.nonlinearity, False)
        if weights.hr is not None:
            values["h"] = linear(values["h"], weights.hr)
        history[t] = values
        after = {name: values[name] for name in start}
        if mask is not None:
            # A row that has ended keeps its state; one that reads backwards has not begun.
            here = mask[t][:, None]
            after = {name: torch.where(here, new, before[name]) for name, new in after.items()}
        before = after
    stacked = {name: torch.stack([values[name] for values in history]) for name in history[0]}
    if mask is not None:
        stacked = {name: tensor.masked_fill(~mask[..., None], 0) for name, tensor in stacked.items()}
    return stacked
