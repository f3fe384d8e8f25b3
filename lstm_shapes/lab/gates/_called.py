"""A layer's own call, as a trace needs it: without what is random or somebody else's, and one layer after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

from lstm_shapes.lab._calling import Inputs, Returned, call_plainly
from lstm_shapes.lab._private import FLAT_WEIGHTS, HOOKS, PRE_HOOKS
from lstm_shapes.theory.spec import Spec

# Hooks of torch's own that work the weights out before each call: without them a layer computes with old ones.
_MAKERS = (BasePruningMethod, SpectralNorm, WeightNorm)


def quiet(layer: nn.Module) -> nn.Module:
    """The same layer in eval mode, with the hooks that make its weights and no others. The layer stays as it is."""
    twin: nn.Module = object.__new__(type(layer))
    own = {name: value.copy() if isinstance(value, dict) else value for name, value in vars(layer).items()}
    twin.__dict__.update(own, training=False)
    if hasattr(layer, FLAT_WEIGHTS):  # what a hook sets by name is entered there, too
        twin.__dict__[FLAT_WEIGHTS] = list(getattr(layer, FLAT_WEIGHTS))
    makers = {key: hook for key, hook in getattr(layer, PRE_HOOKS).items() if isinstance(hook, _MAKERS)}
    twin.__dict__.update({name: OrderedDict(makers if name == PRE_HOOKS else ()) for name in HOOKS})
    return twin


def left_out(layer: nn.Module) -> int:
    """How many hooks of a layer `quiet` leaves out."""
    every = [hook for name in HOOKS for hook in getattr(layer, name).values()]
    return sum(not isinstance(hook, _MAKERS) for hook in every)


def call_by_layer(twin: nn.Module, spec: Spec, inputs: Inputs) -> tuple[Returned, list[Tensor]]:
    """What a quiet layer returns, and what each of its layers but the top one put out, (L, N, R·H).

    Where a graph is recorded it goes through copies of the weights, and through kernels that can be differentiated in
    eval mode, and twice.
    """
    grad = torch.is_grad_enabled()
    call = partial(_on_copies, twin) if grad else twin
    with torch.backends.cudnn.flags(enabled=False) if grad and inputs.X.is_cuda else nullcontext():
        with _LayerByLayer() as kernel:
            own = call_plainly(call, spec, inputs)
        if spec.K > 1 and len(kernel.outputs) != spec.K:  # a forward of its own, which calls no kernel
            with _LayerByLayer() as kernel:
                call_plainly(partial(getattr(nn, spec.cell).forward, twin), spec, inputs)
    lower, packed = kernel.outputs[: spec.K - 1], own.packed_X
    if packed is None:
        return own, [output.transpose(0, 1) if spec.batch_first else output for output in lower]
    order = (packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return own, [pad_packed_sequence(PackedSequence(data, *order), total_length=inputs.call.L)[0] for data in lower]


def _on_copies(twin: nn.Module, *args: Any) -> Any:
    return functional_call(twin, {name: weight.clone() for name, weight in twin.named_parameters()}, args)


_KERNELS = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # what is handed all layers at once; a cell has one


class _LayerByLayer(TorchFunctionMode):
    """`.outputs` holds each layer's output as the kernel returned it: in the module's layout, or packed data.

    `layer(x)` returns the top layer's output only, because a module hands all its layers to one call of torch's kernel
    (`torch.lstm` and its like). Inside, that call becomes one for each layer, with the same weights.

    >>> with _LayerByLayer() as kernel:
    ...     Y, _ = torch.nn.LSTM(3, 5, 2)(torch.ones(4, 2, 3))
    >>> len(kernel.outputs), torch.equal(kernel.outputs[-1], Y)
    (2, True)
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _KERNELS and not kwargs:
            return self._one_by_one(func, args)
        return func(*args, **(kwargs or {}))

    def _one_by_one(self, kernel: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """(input, hx, weights, …, batch_first), or (data, batch_sizes, hx, weights, …) where rows are packed."""
        at = 2 if isinstance(args[3], (list, tuple)) else 1
        sequence, hx, weights = args[0], args[at], args[at + 1]
        bias, K, dropout, training, bidirectional, *layout = args[at + 2 :]
        states: Sequence[Tensor] = (hx,) if isinstance(hx, Tensor) else hx
        R, width = 1 + bidirectional, len(weights) // K
        finals = []
        for k in range(K):
            start = tuple(state[k * R : (k + 1) * R] for state in states)
            given = start[0] if isinstance(hx, Tensor) else start
            own = weights[k * width : (k + 1) * width]
            if own[0].is_cuda and not bias and K > 1:
                # Seeing layer 0's weights at the start of one piece, torch would hand cuDNN that piece: the weights
                # of layer 1 lie there where cuDNN looks for the biases of layer 0, which are to be zeros.
                own = [weight.clone() for weight in own]
            settings = (bias, 1, dropout, training, bidirectional, *layout)
            sequence, *final = kernel(sequence, *args[1:at], given, own, *settings)
            self.outputs.append(sequence)
            finals.append(final)
        return (sequence, *(torch.cat(parts) for parts in zip(*finals, strict=True)))
