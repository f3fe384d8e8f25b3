"""trajectory: what every layer of a stack puts out, computed by torch's own kernels.

`layer(x)` returns the top layer's output only. The ones below are asked of the function that the module itself calls,
`torch.lstm` and its like, one layer at a time.
"""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_shapes.theory.spec import Spec

__all__ = ["quiet", "trajectory"]


def quiet(layer: nn.Module) -> nn.Module:
    """The same layer without hooks and dropout: a shallow copy that shares the weights."""
    twin = copy.copy(layer)
    twin.__dict__["training"] = False
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        twin.__dict__[name] = OrderedDict()
    return twin


def trajectory(
    layer: nn.Module, spec: Spec, X: Tensor, packed: PackedSequence | None, starts: Sequence[Tensor], top: Tensor
) -> list[Tensor]:
    """The output of each layer, bottom first, (L, N, R·H); `top` is the layer's own Y.

    X is (L, N, Q), or stands for what is packed; `starts` are (K·R, N, ·).
    """
    outputs: list[Tensor] = []
    sequence: Tensor | PackedSequence = X if packed is None else packed
    for k in range(spec.K - 1):
        start = [state[k * spec.R : (k + 1) * spec.R].contiguous() for state in starts]
        sequence = _one_layer(layer, spec, k, sequence, start)
        if isinstance(sequence, PackedSequence):
            outputs.append(pad_packed_sequence(sequence, total_length=X.shape[0])[0])
        else:
            outputs.append(sequence)
    return [*outputs, top]


def _one_layer(
    layer: nn.Module, spec: Spec, k: int, sequence: Tensor | PackedSequence, start: list[Tensor]
) -> Tensor | PackedSequence:
    """Layer k, all directions."""
    kernel: Any = {
        "LSTM": torch.lstm,
        "GRU": torch.gru,
        "RNN": torch.rnn_relu if spec.nonlinearity == "relu" else torch.rnn_tanh,
    }[spec.cell]
    biases = ("bias_ih", "bias_hh") if spec.bias else ()
    parts = ("weight_ih", "weight_hh", *biases, *(("weight_hr",) if spec.P else ()))
    ends = ("", "_reverse")[: spec.R]
    weights = [getattr(layer, f"{part}_l{k}{end}") for end in ends for part in parts]
    switches = (spec.bias, 1, 0.0, False, spec.bidirectional)  # one layer, no dropout, not training
    with warnings.catch_warnings():
        # cuDNN wants the weights of a module in one piece, and says so where they are not.
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
        if isinstance(sequence, Tensor):
            found: Tensor = kernel(sequence, start if len(start) > 1 else start[0], weights, *switches, False)[0]
            return found
        order = sequence.sorted_indices
        if order is not None:
            start = [state.index_select(1, order) for state in start]
        hx = start if len(start) > 1 else start[0]
        data = kernel(sequence.data, sequence.batch_sizes, hx, weights, *switches)[0]
    return PackedSequence(data, sequence.batch_sizes, order, sequence.unsorted_indices)
