"""Cells that are written by hand: an LSTM's known by its formula, c = f · c + i · g and h = o · tanh(c); any other by
the weights that a loop uses again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lstm_shapes.lab.trace import CELLS, KERNELS, Call, Value
from lstm_shapes.lab.trace._families import PRODUCTS, names_in

from ._experiments import Experiments
from ._samples import samples_of

__all__ = ["OwnCell", "own_cells_of"]

_ADDS = names_in("add __add__ __radd__ __iadd__ add_ addcmul")
_MULTIPLIES = names_in("mul __mul__ __rmul__ __imul__ mul_")
_BETWEEN = names_in("layer_norm batch_norm group_norm clamp clone contiguous dropout __add__ add")
_LAYERS = PRODUCTS | CELLS | KERNELS | names_in("conv1d conv2d conv3d")
_ZEROS = names_in("zeros zeros_like new_zeros")
_JOINS = names_in("cat concat hstack expand expand_as repeat unsqueeze to view reshape")


@dataclass(frozen=True, slots=True)
class OwnCell:
    """What is wrong with a cell's state: c is read where h is meant, or each step starts from zeros (`lost`)."""

    problem: Literal["cell", "lost"]
    call: Call
    state: Value
    steps: int


@dataclass(frozen=True, slots=True)
class _Step:
    """One step: both states, and the call that makes h."""

    h: Value
    c: Value
    call: Call


def own_cells_of(lab: Experiments) -> OwnCell | None:
    """The first fault of a cell's state in a cell that no kernel of torch computes."""
    if lab.baseline.error is not None or lab.ask(samples_of).kind in ("mixed", "dropped"):
        return None
    return _cell_read(lab) or _lost(lab)


# ---------------------------------------------------------------------- c for h
def _steps(lab: Experiments) -> Iterator[_Step]:
    for call in lab.baseline.calls:
        if call.name not in ("tanh", "tanh_") or not call.inputs or not call.outputs:
            continue
        c = next((value for value in _unwrapped(call.inputs[0]) if _is_sum_of_products(value)), None)
        readers = [] if c is None else [r for r in call.outputs[0].readers if r.name in _MULTIPLIES]
        gated = [r for r in readers if len(r.inputs) == 2 and not any(v.parameter for v in r.inputs)]
        if c is not None and gated and gated[0].outputs:
            yield _Step(gated[0].outputs[0], c, gated[0])


def _unwrapped(value: Value) -> Iterator[Value]:
    """A value and what it was before a normalisation."""
    yield value
    while value.maker is not None and value.maker.name in _BETWEEN and value.maker.inputs:
        value = value.maker.inputs[0]
        yield value


def _is_sum_of_products(value: Value) -> bool:
    maker = value.maker
    if maker is None or maker.name not in _ADDS or not maker.outputs or maker.outputs[0] is not value:
        return False
    terms = [v for v in maker.inputs if _is_product(v)]
    return len(terms) == 2 or (maker.name == "addcmul" and len(terms) == 1)


def _is_product(value: Value) -> bool:
    """A product of two tensors, or the sum of such ones over the children of a node in a tree."""
    maker = value.maker
    if maker is not None and maker.name == "sum" and maker.inputs:
        maker = maker.inputs[0].maker
    return maker is not None and maker.name in _MULTIPLIES and len(maker.inputs) == 2


def _cell_read(lab: Experiments) -> OwnCell | None:
    """A group of steps, one line of the program, of which c leaves the recurrence and h does not."""
    groups: dict[object, list[_Step]] = {}
    for step in _steps(lab):
        groups.setdefault(step.call.line, []).append(step)
    results = {value.index for _, value in lab.results}
    for steps in groups.values():
        inside = lab.baseline.ancestors(steps[-1].h, steps[-1].c)
        read = {k: [_outside(lab, getattr(step, k), inside, results) for step in steps] for k in ("h", "c")}
        h, c = (sum(call is not None for call in read[k]) for k in ("h", "c"))
        if c and (not h or (c > 2 and h == 1 < len(steps))):
            at = next(k for k, call in enumerate(read["c"]) if call is not None)
            call = read["c"][at]
            assert call is not None
            return OwnCell("cell", call, steps[at].c, len(steps))
    return None


def _outside(lab: Experiments, value: Value, inside: set[int], results: set[int]) -> Call | None:
    """The first call that reads a state on the way to a result and not for a later step."""
    if value.index in results:
        return value.maker
    for call in value.readers:
        outputs = {v.index for v in call.outputs}
        if outputs & lab.on_path and not outputs & inside:
            return call
    return None


# ---------------------------------------------------------------------- a state of zeros at each step
def _lost(lab: Experiments) -> OwnCell | None:
    """Weights that a loop uses at each step on zeros, where no weights of the loop read what an earlier step made."""
    loops: dict[tuple[object, ...], list[Call]] = {}
    for call in lab.baseline.calls:
        weights = [v.index for v in call.inputs if v.parameter]
        if call.name in _LAYERS and weights and call.outputs:
            loops.setdefault((call.line, *weights), []).append(call)
    for calls in loops.values():
        if len(calls) < 3 or calls[0].name in CELLS | KERNELS:
            continue
        zeros = [_zeros_in(call) for call in calls]
        if any(zero is None for zero in zeros) or not any(v.index in lab.on_path for v in calls[-1].outputs):
            continue
        together = [
            some for some in loops.values() if some[0].index < calls[1].index and calls[1].index < some[-1].index
        ]
        if any(_recurs(lab, some) for some in together):
            continue
        assert zeros[-1] is not None
        return OwnCell("lost", calls[-1], zeros[-1], len(calls))
    return None


def _zeros_in(call: Call) -> Value | None:
    """The zeros that the program made itself and hands to a product, alone or joined with what else it reads."""
    waiting = [v for v in call.inputs if not v.parameter]
    for value in waiting:
        maker = value.maker
        if maker is None:
            continue
        if maker.name in _ZEROS and len(value.shape) > 1 and value.elements is not None:
            if not bool(value.elements.any()):
                return value
        elif maker.name in _JOINS and len(waiting) < 12:
            waiting.extend(v for v in maker.inputs if not v.parameter)
    return None


def _recurs(lab: Experiments, calls: list[Call]) -> bool:
    """Whether the last of these calls reads what the first one made."""
    made = {v.index for v in calls[0].outputs}
    return bool(made & lab.baseline.ancestors(*(v for v in calls[-1].inputs if not v.parameter)))
