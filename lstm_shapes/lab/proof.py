"""prove: each prediction beside what something we did not write measures (checks.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from lstm_shapes.display import Shown
from lstm_shapes.theory.call import DEFAULT_N, Call, dtype_name
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.predict import as_spec
from lstm_shapes.theory.spec import Spec

from .alone import alone
from .build import bytes_of_call
from .checks import Check, every_check
from .modes import one_thread_below, plain_mode
from .run import Run, run

__all__ = ["Check", "Proof", "prove"]

# Above these a layer is proved on a twin: half a gigabyte of weights or tensors, some seconds of arithmetic.
_MOST_BYTES = 2**29
_MOST_MACS = 2 * 10**10
_MOST_LAYERS = 500
_MOST_KERNELS = 100_000  # steps of layers and directions, one after the other


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
    with alone(), plain_mode():
        if isinstance(Q, nn.Module):
            where = {"device": device, "dtype": dtype, "seed": seed}
            result = run(Q, D, K, batch_first, N=N, L=L, lengths=lengths, **where, **fields)
            return _prove_run(result, yours=True)
        spec = as_spec(Q, D, K, batch_first, **fields)
        call = Call.of(spec, N=N, L=L, lengths=lengths)
        small_spec, small = _runnable(spec, call, dtype_name("float32" if dtype is None else dtype))
        where = {"device": device, "dtype": dtype, "seed": seed}
        with one_thread_below(Counts(small_spec, small).macs or 0):
            result = run(small_spec, N=small.N, L=small.L, lengths=small.lengths, **where)
            return _prove_run(result, original=(spec, call) if (small_spec, small) != (spec, call) else None)


def _prove_run(result: Run, *, yours: bool = False, original: tuple[Spec, Call] | None = None) -> Proof:
    """The checks of a call that has been made. `original` is what the run is a twin of."""
    twin = result.spec if original else None
    spec, call = original or (result.spec, result.call)
    with one_thread_below(result.prediction.counts.macs or 0):
        checks = tuple(every_check(result, yours=yours))
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
