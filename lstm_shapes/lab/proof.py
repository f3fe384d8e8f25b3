"""prove: each prediction beside what something we did not write measures.

Shapes come from the layer's own tensors, parameters from `numel` and torchinfo, multiply-accumulates from torch's own
flop formulas (flops.py), and the laws from the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.shown import Shown
from lstm_shapes.theory.call import DEFAULT_N, Call, dtype_name
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.predict import as_spec
from lstm_shapes.theory.spec import Spec

from .build import build, bytes_of_call
from .flops import measured_macs
from .inputs import read_inputs
from .run import Run, call_layer, run
from .tensors import AnnotatedTensor
from .threads import one_thread_below

__all__ = ["Check", "Proof", "prove"]

# Above these a layer is proved on a twin: half a gigabyte of weights or tensors, some seconds of arithmetic.
_MOST_BYTES = 2**29
_MOST_MACS = 2 * 10**10
_MOST_LAYERS = 500
_MOST_KERNELS = 100_000  # steps of layers and directions, one after the other
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


@dataclass(frozen=True, slots=True, repr=False)
class Proof(Shown):
    """All checks of one layer. `.twin` is the smaller layer they ran on, where the real one is too large."""

    spec: Spec
    call: Call
    checks: tuple[Check, ...]
    device: str = "cpu"
    dtype: str = "float32"
    twin: Spec | None = None

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


def prove(
    Q: Any,
    D: Any = None,
    K: Any = 1,
    batch_first: bool = True,
    *,
    N: int | None = DEFAULT_N,
    L: int | None = None,
    lengths: Iterable[int] | None = None,
    device: Any = None,
    dtype: Any = None,
    seed: int = 0,
    **fields: Any,
) -> Proof:
    """Run the layer and hold every prediction against it; takes what `run` takes.

    A layer too large to run is proved on a small twin with the same structure, and the proof says so.

    >>> proof = prove(28, 256, 3, N=2, L=20)
    >>> proof.ok, len(proof.checks) > 10
    (True, True)

    Raises: SpecError, ShapeError.
    """
    with torch.no_grad():
        if isinstance(Q, nn.Module):
            where = {"device": device, "dtype": dtype, "seed": seed}
            result = run(Q, D, K, batch_first, N=N, L=L, lengths=lengths, **where, **fields)
            return _prove_run(result, result.layer)
        spec = as_spec(Q, D, K, batch_first, **fields)
        call = Call.of(spec, N=N, L=L, lengths=lengths)
        small_spec, small = _runnable(spec, call, dtype_name("float32" if dtype is None else dtype))
        where = {"device": device, "dtype": dtype, "seed": seed}
        with one_thread_below(Counts(small_spec, small).macs or 0):
            result = run(small_spec, N=small.N, L=small.L, lengths=small.lengths, **where)
            return _prove_run(result, None, (spec, call) if (small_spec, small) != (spec, call) else None)


def _prove_run(result: Run, yours: nn.Module | None = None, original: tuple[Spec, Call] | None = None) -> Proof:
    """The checks of a call that has been made. `original` is what the run is a twin of."""
    twin = result.spec if original else None
    spec, call = original or (result.spec, result.call)
    with one_thread_below(result.prediction.counts.macs or 0):
        checks = (
            *_tensor_checks(result),
            *_weight_checks(result),
            *_count_checks(result, untouched=yours is not None),
            *_mac_checks(result),
            *_law_checks(result),
        )
    return Proof(spec, call, checks, str(result.X.device), dtype_name(result.X.dtype), twin)


def _tensor_checks(result: Run) -> Iterator[Check]:
    for name, axes in result.prediction.tensors.items():
        got = tuple(result.tensors[name].shape)
        yield Check(f"{name} is {axes.formula}", axes.sizes, got, "the layer's own tensor", axes.sizes == got)


def _weight_checks(result: Run) -> Iterator[Check]:
    predicted = {name: axes.sizes for name, axes in result.prediction.weights.items()}
    found = {name: tuple(p.shape) for name, p in result.layer.named_parameters() if name in predicted}
    same = sum(found.get(name) == sizes for name, sizes in predicted.items())
    claim = f"the {len(predicted)} weights have torch's names and shapes"
    yield Check(claim, len(predicted), same, "named_parameters()", same == len(predicted))


def _count_checks(result: Run, untouched: bool) -> Iterator[Check]:
    counts, layer = result.prediction.counts, result.layer
    known = result.prediction.weights
    sizes = {name: p.numel() for name, p in layer.named_parameters() if name in known}
    by_layer = [0] * result.spec.K
    for name, number in sizes.items():
        by_layer[_layer_of(name)] += number
    for part, got in zip(counts.layers, by_layer, strict=True):
        yield Check(f"layer {part.index} has {part.formula}", part.total, got, "numel()", part.total == got)
    total = sum(sizes.values())
    try:
        import torchinfo
    except ImportError:  # it imports numpy without asking for it to be installed
        note = "torchinfo not asked: it needs numpy"
        yield Check("parameters in all", counts.total, total, "numel()", counts.total == total, note)
        return
    yield Check("parameters in all", counts.total, total, "numel()", counts.total == total)
    # torchinfo puts flags of the model it looks at, so it never sees a layer that is not ours.
    shown = build(result.spec, device="meta") if untouched else layer
    info = torchinfo.summary(shown, verbose=0).total_params
    yield Check("parameters in all", counts.total, info, "torchinfo.summary", counts.total == info)


def _layer_of(name: str) -> int:
    _, _, tail = name.removesuffix("_reverse").partition("_l")
    return int(tail) if tail.isdigit() else 0


def _mac_checks(result: Run) -> Iterator[Check]:
    macs = result.prediction.counts.macs
    measured, how = measured_macs(result.spec, result.call)
    yield Check(f"MACs of {result.call.T_formula} steps", macs, measured, how, macs == measured)


def _law_checks(result: Run) -> Iterator[Check]:
    """Laws read off the run itself, then those for which the layer runs again, on what that can be done with."""
    if result.X.device.type == "meta":
        return  # no numbers to compare
    short, part = _shortened(result)
    for run_, exact in ((result, True), (short, False)):
        for law in laws(run_.layer, call=run_.call):
            if law.holds and law.exact == exact:
                residual, tolerance = law.residual(run_), law.tolerance(run_)
                note = "" if exact else f"tolerance {tolerance:.0e}: sums in another order{part}"
                ok = residual <= tolerance
                yield Check(law.expression, "difference 0", f"{residual:.1g}", "the numbers", ok, note)


def _shortened(result: Run) -> tuple[Run, str]:
    """The run, or one of its first rows and steps: some laws call the layer once for each row and each step."""
    call, spec = result.call, result.spec
    most = {"N": min(call.N or 1, _MOST_ROWS), "L": min(call.L, _MOST_STEPS)}
    if most == {"N": call.N or 1, "L": call.L}:
        return result, ""

    def first(tensor: AnnotatedTensor) -> Tensor:
        kept = [slice(most.get(name)) for name in tensor.axes.names]
        return tensor.plain()[tuple(kept)]

    starts = tuple(first(state) for state in (result.h0, result.c0) if state is not None)
    lengths = call.lengths and tuple(min(length, most["L"]) for length in call.lengths[: most["N"]])
    short = call_layer(result.layer, spec, read_inputs(spec, first(result.X), lengths), starts)
    sizes = ", ".join(f"{name}={size}" for name, size in most.items())
    return short, f", on the first {sizes}"


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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
