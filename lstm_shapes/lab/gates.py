"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

The layer runs once, and its answer of each layer is kept (layer_by_layer.py). From that all steps of a gate can be
replayed at once (replay.py); with a graph they are unrolled step by step (unroll.py).

Time: the layer's own call, and row 0 of every layer replayed at once, so that a layer that computes otherwise is
refused here. All rows of a layer and direction are replayed, and compared, when one of its gates is looked at.

Memory: until then a trace holds x, each layer's output and a copy of the weights; looked at, each gate and state
once, K·R·N·L·(5D + H) elements for an LSTM (`GateTrace.bytes_formula`). With `grad=True` all of it at once, and what
autograd keeps, about three times as much.

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.spec import Spec

from .agreement import agree
from .cell_trace import CellTrace, Replayed
from .gate_trace import GateTrace, outputs
from .gate_weights import GateWeights
from .inputs import read_inputs
from .layer_by_layer import LayerByLayer, quiet
from .run import Run, run
from .tensors import AnnotatedTensor
from .unroll import unroll

__all__ = ["gates"]


def gates(
    layer: nn.Module, x: Any, state: Any = None, lengths: Iterable[int] | None = None, *, grad: bool = False
) -> GateTrace:
    """Every gate at every step: i, f, g, o, c, h (GRU r, z, n, h; RNN h), each (N, L, D) or (L, N, D).

    Recomputed from the layer's weights in torch's gate order, and compared with what the layer itself returns.
    `state` is h0, or (h0, c0); `lengths` packs padded rows; a PackedSequence is taken as well. `grad=True` keeps
    the graph, so that a gate can be differentiated with respect to x, the state and the weights.

    The layer is not touched: hooks do not fire, its training flag stays, no random number is drawn. Dropout
    between layers cannot be recomputed, so it is left out on both sides, and `.note` says so.

    >>> trace = gates(nn.LSTM(3, 5, batch_first=True), torch.ones(2, 4, 3))
    >>> trace.f.axes
    (N=2, L=4, D=5)
    >>> trace[0].recurrent["f"].axes
    (N=2, L=4, D=5)
    >>> bool(((trace.f > 0) & (trace.f < 1)).all())
    True

    Raises: SpecError for another module; ShapeError for inputs that do not fit, and, with the residual, where the
    recomputation and the layer disagree beyond the tolerance (see agreement.py).
    """
    spec = Spec.of(layer)
    if any(parameter.device.type == "meta" for parameter in layer.parameters()):
        raise ShapeError("the layer", "on a device that computes numbers", got="meta", hint="build(…) makes one")
    device = next(layer.parameters()).device
    # Under autocast the layer would round where its own dtype does not; the trace is of the layer as it is.
    with torch.autocast(device.type, enabled=False), torch.set_grad_enabled(grad):
        with torch.no_grad(), LayerByLayer() as kernel:
            own = run(quiet(layer), x, state=state, lengths=lengths)
        mask = _mask(own.call, device)
        weights = [GateWeights.of(layer, spec, k, r) for k in range(spec.K) for r in range(spec.R)]
        if grad:
            again = read_inputs(spec, x, None if isinstance(x, PackedSequence) else own.call.lengths)
            X = _real_X(spec, own.call, again.X, mask)
            cells = _with_graph(own, X, mask, weights, _starts(own, _own_states(own, "0") if state is None else state))
        else:
            X = _real_X(spec, own.call, own.X.plain().clone(), mask)
            starts = _starts(own, tuple(part.clone() for part in _own_states(own, "0")))
            below = [X, *_lower_outputs(own, kernel.outputs, weights, X, starts, mask)]
            cells = _cells(own, mask, [part.copied() for part in weights], below, starts)
            for cell in cells:
                _ = cell.first_row().replayed
    return GateTrace(
        spec=spec,
        call=own.call,
        cells=cells,
        device=str(device),
        dtype=dtype_name(own.X.dtype),
        note=_dropout_note(layer, spec),
        mask=mask,
    )


def _dropout_note(layer: nn.Module, spec: Spec) -> str:
    if layer.training and spec.dropout and spec.K > 1:
        return f"dropout={spec.dropout:g} between layers was left out: it is random. These are eval() numbers."
    return ""


def _mask(call: Call, device: torch.device) -> Tensor | None:
    """(L, N), true where a row still has a step; None where all have all."""
    if call.lengths is None or min(call.lengths) == call.L:
        return None
    return torch.arange(call.L, device=device)[:, None] < torch.tensor(call.lengths, device=device)


