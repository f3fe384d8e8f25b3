"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

The layer runs once, and what each of its layers put out is kept (_called.py). From that all steps of a gate are
replayed at once (_recurrence.py). A `GateTrace` (trace.py) holds a `CellTrace` for each layer and direction.

Time: the layer's own call, and row 0 of every layer replayed at once, so that a layer that computes otherwise is
refused here. All rows of a layer and direction are replayed, and compared, when one of its gates is looked at.

Memory: until then a trace holds x, each layer's output and a copy of the weights; looked at, each gate and state
once, K·R·N·L·(5D + H) elements for an LSTM (`GateTrace.bytes_formula`). With `grad=True` also what autograd keeps.

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import overload

import torch
from torch import Tensor, nn

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab._calling import Inputs, Returned, State, X, arriving, read_inputs
from lstm_shapes.language import say
from lstm_shapes.theory._given import Given, Lengths, takes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.spec import Spec

from ._called import call_by_layer, left_out, quiet
from ._recurrence import GateWeights
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
    device = _device(layer, grad)
    x, state = arriving(given)
    # Under autocast the layer would round where its own dtype does not; the trace is of the layer as it is.
    with torch.autocast(device.type, enabled=False), torch.set_grad_enabled(grad):
        # Here, where a graph is recorded: to take names away is an operation like any other.
        inputs = _copied(read_inputs(layer, spec, x, state, given.lengths))
        mask = _mask(inputs.call, device)
        twin = quiet(layer)
        own, lower = call_by_layer(twin, spec, inputs)
        cells = _cells(twin, spec, inputs, own, lower, mask)
        for cell in cells:
            _ = cell.first_row().replayed
    return GateTrace(
        spec=spec,
        call=inputs.call,
        cells=cells,
        device=str(device),
        dtype=dtype_name(inputs.X.dtype),
        note=_note(layer, spec),
        mask=mask,
    )


def _device(layer: nn.Module, grad: bool) -> torch.device:
    """Where the layer is, if it can be traced there."""
    weights = list(layer.parameters())
    if not weights or isinstance(layer, torch.jit.ScriptModule):
        raise SpecError("layer", "of torch.nn, with floating-point weights of its own", type(layer).__name__)
    if any(weight.device.type == "meta" for weight in weights):
        raise ShapeError("the layer", "on a device that computes numbers", got="meta", hint="build(…) makes one")
    if grad and torch.is_inference_mode_enabled():
        raise SpecError("grad", "False inside torch.inference_mode, which records no graph", grad)
    return weights[0].device


def _note(layer: nn.Module, spec: Spec) -> str:
    """What the traced layer did not do as it would have."""
    said, hooks = [], left_out(layer)
    if layer.training and spec.dropout and spec.K > 1:
        said.append(say("left out dropout", dropout=f"{spec.dropout:g}"))
    if hooks:
        said.append(say("left out hooks", hooks=hooks))
    return " ".join(said)


def _copied(inputs: Inputs) -> Inputs:
    """With copies of what the user could change later; a graph goes through them. Rows are packed anew."""
    state = inputs.state and tuple(part.clone() for part in inputs.state)
    return replace(inputs, X=inputs.X.clone(), packed=None, state=state)


def _mask(call: Call, device: torch.device) -> Tensor | None:
    """(L, N), true where a row has a step; None where all have."""
    if not call.short:
        return None
    return torch.arange(call.L, device=device)[:, None] < torch.tensor(call.lengths, device=device)


def _cells(
    twin: nn.Module, spec: Spec, inputs: Inputs, own: Returned, lower: Sequence[Tensor], mask: Tensor | None
) -> tuple[CellTrace, ...]:
    """A trace of each layer and direction; a layer reads what the one below put out, and the top one put out Y."""
    call = inputs.call
    top = own.finals[0] if own.Y is None else own.Y
    x, outputs = time_major(spec, call, inputs.X), (*lower, time_major(spec, call, top))
    if mask is not None:  # whatever stands in the padding, it must not reach a gradient as 0·nan
        x = x.masked_fill(~mask[..., None], 0)
    starts, ends = _by_cell(spec, call, own.starts), _by_cell(spec, call, own.finals)
    cells = []
    for k, output in enumerate(outputs):
        for r, half in enumerate(output.chunk(spec.R, dim=-1)):
            at, weights = k * spec.R + r, GateWeights.of(twin, spec, k, r)
            cells.append(CellTrace(spec, call, k, r, weights, mask, x, starts[at], half, ends[at]))
        x = output
    return tuple(cells)


def _by_cell(spec: Spec, call: Call, states: Sequence[Tensor]) -> tuple[dict[str, Tensor], ...]:
    """h and c of (K·R, N, ·), or what a cell or an unbatched call has in its place, as (N, ·) a layer and direction."""
    rows = [state if call.batched else state.unsqueeze(-2) for state in states]
    apart = [(row,) if spec.kind.step else row.unbind(0) for row in rows]
    return tuple(dict(zip(spec.kind.states, parts, strict=True)) for parts in zip(*apart, strict=True))
