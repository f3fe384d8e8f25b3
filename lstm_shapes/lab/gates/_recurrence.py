"""The recurrence of one direction of one layer: its weights, its equations, and every step worked out at once.

A layer that has run has given away its h at every step, so the recurrent contribution to all steps is one matrix
product, like the input's, and all gates follow elementwise; only the cell state is summed step by step. Where the h
so computed is the layer's own at every step, then by induction the layer computes by these equations. A graph runs
through the layer's own h, too, so a gate's gradients are those of the layer.

Source: the equations of the LSTM, GRU and RNN sections in `torch/nn/modules/rnn.py`, as theory/symbols.py writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstm_shapes.theory.spec import Spec, suffix


class GateWeights(NamedTuple):
    """W_ih (G·D × I), W_hh (G·D × H), their biases, and the projection W_hr (P × D); None for what is not there."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    hr: Tensor | None

    @classmethod
    def of(cls, layer: nn.Module, spec: Spec, k: int, r: int) -> GateWeights:
        """Copies of the layer's own, which nobody changes; a graph goes through them."""
        end = suffix(spec, k, r)
        names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if spec.bias else ()))
        ih, hh, *biases = (getattr(layer, name + end).clone() for name in names)
        b_ih, b_hh = biases or (None, None)
        return cls(ih, hh, b_ih, b_hh, getattr(layer, f"weight_hr{end}").clone() if spec.P else None)

    def input(self, x: Tensor) -> Tensor:
        """x·W_ihᵀ + b_ih."""
        return linear(x, self.ih, self.b_ih)

    def recurrent(self, h: Tensor) -> Tensor:
        """h'·W_hhᵀ + b_hh."""
        return linear(h, self.hh, self.b_hh)


# Of x·W_ihᵀ + b_ih and h'·W_hhᵀ + b_hh, both (…, G·D) in torch's order, of h', and of what only a step-by-step sum can
# give, c = f ⊙ c' + u, each gate and state. A projection is applied afterwards, to what is returned as h.
Values = dict[str, Tensor]
Carry = Callable[[Tensor, Tensor], Tensor]


def _lstm(x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str) -> Values:
    i, f, g, o = (x + h_part).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = carry(f, i * g)
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * c.tanh()}


def _gru(x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str) -> Values:
    """r gates h_n with its bias inside; n + z ⊙ (h' − n) is (1 − z) ⊙ n + z ⊙ h' as torch computes it."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, dim=-1), h_part.chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = torch.addcmul(x_n, r, h_n).tanh()
    return {"r": r, "z": z, "n": n, "h": torch.addcmul(n, z, h - n)}


def _rnn(x: Tensor, h_part: Tensor, h: Tensor, carry: Carry, nonlinearity: str) -> Values:
    total = x + h_part
    return {"h": total.relu() if nonlinearity == "relu" else total.tanh()}


# Keyed by the sequence layer: LSTMCell steps as LSTM does.
STEPS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}

# Elements of one block's gates, about 1 MiB in float32. First contact with memory is the dearest part of a small
# step, so what need not be kept is kept small enough to be used again.
BLOCK = 2**18


def replay(
    spec: Spec, weights: GateWeights, x: Tensor, start: Values, h: Tensor, mask: Tensor | None, *, reverse: bool
) -> Values:
    """One direction of one layer: each gate and state of every step, (L, N, ·).

    It reads `x`, (L, N, I), starts from `start`, (N, ·), and put out `h`, (L, N, H), by its own account; `mask` is
    (L, N), true where a row has a step.
    """
    before = steps_before(h, start["h"], mask, reverse=reverse)
    here = None if mask is None else mask[..., None]
    c = start.get("c")

    def of_block(block: slice) -> Values:
        def carry(f: Tensor, u: Tensor) -> Tensor:
            nonlocal c
            assert c is not None
            after = []
            steps = list(zip(range(block.start, block.stop), f.unbind(0), u.unbind(0), strict=True))
            for t, keep, new in reversed(steps) if reverse else steps:
                after.append(torch.addcmul(new, keep, c))
                # A short row that reads backwards has not begun: it still has its initial state.
                c = torch.where(here[t], after[-1], c) if reverse and here is not None else after[-1]
            return torch.stack(after[::-1] if reverse else after)

        products, recurrent = weights.input(x[block]), weights.recurrent(before[block])
        values = STEPS[spec.kind.layer](products, recurrent, before[block], carry, spec.nonlinearity)
        if weights.hr is not None:
            values["h"] = linear(values["h"], weights.hr)
        return values if here is None else {name: one.masked_fill(~here[block], 0) for name, one in values.items()}

    L, N = h.shape[:2]
    if any(one.requires_grad for one in (x, before, *weights) if one is not None):
        return of_block(slice(0, L))
    names = [name for name, _ in spec.kind.equations]
    values = {name: x.new_empty(L, N, spec.H if name == "h" else spec.D) for name in names}
    for block in _blocks(L, N * spec.G * spec.D, reverse=reverse):
        for name, steps in of_block(block).items():
            values[name][block] = steps
    return values


def _blocks(L: int, width: int, *, reverse: bool) -> Iterator[slice]:
    """Runs of steps whose gates stay in the processor's cache, in the order they are computed."""
    size = max(1, BLOCK // width)
    starts = range(0, L, size)
    return (slice(start, min(start + size, L)) for start in (reversed(starts) if reverse else starts))


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