def _real_X(spec: Spec, call: Call, X: Tensor, mask: Tensor | None) -> Tensor:
    """X as (L, N, Q), padding set to 0: whatever stands there, it must not reach a gradient as 0·nan."""
    X = _time_major(spec, call, X)
    return X if mask is None else X.masked_fill(~mask[..., None], 0)


def _time_major(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """X or Y of the user's layout as (L, N, ·)."""
    if spec.kind.step:
        tensor = tensor.unsqueeze(0)
    if not call.batched:
        return tensor.unsqueeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def _own_states(own: Run, when: str) -> tuple[Tensor, ...]:
    """h0 and c0, or hn and cn, those that there are."""
    return tuple(getattr(own, f"{name}{when}").plain() for name in own.spec.kind.states)


def _starts(own: Run, state: Any) -> list[dict[str, Tensor]]:
    """A state as the layer takes it, (h0, c0) or h0, as one (N, ·) of each name for each layer and direction."""
    parts = state if isinstance(state, (tuple, list)) else (state,)
    rows = [_by_cell(own, part.plain() if isinstance(part, AnnotatedTensor) else part) for part in parts]
    return [dict(zip(own.spec.kind.states, states, strict=True)) for states in zip(*rows, strict=True)]


def _by_cell(own: Run, state: Tensor) -> tuple[Tensor, ...]:
    """(K·R, N, ·), or what a cell or an unbatched call has in its place, as one (N, ·) a layer and direction."""
    if not own.call.batched:
        state = state.unsqueeze(-2)
    return (state,) if own.spec.kind.step else state.unbind(0)


def _lower_outputs(
    own: Run,
    kept: Sequence[Tensor],
    weights: Sequence[GateWeights],
    X: Tensor,
    starts: Sequence[dict[str, Tensor]],
    mask: Tensor | None,
) -> list[Tensor]:
    """What each layer but the top one put out, (L, N, R·H)."""
    spec = own.spec
    if spec.K == 1:
        return []
    if len(kept) != spec.K:  # a forward of its own, which calls no kernel of torch's
        found = [values["h"] for values in unroll(spec, weights, X, starts, mask)]
        return [torch.cat(found[k * spec.R : (k + 1) * spec.R], dim=-1) for k in range(spec.K - 1)]
    packed = own.packed_X
    if packed is None:
        return [output.transpose(0, 1) if spec.batch_first else output for output in kept[:-1]]
    order = (packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return [pad_packed_sequence(PackedSequence(data, *order), total_length=own.call.L)[0] for data in kept[:-1]]


def _cells(
    own: Run,
    mask: Tensor | None,
    weights: Sequence[GateWeights],
    below: Sequence[Tensor],
    starts: Sequence[dict[str, Tensor]],
) -> tuple[CellTrace, ...]:
    """A trace of each layer and direction; layer k reads `below[k]` and put out `below[k + 1]`, the top one Y."""
    spec = own.spec
    top = _time_major(spec, own.call, own.hn.plain() if own.Y is None else own.Y.plain())
    ends = [_by_cell(own, state) for state in _own_states(own, "n")]
    cells = []
    for k, (x, output) in enumerate(zip(below, (*below[1:], top), strict=True)):
        for r, half in enumerate(output.chunk(spec.R, dim=-1)):
            at = k * spec.R + r
            end = {name: rows[at] for name, rows in zip(spec.kind.states, ends, strict=True)}
            cells.append(CellTrace(spec, own.call, k, r, weights[at], mask, x, starts[at], half, end))
    return tuple(cells)


def _with_graph(
    own: Run, X: Tensor, mask: Tensor | None, weights: Sequence[GateWeights], starts: Sequence[dict[str, Tensor]]
) -> tuple[CellTrace, ...]:
    """Every step unrolled, and Y, hn and cn held against the layer's own."""
    spec, R = own.spec, own.spec.R
    values = unroll(spec, weights, X, starts, mask)
    layers = [torch.cat([half["h"] for half in values[k * R : (k + 1) * R]], dim=-1) for k in range(spec.K - 1)]
    cells = _cells(own, mask, weights, [X, *layers], starts)
    found = {name: tensor.detach() for name, tensor in outputs(cells, values).items()}
    theirs = {name: getattr(own, name).plain() for name in found}

    def exact() -> dict[str, Tensor]:
        with torch.no_grad():
            wide = [{name: part.double() for name, part in start.items()} for start in starts]
            return outputs(cells, unroll(spec, weights, X.double(), wide, mask))

    agreement = agree(found, theirs, exact)
    pairs = zip(cells, values, strict=True)
    return tuple(replace(cell, unrolled=Replayed(one, *agreement)) for cell, one in pairs)
