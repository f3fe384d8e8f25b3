"""Which cells an expression reads, by torch: every cell is a leaf, and a gradient says which of them were read."""

from __future__ import annotations

import torch

from lstm_shapes import Spec
from lstm_shapes.theory.call import Call

__all__ = ["Cells"]


class Cells:
    """A tensor for each state of each cell, of which X, Y, h0, c0, hn and cn are then made as torch lays them out."""

    def __init__(self, spec: Spec, call: Call) -> None:
        self.spec, self.call = spec, call
        rows, steps = call.N or 1, call.L
        self.h = torch.rand(spec.K, spec.R, steps, rows, spec.H).requires_grad_()
        self.c = torch.rand(spec.K, spec.R, steps, rows, spec.D).requires_grad_()
        self.x = torch.rand(steps, rows, spec.Q).requires_grad_()
        self.start = {
            "h0": torch.rand(spec.K * spec.R, rows, spec.H).requires_grad_(),
            "c0": torch.rand(spec.K * spec.R, rows, spec.D).requires_grad_(),
        }

    def length(self, n: int) -> int:
        return self.call.lengths[n] if self.call.lengths else self.call.L

    def names(self) -> dict[str, object]:
        spec, call = self.spec, self.call
        rows = call.N or 1
        mask = torch.tensor([[t < self.length(n) for n in range(rows)] for t in range(call.L)])
        Y = torch.cat([self.h[-1, r] * mask[..., None] for r in range(spec.R)], dim=-1)
        ends = {
            name: torch.stack([
                torch.stack([state[k, r, 0 if r else self.length(n) - 1, n] for n in range(rows)])
                for k in range(spec.K) for r in range(spec.R)
            ])
            for name, state in (("hn", self.h), ("cn", self.c))
        }  # fmt: skip
        tensors = {"X": self.x, "Y": Y}
        if not call.batched:
            tensors = {name: tensor[:, 0] for name, tensor in tensors.items()}
        elif spec.batch_first:
            # X is made by whoever calls the layer, and lies in memory as it stands; Y is what the layer turned.
            tensors = {"X": self.x.transpose(0, 1).contiguous(), "Y": Y.transpose(0, 1)}
        states = {**ends, **self.start}
        if not call.batched:
            states = {name: tensor[:, 0] for name, tensor in states.items()}
        sizes = {"N": call.N, "L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "H": spec.H}
        lengths = None if call.lengths is None else torch.tensor(call.lengths)
        return {**tensors, **states, **sizes, "torch": torch, "lengths": lengths}

    def evaluate(self, expression: str) -> tuple[int, ...]:
        """Let torch compute it, and send a gradient back to all that it read; returns the shape."""
        result = eval(expression, {}, self.names())
        if result.numel():
            (result * torch.rand_like(result).add(0.5)).sum().backward()
        return tuple(result.shape)

    @staticmethod
    def reached(tensor: torch.Tensor, *at: int) -> bool:
        """Whether a gradient arrived there."""
        return tensor.grad is not None and bool(tensor.grad[at].abs().sum() > 0)

    def states(self, k: int, r: int, t: int, n: int) -> list[str]:
        """The states of a cell that were read."""
        return [name for name, state in (("h", self.h), ("c", self.c)) if self.reached(state, k, r, t, n)]

    def initial(self, k: int, r: int, n: int) -> list[str]:
        """The initial states that were read."""
        return [name for name, start in self.start.items() if self.reached(start, k * self.spec.R + r, n)]
