"""prove: each prediction beside what something we did not write measures.

Shapes come from the layer's own tensors, parameters from `numel` and torchinfo, multiply-accumulates from torch's own
flop formulas, slices and laws from the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
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
from .run import Run, call_layer, run_given
from .tensors import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Above these a layer is proved on a twin: half a gigabyte of weights or tensors, some seconds of arithmetic.
_MOST_BYTES = 2**29
_MOST_MACS = 2 * 10**10
_MOST_LAYERS = 500
_FEW_MACS = 10**9  # about a hundredth of a second on one core
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
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _equal(claim: str, predicted: Any, measured: Any, by: str) -> Check:
    return Check(claim, predicted, measured, by, predicted == measured)


def _checks(result: Run, yours: bool) -> Iterator[Check]:
    """All checks of a call that was made; a layer of `yours` is not shown to torchinfo, which puts flags on it."""
    yield from _tensor_checks(result)
    yield from _weight_checks(result, yours)
    macs, how = measured_macs(result.spec, result.call)
    yield _equal(say("claim MACs", formula=result.call.T_formula), result.prediction.counts.macs, macs, how)
    if shown := slices(result.prediction):
        taken = [(one.axes, Expression.of(one.expression).value(result)) for one in shown]
        same = sum(axes.sizes == tuple(value.shape) and axes == axes_of(value) for axes, value in taken)
        yield _equal(say("claim slices", count=len(shown)), len(shown), same, say("by tensors"))
    yield from _law_checks(result)


def _tensor_checks(result: Run) -> Iterator[Check]:
    """The shape of each tensor: of a state that of torch's own check of its arguments."""
    packed, X = result.packed_X, result.X.plain()
    if packed is not None:
        X, sizes = packed.data, packed.batch_sizes
    else:
        sizes = None
        X = X if result.call.batched else X.unsqueeze(0 if result.spec.batch_first else 1)
    for name, axes in result.prediction.tensors.items():
        got, by = tuple(result.tensors[name].shape), say("by tensor")
        if name in _ASKED and isinstance(result.layer, nn.RNNBase):
            K, *N, width = getattr(result.layer, _ASKED[name])(X, sizes)
            got, by = (K, *(N if result.call.batched else ()), width), _ASKED[name]
        yield _equal(say("claim shape", name=name, formula=axes.formula), axes.sizes, got, by)


def _weight_checks(result: Run, yours: bool) -> Iterator[Check]:
    """Shapes, numbers and bytes of what the layer computes with: parameters, or what weight_norm makes of some."""
    counts, layer, predicted = result.prediction.counts, result.layer, result.prediction.weights
    weights: dict[str, Tensor] = {}
    for name in predicted:
        weight = weights[name] = getattr(layer, name, None)  # type: ignore[assignment]
        if not isinstance(weight, Tensor):
            told = f"{type(layer).__qualname__}.{name}"
            raise SpecError(told, "a tensor", weight, "Quantised weights cannot be held against shapes")
    # weight_norm, prune and the like work a weight out from other parameters, which are counted elsewhere.
    made_of_others = not set(predicted) <= dict(layer.named_parameters()).keys()
    by = say("by attributes") if made_of_others else "named_parameters()"
    same = sum(tuple(weights[name].shape) == axes.sizes for name, axes in predicted.items())
    yield _equal(say("claim weights", count=len(predicted)), len(predicted), same, by)
    numbers = [weight.numel() for weight in weights.values()]
    each = len(numbers) // result.spec.K
    for part in counts.layers:
        here = sum(numbers[part.index * each : (part.index + 1) * each])
        yield _equal(say("claim layer", k=part.index, formula=part.formula), part.total, here, "numel()")
    recurrent = sum(weight.numel() for name, weight in weights.items() if name.startswith("weight_hh"))
    size = sum(weight.numel() * weight.element_size() for weight in weights.values())
    yield _equal(say("claim recurrent"), counts.recurrent, recurrent, "numel()")
    yield _equal(say("claim bytes", dtype=counts.dtype), counts.bytes, size, "element_size()")
    yield _equal(say("claim total"), counts.total, sum(numbers), "numel()")
    if made_of_others:
        return
    import torchinfo

    # It puts flags on the model it looks at, so it never sees a layer that is not ours.
    info = torchinfo.summary(build(result.spec, device="meta") if yours else layer, verbose=0).total_params
    yield _equal(say("claim total"), counts.total, info, "torchinfo.summary")


