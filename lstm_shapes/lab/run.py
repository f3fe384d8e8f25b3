"""run: X, Y, hn, cn as tensors that know their axes, from a fresh layer or from yours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.display import Shown
from lstm_shapes.errors import SpecError
from lstm_shapes.language import language
from lstm_shapes.theory._given import Built, Given, LayerPlaced, takes
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Source, Spec

from ._build import PLAIN, as_device, as_dtype, bytes_of_call, generator, new_layer, precision_of, require_memory
from ._calling import LayerInputs, State, arriving, call_plainly, read_inputs, untouched_random_state
from ._calling import X as Input
from ._laws import RERUNS, Called
from .tensors import AnnotatedTensor, annotate

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Run", "call_layer", "ignores_state", "is_torchs", "random_run", "run", "run_given"]

_NAMES = ("X", "h0", "c0", "Y", "hn", "cn")


@dataclass(frozen=True, repr=False, eq=False)
class Run(Shown):
    """One call of a recurrent layer: unpacks to X, Y, hn, cn, or to those of them that the layer has.

    `.c0` and `.cn` are None without a cell state, `.Y` for a cell. For packed input X and Y are padded back to
    (N, L, …), and `.packed_X`, `.packed_Y` are the PackedSequences that went in and came out.
    """

    layer: nn.Module
    spec: Spec
    call: Call
    X: AnnotatedTensor
    h0: AnnotatedTensor
    c0: AnnotatedTensor | None
    Y: AnnotatedTensor | None
    hn: AnnotatedTensor
    cn: AnnotatedTensor | None
    packed_X: PackedSequence | None = None
    packed_Y: PackedSequence | None = None
    lang: str = dataclasses.field(default_factory=language)

    def __deepcopy__(self, memo: dict[int, Any]) -> Run:
        # torch copies leaves only. A copy of a call is a record of it: it takes no part in the layer's graph.
        every = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        copied = Run(**{name: deepcopy(_off_graph(value), memo) for name, value in every.items()})
        memo[id(self)] = copied
        return copied

    def __iter__(self) -> Iterator[AnnotatedTensor]:
        return (tensor for name, tensor in self.tensors.items() if name not in ("h0", "c0"))

    @property
    def prediction(self) -> Prediction:
        """What theory says about this very call."""
        return Prediction(self.spec, self.call, dtype_name(self.X.dtype), self.lang)

    @property
    def precision(self) -> str:
        """What its numbers were computed with: their dtype; of float32 on CUDA whether TF32 was allowed."""
        return precision_of(self.X)

    @property
    def tensors(self) -> dict[str, AnnotatedTensor]:
        """The tensors of the call by name, in the order of the call."""
        return {name: getattr(self, name) for name in _NAMES if getattr(self, name) is not None}

    def compute(self, name: str, operands: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """One operation of an expression by torch, on values that are computed already; X, Y, hn, … are without any."""
        if not operands:
            return self.tensors[name]
        if name in _COMPUTED:
            return _COMPUTED[name](*operands)
        if name in ("cat", "stack"):
            return getattr(torch, name)(operands, *arguments)
        if name == "getitem":
            return operands[0][tuple(_index(key) for key in arguments[0])]
        return getattr(operands[0], name)(*arguments)

    def again(self, law: str) -> list[tuple[Tensor, Tensor]]:
        """The pairs of tensors that a law says are equal, for which the layer runs again, another way."""
        tensors = {name: tensor.plain().detach() for name, tensor in self.tensors.items()}
        starts, results = (
            [tensors[name] for name in names.split() if name in tensors] for names in ("h0 c0", "Y hn cn")
        )
        with torch.no_grad(), untouched_random_state(self.X.device):
            sides = RERUNS[law](Called(self.layer, self.spec, self.call, tensors["X"], starts, results))
            return list(zip(*sides, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the layer, and names and sizes of each tensor."""
        return {
            "spec": self.spec.to_dict(),
            **self.call.to_dict(),
            "device": str(self.X.device),
            "dtype": dtype_name(self.X.dtype),
            "tensors": {name: tensor.axes.to_dict() for name, tensor in self.tensors.items()},
        }


@overload
def run(
    Q: int = ...,
    D: int = ...,
    K: int = 1,
    batch_first: bool = True,
    *,
    state: State | None = None,
    **words: Unpack[LayerPlaced],
) -> Run: ...
@overload
def run(
    source: Source,
    /,
    x: Input | None = None,
    state: State | None = None,
    lengths: Iterable[int] | None = None,
    *,
    layer: str = "",
    N: int | None = ...,
    L: int | None = None,
    lang: str | None = None,
    **words: Unpack[Built],
) -> Run: ...
@takes(LayerPlaced, x=True)
def run(given: Given) -> Run:
    """Call a layer and name what comes back: Y is (N, L, R·H), hn and cn (K·R, N, H).

    `run(28, 256, 3)` or `run(spec)` builds the layer, and draws X from `seed`. `run(layer, x)` calls your layer, as it
    is and where it is; `run(model, x)` calls your model as far as its recurrent layer, on what arrives there.
    The global random state stays as it was, also where dropout draws from it.

    Args: those of a layer and a call, as help(run) lists them

    >>> X, Y, hn, cn = run(28, 256, 3, N=2, L=20)
    >>> Y.axes, hn.axes
    ((N=2, L=20, D=256), (K=3, N=2, D=256))
    >>> Y[:, -1].axes
    (N=2, D=256)
    >>> bool((Y[:, -1] == hn[-1]).all())
    True

    Raises: SpecError; ShapeError for an x or a state that does not fit the layer.
    """
    return run_given(given)


