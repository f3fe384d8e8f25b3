"""States whose size fits by chance: the same call with one sample, or one step, more shows which axis follows what."""

from __future__ import annotations

from dataclasses import dataclass

from .calls import LayerCall
from .study import Run, Study
from .where import Where
from .words import input_name

__all__ = ["Coincidence", "coincidence"]


@dataclass(frozen=True, slots=True)
class Coincidence:
    """What was accepted by chance, and the run that shows it."""

    detail: str
    fix: str
    layer: str
    where: Where | None
    did: str
    saw: str


def coincidence(study: Study) -> Coincidence | None:
    """A state that was made with another axis' size, or None."""
    if study.batch_dim is None or study.N < 2:
        return None
    for call in study.calls:
        if not call.states or call.step or call.packed is not None or call.N != study.N or call.layout == "unbatched":
            continue
        if call.K * call.R == study.N:
            run = study.go(study.inputs.wider(1, 0))
            failed = _failed(run, call)
            shape = _first(failed)
            if failed is not None and shape[:2] == (study.N + 1, study.N):
                return _axis(call, study, run)
        if call.L == study.N == study.L:
            run = study.go(study.inputs.wider(0, 1))
            failed = _failed(run, call)
            shape = _first(failed)
            if failed is not None and len(shape) == 3 and shape[1] == study.L + 1:
                return _length(call, study, run)
    return None


def _failed(run: Run, call: LayerCall) -> LayerCall | None:
    """The same layer, if it is the one that raised."""
    last = run.seen.unfinished if run.error is not None else None
    return last if last is not None and last.module is call.module else None


def _first(call: LayerCall | None) -> tuple[int, ...]:
    return tuple(next(iter(call.states.values())).shape) if call is not None and call.states else ()


def _axis(call: LayerCall, study: Study, run: Run) -> Coincidence:
    n, x = study.N, input_name(call)
    return Coincidence(
        "the state's axis 0 grows with the batch, and it is layers × directions: (N, K·R, H) passes for (K·R, "
        f"N, H) only because N == K·R == {n}",
        f"torch.zeros({call.K * call.R}, {x}.size({0 if call.batch_first else 1}), {call.H}), or "
        "state.transpose(0, 1).contiguous() "
        "(permute(1, 0, 2), swapaxes(0, 1)); batch_first does not move the axes of a state",
        call.name,
        call.where,
        f"the same call with {n + 1} samples",
        f"raises {type(run.error).__name__}",
    )


def _length(call: LayerCall, study: Study, run: Run) -> Coincidence:
    n, x = study.N, input_name(call)
    axis = 0 if call.batch_first else 1
    return Coincidence(
        f"the state's batch axis is made of {x}.size({1 - axis}), the number of steps: it fits only because N "
        f"== L == {n}",
        f"torch.zeros({call.K * call.R}, {x}.size({axis}), {call.H}): the batch is {x}.size({axis}) with "
        f"batch_first={call.batch_first}",
        call.name,
        call.where,
        f"the same call with {n + 1} steps",
        f"raises {type(run.error).__name__}",
    )
