"""What is held still while runs are compared: dropout, batch statistics, fresh memory; and no run trains anything."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ._families import CELLS, KERNELS, names_in

_DROPOUTS = names_in(
    "dropout dropout_ alpha_dropout alpha_dropout_ feature_dropout feature_dropout_ feature_alpha_dropout "
    "feature_alpha_dropout_ dropout1d dropout2d dropout3d"
)
_LAYERS = KERNELS - CELLS
_FRESH = names_in("empty empty_like new_empty empty_strided new_empty_strided")
_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class Still:
    """The same rules for every run: what is drawn anew or computed from the whole batch accuses nobody.

    Dropout is the identity. Batch normalisation in training mode uses the statistics of the first run, so that
    bugs behind it stay visible. Memory that torch leaves as it found it is zero.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._turn: dict[int, int] = {}
        self._first = True

    def begin(self) -> None:
        self._turn = {}
        self._first = not self._held

    def held(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The call that is made in the place of this one."""
        if name in _DROPOUTS and isinstance(args[0] if args else kwargs.get("input"), Tensor):
            return dropout, args, kwargs
        if name in _LAYERS and len(args) > 6:
            place = 6 if isinstance(args[3], (list, tuple)) else 5
            return func, (*args[:place], 0.0, *args[place + 1 :]), kwargs
        if name in ("multi_head_attention_forward", "scaled_dot_product_attention"):
            place = 10 if name.startswith("multi") else 4
            if len(args) > place:
                args = (*args[:place], 0.0, *args[place + 1 :])
            return func, args, {**kwargs, "dropout_p": 0.0} if "dropout_p" in kwargs else kwargs
        if name == "rrelu" and kwargs.get("training"):
            return func, args, {**kwargs, "training": False}
        if name == "batch_norm":
            return self._batch_norm(func, args, kwargs)
        if name in _FRESH:
            return _zeroed(func), args, kwargs
        return func, args, kwargs

    def _batch_norm(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        given = {**dict(zip(_BATCH_NORM, args, strict=False)), **kwargs}
        x = given.get("input")
        if not isinstance(x, Tensor) or "cudnn_enabled" in given or len(args) > len(_BATCH_NORM):
            return func, args, kwargs
        if not (given.get("training", False) or given.get("running_mean") is None):
            return func, args, kwargs
        sizes = (part.shape[0] for part in (given.get("weight"), given.get("running_mean")) if part is not None)
        if x.dim() < 2 or any(size != x.shape[1] for size in sizes):
            return func, args, kwargs  # it raises, in its own words
        layer = id(given.get("weight")) if given.get("weight") is not None else id(given.get("running_mean"))
        turn = self._turn[layer] = self._turn.get(layer, -1) + 1
        while not self._first and turn and (layer, turn) not in self._held and (layer, 0) in self._held:
            turn -= 1  # a loop that makes more steps than the first run: the last statistics that there are
        if (layer, turn) not in self._held:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            with torch.no_grad():
                variance, mean = torch.var_mean(x.detach(), dim=axes, unbiased=False)
            self._held[layer, turn] = (mean, variance)
        mean, variance = self._held[layer, turn]
        given.update(running_mean=mean, running_var=variance, training=False)
        return func, (), given


# Each is called as what it stands for, so that who reads the record knows what it does to axes.
def dropout(input: Tensor, *_: Any, **__: Any) -> Tensor:
    return input


def _zeroed(func: Any) -> Any:
    @wraps(func)
    def zeroed(*args: Any, **kwargs: Any) -> Any:
        made = func(*args, **kwargs)
        if isinstance(made, Tensor) and not made.is_meta and not made.is_quantized:
            with torch.no_grad():
                made.zero_()
        return made

    return zeroed
