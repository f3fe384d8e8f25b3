"""predict and count: the whole prediction about a layer and one call of it, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.errors import SpecError

from .axes import Axes
from .call import DEFAULT_N, Call, dtype_name
from .counts import Counts, listed_layers
from .shapes import Weights, axes_of_packed, axes_of_state, axes_of_X, axes_of_Y
from .spec import Spec

__all__ = ["Prediction", "as_spec", "count", "predict"]


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """What a layer takes, returns and holds, as named axes.

    `.Y` is None for a cell, `.c0` and `.cn` where the layer has no cell state.

    >>> p = predict(28, 256, 3, N=2, L=20)
    >>> p.X, p.Y
    ((N=2, L=20, Q=28), (N=2, L=20, D=256))
    >>> p.hn, p.cn
    ((K=3, N=2, D=256), (K=3, N=2, D=256))
    """

    spec: Spec
    call: Call
    dtype: str = "float32"

    @cached_property
    def X(self) -> Axes:
        """The input: (N, L, Q), or (L, N, Q) time-major, (L, Q) unbatched; (N, Q) for a cell."""
        return axes_of_X(self.spec, self.call)

    @cached_property
    def h0(self) -> Axes:
        """The hidden state before the first step: (K·R, N, H) in both layouts; (N, D) for a cell."""
        axes = axes_of_state(self.spec, self.call, "h")
        assert axes is not None  # every recurrent layer feeds h back
        return axes

    @cached_property
    def c0(self) -> Axes | None:
        """The cell state before the first step: (K·R, N, D), also under a projection."""
        return axes_of_state(self.spec, self.call, "c")

    @cached_property
    def Y(self) -> Axes | None:
        """The top layer's hidden state after every step: (N, L, R·H), or (L, N, R·H) time-major."""
        return axes_of_Y(self.spec, self.call)

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
        """`.data` of the packed input, (T, Q); None where nothing is packed."""
        return axes_of_packed(self.spec, self.call, "Q") if self.call.lengths else None

    @property
    def packed_Y(self) -> Axes | None:
        """`.data` of the packed output, (T, R·H); None where nothing is packed."""
        return axes_of_packed(self.spec, self.call, "H") if self.call.lengths else None

    @property
    def weights(self) -> Weights:
        """torch's parameter names, in torch's order, with their axes."""
        return Weights(self.spec)

    @property
    def counts(self) -> Counts:
        """Parameters, MACs and bytes."""
        return Counts(self.spec, self.call, self.dtype)

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


def as_spec(Q: Any, D: Any = None, K: Any = 1, batch_first: bool = True, **fields: Any) -> Spec:
    """A Spec from what every call takes first: numbers, a Spec, or a torch layer in their place.

    >>> as_spec(28, 256, 3, cell="GRU")
    Spec(Q=28, D=256, K=3, batch_first=True, cell='GRU')

    Raises: SpecError, also when a Spec or a layer comes with further fields.
    """
    if isinstance(Q, Spec) or (not isinstance(Q, (int, float, str, bytes)) and _is_source(Q)):
        spec = Q if isinstance(Q, Spec) else Spec.of(Q)
        places = (("D", D, None), ("K", K, 1), ("batch_first", batch_first, True))
        given = {name: value for name, value, default in places if value is not default} | fields
        if given:
            name, value = next(iter(given.items()))
            hint = "Change it with spec.replace(...)"
            raise SpecError(name, "left out beside a Spec or a layer", value, hint)
        return spec
    if D is None:
        raise SpecError("D (hidden_size)", "given with Q, as in explain(28, 256, 3)", D)
    unknown = sorted(set(fields) - {"cell", "bidirectional", "proj_size", "bias", "dropout", "nonlinearity"})
    if unknown:
        known = "cell, bidirectional, proj_size, bias, dropout or nonlinearity"
        raise SpecError("an option", known, unknown[0], "Sizes of the call are N, L and lengths")
    return Spec(Q, D, K, batch_first, **fields)


def _is_source(value: object) -> bool:
    """Whether a value may be a layer or a state_dict: it has parameters, or maps names to them."""
    return isinstance(value, Mapping) or hasattr(value, "named_parameters")


def _dtype_of(source: Any, dtype: object) -> str:
    """The dtype asked for, else that of a layer's weights, else torch's default."""
    if dtype is None and hasattr(source, "parameters"):
        dtype = next((weight.dtype for weight in source.parameters()), None)
    return dtype_name("float32" if dtype is None else dtype)


def predict(
    Q: Any,
    D: Any = None,
    K: Any = 1,
    batch_first: bool = True,
    *,
    N: int | None = DEFAULT_N,
    L: int | None = None,
    lengths: Iterable[int] | None = None,
    dtype: object = None,
    **fields: Any,
) -> Prediction:
    """Every shape and count of a layer and one call of it: Y is (N, L, R·H), hn (K·R, N, H).

    Q, D, K may be replaced by a Spec or a torch layer. N = 2 and L = 20 unless given; N=None is one unbatched
    sequence; `lengths` packs padded rows. `dtype` is float32, or that of a layer's weights. `fields` are those of
    Spec: cell, bidirectional, proj_size, bias, …

    >>> predict(28, 256, 3, bidirectional=True).hn
    (K·R=6, N=2, D=256)

    Raises: SpecError for a size that is none; ShapeError where sizes contradict each other.
    Source: the LSTM, GRU, RNN and …Cell sections of torch's documentation.
    """
    spec = as_spec(Q, D, K, batch_first, **fields)
    return Prediction(spec, Call.of(spec, N=N, L=L, lengths=lengths), _dtype_of(Q, dtype))


def count(
    Q: Any,
    D: Any = None,
    K: Any = 1,
    batch_first: bool = True,
    *,
    N: int | None = DEFAULT_N,
    L: int | None = None,
    lengths: Iterable[int] | None = None,
    dtype: object = None,
    **fields: Any,
) -> Counts:
    """Parameters of a layer, 4·(Q·D + D·D + 2D) for the first; with N, L or lengths also MACs.

    Of N and L the one that is left out is 2 or 20, as everywhere; N=None is one unbatched sequence.

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
    spec = as_spec(Q, D, K, batch_first, **fields)
    asked = N is not DEFAULT_N or L is not None or lengths is not None
    call = Call.of(spec, N=N, L=L, lengths=lengths) if asked else None
    return Counts(spec, call, _dtype_of(Q, dtype))
