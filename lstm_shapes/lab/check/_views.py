"""Views that scramble the inside of a sample: an axis is asked for at another place, and a view exchanges none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod

from lstm_shapes.lab._words import value_name
from lstm_shapes.lab.trace import Call

from ._experiments import Experiments
from ._samples import samples_of

__all__ = ["Scramble", "scrambling_view"]


@dataclass(frozen=True, slots=True)
class Scramble:
    """The view, the axis of its result that was meant to be one of the input's, and the permute in its place."""

    call: Call
    axis: int
    fix: str


def scrambling_view(lab: Experiments) -> Scramble | None:
    """The first view on the way to a result in whose result an axis of the input stands at another place.

    Boundaries between axes are numbers of elements to their right. Where one of the input and one of the result divide
    neither the other, the view cuts through both; if besides an axis of the input is asked for elsewhere, a permute was
    meant: (N, C, L) as (N, L, C).
    """
    if lab.baseline.error is not None or lab.ask(samples_of).kind in ("mixed", "dropped"):
        return None
    for call in lab.baseline.calls:
        if call.name not in ("view", "reshape") or not call.inputs or not call.outputs:
            continue
        if call.outputs[0].index not in lab.on_path or call.inputs[0].parameter or not _holds_data(lab, call):
            continue
        before, after = call.inputs[0].shape, call.outputs[0].shape
        axis = _exchanged(before, after)
        if axis is not None:
            return Scramble(call, axis, _permute(value_name(call.inputs[0], call), before, after))
    return None


def _holds_data(lab: Experiments, call: Call) -> bool:
    ancestors = lab.baseline.ancestors(call.inputs[0])
    return any(value.index in ancestors for value in lab.baseline.inputs)


def _boundaries(shape: Sequence[int]) -> list[int]:
    return [prod(shape[k:]) for k in range(1, len(shape))]


def _exchanged(before: Sequence[int], after: Sequence[int]) -> int | None:
    crossing = [(b, B) for b in _boundaries(before) for B in _boundaries(after) if b % B and B % b]
    if not crossing:
        return None
    for j, size in enumerate(after):
        places = [k for k, n in enumerate(before) if n == size]
        if size == 1 or len(places) != 1 or after.count(size) != 1:
            continue
        k = places[0]
        if prod(before[:k]) != prod(after[:j]) and prod(before[k + 1 :]) != prod(after[j + 1 :]):
            return j
    return None


def _permute(name: str, before: Sequence[int], after: Sequence[int]) -> str:
    """The permute behind which the new shape keeps whole axes."""
    for order in permutations(range(len(before))):
        moved = [before[k] for k in order]
        ends = {prod(moved[:k]) for k in range(len(moved) + 1)}
        if list(order) != sorted(order) and all(prod(after[:k]) in ends for k in range(len(after) + 1)):
            swapped = [k for k, place in enumerate(order) if k != place]
            text = f"{name}.transpose({swapped[0]}, {swapped[1]})" if len(swapped) == 2 else f"{name}.permute{order}"
            return text if list(moved) == list(after) else f"{text}.reshape{tuple(after)}"
    return f"a permute of {name} before the view"
