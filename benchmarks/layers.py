"""What a computation costs beside the plainest way to do the same."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.lab.gates.trace import GateTrace

from .budget import Budget, ratio

__all__ = ["BUDGETS"]

N, L, Q, D, K = 16, 40, 28, 96, 2
# Threads wait for each other wherever another program has a core; then a ratio would measure that program.
torch.set_num_threads(1)


@torch.no_grad()
def cell_loop(cells: list[nn.LSTMCell], x: Tensor) -> Tensor:
    """The same layers with nn.LSTMCell, step by step, keeping h and c as a trace does."""
    for cell in cells:
        h = c = torch.zeros(x.size(0), cell.hidden_size)
        hidden, memory = [], []
        for step in x.unbind(1):
            h, c = cell(step, (h, c))
            hidden.append(h)
            memory.append(c)
        x, _ = torch.stack(hidden, 1), torch.stack(memory, 1)
    return x


# The lesson's layer, a usual one, and one that is all matrix products. Below a few million MACs the half millisecond
# that any call of gates takes shows, whatever the layer: LSTM(28, 64) on N=2, L=20 takes 1.3 × the loop.
SIZES = ((2, 20, 28, 256, 3), (16, 40, 28, 96, 2), (64, 100, 28, 128, 1))


def _gates(look: Callable[[GateTrace], object]) -> tuple[float, str]:
    """The worst of several layers."""
    return max(_gates_of(look, *sizes) for sizes in SIZES)


def _gates_of(look: Callable[[GateTrace], object], N: int, L: int, Q: int, D: int, K: int) -> tuple[float, str]:
    layer = nn.LSTM(Q, D, K, batch_first=True)
    cells = [nn.LSTMCell(Q if k == 0 else D, D) for k in range(K)]
    for k, cell in enumerate(cells):
        for name, weight in cell.named_parameters():
            weight.data.copy_(getattr(layer, f"{name}_l{k}"))
    x = torch.randn(N, L, Q)
    with torch.no_grad():
        torch.testing.assert_close(cell_loop(cells, x), layer(x)[0])  # it is the same computation
    worst, note = ratio(lambda: look(ls.gates(layer, x)), lambda: cell_loop(cells, x))
    return worst, f"{note} for N={N}, L={L}, Q={Q}, D={D}, K={K}"


BUDGETS = (
    Budget(
        "gates, the worst of three layers", Fraction(1), "× a loop of nn.LSTMCell", lambda: _gates(lambda trace: trace)
    ),
    # No budget of the design: what the loop does not do, each gate of each layer, kept and compared.
    Budget("gates, all of them looked at", Fraction(5, 2), "× the same", lambda: _gates(lambda trace: trace.residual)),
)
