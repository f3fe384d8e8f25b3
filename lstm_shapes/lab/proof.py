"""prove: each prediction beside what something we did not write measures.

Shapes come from the layer's own tensors, parameters from `numel` and torchinfo, multiply-accumulates from torch's own
flop formulas, slices and laws from the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn

from lstm_shapes.display import Shown
from lstm_shapes.errors import SpecError
from lstm_shapes.language import language, say
from lstm_shapes.theory._given import Given, LayerPlaced, Placed, takes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.slices import slices
from lstm_shapes.theory.spec import Source, Spec

from ._alone import alone
from ._build import build, bytes_of_call
from ._calling import State, X, as_state, read_inputs
from ._macs import measured_macs
from ._torch_rules import axes_of
from .run import Run, call_layer, run_given
from .tensors import AnnotatedTensor

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Above these a layer is proved on a twin: half a gigabyte of weights or tensors, some seconds of arithmetic.
_MOST_BYTES = 2**29
_MOST_MACS = 2 * 10**10
_MOST_LAYERS = 500
_MOST_KERNELS = 100_000  # steps of layers and directions, one after the other

# What torch itself says a state has to be, before it takes one.
_ASKED = {"h0": "get_expected_hidden_size", "c0": "get_expected_cell_size"}
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
        plain = {"predicted": self.predicted, "measured": self.measured}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {"claim": self.claim, **values, "by": self.by, "ok": self.ok, "note": self.note}


def _equal(claim: str, predicted: Any, measured: Any, by: str) -> Check:
    return Check(claim, predicted, measured, by, predicted == measured)


def _checks(result: Run, yours: bool) -> Iterator[Check]:
    """All checks of a call that was made; a layer of `yours` is not shown to torchinfo, which puts flags on it."""
    yield from _tensor_checks(result)
    yield from _weight_checks(result, yours)
    macs, how = measured_macs(result.spec, result.call)
    yield _equal(say("claim MACs", formula=result.call.T_formula), result.prediction.counts.macs, macs, how)
    yield from _slice_checks(result)
    yield from _law_checks(result)


def _tensor_checks(result: Run) -> Iterator[Check]:
    for name, axes in result.prediction.tensors.items():
        got, by = tuple(result.tensors[name].shape), say("by tensor")
        if name in _ASKED and isinstance(result.layer, nn.RNNBase):
            got, by = _asked_for(result, name), _ASKED[name]
        yield _equal(say("claim shape", name=name, formula=axes.formula), axes.sizes, got, by)


def _asked_for(result: Run, name: str) -> tuple[int, ...]:
    """The sizes of h0 or c0 that torch's own check of its arguments asks for."""
    X, packed, asked = result.X.plain(), result.packed_X, getattr(result.layer, _ASKED[name])
    if packed is not None:
        return tuple(asked(packed.data, packed.batch_sizes))
    if result.call.batched:
        return tuple(asked(X, None))
    K, _, width = asked(X.unsqueeze(0 if result.spec.batch_first else 1), None)
    return K, width


def _weight_checks(result: Run, yours: bool) -> Iterator[Check]:
    """Shapes, numbers and bytes of the weights."""
    counts, layer, predicted = result.prediction.counts, result.layer, result.prediction.weights
    weights = _weights(result)
    # weight_norm, prune and the like work a weight out from other parameters, which are counted elsewhere.
    made_of_others = not set(predicted) <= dict(layer.named_parameters()).keys()
    by = say("by attributes") if made_of_others else "named_parameters()"
    same = sum(tuple(weights[name].shape) == axes.sizes for name, axes in predicted.items())
    yield _equal(say("claim weights", count=len(predicted)), len(predicted), same, by)
    by_layer = [0] * result.spec.K
    for name, weight in weights.items():
        _, _, number = name.removesuffix("_reverse").partition("_l")
        by_layer[int(number) if number.isdigit() else 0] += weight.numel()
    for part, got in zip(counts.layers, by_layer, strict=True):
        yield _equal(say("claim layer", k=part.index, formula=part.formula), part.total, got, "numel()")
    recurrent = sum(weight.numel() for name, weight in weights.items() if name.startswith("weight_hh"))
    size = sum(weight.numel() * weight.element_size() for weight in weights.values())
    yield _equal(say("claim recurrent"), counts.recurrent, recurrent, "numel()")
    yield _equal(say("claim bytes", dtype=counts.dtype), counts.bytes, size, "element_size()")
    yield _equal(say("claim total"), counts.total, sum(by_layer), "numel()")
    if made_of_others:
        return
    import torchinfo

    # It puts flags of the model it looks at, so it never sees a layer that is not ours.
    info = torchinfo.summary(build(result.spec, device="meta") if yours else layer, verbose=0).total_params
    yield _equal(say("claim total"), counts.total, info, "torchinfo.summary")


