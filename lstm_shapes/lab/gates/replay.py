"""replay: every step at once, each from the h that the layer itself had before it.

A layer that has run has given away its h at every step. So the recurrent contribution to all steps is one matrix
product, like the input's, and all gates follow elementwise; only the cell state is summed step by step. Where the h
so computed is the layer's own at every step, then by induction the layer computes by these equations.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from lstm_shapes.theory.spec import Spec

from .steps import STEPS
from .weights import GateWeights

__all__ = ["replay", "steps_before"]

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
