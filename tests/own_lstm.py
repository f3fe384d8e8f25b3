"""A correct LSTM written by hand, as users write them, and the ways to get one wrong: each a subclass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MISTAKES", "OwnLSTM"]

State = tuple[Tensor, Tensor]


class OwnLSTM(nn.Module):
    """Any number of layers, one or two directions, batch_first; nothing here is torch's nn.LSTM."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.bidirectional = num_layers, bidirectional
        self.batch_first = True
        self.directions = 2 if bidirectional else 1
        widths = [input_size] + [self.directions * hidden_size] * (num_layers - 1)
        self.gates = nn.ModuleList(
            nn.Linear(width + hidden_size, 4 * hidden_size) for width in widths for _ in range(self.directions)
        )

    def forward(self, X: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h0, c0 = self.start(X) if state is None else state
        Y, hn, cn = X, [], []
        for layer in range(self.num_layers):
            halves = []
            for direction in range(self.directions):
                row = layer * self.directions + direction
                half, (h, c) = self.read(Y, self.gates[row], h0[row], c0[row], direction)
                halves.append(half)
                hn.append(h)
                cn.append(c)
            Y = torch.cat(halves, dim=-1)
        return self.results(Y, torch.stack(hn), torch.stack(cn))

    def start(self, X: Tensor) -> State:
        zeros = X.new_zeros(len(self.gates), X.shape[0], self.hidden_size)
        return zeros, zeros

    def read(self, X: Tensor, gates: nn.Module, h: Tensor, c: Tensor, direction: int) -> tuple[Tensor, State]:
        """One direction of one layer."""
        steps = []
        for x in self.order(X, direction).unbind(1):
            i, f, g, o = gates(torch.cat([x, h], dim=-1)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            steps.append(h)
        return self.order(torch.stack(steps, dim=1), direction), (h, c)

    def order(self, steps: Tensor, direction: int) -> Tensor:
        return steps.flip(1) if direction else steps

    def results(self, Y: Tensor, hn: Tensor, cn: Tensor) -> tuple[Tensor, State]:
        return Y, (hn, cn)


class WrongLayer(OwnLSTM):
    """Stacks its states top layer first."""

    def results(self, Y: Tensor, hn: Tensor, cn: Tensor) -> tuple[Tensor, State]:
        return Y, (hn.flip(0), cn.flip(0))


class ForgetsReversing(OwnLSTM):
    """Reads forward twice."""

    def order(self, steps: Tensor, direction: int) -> Tensor:
        return steps


class ForgetsReversingBack(OwnLSTM):
    """Reads backward, but leaves those outputs in the order in which they came."""

    def read(self, X: Tensor, gates: nn.Module, h: Tensor, c: Tensor, direction: int) -> tuple[Tensor, State]:
        Y, ends = super().read(X, gates, h, c, direction)
        return self.order(Y, direction), ends


class DirectionMajor(OwnLSTM):
    """Stacks all forward states first, then all backward ones."""

    def results(self, Y: Tensor, hn: Tensor, cn: Tensor) -> tuple[Tensor, State]:
        order = [k * self.directions + r for r in range(self.directions) for k in range(self.num_layers)]
        return Y, (hn[order], cn[order])


class IgnoresState(OwnLSTM):
    """Always starts from zeros."""

    def forward(self, X: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return super().forward(X)


class StartsFromOnes(OwnLSTM):
    """Starts from ones where no state is given."""

    def start(self, X: Tensor) -> State:
        h, c = super().start(X)
        return h + 1, c


class ReturnsCell(OwnLSTM):
    """Returns c where h was meant."""

    def results(self, Y: Tensor, hn: Tensor, cn: Tensor) -> tuple[Tensor, State]:
        return Y, (cn, cn)


class MixesRows(OwnLSTM):
    """Normalises over the batch, so that sequences see each other."""

    def forward(self, X: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return super().forward(X - X.mean(0, keepdim=True), state)


class BatchFirstStates(OwnLSTM):
    """Returns its states as (N, K, D)."""

    def results(self, Y: Tensor, hn: Tensor, cn: Tensor) -> tuple[Tensor, State]:
        return Y, (hn.transpose(0, 1), cn.transpose(0, 1))


# Each mistake, the directions in which it can be made, and what is said of it.
MISTAKES: tuple[tuple[type[OwnLSTM], tuple[bool, ...], str], ...] = (
    (WrongLayer, (False, True), "last step|forward half"),
    (ForgetsReversing, (True,), "backward half"),
    (ForgetsReversingBack, (True,), "backward half"),
    (DirectionMajor, (True,), "forward half"),
    (IgnoresState, (False, True), "feedback|the state is ignored"),
    (StartsFromOnes, (False, True), "zero start"),
    (ReturnsCell, (False, True), "last step|forward half"),
    (MixesRows, (False, True), "rows alone"),
    (BatchFirstStates, (False, True), "hn must be"),
)
