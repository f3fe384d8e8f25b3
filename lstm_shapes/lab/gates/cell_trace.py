"""CellTrace: the gates of one direction of one layer, worked out and proved when it is first read.

A layer that has run has given away its h at every step, so the recurrent contribution to all steps is one matrix
product, like the input's, and all gates follow elementwise; only the cell state is summed step by step. Where the h
so computed is the layer's own at every step, then by induction the layer computes by these equations. A graph runs
through the layer's own h, too, so a gate's gradients are those of the layer.

The layer does the same sums in another order, so both differ by rounding: a few units in the last place of each step,
from the same state before it. The tolerance, relative to max(1, |value|), is that of laws (theory/laws.py).

Source: the equations of the LSTM, GRU and RNN sections in `torch/nn/modules/rnn.py`, as theory/symbols.py writes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab._build import precision_of
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.language import language
from lstm_shapes.theory._contract import layouts
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.laws import TOLERANCES
from lstm_shapes.theory.spec import Spec

Values = dict[str, Tensor]

# Elements of one block's gates, about 1 MiB in float32. First contact with memory is the dearest part of a small
# step, so what need not be kept is kept small enough to be used again.
_BLOCK = 2**18


# Each gate and state of some steps, from x·W_ihᵀ + b_ih and h'·W_hhᵀ + b_hh, both (…, G·D) in torch's order, h' of each
# step and c' of the first. A projection is applied afterwards, to what is returned as h.
def _lstm(x: Tensor, h_part: Tensor, h: Tensor, c: Any, nonlinearity: str) -> Values:
    i, f, g, o = (x + h_part).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    after = []
    for keep, new in zip(f.unbind(0), (i * g).unbind(0), strict=True):
        c = torch.addcmul(new, keep, c)
        after.append(c)
    memory = torch.cat(after)
    return {"i": i, "f": f, "g": g, "o": o, "c": memory, "h": o * memory.tanh()}


def _gru(x: Tensor, h_part: Tensor, h: Tensor, c: Any, nonlinearity: str) -> Values:
    """r gates h_n with its bias inside; n + z ⊙ (h' − n) is (1 − z) ⊙ n + z ⊙ h' as torch computes it."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, dim=-1), h_part.chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = torch.addcmul(x_n, r, h_n).tanh()
    return {"r": r, "z": z, "n": n, "h": torch.addcmul(n, z, h - n)}


def _rnn(x: Tensor, h_part: Tensor, h: Tensor, c: Any, nonlinearity: str) -> Values:
    total = x + h_part
    return {"h": total.relu() if nonlinearity == "relu" else total.tanh()}


# Keyed by the sequence layer: LSTMCell steps as LSTM does.
_STEPS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


class Replayed(NamedTuple):
    """Gates and states by name, (L, N, ·); the states after each row's last step; their distance from the layer's."""

    values: Values
    ends: Values
    residual: float


@dataclass(frozen=True, eq=False, repr=False)
class CellTrace(Shown):
    """One direction of one layer: `cell.f`, `cell["f"]`, and both contributions to each gate before it is applied.

    A snapshot of what the layer read and put out, and of its weights. The gates, by far the largest part, are replayed
    when one of them is first asked for, and compared there and then: none is ever shown that was not. `mask` is
    (L, N), true where a step was computed; None where all were.
    """

    spec: Spec
    call: Call
    layer: int
    direction: int
    weights: Values  # torch's, by their names without layer and direction
    mask: Tensor | None
    x: Tensor  # (L, N, I), what this layer read
    start: Values  # the states before the first step, (1, N, ·)
    output: Tensor  # (L, N, H), the h that the layer put out
    ends: Values  # the states that it returned, (1, N, ·)
    lang: str = field(default_factory=language, compare=False)

    @cached_property
    def replayed(self) -> Replayed:
        """The gates, compared with the layer's h at every step and with the states it returned.

        Raises: ShapeError with the residual where they differ beyond the tolerance.
        """
        # What was recorded without a graph is replayed without one.
        with torch.enable_grad(), torch.autocast(self.x.device.type, enabled=False):
            values, ends = self._replay()
        with torch.no_grad():
            residuals = {"h": _residual(values["h"], self.output)}
            residuals |= {f"{name}n": _residual(ends[name], end) for name, end in self.ends.items()}
        name, residual = max(residuals.items(), key=lambda item: item[1])
        if residual > self.tolerance:
            raise ShapeError(
                f"recomputed {name} of layer {self.layer}, direction {self.direction}",
                "what the layer itself returns",
                expected=f"a residual of at most {self.tolerance:.1e}",
                got=f"{residual:.1e}",
                hint="The layer computes with other weights than it shows, as after replacing a parameter's data by "
                "hand, or its forward is not torch's",
            )
        return Replayed(values, ends, residual)

    def _replay(self) -> tuple[Values, Values]:
        """Gates and states in the order of time, and the states after each row's last step."""
        spec, x, h = self.spec, self._turned(self.x), self._turned(self.output)
        before, c = torch.cat([self.start["h"], h[:-1]]), self.start.get("c")
        L, N = h.shape[:2]
        values = {name: x.new_empty(L, N, spec.H if name == "h" else spec.D) for name in self.names}
        size = max(1, _BLOCK // (N * spec.G * spec.D))
        for first in range(0, L, size):
            block = slice(first, first + size)
            parts = self._product("ih", x[block]), self._product("hh", before[block])
            steps = _STEPS[spec.kind.layer](*parts, before[block], c, spec.nonlinearity)
            c = steps["c"][-1:] if "c" in steps else None
            if spec.P:
                steps["h"] = linear(steps["h"], self.weights["weight_hr"])
            for name, step in steps.items():
                values[name][block] = step
        last = L - 1 if self.mask is None else self.mask.sum(0) - 1
        ends = {name: values[name][last, torch.arange(N, device=x.device)][None] for name in self.start}
        return {name: self._masked(self._turned(value)) for name, value in values.items()}, ends

    def _turned(self, tensor: Tensor) -> Tensor:
        """(L, N, ·) in the order in which this direction reads, and back: each row in its own length, padding last."""
        if not self.reverse:
            return tensor
        if self.mask is None:
            return tensor.flip(0)
        t = torch.arange(len(tensor), device=tensor.device)[:, None]
        order = torch.where(self.mask, self.mask.sum(0) - 1 - t, t)
        return tensor.gather(0, order[..., None].expand_as(tensor))

    def _masked(self, tensor: Tensor) -> Tensor:
        return tensor if self.mask is None else tensor.masked_fill(~self.mask[..., None], 0)

    def _product(self, kind: str, vectors: Tensor) -> Tensor:
        """x·W_ihᵀ + b_ih for "ih", h'·W_hhᵀ + b_hh for "hh"."""
        return linear(vectors, self.weights[f"weight_{kind}"], self.weights.get(f"bias_{kind}"))

    def before(self, state: str) -> Tensor:
        """The state that each step starts from, (L, N, ·): that of the step read before, or the initial one."""
        return self._turned(torch.cat([self.start[state], self._turned(self.values[state])[:-1]]))

    def contribution(self, kind: str) -> Tensor:
        """What x ("ih") or h' ("hh") adds to all gates, time-major (L, N, G·D)."""
        return self._masked(self._product(kind, self.x if kind == "ih" else self.before("h")))

    @property
    def tolerance(self) -> float:
        """What rounding may make of a number, for the dtype on its device."""
        return TOLERANCES[precision_of(self.x)]

    @property
    def values(self) -> Values:
        """Gates and states by name, time-major (L, N, ·)."""
        return self.replayed.values

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors there are, in the order they are computed."""
        return tuple(name for name, _ in self.spec.kind.equations)

    @property
    def reverse(self) -> bool:
        """Whether this direction reads from the last step to the first."""
        return self.direction == 1

    def first_row(self) -> CellTrace:
        """The same trace of row 0 alone, without a graph."""

        def first(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: first(state) for name, state in value.items()}
            return None if value is None else value[:, :1].detach()

        weights = {name: weight.detach() for name, weight in self.weights.items()}
        cut = {name: first(getattr(self, name)) for name in ("mask", "x", "start", "output", "ends")}
        return replace(self, weights=weights, **cut)

    @property
    def input(self) -> dict[str, AnnotatedTensor]:
        """x_t·W_ihᵀ + b_ih, gate by gate."""
        return self._blocks("ih")

    @property
    def recurrent(self) -> dict[str, AnnotatedTensor]:
        """h'·W_hhᵀ + b_hh, gate by gate."""
        return self._blocks("hh")

    def _blocks(self, kind: str) -> dict[str, AnnotatedTensor]:
        blocks = self.contribution(kind).chunk(self.spec.G, dim=-1)
        return {gate: self._named(block, "D") for gate, block in zip(self.spec.kind.gates, blocks, strict=True)}

    def __getitem__(self, name: str) -> AnnotatedTensor:
        if name not in self.names:
            raise ShapeError("a gate", f"one of {', '.join(self.names)} for {self.spec.cell}", got=name)
        return self._named(self.values[name], self.spec.width if name == "h" else "D")

    def __getattr__(self, name: str) -> AnnotatedTensor:
        # Copying and pickling ask for longer names before there is a `spec`.
        if len(name) == 1 and name in self.names:
            return self[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def _named(self, tensor: Tensor, width: str) -> AnnotatedTensor:
        names = layouts(self.spec)[0 if self.call.batched else 1][:-1]
        return annotate(in_layout(self.spec, self.call, tensor), " ".join((*names, width)))

    @property
    def bytes(self) -> int:
        """Bytes that its gates and states take once they have been looked at."""
        widths = (self.spec.H if name == "h" else self.spec.D for name in self.names)
        return self.call.L * (self.call.N or 1) * sum(widths) * self.x.element_size()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: sizes, and mean, least and greatest value of each tensor."""
        tensors = {}
        for name in self.names:
            values = self.values[name].detach()
            low, high = torch.aminmax(values)
            numbers = {"mean": float(values.float().mean()), "min": float(low), "max": float(high)}
            tensors[name] = {**self[name].axes.to_dict(), **numbers}
        return {"layer": self.layer, "direction": self.direction, "tensors": tensors}


def time_major(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """X or Y of the layer's layout as (L, N, ·)."""
    if spec.batch_first and call.batched and not spec.kind.step:
        return tensor.transpose(0, 1)
    return tensor.reshape(call.L, call.N or 1, -1)


def in_layout(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """(L, N, ·) in the layer's layout."""
    if spec.kind.step:
        tensor = tensor.squeeze(0)
    if not call.batched:
        return tensor.squeeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def _residual(a: Tensor, b: Tensor) -> float:
    """max |a − b| / max(1, |b|); equal infinities and nans in both are no difference, a nan in one is infinite."""
    if a.dtype not in (torch.float32, torch.float64) or b.dtype != a.dtype:
        a, b = a.double(), b.double()
    # What a gated cell returns is within ±1, so most often the plain difference is the answer, in two passes.
    greatest = float(torch.linalg.vector_norm(a - b, math.inf))
    if greatest == 0 or (math.isfinite(greatest) and float(torch.linalg.vector_norm(b, math.inf)) <= 1):
        return greatest
    same = (a == b) | (a.isnan() & b.isnan())
    apart = ((a - b).abs() / b.abs().clamp(min=1)).masked_fill(same, 0)
    return float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())
