"""One function a kind of cell: a step's gates and states from its two contributions and the state before.

`x` is the input contribution x_t·W_ihᵀ + b_ih and `h_part` the recurrent one h'·W_hhᵀ + b_hh, both (N, G·D)
with the gates' blocks in torch's order; a name with `before` is the state the step starts from. A projection is
applied afterwards by the caller, to whatever is returned as h.

Source: the equations of the LSTM, GRU and RNN sections in `torch/nn/modules/rnn.py`, as theory/cells.py writes them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["STEPS", "Step"]

Step = Callable[[Tensor, Tensor, tuple[Tensor, ...], str], dict[str, Tensor]]


def lstm(x: Tensor, h_part: Tensor, before: tuple[Tensor, ...], nonlinearity: str) -> dict[str, Tensor]:
    """c = f ⊙ c' + i ⊙ g, h = o ⊙ tanh(c).

    >>> zero, one = torch.zeros(1, 4), torch.ones(1, 1)
    >>> lstm(zero, zero, (one, one), "tanh")["c"]  # σ(0)·1 + σ(0)·tanh(0)
    tensor([[0.5000]])
    """
    a_i, a_f, a_g, a_o = (x + h_part).chunk(4, dim=-1)
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = torch.addcmul(f * before[1], i, g)
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * c.tanh()}


def gru(x: Tensor, h_part: Tensor, before: tuple[Tensor, ...], nonlinearity: str) -> dict[str, Tensor]:
    """h = (1 − z) ⊙ n + z ⊙ h', with n = tanh(x_n + r ⊙ h_n): r gates h_n with its bias inside.

    >>> zero, one = torch.zeros(1, 3), torch.ones(1, 1)
    >>> gru(zero, zero, (one,), "tanh")["h"]  # (1 − σ(0))·tanh(0) + σ(0)·1
    tensor([[0.5000]])
    """
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, dim=-1), h_part.chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = torch.addcmul(x_n, r, h_n).tanh()
    # n + z ⊙ (h' − n) is (1 − z) ⊙ n + z ⊙ h' with one rounding fewer, and how torch computes it.
    return {"r": r, "z": z, "n": n, "h": torch.addcmul(n, z, before[0] - n)}


def rnn(x: Tensor, h_part: Tensor, before: tuple[Tensor, ...], nonlinearity: str) -> dict[str, Tensor]:
    """h = tanh(x_h + h_h), or relu.

    >>> rnn(torch.tensor([[-3.0]]), torch.tensor([[1.0]]), (), "relu")["h"]
    tensor([[0.]])
    """
    total = x + h_part
    return {"h": total.relu() if nonlinearity == "relu" else total.tanh()}


# Keyed by the sequence layer: LSTMCell steps as LSTM does.
STEPS: dict[str, Step] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
