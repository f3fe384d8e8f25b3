"""gates: every gate of a layer at every step, recomputed from its own weights and held against its own outputs.

The layer runs once, and its answer of each layer is kept (layer_call.py). From that all steps of a gate can be
replayed at once; with a graph they are unrolled step by step (recurrence.py). A `GateTrace` (trace.py) holds a
`CellTrace` for each layer and direction.

Time: the layer's own call, and row 0 of every layer replayed at once, so that a layer that computes otherwise is
refused here. All rows of a layer and direction are replayed, and compared, when one of its gates is looked at.

Memory: until then a trace holds x, each layer's output and a copy of the weights; looked at, each gate and state
once, K·R·N·L·(5D + H) elements for an LSTM (`GateTrace.bytes_formula`). With `grad=True` all of it at once, and what
autograd keeps, about three times as much.

Source: RNNBase.forward and the "Variables" sections of LSTM, GRU and RNN in `torch/nn/modules/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab._calling import Inputs, Returned, State, X, arriving, call_plainly, read_inputs
from lstm_shapes.language import say
from lstm_shapes.theory._given import Given, Lengths, takes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.spec import Spec

from ._layer_call import LayerByLayer, left_out, make_weights, quiet
from ._recurrence import GateWeights, unroll
from .cell_trace import CellTrace, Replayed, agree, tolerance_of
from .trace import GateTrace, outputs

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
        inputs = read_inputs(layer, spec, x, state, given.lengths)
        twin = quiet(layer)
        with torch.no_grad(), LayerByLayer() as kernel:
            own = call_plainly(twin, spec, inputs)
        if grad:
            make_weights(twin)
        weights = (GateWeights.of(twin, spec, k, r) for k in range(spec.K) for r in range(spec.R))
        called = _Called.of(spec, inputs, own, [part.copied() for part in weights])
        cells = called.replayable(kernel.outputs)
        for cell in cells:
            _ = cell.replayed if grad else cell.first_row().replayed
        if grad:
            cells = called.unrolled()
    return GateTrace(
        spec=spec,
        call=inputs.call,
        cells=cells,
        device=str(device),
        dtype=dtype_name(inputs.X.dtype),
        note=_note(layer, spec, cells),
        mask=called.mask,
    )


def _device(layer: nn.Module, grad: bool) -> torch.device:
    """Where the layer is, if it can be traced there.

    Raises: SpecError, ShapeError for one that holds no numbers, or none that anybody can recompute with.
    """
    weights = list(layer.parameters())
    if not weights or isinstance(layer, torch.jit.ScriptModule):
        raise SpecError("layer", "of torch.nn, with floating-point weights of its own", type(layer).__name__)
    if any(weight.device.type == "meta" for weight in weights):
        raise ShapeError("the layer", "on a device that computes numbers", got="meta", hint="build(…) makes one")
    if grad and torch.is_inference_mode_enabled():
        raise SpecError("grad", "False inside torch.inference_mode, which records no graph", grad)
    return weights[0].device


def _note(layer: nn.Module, spec: Spec, cells: Sequence[CellTrace]) -> str:
    """What the traced layer did not do as it would have."""
    said = []
    if layer.training and spec.dropout and spec.K > 1:
        said.append(say("left out dropout", dropout=f"{spec.dropout:g}"))
    hooks = left_out(layer)
    if hooks:
        said.append(say("left out hooks", hooks=hooks))
    unrolled = cells[0].unrolled
    if unrolled is not None and unrolled.residual > (plain_tolerance := tolerance_of(cells[0].x)):
        said.append(say("rounding grew", residual=f"{unrolled.residual:.1e}", tolerance=f"{plain_tolerance:.0e}"))
    return " ".join(said)


@dataclass(frozen=True, slots=True, eq=False)
class _Called:
    """A call that was made, time-major: X is (L, N, Q), and each layer and direction has a place in the rest."""

    spec: Spec
    call: Call
    own: Returned
    X: Tensor
    mask: Tensor | None
    weights: tuple[GateWeights, ...]
    starts: tuple[dict[str, Tensor], ...]

    @classmethod
    def of(cls, spec: Spec, inputs: Inputs, own: Returned, weights: Sequence[GateWeights]) -> _Called:
        """With copies of what the user could change later; a graph goes through a copy."""
        call = inputs.call
        mask = None
        if call.short:
            device = inputs.X.device
            mask = torch.arange(call.L, device=device)[:, None] < torch.tensor(call.lengths, device=device)
        X = _time_major(spec, call, inputs.X.clone())
        if mask is not None:  # whatever stands in the padding, it must not reach a gradient as 0·nan
            X = X.masked_fill(~mask[..., None], 0)
        starts = _by_cell(spec, call, [start.clone() for start in own.starts])
        return cls(spec, call, own, X, mask, tuple(weights), starts)

    def replayable(self, kept: Sequence[Tensor]) -> tuple[CellTrace, ...]:
        """Traces that are worked out later. `kept` is each layer's output, as torch's kernel returned it."""
        spec, packed = self.spec, self.own.packed_X
        if len(kept) != spec.K and spec.K > 1:  # a forward of its own, which calls no kernel
            with torch.no_grad():
                return self._cells(self._layer_outputs(self._unroll()))
        lower = kept[: spec.K - 1]
        if packed is None:
            return self._cells([output.transpose(0, 1) if spec.batch_first else output for output in lower])
        order = (packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        padded = (pad_packed_sequence(PackedSequence(data, *order), total_length=self.call.L) for data in lower)
        return self._cells([output for output, _ in padded])

    def unrolled(self) -> tuple[CellTrace, ...]:
        """Traces with a graph, worked out step by step; Y, hn and cn are held against the layer's own."""
        values = self._unroll()
        cells = self._cells(self._layer_outputs(values))
        names = ("Y", *(f"{name}n" for name in self.spec.kind.states))
        theirs = dict(zip(names, (self.own.Y, *self.own.finals), strict=True))

        def exact() -> dict[str, Tensor]:
            with torch.no_grad():
                return outputs(cells, self._unroll(torch.float64))

        found = {name: tensor.detach() for name, tensor in outputs(cells, values).items()}
        agreement = agree(found, {name: theirs[name] for name in found}, exact)  # type: ignore[misc]
        return tuple(replace(cell, unrolled=Replayed(one, *agreement)) for cell, one in zip(cells, values, strict=True))

    def _unroll(self, dtype: torch.dtype | None = None) -> list[dict[str, Tensor]]:
        wanted = dtype or self.X.dtype
        starts = [{name: state.to(wanted) for name, state in start.items()} for start in self.starts]
        return unroll(self.spec, self.weights, self.X.to(wanted), starts, self.mask)

    def _layer_outputs(self, values: Sequence[dict[str, Tensor]]) -> list[Tensor]:
        """What each layer but the top one put out, (L, N, R·H)."""
        K, R = self.spec.K, self.spec.R
        halves = [one["h"] for one in values]
        return [torch.cat(halves[k * R : (k + 1) * R], dim=-1) for k in range(K - 1)]

    def _cells(self, lower: Sequence[Tensor]) -> tuple[CellTrace, ...]:
        """A trace of each layer and direction; a layer reads what the one below put out, and the top one put out Y."""
        spec, call, own = self.spec, self.call, self.own
        top = _time_major(spec, call, own.finals[0] if own.Y is None else own.Y)
        ends = _by_cell(spec, call, own.finals)
        cells = []
        for k, (x, output) in enumerate(zip((self.X, *lower), (*lower, top), strict=True)):
            for r, half in enumerate(output.chunk(spec.R, dim=-1)):
                at = k * spec.R + r
                facts = (self.weights[at], self.mask, x, self.starts[at], half, ends[at])
                cells.append(CellTrace(spec, call, k, r, *facts))
        return tuple(cells)


def _time_major(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """X or Y of the user's layout as (L, N, ·)."""
    if spec.kind.step:
        tensor = tensor.unsqueeze(0)
    if not call.batched:
        return tensor.unsqueeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def _by_cell(spec: Spec, call: Call, states: Sequence[Tensor]) -> tuple[dict[str, Tensor], ...]:
    """h and c of (K·R, N, ·), or what a cell or an unbatched call has in its place, as (N, ·) a layer and direction."""
    rows = [state if call.batched else state.unsqueeze(-2) for state in states]
    apart = [(row,) if spec.kind.step else row.unbind(0) for row in rows]
    return tuple(dict(zip(spec.kind.states, parts, strict=True)) for parts in zip(*apart, strict=True))
