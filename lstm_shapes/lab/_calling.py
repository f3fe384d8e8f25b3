"""calling: one call of a layer, held against the contract before torch sees it; plain tensors in and out.

The contract reads only shapes, dtypes, devices and names, so a call that raised can be judged as well as one to come.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory._contract import Group, Operand, Packed, Problem, Value, Words, layouts, problems
from lstm_shapes.theory._given import Given
from lstm_shapes.theory.call import DEFAULT_N, Call, kind_of
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

from ._alone import alone
from ._private import compiled_from
from .tensors import AnnotatedTensor
from .trace import Snapshot


def untouched_random_state(device: torch.device) -> AbstractContextManager[None]:
    """Put the CPU's and the device's random state back afterwards, also after an exception."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """One call of a layer by itself: alone, the random state put back, and torch's remarks about speed left out."""
    with alone(), untouched_random_state(device), warnings.catch_warnings():
        # Nobody who asks for shapes wants to read them; the second is of copies on CUDA, and of layers one by one, for
        # cuDNN wants the weights of all layers in one piece.
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        yield


def problems_of(
    layer: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    spec: Spec | None = None,
    maker: Spec | None = None,
    words: Words | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with the arguments of `layer(*args, **kwargs)`, in the order in which torch looks.

    `spec` is the layer's, where it is no layer of torch's; `maker` is the Spec of the layer that made the state.

    >>> [problem.name for problem in problems_of(nn.GRU(4, 5), (torch.zeros(7, 3, 4), torch.zeros(2, 3, 5)))]
    ['h0']
    """
    given, by_name = list(args), dict(kwargs or {})
    x = given.pop(0) if given else by_name.get("input")
    state: Value = as_value(given[0] if given else by_name.get("hx"))
    if len(given) > 1:
        state = Group(tuple(map(as_value, given)), "arguments")
    first = as_value(next(layer.parameters(), None))
    # A quantised layer, which keeps its weights elsewhere, takes float32.
    weights = first if isinstance(first, Operand) else Operand(())
    place = torch.device(weights.device).type
    autocast = torch.amp.is_autocast_available(place) and torch.is_autocast_enabled(place)
    known = spec or Spec.of(layer)
    return problems(known, as_value(x), state, weights=weights, autocast=autocast, maker=maker, words=words)


def as_value(thing: Any) -> Value:
    """A tensor, a PackedSequence or a nest of them, as the plain data that theory reads."""
    if thing is None:
        return None
    if isinstance(thing, PackedSequence):
        data = as_value(thing.data)
        return Packed(data, tuple(thing.batch_sizes.tolist())) if isinstance(data, Operand) else data
    if isinstance(thing, Tensor):
        if thing.is_nested:
            return "nested tensor"
        names = thing.axes.names if isinstance(thing, AnnotatedTensor) else ()
        sizes, device = tuple(map(int, thing.shape)), str(thing.device)
        return Operand(sizes, kind_of(thing.dtype), device, kind_of(thing.layout), names)
    if isinstance(thing, (tuple, list)):
        return Group(tuple(map(as_value, thing)), "list" if isinstance(thing, list) else "tuple")
    return type(thing).__name__


X = Tensor | PackedSequence
State = Tensor | Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class LayerInputs:
    """A call, its padded X and the state; `packed` where the user's x was a PackedSequence."""

    call: Call
    X: Tensor
    packed: PackedSequence | None = None
    state: tuple[Tensor, ...] | None = None


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


class _Arrived(BaseException):
    """Ends a model's forward where its recurrent layer is called: what follows is not asked for."""


def arriving(given: Given) -> tuple[Any, Any]:
    """x and the state as the recurrent layer gets them: as given to a layer, or what a model makes of them.

    The model runs as far as its layer's first call, without gradients, and everything is put back.
    """
    layer = given.layer
    compiled = compiled_from(given.module)
    model = given.module if compiled is None else compiled  # what torch.compile wraps is run as it was written
    if layer is model:
        return given.x, given.state
    got: list[tuple[Any, Any]] = []

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        named = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        got.append((named.get("input"), named.get("hx")))
        raise _Arrived

    before = Snapshot(model)
    handle = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad(), suppress(_Arrived):
            model(given.x) if given.state is None else model(given.x, given.state)
    finally:
        handle.remove()
        before.restore()
    if not got:
        raise ShapeError(
            "model(x)", f"a call of {given.name}", hint="It never calls it; give the layer itself, with its own x"
        )
    return got[0]


def read_inputs(
    layer: nn.Module, spec: Spec, x: Any, state: Any = None, lengths: Iterable[int] | None = None
) -> LayerInputs:
    """The call that x and a state mean to this layer, their names taken off."""
    wrong = problems_of(layer, (x, state), spec=spec)
    if wrong:
        raise wrong[0].error
    parts = state if isinstance(state, (tuple, list)) else () if state is None else (state,)
    given = tuple(_plain(part) for part in parts) or None
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ShapeError("lengths", "left out for a PackedSequence", hint="It holds its own lengths")
        X, rows = pad_packed_sequence(x, batch_first=spec.batch_first)
        return LayerInputs(Call.of(spec, N=DEFAULT_N, lengths=torch.as_tensor(rows, device="cpu")), X, x, given)
    shape, (batched, alone) = tuple(x.shape), layouts(spec)
    sizes = dict(zip(batched if len(shape) == len(batched) else alone, shape, strict=True))
    if lengths is not None and "N" not in sizes:
        raise ShapeError("x", f"({', '.join(batched)}) where lengths are given", got=shape)
    call = Call.of(spec, N=sizes.get("N"), L=sizes.get("L"), lengths=lengths)
    return LayerInputs(call, _plain(x), state=given)


def call_plainly(layer: Callable[..., Any], spec: Spec, inputs: LayerInputs) -> Returned:
    """One call of a layer whose Spec is known, which may be anything with the signature of torch's layers.

    Raises: ShapeError for a result that is missing or misshapen, as of a layer that is not torch's.
    """
    given = inputs.state
    fed = inputs.packed if inputs.packed is not None else inputs.X
    if inputs.packed is None and inputs.call.lengths is not None:
        lengths = torch.tensor(inputs.call.lengths, device="cpu")
        fed = pack_padded_sequence(inputs.X, lengths, batch_first=spec.batch_first, enforce_sorted=False)
    with undisturbed(inputs.X.device):
        returned = layer(fed) if given is None else layer(fed, as_state(given))
    form = spec.states("n") if spec.kind.step else f"Y, {spec.states('n')}"
    hint = f"A layer that stands in for torch's must return {form} from forward"
    if not spec.kind.step and not (isinstance(returned, tuple) and len(returned) == 2):
        got = f"{len(returned)} values" if isinstance(returned, tuple) else type(returned).__name__
        raise ShapeError("the result", form, got=got, hint=hint)
    Y, final = (None, returned) if spec.kind.step else returned
    finals = final if isinstance(final, tuple) else (final,)
    packed_Y, tensors = Y if isinstance(Y, PackedSequence) else None, Prediction(spec, inputs.call).tensors
    if packed_Y is not None and packed_Y.data.device.type == "meta":
        # torch would read the rows' order back to the CPU; on meta there is nothing to read.
        Y = packed_Y.data.new_empty(tensors["Y"].sizes)
    elif packed_Y is not None:
        Y, _ = pad_packed_sequence(packed_Y, batch_first=spec.batch_first, total_length=inputs.call.L)
    results = finals if spec.kind.step else (Y, *finals)
    predicted = [(name, axes) for name, axes in tensors.items() if name in ("Y", "hn", "cn")]
    if len(results) != len(predicted) or not all(isinstance(result, Tensor) for result in results):
        raise ShapeError("the result", form, got=", ".join(type(result).__name__ for result in results), hint=hint)
    for (name, axes), result in zip(predicted, results, strict=True):
        if tuple(result.shape) != axes.sizes:
            raise ShapeError(name, axes.formula, expected=axes.sizes, got=tuple(result.shape))
    return Returned(
        starts=given if given is not None else tuple(torch.zeros_like(_plain(state)) for state in finals),
        Y=Y,
        finals=finals,
        packed_X=fed if isinstance(fed, PackedSequence) else None,
        packed_Y=packed_Y,
    )


def as_state(parts: Sequence[Tensor]) -> Any:
    """Two states as a tuple, one bare; that is how torch tells LSTM from GRU."""
    return tuple(parts) if len(parts) > 1 else parts[0]


def _plain(tensor: Any) -> Any:
    """A tensor without its names; anything else as it is."""
    return tensor.plain() if isinstance(tensor, AnnotatedTensor) else tensor
