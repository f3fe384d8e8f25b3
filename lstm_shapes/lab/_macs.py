"""Multiply-accumulates of a call, counted by torch's own flop formulas.

`FlopCounterMode` on the meta device is the reference: nothing is computed, so every size is possible. The first
operation there, and the first under that mode on any device, imports torch's compiler, which takes about as long as
importing torch. A small layer is therefore counted on the CPU, with the same formulas (`flop_registry`) in a mode that
does without the compiler; in float64, because oneDNN fuses float32 LSTMs into one operation without a formula.

A forward pass costs milliseconds per step and layer here, so 1 and 2 steps are counted, of 1 and 2 layers, and the line
through them is followed to the call's size: steps all cost the same, and so do the layers above the first.

Source: `torch/utils/flop_counter.py`; `use_mkldnn` in `aten/src/ATen/native/RNN.cpp`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from lstm_shapes.lab._private import DispatchMode, operation_of
from lstm_shapes.language import say
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

from ._build import allocate

# Above this, weights and activations are not worth allocating for a count: meta does without them.
_MOST_BYTES = 2**27


def measured_macs(spec: Spec, call: Call, device: str | None = None) -> tuple[int, str]:
    """MACs of one call as torch's flop counter sees them, and how they were counted.

    `device` is "cpu" or "meta"; None takes the quicker, which is meta for large layers.

    >>> measured_macs(Spec(28, 256, 3), Call(N=2, L=20))[0]
    53575680
    """
    steps = call.L if call.lengths is None else max(call.lengths)
    spans = (1, 2) if steps > 2 else (steps,)
    calls = [Call(call.N, span, call.lengths and tuple(min(row, span) for row in call.lengths)) for span in spans]
    specs = [spec.replace(K=depth) for depth in ((1, 2) if spec.K > 2 else (spec.K,))]
    # About what a float64 pass of the largest holds: the weights, X, and the widest layer's gates.
    largest = specs[-1]
    widths = largest.Q + largest.R * largest.K * (largest.G + 3) * largest.D
    held = 8 * (Counts(largest).total + (call.N or 1) * calls[-1].L * widths)
    where = device or ("cpu" if held <= _MOST_BYTES else "meta")

    def of_depth(deep: Spec) -> int:
        layer = _layer(deep, where)
        return _follow([(c.T, _count(layer, deep, c, where)) for c in calls], call.T)

    macs = _follow([(deep.K, of_depth(deep)) for deep in specs], spec.K)
    how = say(f"by counter {where}")
    scaled = {(1, 2): "layers", (2, 1): "steps", (2, 2): "both"}.get((len(calls), len(specs)))
    return macs, how if scaled is None else say(f"by scaled {scaled}", counter=how)


def _layer(spec: Spec, device: str) -> nn.Module:
    """The layer in float64, with zeros for weights: their values do not matter, denormal ones would be slow."""
    layer: nn.Module = getattr(nn, spec.cell)(**spec.replace(dropout=0.0).arguments, device="meta", dtype=torch.float64)
    if device != "meta":
        allocate(layer, torch.device(device))
    return layer


def _count(layer: nn.Module, spec: Spec, call: Call, device: str) -> int:
    x: Any = torch.zeros(Prediction(spec, call).X.sizes, device=device, dtype=torch.float64)
    if call.lengths is not None:
        x = PackedSequence(x.new_zeros(call.T, spec.Q), torch.tensor(call.batch_sizes, device="cpu"))
    if device == "meta":
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            layer(x)
        return int(counter.get_total_flops()) // 2
    with torch.no_grad(), _Formulas() as formulas:
        layer(x)
    return int(formulas.macs)


class _Formulas(DispatchMode):  # type: ignore[no-untyped-call]
    """FlopCounterMode without its module tree and the compiler: sums `flop_registry` over operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would have torch import its compiler in order to tell it to stay away. A torch that does not
        # ask takes longer and counts the same.
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(operation_of(func))
        if formula is not None:
            self.macs += int(formula(*args, **(kwargs or {}), out_val=out)) // 2
        return out


def _follow(points: list[tuple[int, int]], x: int) -> int:
    """The line through two points at x; a single point is at x already."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return y0 if x0 == x1 else y0 + (x - x0) * (y1 - y0) // (x1 - x0)
