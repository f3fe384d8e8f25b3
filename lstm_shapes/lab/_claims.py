"""The claims of a proof: what was predicted, what was measured, and by what.

Shapes come from the layer's own tensors, parameters from `numel` and torchinfo, multiply-accumulates from torch's own
flop formulas, slices and laws from the numbers themselves.

`FlopCounterMode` on the meta device is the reference for multiply-accumulates: nothing is computed, so every size is
possible. Two facts about torch 2.13 shape how they are counted:

* The first operation on meta, and the first under `FlopCounterMode` on any device, imports torch's compiler,
  which takes about as long as importing torch. A small layer is therefore counted on the CPU, with the same
  formulas (`flop_registry`) in a mode that does without the compiler. In float64, because oneDNN fuses
  float32 LSTMs into one operation without a formula, for which FlopCounterMode reports 0.
* A forward pass costs milliseconds per step and layer here, so 1 and 2 steps are counted, of 1 and 2 layers,
  and the line through them is followed to the call's size: steps all cost the same, and so do the layers
  above the first. The tests hold this against whole passes.

Source: `torch/utils/flop_counter.py`; `use_mkldnn` in `aten/src/ATen/native/RNN.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._private import DispatchMode, operation_of
from lstm_shapes.language import say
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import slices
from lstm_shapes.theory.spec import Spec

from ._build import allocate, build, constructor_arguments
from ._calling import as_state, read_inputs
from ._torch_rules import axes_of
from .run import Run, call_layer
from .tensors import AnnotatedTensor

__all__ = ["Check", "counted_macs", "every_check", "measured_macs"]


# Beyond these, laws that call the layer once for each row and step look at the first of them.
_MOST_ROWS = 64
_MOST_STEPS = 256


@dataclass(frozen=True, slots=True)
class Check:
    """One claim: what was predicted, what was measured, and by what. `note` states a tolerance, if any."""

    claim: str
    predicted: Any
    measured: Any
    by: str
    ok: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        values = {"predicted": _plain(self.predicted), "measured": _plain(self.measured)}
        return {"claim": self.claim, **values, "by": self.by, "ok": self.ok, "note": self.note}


def every_check(result: Run, *, yours: bool) -> Iterator[Check]:
    """All checks of a call that was made; a layer of `yours` is not shown to torchinfo, which puts flags on it."""
    return chain(
        _tensor_checks(result),
        _weight_checks(result),
        _count_checks(result, untouched=yours),
        _mac_checks(result),
        _slice_checks(result),
        _law_checks(result),
    )


def _tensor_checks(result: Run) -> Iterator[Check]:
    for name, axes in result.prediction.tensors.items():
        got, by = tuple(result.tensors[name].shape), say("by tensor")
        if name in ("h0", "c0") and isinstance(result.layer, nn.RNNBase):
            got, by = _asked_for(result, name), _ASKED[name]
        yield Check(say("claim shape", name=name, formula=axes.formula), axes.sizes, got, by, axes.sizes == got)


# What torch itself says a state has to be, before it takes one.
_ASKED = {"h0": "get_expected_hidden_size", "c0": "get_expected_cell_size"}


def _asked_for(result: Run, name: str) -> tuple[int, ...]:
    """The sizes of h0 or c0 that torch's own check of its arguments asks for."""
    X, packed = result.X.plain(), result.packed_X
    if packed is not None:
        return tuple(getattr(result.layer, _ASKED[name])(packed.data, packed.batch_sizes))
    if result.call.batched:
        return tuple(getattr(result.layer, _ASKED[name])(X, None))
    K, _, width = getattr(result.layer, _ASKED[name])(X.unsqueeze(0 if result.spec.batch_first else 1), None)
    return K, width


def _weight_checks(result: Run) -> Iterator[Check]:
    predicted = {name: axes.sizes for name, axes in result.prediction.weights.items()}
    found = {name: tuple(weight.shape) for name, weight in _weights(result).items()}
    same = sum(found.get(name) == sizes for name, sizes in predicted.items())
    claim = say("claim weights", count=len(predicted))
    by = say("by attributes") if _made_of_others(result) else "named_parameters()"
    yield Check(claim, len(predicted), same, by, same == len(predicted))


