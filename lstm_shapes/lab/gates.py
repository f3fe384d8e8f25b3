"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

The input's contribution to all steps is one matrix product, so a step costs one product with W_hh and the
elementwise work of its cell. An `nn.LSTMCell` loop does two products a step.

Memory: the result holds K·R·N·L·(2·G·D + …) elements (`GateTrace.bytes_formula`); while one direction is stacked
its largest tensor exists twice, and each layer above the first of a bidirectional one reads a copy of (L, N, 2H).

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..errors import ShapeError
from ..theory.call import dtype_name
from ..theory.cells import CELLS
from ..theory.spec import Spec
from .agreement import agree
from .gate_trace import CellTrace, GateTrace
from .inputs import Inputs, read_inputs
from .run import Run, run
from .steps import STEPS
from .tensors import AnnotatedTensor, annotate

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
        inputs = read_inputs(spec, x, lengths)
        with torch.no_grad():
            own = run(_quiet(layer), x, state=state, lengths=lengths)
        cells = _unroll_all(layer, spec, inputs, _starts(own, state))
        outputs = _outputs(spec, inputs, cells)
        residual, tolerance = _compare(layer, spec, inputs, own, outputs)
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


def _quiet(layer: nn.Module) -> nn.Module:
    """The same layer without hooks and dropout: a shallow copy that shares the weights."""
    twin = copy.copy(layer)
    twin.__dict__["training"] = False
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        twin.__dict__[name] = OrderedDict()
    return twin


def _dropout_note(layer: nn.Module, spec: Spec) -> str:
    if layer.training and spec.dropout and spec.K > 1:
        return f"dropout={spec.dropout:g} between layers was left out: it is random. These are eval() numbers."
    return ""


@dataclass(frozen=True, slots=True)
class _Weights:
    """The parameters of one direction of one layer; None for what it does not have."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    hr: Tensor | None

    @classmethod
    def of(cls, layer: nn.Module, spec: Spec, k: int, r: int) -> _Weights:
        suffix = "" if spec.kind.step else f"_l{k}" + ("_reverse" if r else "")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        has = (True, True, spec.bias, spec.bias, bool(spec.P))
        return cls(*(getattr(layer, name + suffix) if here else None for name, here in zip(names, has, strict=True)))

    def double(self) -> _Weights:
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return _Weights(*(None if tensor is None else tensor.double() for tensor in every))  # type: ignore[arg-type]


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


def _time_major(spec: Spec, inputs: Inputs) -> Tensor:
    """X as (L, N, Q), padding set to 0: whatever stands there, it must not reach a gradient as 0·nan."""
    X = inputs.X
    if spec.kind.step:
        X = X.unsqueeze(0)
    if not inputs.call.batched:
        X = X.unsqueeze(-2)
    elif spec.batch_first and not spec.kind.step:
        X = X.transpose(0, 1)
    mask = _mask(inputs)
    return X if mask is None else X.masked_fill(~mask[..., None], 0)


def _unroll_all(
    layer: nn.Module, spec: Spec, inputs: Inputs, starts: Sequence[Tensor], *, double: bool = False
) -> tuple[CellTrace, ...]:
    """Every layer and direction, bottom first, forward first: torch's own order."""
    below, mask = _time_major(spec, inputs), _mask(inputs)
    if double:
        below, starts = below.double(), [start.double() for start in starts]
    cells: list[CellTrace] = []
    for k in range(spec.K):
        row = []
        for r in range(spec.R):
            weights = _Weights.of(layer, spec, k, r)
            start = {name: states[k * spec.R + r] for name, states in zip(spec.kind.states, starts, strict=True)}
            values, parts = _unroll(spec, weights.double() if double else weights, below, start, mask, reverse=bool(r))
            row.append(CellTrace(spec, inputs.call, k, r, below, start, values, parts))
        cells += row
        below = torch.cat([cell.values["h"] for cell in row], dim=-1) if spec.R > 1 else row[0].values["h"]
    return tuple(cells)


def _unroll(
    spec: Spec, weights: _Weights, x: Tensor, start: dict[str, Tensor], mask: Tensor | None, *, reverse: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One direction of one layer over all steps: the named values and the two contributions, all (L, N, ·)."""
    step, nonlinearity = STEPS[spec.kind.layer], spec.nonlinearity
    product = linear(x, weights.ih, weights.b_ih)  # of all steps at once
    L = x.shape[0]
    history: dict[str, list[Tensor]] = {"recurrent": [], **{name: [] for name, _ in spec.kind.equations}}
    before = tuple(start.values())
    partial = set() if mask is None else set(torch.nonzero(~mask.all(dim=1)).flatten().tolist())
    for t in range(L - 1, -1, -1) if reverse else range(L):
        recurrent = linear(before[0], weights.hh, weights.b_hh)
        values = step(product[t], recurrent, before, nonlinearity)
        if weights.hr is not None:
            values["h"] = linear(values["h"], weights.hr)
        history["recurrent"].append(recurrent)
        for name, value in values.items():
            history[name].append(value)
        after = tuple(values[name] for name in start)
        if t in partial and mask is not None:
            # A row that has ended keeps its state; one that reads backwards has not begun.
            here = mask[t][:, None]
            after = tuple(torch.where(here, new, old) for new, old in zip(after, before, strict=True))
        before = after
    stacked = {}
    for name in list(history):
        tensors = history.pop(name)  # freed before the next is stacked
        stacked[name] = torch.stack(tensors[::-1] if reverse else tensors)
    stacked["input"] = product
    if mask is not None:
        stacked = {name: tensor.masked_fill(~mask[..., None], 0) for name, tensor in stacked.items()}
    parts = {name: stacked.pop(name) for name in ("input", "recurrent")}
    return stacked, parts


def _outputs(spec: Spec, inputs: Inputs, cells: Sequence[CellTrace]) -> dict[str, Tensor]:
    """Y, hn and cn read off the trace: the top row, and the last computed step of every row."""
    call = inputs.call
    N = call.N or 1
    rows = torch.arange(N, device=inputs.X.device)
    ends = torch.tensor(call.lengths or (call.L,) * N, device=inputs.X.device) - 1
    finals = {
        name: torch.stack([c.values[name][0] if c.reverse else c.values[name][ends, rows] for c in cells])
        for name in spec.kind.states
    }
    if not call.batched:
        finals = {name: final.squeeze(1) for name, final in finals.items()}
    if spec.kind.step:
        return {f"{name}n": final.squeeze(0) for name, final in finals.items()}
    Y = torch.cat([cell.values["h"] for cell in cells[-spec.R :]], dim=-1)
    if not call.batched:
        Y = Y.squeeze(1)
    elif spec.batch_first:
        Y = Y.transpose(0, 1)
    return {"Y": Y, **{f"{name}n": final for name, final in finals.items()}}


def _compare(
    layer: nn.Module, spec: Spec, inputs: Inputs, own: Run, outputs: dict[str, Tensor]
) -> tuple[float, float]:
    """The residual and what was allowed, or a ShapeError."""
    theirs = {name: getattr(own, name).plain() for name in outputs}

    def exact() -> dict[str, Tensor]:
        with torch.no_grad():
            starts = _starts(own, None)
            return _outputs(spec, inputs, _unroll_all(layer, spec, inputs, starts, double=True))

    return agree({name: tensor.detach() for name, tensor in outputs.items()}, theirs, exact)


assert {kind.layer for kind in CELLS.values()} == set(STEPS), "a row of theory/cells.py has no function in steps.py"
