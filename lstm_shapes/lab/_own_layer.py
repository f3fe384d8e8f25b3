"""A recurrent layer of somebody's own: what it is, and a run of it on random data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec, by_attributes

from ._build import PLAIN, as_device, as_dtype, generator, new_layer
from ._calling import Inputs, call_plainly, undisturbed
from .run import Run, call_layer


def is_torchs(layer: nn.Module) -> bool:
    """Whether a layer is one of torch's own recurrent classes or a subclass."""
    return isinstance(layer, (nn.RNNBase, nn.RNNCellBase))


def spec_by_attributes(layer: nn.Module) -> Spec:
    """The Spec that a layer's attributes with torch's names describe: an LSTM, unless it is another of torch's."""
    return Spec.of(layer) if is_torchs(layer) else by_attributes(layer, "LSTM", {})


def random_run(
    spec: Spec,
    call: Call,
    *,
    layer: nn.Module | None = None,
    device: Any = "cpu",
    dtype: Any = "float32",
    seed: int = 0,
    with_state: bool = True,
) -> Run:
    """A run on X and, if wanted, a state drawn from `seed`; a layer of one's own brings its device and dtype."""
    where, kind = as_device(device), as_dtype(dtype)
    if layer is not None:
        like = next(layer.parameters(), torch.empty(0, **PLAIN))
        where, kind = like.device, like.dtype
    prediction, numbers = Prediction(spec, call), generator(seed)

    def drawn(sizes: tuple[int, ...]) -> Tensor:
        return torch.randn(sizes, generator=numbers, dtype=torch.float64, device="cpu").to(device=where, dtype=kind)

    X = drawn(prediction.X.sizes)
    states = [axes.sizes for axes in (prediction.h0, prediction.c0) if axes is not None]
    state = tuple(drawn(sizes) for sizes in states) if with_state else None
    if layer is None:
        layer = new_layer(spec, where, dtype, seed)
    elif not call.lengths:
        _require_results(layer, prediction, X)
    return call_layer(layer, spec, Inputs(call, X, state=state))


def ignores_state(run: Run) -> bool:
    """Whether the layer returns the same without the state that this run started from.

    relu may hold a unit at zero whatever it starts from, so far larger states of both signs are tried as well.
    """
    starts = [s.plain() for s in (run.h0, run.c0) if s is not None]

    def results(state: tuple[Tensor, ...] | None) -> list[Tensor]:
        return call_plainly(run.layer, run.spec, Inputs(run.call, run.X.plain(), state=state)).results

    with torch.no_grad():
        without = results(None)
        tried = (results(tuple(scale * start for start in starts)) for scale in (1, 100, -100))
        return all(all(map(torch.equal, found, without)) for found in tried)


def _require_results(layer: nn.Module, prediction: Prediction, X: Tensor) -> None:
    """Y, hn and cn are there and have their shapes; each is named where it is not."""
    spec = prediction.spec
    with undisturbed(X.device), torch.no_grad():
        returned = layer(X)
    form = spec.states("n") if spec.kind.step else f"Y, {spec.states('n')}"
    names = form.replace("(", "").replace(")", "").split(", ")
    parts = returned if isinstance(returned, tuple) else (returned,)
    if not spec.kind.step and len(parts) == 2:
        parts = (parts[0], *parts[1]) if isinstance(parts[1], tuple) else parts
    if len(parts) != len(names) or not all(isinstance(part, (Tensor, PackedSequence)) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise ShapeError("the result", form, got=kinds)
    for name, part in zip(names, parts, strict=True):
        axes = getattr(prediction, name)
        if tuple(part.shape) != axes.sizes:
            raise ShapeError(name, axes.formula, expected=axes.sizes, got=tuple(part.shape))
