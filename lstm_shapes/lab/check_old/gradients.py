"""Which cells of Y, hn and cn reach the result at all: one backward pass from random cotangents to every layer call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .calls import LayerCall
from .study import Run, Study

__all__ = ["Gradients", "gradients"]

_ROLES = ("X", "h0", "c0", "Y", "hn", "cn")


class Gradients:
    """The gradient run and what can be asked of it. Every answer is a boolean tensor in the canonical layout.

    A cell is "used" where the derivative of the results with respect to it is not zero. The taps are aliases:
    Y's gradient counts the ways from Y to the result, never the layer's own inside.
    """

    def __init__(self, run: Run, inputs: dict[int, Tensor]) -> None:
        self.run = run
        self.inputs = inputs
        self._results = [p.tensor for p in run.pieces if p.tensor.requires_grad and p.tensor.is_floating_point()]
        self._whole: dict[tuple[int, str], Tensor] | None = None

    @property
    def ok(self) -> bool:
        """Whether anything can be differentiated."""
        return bool(self._results)

    def _taps(self) -> list[tuple[tuple[int, str], Tensor]]:
        calls = self.run.seen.calls
        return [((c.index, r), c.taps[r]) for c in calls for r in _ROLES if r in c.taps and c.taps[r].requires_grad]

    def _grad(self, results: list[Tensor], weights: list[Tensor]) -> dict[tuple[int, str], Tensor]:
        taps = self._taps()
        if not taps or not results:
            return {}
        try:
            found = torch.autograd.grad(results, [t for _, t in taps], weights, retain_graph=True, allow_unused=True)
        except RuntimeError:  # the graph was freed or written over by the callable itself
            return {}
        return {key: g for (key, _), g in zip(taps, found, strict=True) if g is not None}

    def used(self, call: LayerCall, role: str) -> Tensor | None:
        """Cells of a tap that reach any result; None where nothing can be said."""
        if self._whole is None:
            draw = torch.Generator().manual_seed(99)
            weights = [_weights(r, draw) for r in self._results]
            self._whole = self._grad(self._results, weights)
        return self._answer(self._whole, call, role)

    def used_by_row(self, call: LayerCall, role: str, piece: int, axis: int, index: int) -> Tensor | None:
        """Cells of a tap that reach one row of one result."""
        if piece >= len(self.run.pieces):
            return None
        result = self.run.pieces[piece].tensor
        if not result.requires_grad:
            return None
        row = result.select(axis, index)
        draw = torch.Generator().manual_seed(99)
        return self._answer(self._grad([row], [_weights(row, draw)]), call, role)

    def sources(self, tensor: Tensor, before: int) -> dict[tuple[int, str], Tensor]:
        """What an inner tensor (a row of a later layer's state) is made of: cells of the earlier calls' results."""
        if not tensor.requires_grad:
            return {}
        calls = self.run.seen.calls
        draw = torch.Generator().manual_seed(99)
        keys = [
            (c.index, r) for c in calls[:before] for r in ("Y", "hn", "cn") if r in c.taps and c.taps[r].requires_grad
        ]
        if not keys:
            return {}
        try:
            found = torch.autograd.grad(
                tensor,
                [calls[i].taps[r] for i, r in keys],
                _weights(tensor, draw),
                retain_graph=True,
                allow_unused=True,
            )
        except RuntimeError:
            return {}
        return {key: calls[key[0]].canon(key[1], g != 0) for key, g in zip(keys, found, strict=True) if g is not None}

    def unread(self, slot: int, axis: int) -> tuple[int, ...]:
        """Indices of an input's axis that reach no layer and no result, not even by a derivative too small to see."""
        leaf = self.inputs.get(slot)
        if leaf is None:
            return ()
        layers = [c.taps["X"] for c in self.run.seen.calls if "X" in c.taps and c.taps["X"].requires_grad]
        layers += [s for c in self.run.seen.calls for r, s in c.taps.items() if r in ("h0", "c0") and s.requires_grad]
        draw = torch.Generator().manual_seed(99)
        found = torch.zeros_like(leaf, dtype=torch.bool)
        for group in (self._results, layers):  # the cheap question first
            group = [t for t in group if t.grad_fn is not None]
            if not group or bool(found.flatten().all()):
                continue
            try:
                (grad,) = torch.autograd.grad(
                    group, [leaf], [_weights(t, draw) for t in group], retain_graph=True, allow_unused=True
                )
            except RuntimeError:
                return ()
            if grad is not None:
                found |= grad != 0
            if bool(found.movedim(axis, 0).flatten(1).any(1).all()):
                return ()
        return tuple(torch.nonzero(~found.movedim(axis, 0).flatten(1).any(1)).flatten().tolist())

    def call(self, index: int) -> LayerCall:
        return self.run.seen.calls[index]

    def _answer(self, grads: dict[tuple[int, str], Tensor], call: LayerCall, role: str) -> Tensor | None:
        if call.index >= len(self.run.seen.calls):
            return None
        mine = self.run.seen.calls[call.index]
        grad = grads.get((call.index, role))
        if grad is None:
            tap = mine.taps.get(role)
            if tap is None or not grads:
                return None
            grad = torch.zeros_like(tap)
        return mine.canon(role, grad != 0)


def _weights(result: Tensor, draw: torch.Generator) -> Tensor:
    """A random cotangent without zeros."""
    return (torch.rand(result.shape, generator=draw) + 0.5).to(result.device, result.dtype)


def gradients(study: Study) -> Gradients | None:
    """The gradient run, or None where the callable cannot be differentiated."""
    if "gradients" not in study.__dict__:
        found: Any = None
        with torch.inference_mode(False), torch.enable_grad():
            given, inputs = study.inputs.leaves()
            run = study.steady(given, taps=True)
        if run.error is None and len(run.seen.calls) == len(study.base.seen.calls):
            candidate = Gradients(run, inputs)
            found = candidate if candidate.ok else None
        if found is None and study.base.error is None:
            from .edits import Edits

            edits = Edits(study)
            found = edits if edits.ok else None
        study.__dict__["gradients"] = found
    result: Gradients | None = study.__dict__["gradients"]
    return result
