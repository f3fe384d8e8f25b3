"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

The layer runs once, without what is random or somebody else's, and one of its layers after the other, so that what
each of them put out is known. From that all steps of a gate are replayed at once, by a `CellTrace` (cell_trace.py) for
each layer and direction; a `GateTrace` (trace.py) holds them.

Time: the layer's own call, and row 0 of every layer replayed at once, so that a layer that computes otherwise is
refused here. All rows of a layer and direction are replayed, and compared, when one of its gates is looked at.

Memory: until then a trace holds x, each layer's output and a copy of the weights; looked at, each gate and state
once, K·R·N·L·(5D + H) elements for an LSTM (`GateTrace.bytes_formula`). With `grad=True` also what autograd keeps.

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab._calling import LayerInputs, Returned, State, X, arriving, call_plainly, read_inputs
from lstm_shapes.lab._private import FLAT_WEIGHTS, HOOKS, PRE_HOOKS
from lstm_shapes.language import say
from lstm_shapes.theory._given import Given, Lengths, takes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec, suffix

from .cell_trace import CellTrace, time_major
from .trace import GateTrace

__all__ = ["gates"]


@overload
def gates(
    source: nn.RNNBase | nn.RNNCellBase,
    /,
    x: X,
    state: State | None = None,
    lengths: Iterable[int] | None = None,
    *,
    grad: bool = False,
    lang: str | None = None,
) -> GateTrace: ...
@overload
def gates(
    source: nn.Module,
    /,
    x: object,
    state: object = None,
    lengths: Iterable[int] | None = None,
    *,
    layer: str = "",
    grad: bool = False,
    lang: str | None = None,
) -> GateTrace: ...
@takes(Lengths, x=True, numbers=False)
def gates(given: Given, *, grad: bool = False) -> GateTrace:
    """Every gate at every step: i, f, g, o, c, h (GRU r, z, n, h; RNN h), each (N, L, D) or (L, N, D).

    Recomputed from the layer's weights in torch's gate order, and compared with what the layer itself returns.

    Args:
        source: a torch layer, or a model whose recurrent layer is looked into
        x: what the layer is called with, a tensor or a PackedSequence; for a model, what the model is called with
        state: h0, or (h0, c0); zeros if left out
        lengths: steps of each row of x: the rows are packed
        grad: keep the graph, so that a gate can be differentiated with respect to x, the state and the weights
        lang: "en" or "ko", the language of its sentences; else that of LSTM_SHAPES_LANG, or of the locale if Korean
        layer: the name of the recurrent layer in a model that has several, such as "encoder.rnn"

    The layer is not touched: its training flag stays, no random number is drawn, and no hook fires but those of
    torch's that make the weights (weight_norm, prune). Dropout between layers cannot be recomputed. What was left out
    is left out on both sides, and `.note` says so.

    >>> trace = gates(nn.LSTM(3, 5, batch_first=True), torch.ones(2, 4, 3))
    >>> trace.f.axes
    (N=2, L=4, D=5)
    >>> trace[0].recurrent["f"].axes
    (N=2, L=4, D=5)
    >>> bool(((trace.f > 0) & (trace.f < 1)).all())
    True

    Raises: SpecError for another module; ShapeError for inputs that do not fit, and, with the residual, where the
    recomputation and the layer disagree beyond the tolerance (see cell_trace.py).
    """
    spec, layer = given.spec, given.layer
    if given.x is None:
        raise SpecError("x", "given, as in gates(layer, x)")
    weights = list(layer.parameters())
    if not weights or isinstance(layer, torch.jit.ScriptModule):
        raise SpecError("layer", "of torch.nn, with floating-point weights of its own", type(layer).__name__)
    if any(weight.device.type == "meta" for weight in weights):
        raise ShapeError("the layer", "on a device that computes numbers", got="meta", hint="build(…) makes one")
    if grad and torch.is_inference_mode_enabled():
        raise SpecError("grad", "False inside torch.inference_mode, which records no graph", grad)
    x, state = arriving(given)
    # Under autocast the layer would round where its own dtype does not; the trace is of the layer as it is.
    with torch.autocast(weights[0].device.type, enabled=False), torch.set_grad_enabled(grad):
        # Here, where a graph is recorded: to take names away is an operation like any other.
        inputs = read_inputs(layer, spec, x, state, given.lengths)
        # Copies of what the user could change later; a graph goes through them. Rows are packed anew.
        state = inputs.state and tuple(part.clone() for part in inputs.state)
        inputs = replace(inputs, X=inputs.X.clone(), packed=None, state=state)
        twin = _quiet(layer)
        cells = tuple(_cells(twin, spec, inputs, *_call_by_layer(twin, spec, inputs)))
        for cell in cells:
            _ = cell.first_row().replayed
    return GateTrace(spec, inputs.call, cells, _note(layer, spec))


def _note(layer: nn.Module, spec: Spec) -> str:
    """What the traced layer did not do as it would have."""
    said = []
    if layer.training and spec.dropout and spec.K > 1:
        said.append(say("left out dropout", dropout=f"{spec.dropout:g}"))
    if hooks := sum(not isinstance(hook, _MAKERS) for name in HOOKS for hook in getattr(layer, name).values()):
        said.append(say("left out hooks", hooks=hooks))
    return " ".join(said)


