"""Place: how one layer and one call write "the last step" and "the forward half", and how to take them.

`Y[:, -1]`, `Y[-1]` and `Y[torch.arange(N), lengths - 1]` mean the same to three layouts. A law says it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .call import Call
from .spec import Spec

__all__ = ["Place"]

_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Place:
    """A spec, a call, and whether the layer trains (its dropout is at work).

    >>> place = Place(Spec(28, 256, bidirectional=True), Call())
    >>> place.step("-1", "f"), place.step("0", "b"), place.own_last("f")
    ('Y[:, -1, :D]', 'Y[:, 0, D:]', 'Y[:, -1, :D]')
    """

    spec: Spec
    call: Call
    training: bool = True

    @property
    def layer(self) -> bool:
        """A sequence layer, with a Y; false for a cell."""
        return not self.spec.kind.step

    @property
    def two_way(self) -> bool:
        return self.spec.bidirectional

    @property
    def batch_leads(self) -> bool:
        """Whether Y starts with the batch axis."""
        return self.spec.batch_first and self.call.batched

    @property
    def packed(self) -> bool:
        return self.call.lengths is not None

    @property
    def full(self) -> bool:
        """No row is shorter than L, so that step -1 is every row's own last."""
        return not self.call.short

    @property
    def one_step(self) -> bool:
        """Every row has one step only."""
        return (self.call.N or 1) == self.call.T

    @property
    def dropping(self) -> bool:
        """Whether dropout makes two runs of this layer differ: it acts between layers, while training."""
        return self.training and self.spec.dropout > 0 and self.spec.K > 1

    def step(self, index: str, half: str = "", name: str = "Y") -> str:
        """One step of Y in this layout, of its forward (`f`) or backward (`b`) half or whole."""
        keys = [":", index] if self.batch_leads else [index]
        if half:
            keys += [":"] if self.call.batched and not self.batch_leads else []
            keys.append(f":{self.spec.width}" if half == "f" else f"{self.spec.width}:")
        return f"{name}[{', '.join(keys)}]"

    def own_last(self, half: str = "") -> str:
        """Each row's own last step: gathered where rows are packed, step -1 elsewhere."""
        if not self.packed:
            return self.step("-1", half)
        keys = ["torch.arange(N)", "lengths - 1"]
        if not self.spec.batch_first:
            keys.reverse()
        if half:
            keys.append(f":{self.spec.width}" if half == "f" else f"{self.spec.width}:")
        return f"Y[{', '.join(keys)}]"

    def take(self, Y: Any, index: int, half: str = "") -> Any:
        """What `step` says, from a tensor."""
        return self._half(Y[:, index] if self.batch_leads else Y[index], half)

    def take_own_last(self, Y: Any, half: str = "") -> Any:
        """What `own_last` says, from a tensor."""
        if self.call.lengths is None:
            return self.take(Y, -1, half)
        rows, steps = list(range(len(self.call.lengths))), [length - 1 for length in self.call.lengths]
        return self._half(Y[rows, steps] if self.spec.batch_first else Y[steps, rows], half)

    def _half(self, tensor: Any, half: str) -> Any:
        if not half:
            return tensor
        return tensor[..., : self.spec.H] if half == "f" else tensor[..., self.spec.H :]
