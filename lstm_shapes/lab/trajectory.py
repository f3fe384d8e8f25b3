"""trajectory: what every layer of a stack puts out, computed by torch's own kernels.

`layer(x)` returns the top layer's output only. The ones below are asked for one layer at a time, by modules of one
layer that share the weights.
"""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_shapes.theory.spec import Spec

from .build import build
from .run import Run

__all__ = ["quiet", "trajectory"]


def quiet(layer: nn.Module) -> nn.Module:
    """The same layer without hooks and dropout: a shallow copy that shares the weights."""
    twin = copy.copy(layer)
    twin.__dict__["training"] = False
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        twin.__dict__[name] = OrderedDict()
    return twin


def trajectory(layer: nn.Module, spec: Spec, own: Run) -> list[Tensor]:
    """The output of each layer, bottom first, in the layout of the user's Y; the top one is the layer's own.

    A cell's output is its h.
    """
    if own.Y is None:
        return [own.hn.plain()]
    states = [own.h0.plain()] if own.c0 is None else [own.h0.plain(), own.c0.plain()]
    sequence: Tensor | PackedSequence = own.X.plain() if own.packed_X is None else own.packed_X
    outputs = []
    for k in range(spec.K - 1):
        rows = slice(k * spec.R, (k + 1) * spec.R)
        start = tuple(state[rows] for state in states)
        with warnings.catch_warnings():
            # cuDNN wants the weights of a module in one piece, and says so where they are not.
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
            sequence, _ = _single(layer, spec, k)(sequence, start if len(start) > 1 else start[0])
        outputs.append(_padded(sequence, spec, own))
    return [*outputs, own.Y.plain()]


def _padded(sequence: Tensor | PackedSequence, spec: Spec, own: Run) -> Tensor:
    if isinstance(sequence, PackedSequence):
        return pad_packed_sequence(sequence, batch_first=spec.batch_first, total_length=own.call.L)[0]
    return sequence


def _single(layer: nn.Module, spec: Spec, k: int) -> nn.Module:
    """Layer k alone: a module of one layer that shares memory with the weights of that one."""
    alone = build(spec.replace(Q=spec.input_width(k), K=1, dropout=0.0), device="meta").eval()
    for name, _ in list(alone.named_parameters()):
        weight: Tensor = getattr(layer, name.replace("_l0", f"_l{k}"))
        setattr(alone, name, nn.Parameter(weight.detach(), requires_grad=False))
    return alone