def _law_checks(result: Run) -> Iterator[Check]:
    """Laws read off the run itself, then those for which the layer runs again, on what that can be done with.

    One counter-example shows a false friend; data on which it happens to hold shows nothing, and gives no check.
    """
    if result.X.device.type == "meta":
        return  # no numbers to compare
    short, part = _shortened(result)
    known = laws(result.layer, call=result.call)
    for run_, exact in ((result, True), (short, False)):
        for law in known if run_ is result else laws(short.layer, call=short.call):
            if law.holds and law.exact == exact:
                residual, tolerance = law.residual(run_), law.tolerance(run_)
                key = "tolerance, part" if part else "tolerance"
                note = "" if exact else say(key, tolerance=f"{tolerance:.0e}", sizes=part)
                ok = residual <= tolerance
                yield Check(law.expression, say("no difference"), f"{residual:.1g}", say("by numbers"), ok, note)
    for law in known:
        if not law.holds and law.exact and (residual := law.residual(result)) > 0:
            claim = law.expression.replace(" == ", " != ")
            told = say("other shapes") if residual == float("inf") else f"{residual:.1g}"
            yield Check(claim, say("a difference"), told, say("by numbers"), True)


def _shortened(result: Run) -> tuple[Run, str]:
    """The run, or its first rows and steps, and how many: some laws call the layer once for each row and each step."""
    call = result.call
    most = {"N": min(call.N or 1, _MOST_ROWS), "L": min(call.L, _MOST_STEPS)}
    if most == {"N": call.N or 1, "L": call.L}:
        return result, ""
    first = {
        name: tensor.plain()[tuple(slice(most.get(axis)) for axis in tensor.axes.names)]
        for name, tensor in result.tensors.items()
    }
    starts = as_state([first[name] for name in ("h0", "c0") if name in first])
    lengths = call.lengths and tuple(min(length, most["L"]) for length in call.lengths[: most["N"]])
    inputs = read_inputs(result.layer, result.spec, first["X"], starts, lengths)
    sizes = ", ".join(f"{name}={size}" for name, size in most.items())
    return call_layer(result.layer, result.spec, inputs), sizes


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
    spec, call, twin = given.spec, None, None
    # No gradients, no autocast, no inference mode: under those a layer, or torch's counter, answers otherwise.
    with (
        alone(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        if given.module is not None:
            result = run_given(given)
        else:
            call = given.call
            small_spec, small = _runnable(spec, call, given.precision)
            if (small_spec, small) != (spec, call):
                twin = small_spec
                given = replace(given, spec=twin, state=None, N=small.N, L=small.L, lengths=small.lengths)
            with one_thread_if_small(Counts(small_spec, small).macs or 0):
                result = run_given(given)
        with one_thread_if_small(result.prediction.counts.macs or 0):
            checks = tuple(_checks(result, given.module is not None))
    return Proof(spec, call or result.call, checks, str(result.X.device), dtype_name(result.X.dtype), twin)


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


@contextmanager
def one_thread_if_small(macs: int) -> Iterator[None]:
    """One thread of torch's inside, as many as before afterwards; nothing changes where there is more to compute."""
    before = torch.get_num_threads()
    few = macs <= _FEW_MACS and before > 1
    try:
        if few:
            torch.set_num_threads(1)
        yield
    finally:
        if few:
            torch.set_num_threads(before)