def _weights(result: Run) -> dict[str, Tensor]:
    """What the layer computes with, by torch's names: its parameters, or what weight_norm and the like make of them."""
    found = {name: getattr(result.layer, name, None) for name in result.prediction.weights}
    for name, weight in found.items():
        if not isinstance(weight, Tensor):
            kind = type(result.layer).__qualname__
            raise SpecError(f"{kind}.{name}", "a tensor", weight, "Quantised weights cannot be held against shapes")
    return {name: weight for name, weight in found.items() if isinstance(weight, Tensor)}


def _slice_checks(result: Run) -> Iterator[Check]:
    """Each slice that `explain` shows, taken from the real tensors."""
    found = slices(result.prediction)
    taken = [(one.axes, Expression.of(one.expression).value(result)) for one in found]
    same = sum(axes.sizes == tuple(value.shape) and axes == axes_of(value) for axes, value in taken)
    if found:
        yield _equal(say("claim slices", count=len(found)), len(found), same, say("by tensors"))


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


@dataclass(frozen=True, slots=True, repr=False)
class Proof(Shown):
    """All checks of one layer. `.twin` is the smaller layer they ran on, where the real one is too large."""

    spec: Spec
    call: Call
    checks: tuple[Check, ...]
    device: str = "cpu"
    dtype: str = "float32"
    twin: Spec | None = None
    lang: str = field(default_factory=language, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "ok": self.ok,
            "spec": self.spec.to_dict(),
            **self.call.to_dict(),
            "device": self.device,
            "dtype": self.dtype,
            "twin": None if self.twin is None else self.twin.to_dict(),
            "checks": [check.to_dict() for check in self.checks],
        }


@overload
def prove(Q: int = ..., D: int = ..., K: int = 1, batch_first: bool = True, **words: Unpack[LayerPlaced]) -> Proof: ...
@overload
def prove(
    source: Source, /, x: X | None = None, state: State | None = None, *, layer: str = "", **words: Unpack[Placed]
) -> Proof: ...
@takes(LayerPlaced, x=True)
def prove(given: Given) -> Proof:
    """Run the layer and hold every prediction against it.

    A layer too large to run is proved on a small twin with the same structure, and the proof says so.

    Args: those of a layer and a call, as help(prove) lists them

    >>> proof = prove(28, 256, 3, N=2, L=20)
    >>> proof.ok, len(proof.checks) > 10
    (True, True)

    Raises: SpecError, ShapeError.
    """
    return prove_given(given)


def prove_given(given: Given) -> Proof:
    """What `prove` returns."""
    with alone(), plain_mode():
        if given.module is not None:
            return _prove_run(run_given(given), yours=True)
        spec, call = given.spec, given.call
        small_spec, small = _runnable(spec, call, given.precision)
        twin = (small_spec, small) != (spec, call)
        state = None if twin else given.state
        smaller = replace(given, spec=small_spec, state=state, N=small.N, L=small.L, lengths=small.lengths)
        with one_thread_below(Counts(small_spec, small).macs or 0):
            return _prove_run(run_given(smaller), original=(spec, call) if twin else None)


def _prove_run(result: Run, *, yours: bool = False, original: tuple[Spec, Call] | None = None) -> Proof:
    """The checks of a call that has been made. `original` is what the run is a twin of."""
    twin = result.spec if original else None
    spec, call = original or (result.spec, result.call)
    with one_thread_below(result.prediction.counts.macs or 0):
        checks = tuple(_checks(result, yours))
    return Proof(spec, call, checks, str(result.X.device), dtype_name(result.X.dtype), twin)


def _runnable(spec: Spec, call: Call, dtype: str) -> tuple[Spec, Call]:
    """The layer and call themselves, or small ones of the same structure: K up to 3, rows as uneven as before."""
    counts = Counts(spec, call, dtype)
    small = counts.bytes + bytes_of_call(spec, call, dtype) <= _MOST_BYTES and spec.K <= _MOST_LAYERS
    if small and (counts.macs or 0) <= _MOST_MACS and spec.K * spec.R * call.L <= _MOST_KERNELS:
        return spec, call
    twin = spec.replace(Q=min(spec.Q, 7), D=min(spec.D, 11), K=min(spec.K, 3), proj_size=min(spec.P, 5))
    steps = min(call.L, 6)
    if call.lengths is None:
        return twin, Call(None if call.N is None else min(call.N, 4), steps)
    rows = call.lengths if len(call.lengths) <= 4 else (*call.lengths[:3], min(call.lengths))
    return twin, Call.of(twin, L=steps, lengths=tuple(max(1, length * steps // call.L) for length in rows))


# About a hundredth of a second on one core.
_SMALL_MACS = 10**9


@contextmanager
def one_thread_below(macs: int, most: int = _SMALL_MACS) -> Iterator[None]:
    """One thread of torch's inside, as many as before afterwards; nothing changes above `most` MACs."""
    before = torch.get_num_threads()
    if macs > most or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def plain_mode() -> Iterator[None]:
    """No gradients, no autocast, no inference mode: under those a layer, or torch's counter, answers otherwise."""
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.no_grad())
        for device in ("cpu", "cuda"):
            modes.enter_context(torch.autocast(device, enabled=False))
        yield
