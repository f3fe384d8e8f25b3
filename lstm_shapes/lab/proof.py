"""prove: each prediction beside what something we did not write measures (claims.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

import torch

from lstm_shapes.display import Shown
from lstm_shapes.language import language
from lstm_shapes.theory._given import Given, LayerPlaced, Placed, Source, takes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.spec import Spec

from ._alone import alone
from ._build import bytes_of_call
from ._calling import State, X
from ._claims import Check, every_check
from .run import Run, run_given

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Check", "Proof", "one_thread_below", "plain_mode", "prove", "prove_given"]


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
    source: Source,
    /,
    x: X | None = None,
    state: State | None = None,
    *,
    layer: str = "",
    **words: Unpack[Placed],
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


# About a hundredth of a second on one core.
_SMALL_MACS = 10**9


@contextmanager
def one_thread_below(macs: int, most: int = _SMALL_MACS) -> Iterator[None]:
    """One thread of torch's inside, as many as before afterwards; nothing changes above `most` MACs.

    A small layer is a thousand tiny kernels. Threads meet after each, and where another program has one of the
    cores, they wait there for most of the time.

    >>> before = torch.get_num_threads()
    >>> with one_thread_below(53_575_680):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
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
    """No gradients, no autocast, no inference mode: under those a layer, or torch's counter, answers otherwise.

    >>> with torch.inference_mode(), plain_mode():
    ...     torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    (False, False)
    """
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.no_grad())
        for device in ("cpu", "cuda"):
            modes.enter_context(torch.autocast(device, enabled=False))
        yield