def _weights(result: Run) -> dict[str, Tensor]:
    """What the layer computes with, by torch's names: its parameters, or what weight_norm and the like make of them.

    Raises: SpecError for a layer that keeps its weights in another form, such as a quantised one.
    """
    found = {name: getattr(result.layer, name, None) for name in result.prediction.weights}
    other = next((name for name, weight in found.items() if not isinstance(weight, Tensor)), None)
    if other is not None:
        kind = type(result.layer).__qualname__
        raise SpecError(f"{kind}.{other}", "a tensor", found[other], "Quantised weights cannot be held against shapes")
    return {name: weight for name, weight in found.items() if isinstance(weight, Tensor)}


def _made_of_others(result: Run) -> bool:
    """Whether a weight is worked out from other parameters (weight_norm, prune), which are counted elsewhere."""
    own = dict(result.layer.named_parameters())
    return any(name not in own for name in result.prediction.weights)


def _count_checks(result: Run, untouched: bool) -> Iterator[Check]:
    counts, layer = result.prediction.counts, result.layer
    weights = _weights(result)
    sizes = {name: weight.numel() for name, weight in weights.items()}
    by_layer = [0] * result.spec.K
    for name, number in sizes.items():
        by_layer[_layer_of(name)] += number
    for part, got in zip(counts.layers, by_layer, strict=True):
        claim = say("claim layer", k=part.index, formula=part.formula)
        yield Check(claim, part.total, got, "numel()", part.total == got)
    total = sum(sizes.values())
    recurrent = sum(size for name, size in sizes.items() if name.startswith("weight_hh"))
    size = sum(weight.numel() * weight.element_size() for weight in weights.values())
    yield Check(say("claim recurrent"), counts.recurrent, recurrent, "numel()", counts.recurrent == recurrent)
    yield Check(say("claim bytes", dtype=counts.dtype), counts.bytes, size, "element_size()", counts.bytes == size)
    yield Check(say("claim total"), counts.total, total, "numel()", counts.total == total)
    if _made_of_others(result):  # of weights made of others torchinfo counts what they are made of
        return
    import torchinfo

    # It puts flags of the model it looks at, so it never sees a layer that is not ours.
    shown = build(result.spec, device="meta") if untouched else layer
    info = torchinfo.summary(shown, verbose=0).total_params
    yield Check(say("claim total"), counts.total, info, "torchinfo.summary", counts.total == info)


def _layer_of(name: str) -> int:
    _, _, tail = name.removesuffix("_reverse").partition("_l")
    return int(tail) if tail.isdigit() else 0


def _mac_checks(result: Run) -> Iterator[Check]:
    macs = result.prediction.counts.macs
    measured, how = measured_macs(result.spec, result.call)
    yield Check(say("claim MACs", formula=result.call.T_formula), macs, measured, how, macs == measured)


def _slice_checks(result: Run) -> Iterator[Check]:
    """Each slice that `explain` shows, taken from the real tensors."""
    found = slices(result.prediction)
    same = 0
    for one in found:
        taken = Expression.of(one.expression).value(result)
        same += one.axes.sizes == tuple(taken.shape) and one.axes == axes_of(taken)
    if found:
        claim = say("claim slices", count=len(found))
        yield Check(claim, len(found), same, say("by tensors"), same == len(found))


def _law_checks(result: Run) -> Iterator[Check]:
    """Laws read off the run itself, then those for which the layer runs again, on what that can be done with.

    One counter-example shows a false friend; data on which it happens to hold shows nothing, and gives no check.
    """
    if result.X.device.type == "meta":
        return  # no numbers to compare
    short, part = _shortened(result)
    for run_, exact in ((result, True), (short, False)):
        for law in laws(run_.layer, call=run_.call):
            if law.holds and law.exact == exact:
                residual, tolerance = law.residual(run_), law.tolerance(run_)
                key = "tolerance, part" if part else "tolerance"
                note = "" if exact else say(key, tolerance=f"{tolerance:.0e}", sizes=part)
                ok = residual <= tolerance
                yield Check(law.expression, say("no difference"), f"{residual:.1g}", say("by numbers"), ok, note)
    for law in laws(result.layer, call=result.call):
        if not law.holds and law.exact and (residual := law.residual(result)) > 0:
            claim = law.expression.replace(" == ", " != ")
            told = say("other shapes") if residual == float("inf") else f"{residual:.1g}"
            yield Check(claim, say("a difference"), told, say("by numbers"), True)


