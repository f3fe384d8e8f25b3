"""The checks of a proof: what was predicted, what was measured, and by what.

Shapes come from the layer's own tensors, parameters from `numel` and torchinfo, multiply-accumulates from torch's own
flop formulas (flops.py), slices and laws from the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor, nn

from lstm_shapes.errors import SpecError
from lstm_shapes.language import say
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.slices import slices

from .build import build
from .calling import as_state, read_inputs
from .flops import measured_macs
from .run import Run, call_layer
from .tensors import AnnotatedTensor
from .torch_rules import axes_of

__all__ = ["Check", "every_check"]

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