def run_given(given: Given) -> Run:
    """What `run` returns."""
    spec = given.spec
    if given.module is not None:
        layer = given.layer
        _require_place(_like(layer), given.device, given.dtype)
        if given.x is not None:
            x, state = arriving(given)
            return call_layer(layer, spec, read_inputs(layer, spec, x, state, given.lengths))
    call, device = given.call, "cpu" if given.device is None else given.device
    if given.module is None:
        needed = bytes_of_call(spec, call, given.precision)
        require_memory(needed, as_device(device), f"X, Y and states for N={call.N}, L={call.L}")
        layer = new_layer(spec, device, given.precision, given.seed)
    X = _drawn(Prediction(spec, call).X, layer, generator(given.seed + (given.module is None)))
    return call_layer(layer, spec, read_inputs(layer, spec, X, given.state, call.lengths))


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
    """A run on X and, if wanted, a state drawn from `seed`: of a new layer, or of one that need not be torch's."""
    made = new_layer(spec, device, dtype, seed) if layer is None else layer
    predicted, numbers = Prediction(spec, call), generator(seed)
    every = (predicted.X, predicted.h0, predicted.c0)
    X, *state = [_drawn(axes, made, numbers) for axes in every if axes is not None]
    return call_layer(made, spec, LayerInputs(call, X, state=tuple(state) if with_state else None))


def is_torchs(layer: nn.Module) -> bool:
    """Whether a layer is one of torch's own recurrent classes or a subclass."""
    return isinstance(layer, (nn.RNNBase, nn.RNNCellBase))


def ignores_state(run: Run) -> bool:
    """Whether the layer returns the same without the state that this run started from.

    relu may hold a unit at zero whatever it starts from, so far larger states of both signs are tried as well.
    """
    starts = [start.plain() for start in (run.h0, run.c0) if start is not None]

    def results(state: tuple[Tensor, ...] | None) -> list[Tensor]:
        return call_plainly(run.layer, run.spec, LayerInputs(run.call, run.X.plain(), state=state)).results

    with torch.no_grad():
        without = results(None)
        scaled = (tuple(scale * start for start in starts) for scale in (1, 100, -100))
        return all(all(map(torch.equal, results(state), without)) for state in scaled)


def call_layer(layer: nn.Module, spec: Spec, inputs: LayerInputs) -> Run:
    """One call of a layer whose Spec is known, its tensors named."""
    predicted, returned = Prediction(spec, inputs.call).tensors, call_plainly(layer, spec, inputs)
    values = (inputs.X, *returned.starts, *returned.results)
    named: dict[str, Any] = dict.fromkeys(_NAMES)
    named |= {name: annotate(value, axes) for (name, axes), value in zip(predicted.items(), values, strict=True)}
    return Run(layer, spec, inputs.call, **named, packed_X=returned.packed_X, packed_Y=returned.packed_Y)


def _like(layer: nn.Module) -> Tensor:
    """A tensor of the layer's device and dtype; a quantised layer keeps its weights elsewhere."""
    return next(layer.parameters(), torch.empty(0, **PLAIN))


def _drawn(axes: Axes, layer: nn.Module, numbers: torch.Generator) -> Tensor:
    """Normal numbers in the layer's place, the same on every device; on meta there are none."""
    like = _like(layer)
    if like.device.type == "meta":
        return torch.empty(axes.sizes, device="meta", dtype=like.dtype)
    return torch.randn(axes.sizes, generator=numbers, **PLAIN).to(like.device, like.dtype)


def _require_place(weight: Tensor, device: Any, dtype: Any) -> None:
    """A layer of yours runs where it is; a device or dtype that says otherwise would be ignored."""
    if device is not None and as_device(device) != weight.device:
        hint = f"The weights are on {weight.device}; move them with layer.to({str(device)!r})"
        raise SpecError("device", "that of the layer", str(device), hint)
    if dtype is not None and as_dtype(dtype) != weight.dtype:
        hint = f"The weights are {weight.dtype}; convert them with layer.to({as_dtype(dtype)})"
        raise SpecError("dtype", "that of the layer", str(dtype), hint)


_COMPUTED: dict[str, Callable[..., Any]] = {
    "equal": lambda a, b: torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b,
    "shape": lambda a: tuple(a.shape),
    "not": lambda a: not a,
    "any": lambda a: bool(a.any()),
    "add": lambda a, b: a + b,
}


def _index(key: Any) -> Any:
    """A position, a range of them, or one for each row, as torch takes it."""
    if isinstance(key, range):
        return slice(key.start, key.stop, key.step)
    return list(key) if isinstance(key, tuple) else key


def _off_graph(value: Any) -> Any:
    if isinstance(value, PackedSequence):
        return value._replace(data=_off_graph(value.data))
    return value.detach() if isinstance(value, Tensor) and not value.is_leaf else value
