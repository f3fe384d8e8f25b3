"""Batch statistics held still: samples that meet in a BatchNorm do so on purpose, and must not look like a bug."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["Steady"]


class Steady:
    """Replays the statistics of the first run in every later one, so that only real dependence is left."""

    def __init__(self) -> None:
        self._held: list[tuple[Tensor, Tensor]] = []
        self._turn = 0

    def begin(self) -> None:
        """A run begins; its first batch_norm is again number 0."""
        self._turn = 0

    def batch_norm(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """F.batch_norm with the held mean and variance in the place of this batch's."""
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        x: Tensor = given["input"]
        if not (given.get("training", False) or given.get("running_mean") is None):
            result: Tensor = func(*args, **kwargs)
            return result
        turn, self._turn = self._turn, self._turn + 1
        if turn >= len(self._held):
            axes = [axis for axis in range(x.dim()) if axis != 1]
            with torch.no_grad():
                variance, mean = torch.var_mean(x.detach(), dim=axes, unbiased=False)
            self._held.append((mean, variance))
        mean, variance = self._held[turn]
        given.update(running_mean=mean, running_var=variance, training=False)
        frozen: Tensor = func(**given)
        return frozen
