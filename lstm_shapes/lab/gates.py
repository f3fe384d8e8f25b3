"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

Without a graph all steps are done at once (replay.py), with one they are unrolled (unroll.py).

Memory: the result holds each gate and state once, K·R·N·L·(5D + H) elements for an LSTM
(`GateTrace.bytes_formula`). The layer's own Y comes on top while they are compared, and with `grad=True` what
autograd keeps, about three times as much.

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.spec import Spec

from .agreement import agree
from .gate_trace import CellTrace, GateTrace
from .inputs import Inputs, read_inputs
from .replay import replay
from .run import Run, run
from .tensors import AnnotatedTensor, annotate
from .trajectory import quiet, trajectory
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
    with torch.autocast(device.type, enabled=False):
        with torch.no_grad():
            own = run(quiet(layer), x, state=state, lengths=lengths)
        inputs = read_inputs(spec, x, lengths)
        if grad:
            with torch.enable_grad():
                cells = _unrolled(layer, spec, read_inputs(spec, x, lengths), _starts(own, state))
                outputs = _outputs(spec, inputs, cells)
            residual, tolerance = _compare_outputs(layer, spec, inputs, own, outputs)
        else:
            with torch.no_grad():
                cells, residual, tolerance = _replayed(layer, spec, inputs, own)
                outputs = _outputs(spec, inputs, cells)
    named = {name: annotate(tensor, getattr(own, name).axes) for name, tensor in outputs.items()}
    return GateTrace(
        spec=spec,
        call=inputs.call,
        cells=cells,
        Y=named.get("Y"),
        hn=named["hn"],
        cn=named.get("cn"),
        residual=residual,
        tolerance=tolerance,
        device=str(device),
        dtype=dtype_name(inputs.X.dtype),
        note=_dropout_note(layer, spec),
        mask=_mask(inputs),
    )


def _dropout_note(layer: nn.Module, spec: Spec) -> str:
    if layer.training and spec.dropout and spec.K > 1:
        return f"dropout={spec.dropout:g} between layers was left out: it is random. These are eval() numbers."
    return ""


def _starts(own: Run, state: Any) -> tuple[Tensor, ...]:
    """h0 (and c0) as (K·R, N, ·): the user's own tensors where given, so that gradients reach them."""
    found = own.h0 if own.c0 is None else (own.h0, own.c0)
    given = found if state is None else state
    parts = given if isinstance(given, (tuple, list)) else (given,)
    plain = [part.plain() if isinstance(part, AnnotatedTensor) else part for part in parts]
    if not own.call.batched:
        plain = [part.unsqueeze(-2) for part in plain]
    return tuple(part.unsqueeze(0) if own.spec.kind.step else part for part in plain)


def _mask(inputs: Inputs) -> Tensor | None:
    """(L, N), true where a row still has a step; None where all have all."""
    lengths, L = inputs.call.lengths, inputs.call.L
    if lengths is None or min(lengths) == L:
        return None
    device = inputs.X.device
    return torch.arange(L, device=device)[:, None] < torch.tensor(lengths, device=device)


def _time_major(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """X or Y of the user's layout as (L, N, ·)."""
    if spec.kind.step:
        tensor = tensor.unsqueeze(0)
    if not call.batched:
        return tensor.unsqueeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def _real_X(spec: Spec, inputs: Inputs) -> Tensor:
    """X as (L, N, Q), padding set to 0: whatever stands there, it must not reach a gradient as 0·nan."""
    X, mask = _time_major(spec, inputs.call, inputs.X), _mask(inputs)
    return X if mask is None else X.masked_fill(~mask[..., None], 0)


def _unrolled(layer: nn.Module, spec: Spec, inputs: Inputs, starts: Sequence[Tensor]) -> tuple[CellTrace, ...]:
    return unroll(layer, spec, inputs.call, _real_X(spec, inputs), starts, _mask(inputs))


def _replayed(layer: nn.Module, spec: Spec, inputs: Inputs, own: Run) -> tuple[tuple[CellTrace, ...], float, float]:
    """The trace, the residual and what was allowed."""
    starts, mask, X = _starts(own, None), _mask(inputs), _real_X(spec, inputs)
    top = _time_major(spec, inputs.call, own.hn.plain() if own.Y is None else own.Y.plain())
    outputs = trajectory(layer, spec, X, own.packed_X, starts, top)
    cells: tuple[CellTrace, ...] = ()
    for k, (below, output) in enumerate(zip((X, *outputs), outputs, strict=False)):
        cells += replay(layer, spec, inputs.call, k, below, starts, mask, output)
    return cells, *_compare_cells(spec, inputs, own, cells, outputs)


def _compare_cells(
    spec: Spec, inputs: Inputs, own: Run, cells: Sequence[CellTrace], outputs: Sequence[Tensor]
) -> tuple[float, float]:
    """h of every layer at every step, and the last states of all."""
    ours = {f"h of layer {c.layer}, direction {c.direction}": c.values["h"] for c in cells}
    halves = [half for output in outputs for half in output.chunk(spec.R, dim=-1)]
    theirs = dict(zip(ours, halves, strict=True))
    finals = _outputs(spec, inputs, cells)
    for name in finals.keys() - {"Y"}:
        ours[name], theirs[name] = finals[name], getattr(own, name).plain()
    return agree(ours, theirs)


def _outputs(spec: Spec, inputs: Inputs, cells: Sequence[CellTrace]) -> dict[str, Tensor]:
    """Y, hn and cn read off the trace: the top row, and the last computed step of every row."""
    call = inputs.call
    finals = {name: torch.stack([_last(cell, name) for cell in cells]) for name in spec.kind.states}
    if not call.batched:
        finals = {name: final.squeeze(1) for name, final in finals.items()}
    if spec.kind.step:
        return {f"{name}n": final.squeeze(0) for name, final in finals.items()}
    Y = torch.cat([cell.values["h"] for cell in cells[-spec.R :]], dim=-1) if spec.R > 1 else cells[-1].values["h"]
    if not call.batched:
        Y = Y.squeeze(1)
    elif spec.batch_first:
        Y = Y.transpose(0, 1)
    return {"Y": Y, **{f"{name}n": final for name, final in finals.items()}}


def _last(cell: CellTrace, name: str) -> Tensor:
    """The state after the step that a direction computes last: of each row its own."""
    values, lengths = cell.values[name], cell.call.lengths
    if cell.reverse or lengths is None:
        return values[0 if cell.reverse else -1]
    ends = torch.tensor(lengths, device=values.device) - 1
    return values[ends, torch.arange(len(lengths), device=values.device)]


def _compare_outputs(
    layer: nn.Module, spec: Spec, inputs: Inputs, own: Run, outputs: dict[str, Tensor]
) -> tuple[float, float]:
    """The residual of Y, hn and cn and what was allowed."""
    theirs = {name: getattr(own, name).plain() for name in outputs}

    def exact() -> dict[str, Tensor]:
        with torch.no_grad():
            X, starts = _real_X(spec, inputs).double(), tuple(start.double() for start in _starts(own, None))
            return _outputs(spec, inputs, unroll(layer, spec, inputs.call, X, starts, _mask(inputs)))

    return agree({name: tensor.detach() for name, tensor in outputs.items()}, theirs, exact)