def _cells(
    twin: nn.Module, spec: Spec, inputs: LayerInputs, own: Returned, lower: Sequence[Tensor]
) -> Iterator[CellTrace]:
    """A trace of each layer and direction; a layer reads what the one below put out, and the top one put out Y."""
    call, mask = inputs.call, None
    top = own.finals[0] if own.Y is None else own.Y
    x, outputs = time_major(spec, call, inputs.X), (*lower, time_major(spec, call, top))
    if call.short:
        mask = torch.arange(call.L, device=x.device)[:, None] < torch.tensor(call.lengths, device=x.device)
        x = x.masked_fill(~mask[..., None], 0)  # whatever stands in the padding must not reach a gradient as 0·nan
    starts, ends = _by_cell(spec, call, own.starts), _by_cell(spec, call, own.finals)
    biases = ("bias_ih", "bias_hh") if spec.bias else ()
    parts = ("weight_ih", "weight_hh", *biases, *(("weight_hr",) if spec.P else ()))
    for k, output in enumerate(outputs):
        for r, half in enumerate(output.chunk(spec.R, dim=-1)):
            # Copies of the layer's own, which nobody changes; a graph goes through them.
            weights = {part: getattr(twin, part + suffix(spec, k, r)).clone() for part in parts}
            at = k * spec.R + r
            yield CellTrace(spec, call, k, r, weights, mask, x, starts[at], half, ends[at])
        x = output


def _by_cell(spec: Spec, call: Call, states: Sequence[Tensor]) -> tuple[dict[str, Tensor], ...]:
    """h and c of (K·R, N, ·), or what a cell or an unbatched call has in its place, as (1, N, ·) a `CellTrace`."""
    rows = [state.reshape(spec.K * spec.R, call.N or 1, -1).tensor_split(spec.K * spec.R) for state in states]
    return tuple(dict(zip(spec.kind.states, parts, strict=True)) for parts in zip(*rows, strict=True))


# ---- the layer's own call
# Hooks of torch's own that work the weights out before each call: without them a layer computes with old ones.
_MAKERS = (BasePruningMethod, SpectralNorm, WeightNorm)


def _quiet(layer: nn.Module) -> nn.Module:
    """The same layer in eval mode, with the hooks that make its weights and no others. The layer stays as it is."""
    twin: nn.Module = object.__new__(type(layer))
    own = {name: value.copy() if isinstance(value, dict) else value for name, value in vars(layer).items()}
    twin.__dict__.update(own, training=False)
    if hasattr(layer, FLAT_WEIGHTS):  # what a hook sets by name is entered there, too
        twin.__dict__[FLAT_WEIGHTS] = list(getattr(layer, FLAT_WEIGHTS))
    makers = {key: hook for key, hook in getattr(layer, PRE_HOOKS).items() if isinstance(hook, _MAKERS)}
    twin.__dict__.update({name: OrderedDict(makers if name == PRE_HOOKS else ()) for name in HOOKS})
    return twin


def _call_by_layer(twin: nn.Module, spec: Spec, inputs: LayerInputs) -> tuple[Returned, list[Tensor]]:
    """What a quiet layer returns, and what each of its layers but the top one put out, (L, N, R·H).

    Where a graph is recorded it goes through copies of the weights, and through kernels that can be differentiated in
    eval mode, and twice.
    """
    grad = torch.is_grad_enabled()

    def on_copies(*args: Any) -> Any:
        return functional_call(twin, {name: weight.clone() for name, weight in twin.named_parameters()}, args)

    with torch.backends.cudnn.flags(enabled=False) if grad and inputs.X.is_cuda else nullcontext():
        with _LayerByLayer() as kernel:
            own = call_plainly(on_copies if grad else twin, spec, inputs)
        if spec.K > 1 and len(kernel.outputs) != spec.K:  # a forward of its own, which calls no kernel
            with _LayerByLayer() as kernel:
                call_plainly(partial(getattr(nn, spec.cell).forward, twin), spec, inputs)
    lower, packed = kernel.outputs[: spec.K - 1], own.packed_X
    if packed is None:
        return own, [time_major(spec, inputs.call, output) for output in lower]
    order = (packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return own, [pad_packed_sequence(PackedSequence(data, *order), total_length=inputs.call.L)[0] for data in lower]


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
        if kwargs or getattr(func, "__name__", "") not in _KERNELS:
            return func(*args, **(kwargs or {}))
        # (input, hx, weights, …, batch_first), or (data, batch_sizes, hx, weights, …) where rows are packed.
        at = 2 if isinstance(args[3], (list, tuple)) else 1
        sequence, hx, weights = args[0], args[at], args[at + 1]
        bias, K, dropout, training, bidirectional, *layout = args[at + 2 :]
        states: Sequence[Tensor] = (hx,) if isinstance(hx, Tensor) else hx
        R, width = 1 + bidirectional, len(weights) // K
        finals = []
        for k in range(K):
            start = tuple(state[k * R : (k + 1) * R] for state in states)
            own = weights[k * width : (k + 1) * width]
            if own[0].is_cuda and not bias and K > 1:
                # Seeing layer 0's weights at the start of one piece, torch would hand cuDNN that piece: the weights
                # of layer 1 lie there where cuDNN looks for the biases of layer 0, which are to be zeros.
                own = [weight.clone() for weight in own]
            given = start[0] if isinstance(hx, Tensor) else start
            settings = (bias, 1, dropout, training, bidirectional, *layout)
            sequence, *final = func(sequence, *args[1:at], given, own, *settings)
            self.outputs.append(sequence)
            finals.append(final)
        return (sequence, *(torch.cat(parts) for parts in zip(*finals, strict=True)))
