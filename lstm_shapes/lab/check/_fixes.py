"""Fixes that are tried before they are given: the program is run with one call or one layer changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ._compare import differs
from ._experiments import Experiments
from ._inputs import Given

Edit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Fix:
    """What to write, and the same change as an edit of recorded calls or a patch of the model."""

    text: str
    edits: dict[int, Edit] = field(default_factory=dict)
    patch: Callable[[], None] | None = None


def best(lab: Experiments, fixes: Iterable[Fix], holds: Callable[[Experiments, Fix], bool]) -> str:
    """The first fix that holds; else the first one, with "probably" before it."""
    every = list(fixes)
    fallback = f"probably {every[0].text}" if every else ""
    return next((fix.text for fix in every if held(lab, fix, holds)), fallback)


def held(lab: Experiments, fix: Fix, holds: Callable[[Experiments, Fix], bool]) -> bool:
    """Whether a fix can be tried and holds; each is tried once."""
    return bool(fix.edits or fix.patch is not None) and lab.once((holds, fix), lambda: holds(lab, fix))


def samples_hold(lab: Experiments, fix: Fix) -> bool:
    """Whether with the fix each result holds each sample in its own place; of a loss, whether its rows do."""
    before = _shaped(lab, lab.inputs.same(), fix)
    seen = [torch.zeros_like(t, dtype=torch.bool) for t in before]
    for s in (0, lab.N - 1):
        after = _shaped(lab, lab.inputs.sample(s), fix)
        if len(after) != len(before):
            return False
        for a, b, others in zip(before, after, seen, strict=True):
            moved = differs(a, b, lab.slack)
            if moved is None or not _in_place(moved, s, lab.N, others):
                return False
            others |= moved
    return any(bool(moved.any()) for moved in seen)


def _shaped(lab: Experiments, given: Given, fix: Fix) -> list[Tensor]:
    outcome = lab.plain(given, fix.edits, fix.patch)
    shaped = [t for _, t in outcome.results if t.dim() and t.numel() > 1] or [t for t in outcome.losses if t.dim()]
    return [] if outcome.error is not None else [t.detach().clone() for t in shaped]


def _in_place(moved: Tensor, s: int, N: int, others: Tensor) -> bool:
    """Whether index s of an axis of N moved and nothing else; without such an axis, one N-th of all that is its own."""
    for axis in (axis for axis, size in enumerate(moved.shape) if size == N):
        rest = moved.clone()
        rest.select(axis, s).fill_(False)
        if bool(moved.any()) and not bool(rest.any()):
            return True
    share = 0 < int(moved.sum()) * N <= moved.numel() and moved.numel() % N == 0
    return share and N not in moved.shape and not bool((moved & others).any())
