"""Which cells reach the result, asked without gradients: replace them on their way out of the layer and run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .calls import LayerCall
from .gradients import Gradients
from .study import Study
from .values import differs

__all__ = ["Edits"]

_LIMIT = 24


class Edits(Gradients):
    """The same questions as `Gradients`, for a model that runs under inference_mode or leaves torch on the way.

    An answer costs a forward run, so Y is asked in parts: of each direction the first step, the last, and the rest.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study.base, {})
        self._study = study
        self._asked: dict[tuple[int, str], Tensor | None] = {}
        self._runs = 0

    @property
    def ok(self) -> bool:
        """Whether there is a result in which a change would show."""
        return any(piece.tensor.is_floating_point() for piece in self._study.base.pieces)

    def used(self, call: LayerCall, role: str) -> Tensor | None:
        key = (call.index, role)
        if key not in self._asked:
            self._asked[key] = self._ask(call, role)
        return self._asked[key]

    def used_by_row(self, call: LayerCall, role: str, piece: int, axis: int, index: int) -> Tensor | None:
        return None  # a change shows where it arrives, not what one row is made of

    def sources(self, tensor: Tensor, before: int) -> dict[tuple[int, str], Tensor]:
        return {}

    def unread(self, slot: int, axis: int) -> tuple[int, ...]:
        return ()

    def _ask(self, call: LayerCall, role: str) -> Tensor | None:
        tap = call.taps.get(role)
        if tap is None or role not in ("Y", "hn", "cn") or call.packed is not None or call.layout == "one":
            return None
        answer = torch.zeros_like(call.canon(role, tap), dtype=torch.bool)
        for part in _parts(call, role):
            if self._runs >= _LIMIT:
                return None
            self._runs += 1
            run = self._study.steady(self._study.inputs.same(), edit={call.index: _editor(role, part)})
            if run.error is not None or len(run.pieces) != len(self._study.base.pieces):
                return None
            moved = [differs(a.tensor, b.tensor) for a, b in zip(self._study.base.pieces, run.pieces, strict=True)]
            if any(m is None or bool(m.any()) for m in moved):
                answer[part] = True
        return answer


def _parts(call: LayerCall, role: str) -> list[tuple[Any, ...]]:
    """Indices of the canonical tensor: rows of a state; first step, last step and the rest of each half of Y."""
    if role != "Y":
        return [(row,) for row in range(call.K * call.R)]
    halves = [slice(r * call.H, (r + 1) * call.H) for r in range(call.R)]
    steps: list[Any] = [0, call.L - 1] if call.L > 1 else [0]
    if call.L > 2:
        steps.append(slice(1, call.L - 1))
    return [(slice(None), step, half) for half in halves for step in steps]


def _editor(role: str, part: tuple[Any, ...]) -> Callable[[LayerCall, Any], Any]:
    """A function that gives a layer's output back with one part of it replaced."""

    def change(call: LayerCall, value: Tensor) -> Tensor:
        copy = value.detach().clone()
        view = call.canon(role, copy)
        draw = torch.Generator().manual_seed(5)
        view[part] = (torch.rand(view[part].shape, generator=draw) * 2 - 1).to(value.device, value.dtype)
        return copy

    def edit(call: LayerCall, output: Any) -> Any:
        if call.step:
            if not isinstance(output, tuple):
                return change(call, output)
            h, c = output
            return (change(call, h), c) if role == "hn" else (h, change(call, c))
        sequence, state = output
        if role == "Y":
            assert not isinstance(sequence, PackedSequence)
            return change(call, sequence), state
        if not isinstance(state, tuple):
            return sequence, change(call, state)
        h, c = state
        return sequence, ((change(call, h), c) if role == "hn" else (h, change(call, c)))

    return edit