def _shortened(result: Run) -> tuple[Run, str]:
    """The run, or its first rows and steps, and how many: some laws call the layer once for each row and each step."""
    call, spec = result.call, result.spec
    most = {"N": min(call.N or 1, _MOST_ROWS), "L": min(call.L, _MOST_STEPS)}
    if most == {"N": call.N or 1, "L": call.L}:
        return result, ""

    def first(tensor: AnnotatedTensor) -> Tensor:
        kept = [slice(most.get(name)) for name in tensor.axes.names]
        return tensor.plain()[tuple(kept)]

    starts = as_state([first(state) for state in (result.h0, result.c0) if state is not None])
    lengths = call.lengths and tuple(min(length, most["L"]) for length in call.lengths[: most["N"]])
    short = call_layer(result.layer, spec, read_inputs(result.layer, spec, first(result.X), starts, lengths))
    sizes = ", ".join(f"{name}={size}" for name, size in most.items())
    return short, sizes


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


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
    where = device or ("cpu" if _bytes(specs[-1], calls[-1]) <= _MOST_BYTES else "meta")
    by_depth = []
    for deep in specs:
        layer = _layer(deep, where)
        by_depth.append(_follow([(c.T, _count(layer, deep, c, where)) for c in calls], call.T))
    macs = _follow(list(zip((deep.K for deep in specs), by_depth, strict=True)), spec.K)
    how, steps_too, layers_too = say(f"by counter {where}"), len(calls) > 1, len(specs) > 1
    if not (steps_too or layers_too):
        return macs, how
    scaled = "both" if steps_too and layers_too else "steps" if steps_too else "layers"
    return macs, say(f"by scaled {scaled}", counter=how)


def counted_macs(spec: Spec, call: Call, device: str = "meta") -> int:
    """MACs of a whole forward pass, counted without scaling: slow for many steps or layers."""
    return _count(_layer(spec, device), spec, call, device)


def _layer(spec: Spec, device: str) -> nn.Module:
    """The layer in float64, with zeros for weights: their values do not matter, denormal ones would be slow."""
    arguments = constructor_arguments(spec.replace(dropout=0.0))
    layer: nn.Module = getattr(nn, spec.cell)(**arguments, device="meta", dtype=torch.float64)
    if device != "meta":
        allocate(layer, torch.device(device))
    return layer


def _count(layer: nn.Module, spec: Spec, call: Call, device: str) -> int:
    """MACs of one forward pass.

    Packed input is put together by hand, since `pack_padded_sequence` needs values: `data` has T rows on the
    device, `batch_sizes` stays on the CPU, where torch wants it.
    """
    x: Any = torch.zeros(Prediction(spec, call).X.sizes, device=device, dtype=torch.float64)
    if call.lengths is not None:
        rows = [sum(length > step for length in call.lengths) for step in range(max(call.lengths))]
        x = PackedSequence(x.new_zeros(call.T, spec.Q), torch.tensor(rows, device="cpu"))
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


def _bytes(spec: Spec, call: Call) -> int:
    """About what a float64 pass holds: the weights, X, and the widest layer's gates."""
    widths = spec.Q + spec.R * spec.K * (spec.G + 3) * spec.D
    return 8 * (Counts(spec).total + (call.N or 1) * call.L * widths)


def _follow(points: list[tuple[int, int]], x: int) -> int:
    """The line through two points at x; a single point is at x already."""
    if len(points) == 1:
        return points[0][1]
    (x0, y0), (x1, y1) = points
    return y0 + (x - x0) * (y1 - y0) // (x1 - x0)
