"""predict and count: every shape and number of a layer and one call of it, without torch.

A factor of 1 is left out of a name: K·R is called K when there is one direction.

Source: "Inputs" and "Outputs" of the RNN, LSTM, GRU and …Cell documentation in torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from lstm_shapes.display import Shown
from lstm_shapes.language import language

from ._given import Given, LayerTyped, Typed, takes
from .axes import Axes
from .call import Call
from .counts import Counts, listed_layers
from .spec import Source, Spec, Weights, with_directions

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Prediction", "count", "predict"]


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """What a layer takes, returns and holds, as named axes.

    `.Y` is None for a cell, `.c0` and `.cn` where the layer has no cell state.

    >>> p = predict(28, 256, 3, N=2, L=20)
    >>> p.X, p.Y
    ((N=2, L=20, Q=28), (N=2, L=20, D=256))
    >>> p.hn, p.cn
    ((K=3, N=2, D=256), (K=3, N=2, D=256))
    >>> predict(28, 256, 3, batch_first=False, proj_size=64, lengths=(5, 3)).packed_Y
    (T=8, P=64)
    """

    spec: Spec
    call: Call
    dtype: str = "float32"
    lang: str = field(default_factory=language, compare=False)

    @cached_property
    def X(self) -> Axes:
        """The input: (N, L, Q), or (L, N, Q) time-major, (L, Q) unbatched; (N, Q) for a cell."""
        return self._sequence("Q")

    @cached_property
    def h0(self) -> Axes:
        """The hidden state before the first step: (K·R, N, H) in both layouts; (N, D) for a cell."""
        return self._state(self.spec.width)

    @cached_property
    def c0(self) -> Axes | None:
        """The cell state before the first step: (K·R, N, D), also under a projection."""
        return self._state("D") if self.spec.has_c else None

    @cached_property
    def Y(self) -> Axes | None:
        """The top layer's hidden state after every step, forward half first: (N, L, R·H); (L, N, R·H) time-major."""
        return None if self.spec.kind.step else self._sequence(with_directions(self.spec, self.spec.width))

    @property
    def hn(self) -> Axes:
        """Every layer's hidden state after its last step: as h0."""
        return self.h0

    @property
    def cn(self) -> Axes | None:
        """Every layer's cell state after its last step: as c0."""
        return self.c0

    @property
    def packed_X(self) -> Axes | None:
        """`.data` of the packed input, (T, Q): all real steps in one axis; None where nothing is packed."""
        return self._axes("T", "Q") if self.call.lengths else None

    @property
    def packed_Y(self) -> Axes | None:
        """`.data` of the packed output, (T, R·H); None where nothing is packed."""
        return self._axes("T", with_directions(self.spec, self.spec.width)) if self.call.lengths else None

    def _sequence(self, width: str) -> Axes:
        steps = "" if self.spec.kind.step else "L"
        return self._axes(*(("N", steps) if self.spec.batch_first else (steps, "N")), width)

    def _state(self, width: str) -> Axes:
        return self._axes("" if self.spec.kind.step else with_directions(self.spec, "K", last=True), "N", width)

    def _axes(self, *names: str) -> Axes:
        there = [name for name in names if name != "N" or self.call.batched]
        return self.spec.axes(*there, N=self.call.N or 0, L=self.call.L, T=self.call.T)

    @property
    def weights(self) -> Weights:
        """torch's parameter names, in torch's order, with their axes."""
        return Weights(self.spec)

    @property
    def counts(self) -> Counts:
        """Parameters, MACs and bytes."""
        return Counts(self.spec, self.call, self.dtype, self.lang)

    @property
    def tensors(self) -> dict[str, Axes]:
        """The tensors that exist for this layer, in the order of the call: X, h0, c0, Y, hn, cn."""
        every = {name: getattr(self, name) for name in ("X", "h0", "c0", "Y", "hn", "cn")}
        return {name: axes for name, axes in every.items() if axes is not None}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: each tensor and weight with names and sizes; of more than 1,000 layers the first two."""
        listed = self.spec.replace(K=listed_layers(self.spec))
        return {
            "spec": self.spec.to_dict(),
            **self.call.to_dict(),
            "tensors": {name: axes.to_dict() for name, axes in self.tensors.items()},
            "weights": {name: axes.to_dict() for name, axes in Weights(listed).items()},
            "counts": self.counts.to_dict(),
        }


@overload
def predict(
    Q: int = ..., D: int = ..., K: int = 1, batch_first: bool = True, **words: Unpack[LayerTyped]
) -> Prediction: ...
@overload
def predict(source: Source, /, *, layer: str = "", **words: Unpack[Typed]) -> Prediction: ...
@takes(LayerTyped)
def predict(given: Given) -> Prediction:
    """Every shape and count of a layer and one call of it: Y is (N, L, R·H), hn (K·R, N, H). Loads no torch.

    Args: those of a layer and a call, as help(predict) lists them

    >>> predict(28, 256, 3, bidirectional=True).hn
    (K·R=6, N=2, D=256)
    >>> predict(input_size=28, hidden_size=256, num_layer=3)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: a keyword must be one that predict has, got 'num_layer'. ... num_layers (K)?

    Raises: SpecError for a size that is none; ShapeError where sizes contradict each other.
    Source: the LSTM, GRU, RNN and …Cell sections of torch's documentation.
    """
    return Prediction(given.spec, given.call, given.precision)


@overload
def count(Q: int = ..., D: int = ..., K: int = 1, batch_first: bool = True, **words: Unpack[LayerTyped]) -> Counts: ...
@overload
def count(source: Source, /, *, layer: str = "", **words: Unpack[Typed]) -> Counts: ...
@takes(LayerTyped)
def count(given: Given) -> Counts:
    """Parameters of a layer, 4·(Q·D + D·D + 2D) for the first; with N, L or lengths also MACs. Loads no torch.

    Args: those of a layer and a call, as help(count) lists them
        N: sequences in the batch, 2 where L or lengths is given; None is one sequence without a batch axis
        L: steps in a sequence, 20 where N is given

    >>> c = count(28, 256, 3)
    >>> c.total
    1345536
    >>> print(c.layers[0].formula, "=", c.layers[0].total)
    4·(Q·D + D·D + 2D) = 292864
    >>> count(28, 256, 3, N=2, L=20).macs
    53575680

    Raises: SpecError for a size that is none; ShapeError where sizes contradict each other.
    Source: `RNNBase.__init__` in torch/nn/modules/rnn.py.
    """
    return Counts(given.spec, given.call if given.asked else None, given.precision)
