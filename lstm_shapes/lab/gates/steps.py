"""One function a kind of cell: its gates and states from the two contributions and the state before.

`x` is the input contribution x_t·W_ihᵀ + b_ih and `h_part` the recurrent one h'·W_hhᵀ + b_hh, both (…, G·D) with
the gates' blocks in torch's order; `h` is h'. The same function does one step, (N, ·), and all steps at once,
(L, N, ·), since h' of every step is known once a layer has run. What only a step-by-step sum can give, the cell
state, it asks of `carry(f, u)`, which returns f ⊙ c' + u. With `reuse` no graph is wanted, and the gates take the
place of `x`. A projection is applied afterwards, to what is returned as h.

Source: the equations of the LSTM, GRU and RNN sections in `torch/nn/modules/rnn.py`, as theory/cells.py writes them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["STEPS", "Carry", "Step"]

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
