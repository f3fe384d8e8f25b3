"""calling: one call of a layer, checked by the algebra before torch sees it; plain tensors in and out."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

from .inputs import Inputs, require_order
from .random_state import untouched_random_state
from .tensors import AnnotatedTensor

__all__ = ["Returned", "call_plainly", "plain", "read_state"]


class Returned(NamedTuple):
    """What went into a call and came out of it: `starts` is (h0, c0), `finals` (hn, cn), or h alone.

    Y is None for a cell, and padded where rows were packed.
    """

    starts: tuple[Tensor, ...]
    Y: Tensor | None
    finals: tuple[Tensor, ...]
    packed_X: PackedSequence | None
    packed_Y: PackedSequence | None

    @property
    def results(self) -> list[Tensor]:
        """Y, hn and cn, those of them that there are."""
        return [*([] if self.Y is None else [self.Y]), *self.finals]


def call_plainly(layer: nn.Module, spec: Spec, inputs: Inputs, state: Any) -> Returned:
    """One call of a layer whose Spec is known, which may be anything with the signature of torch's layers.

    Raises: ShapeError for a state, a device or a dtype that does not fit.
    """
    _require_same_kind(layer, inputs.X)
    given = read_state(spec, inputs, state)
    fed = inputs.packed if inputs.packed is not None else inputs.X
    if inputs.packed is None and inputs.call.lengths is not None:
        lengths = torch.tensor(inputs.call.lengths, device="cpu")
        fed = pack_padded_sequence(inputs.X, lengths, batch_first=spec.batch_first, enforce_sorted=False)
    with untouched_random_state(inputs.X.device), warnings.catch_warnings():
        # A remark about speed, which nobody who asks for shapes wants to read.
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        # One state is passed bare, two as a tuple; that is how torch tells GRU from LSTM.
        returned = layer(fed) if given is None else layer(fed, given if len(given) > 1 else given[0])
    if not spec.kind.step and not (isinstance(returned, tuple) and len(returned) == 2):
        form = f"Y, {spec.states('n')}"
        got = f"{len(returned)} values" if isinstance(returned, tuple) else type(returned).__name__
        hint = f"A layer that stands in for torch's must return {form} from forward"
        raise ShapeError("the result", form, got=got, hint=hint)
    Y, final = (None, returned) if spec.kind.step else returned
    finals = final if isinstance(final, tuple) else (final,)
    packed_Y = Y if isinstance(Y, PackedSequence) else None
    return Returned(
        starts=given if given is not None else tuple(torch.zeros_like(plain(s)) for s in finals),
        Y=Y if packed_Y is None else _padded(packed_Y, Prediction(spec, inputs.call)),
        finals=finals,
        packed_X=fed if isinstance(fed, PackedSequence) else None,
        packed_Y=packed_Y,
    )


def _padded(packed: PackedSequence, prediction: Prediction) -> Tensor:
    spec, call = prediction.spec, prediction.call
    if packed.data.device.type == "meta" and prediction.Y is not None:
        # torch would read the rows' order back to the CPU; on meta there is nothing to read.
        return packed.data.new_empty(prediction.Y.sizes)
    Y, _ = pad_packed_sequence(packed, batch_first=spec.batch_first, total_length=call.L)
    return Y


def _require_same_kind(layer: nn.Module, X: Tensor) -> None:
    weight = next(layer.parameters(), X)
    mixed = weight.dtype != X.dtype and not torch.is_autocast_enabled(X.device.type)
    if weight.device != X.device or mixed:
        raise ShapeError(
            "x",
            "on the device and of the dtype of the weights",
            expected=f"{weight.dtype} on {weight.device}",
            got=f"{X.dtype} on {X.device}",
            hint=f"Write x.to(device={str(weight.device)!r}, dtype={weight.dtype})",
        )


def read_state(spec: Spec, inputs: Inputs, state: Any) -> tuple[Tensor, ...] | None:
    """h0, or h0 and c0, checked against the algebra before torch sees them, and without their names.

    Raises: ShapeError for a size, an order of names, a device or a dtype that does not fit.
    """
    if state is None:
        return None
    prediction, X = Prediction(spec, inputs.call), inputs.X
    names = [f"{name}0" for name in spec.kind.states]
    parts = state if isinstance(state, (tuple, list)) else (state,)
    if len(parts) != len(names) or not all(isinstance(part, Tensor) for part in parts):
        got = f"{len(parts)} value(s): {', '.join(type(part).__name__ for part in parts)}"
        raise ShapeError("state", f"{spec.states('0')} for {spec.cell}", got=got)
    for name, part in zip(names, parts, strict=True):
        expected: Axes = getattr(prediction, name)
        if tuple(part.shape) != expected.sizes:
            hint = "batch_first never moves the axes of a state" if len(expected) == 3 else ""
            raise ShapeError(name, expected.formula, expected=expected.sizes, got=tuple(part.shape), hint=hint)
        require_order(name, part, expected.names, f"{name}.transpose(0, 1) moves them")
        if part.device != X.device or part.dtype != X.dtype:
            fix = f"{name}.to(device={str(X.device)!r}, dtype={X.dtype})"
            raise ShapeError(
                name,
                "on the device and of the dtype of X",
                expected=f"{X.dtype} on {X.device}",
                got=f"{part.dtype} on {part.device}",
                hint=f"Write {fix}",
            )
    return tuple(plain(part) for part in parts)


def plain(tensor: Any) -> Any:
    """A tensor without its names; anything else as it is."""
    return tensor.plain() if isinstance(tensor, AnnotatedTensor) else tensor
