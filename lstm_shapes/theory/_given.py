"""What people give, read once: numbers, torch's keywords, a Spec, a layer, a state_dict or a model become a `Given`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

from lstm_shapes.errors import SpecError, in_one_sentence
from lstm_shapes.language import speaking

from .call import DEFAULT_N, Call, dtype_name
from .spec import Options, Spec, is_source, is_whole, only_layer
from .symbols import CELLS, unknown_keyword

if TYPE_CHECKING:
    from typing import Concatenate

    from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")


class DType(Protocol):
    """torch.dtype, by what it has."""

    @property
    def is_floating_point(self) -> bool: ...


class Device(Protocol):
    """torch.device, by what it has."""

    @property
    def type(self) -> str: ...


class Lengths(TypedDict, total=False):
    """Steps of each row, which is padded and packed; and the language in which the call is spoken of."""

    lengths: Iterable[int] | None
    lang: str | None


class Sizes(Lengths, total=False):
    """The sizes of a call: N sequences of L steps."""

    N: int | None
    L: int | None


class Typed(Sizes, total=False):
    """The sizes of a call, and the type of its numbers."""

    dtype: str | DType | None


class Built(TypedDict, total=False):
    """Where the numbers are, of which type, and what they are drawn from."""

    device: str | Device | None
    dtype: str | DType | None
    seed: int


class Placed(Sizes, Built, total=False):
    """A call that runs: its sizes, and where."""


class LayerWords(Options, total=False):
    """What a layer has besides Q, D, K and batch_first, and torch's own words for the first three."""

    input_size: int
    hidden_size: int
    num_layers: int


class LayerSizes(LayerWords, Sizes, total=False): ...


class LayerTyped(LayerWords, Typed, total=False): ...


class LayerBuilt(LayerWords, Built, total=False): ...


class LayerPlaced(LayerWords, Placed, total=False): ...


@dataclass(frozen=True, slots=True)
class Given:
    """What was given: a layer, and a call of it by its sizes or by x.

    `module` is the live layer or the model, in which the layer is called `name`; None for numbers, a Spec and a
    state_dict. `asked` is whether a size of the call was given.
    """

    spec: Spec
    module: Any = None
    name: str = ""
    x: Any = None
    state: Any = None
    N: int | None = DEFAULT_N
    L: int | None = None
    lengths: Iterable[int] | None = None
    device: str | Device | None = None
    dtype: str | DType | None = None
    seed: int = 0

    @property
    def layer(self) -> Any:
        """The live layer itself; None where there is none."""
        return None if self.module is None else dict(self.module.named_modules())[self.name]

    @property
    def call(self) -> Call:
        """The call that N, L and lengths describe; x has sizes of its own."""
        return Call.of(self.spec, N=self.N, L=self.L, lengths=self.lengths)

    @property
    def asked(self) -> bool:
        return self.N is not DEFAULT_N or self.L is not None or self.lengths is not None

    @property
    def precision(self) -> str:
        """The name of the dtype asked for, else that of the layer's weights, else torch's default."""
        weights = self.layer.parameters() if self.dtype is None and self.module is not None else ()
        dtype = next((weight.dtype for weight in weights), "float32") if self.dtype is None else self.dtype
        return dtype_name(dtype)

    @property
    def training(self) -> bool:
        """Whether dropout counts as at work: False for a layer in eval mode."""
        return bool(getattr(self.layer, "training", True))


_DEFAULTS: dict[str, object] = {field: getattr(Spec(1, 2), field) for field in Options.__annotations__}
_DEFAULTS |= {"N": DEFAULT_N, "seed": 0, "layer": ""}
_PLACES = {"Q": "input_size", "D": "hidden_size", "K": "num_layers", "batch_first": "batch_first"}

# What each argument is: takes() writes these into the docstring of a call, but for those that say it themselves.
_ARGUMENTS = """\
Q: features of one input step (input_size); or a Spec, a torch layer, a model or a state_dict in their place
D: width of the cell state (hidden_size)
K: stacked layers (num_layers), 1 unless given
batch_first: True: X is (N, L, Q). False, torch's own default: (L, N, Q)
cell: LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell
bidirectional: reading directions, 1 or 2: R is 2 where True
proj_size: P, the width of the projected hidden state, 0 = none
bias, dropout, nonlinearity: as torch has them
input_size, hidden_size, num_layers: torch's words for Q, D and K
N: sequences in the batch, 2 unless given; None is one sequence without a batch axis
L: steps in a sequence, 20 unless given
lengths: steps of each row: the rows are padded to L and packed
lang: "en" or "ko", the language of its sentences; else that of LSTM_SHAPES_LANG, or of the locale if Korean
x: beside a layer, the tensor or PackedSequence that it is called with; beside a model, what the model is
state: h0, or (h0, c0), also in third place as torch has it; zeros if left out
device: cpu unless given, cuda, meta, …; a layer of yours stays where it is
dtype: float32, float64, float16 or bfloat16; that of a layer's weights unless given
seed: what weights and X are drawn from
layer: the name of the recurrent layer in a model that has several, such as "encoder.rnn"
""".splitlines()


def _documented(text: str, taken: set[str]) -> str:
    """A docstring whose `Args:` defines every argument that is taken: its own entries, and those of the table."""
    match = re.search(r"( *)Args:.*\n((?:\1 .*\n)*)", text)
    if match is None:
        return text
    own = match[2].splitlines()
    said = {name for line in own for name in line.strip().partition(":")[0].split(", ")}
    words = {line.partition(":")[0].split(", ")[0]: f"{match[1]}    {line}" for line in _ARGUMENTS}
    entries = [line for word, line in words.items() if word in taken - said]
    last = entries[-1:] if "layer" not in said else []
    every = "\n".join([f"{match[1]}Args:", *entries[: len(entries) - len(last)], *own, *last])
    return f"{text[: match.start()]}{every}\n{text[match.end() :]}"


def takes(
    words: type, *, x: bool = False, numbers: bool = True
) -> Callable[[Callable[Concatenate[Given, P], T]], Callable[..., T]]:
    """Decorates a public function: what its caller gives becomes a `Given`; a misspelt keyword is an error.

    `words` is the TypedDict of the keywords that go into the Given; the function's own come beside it. `x`: whether a
    layer may come with its x and a state; `numbers`: whether numbers may stand for a layer.
    """

    def decorate(function: Callable[Concatenate[Given, P], T]) -> Callable[..., T]:
        _, *own = inspect.signature(function).parameters.values()
        shown = _shown(own, [*words.__annotations__, *(["x", "state"] if x else []), "layer"], numbers)
        known = {parameter.name for parameter in shown if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY}

        @wraps(function)
        def read(*given: object, **options: Any) -> T:
            for word in options:
                if word not in known:
                    raise unknown_keyword(function.__name__, word, known)
            if not isinstance(name := options.get("layer", ""), str):
                hint = f"Did you mean k={name}?" if "k" in known and is_whole(name) else ""
                raise SpecError("layer", "the name of a layer inside the model, such as 'encoder.rnn'", name, hint)
            mine = {parameter.name: options.pop(parameter.name) for parameter in own if parameter.name in options}
            if not numbers and not (given and is_source(given[0]) and not isinstance(given[0], (Spec, Mapping))):
                rule = f"a layer or a model, as in {function.__name__}(layer, x)"
                raise SpecError("the first argument", rule, _short(given[0])) if given else SpecError("a layer", rule)
            with speaking(options.pop("lang", None)):
                return function(_read(function.__name__, given, options, x), **mine)  # type: ignore[call-arg]

        public = in_one_sentence(read)
        public.__doc__ = _documented(function.__doc__ or "", {parameter.name for parameter in shown})
        public.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # for help and completion
        return public

    return decorate


def _shown(own: Sequence[inspect.Parameter], names: Sequence[str], numbers: bool) -> list[inspect.Parameter]:
    """The parameters of a public function: those by place, its own, and those by name only."""
    kinds = inspect.Parameter
    if numbers:
        defaults = {"Q": None, "D": None, "K": 1, "batch_first": True}
        places = [kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=value) for name, value in defaults.items()]
    else:
        places = [kinds("source", kinds.POSITIONAL_ONLY), kinds("x", kinds.POSITIONAL_OR_KEYWORD)]
        places += [kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=None) for name in ("state", "lengths")]
    taken = {place.name for place in places}
    more = [kinds(name, kinds.KEYWORD_ONLY, default=_DEFAULTS.get(name)) for name in names if name not in taken]
    return [*places, *own, *more]


def _short(value: object) -> object:
    """A value as an error shows it: a Spec by its name, for it has many fields."""
    return type(value).__name__ if is_source(value) else value


def _read(function: str, places: tuple[object, ...], words: dict[str, Any], x: bool) -> Given:
    first = places[0] if places else words.get("Q", words.get("input_size"))
    if len(places) > 4:
        rest = "source, x, state and lengths" if is_source(first) else "Q, D, K and batch_first"
        raise SpecError(f"{function} by place", f"given {rest}", places[4:], "Everything else goes by name")
    if is_source(first):
        return _of_source(function, places, words, x)
    _refuse_kinds(function, places, words, first)
    named = dict(zip(_PLACES, places, strict=False))
    fields: dict[str, Any] = {name: words[name] for name in Options.__annotations__ if name in words}
    for name, torchs in _PLACES.items():
        given = [(name, named[name])] if name in named else []
        given += [(word, words[word]) for word in dict.fromkeys((name, torchs)) if word in words]
        if len(given) > 1:
            raise SpecError(given[1][0], f"left out where {given[0][0]} is given", given[1][1])
        if given:
            fields[name] = given[0][1]
        elif name in ("Q", "D"):
            beside = " with Q" if name == "D" else ""
            raise SpecError(f"{name} ({torchs})", f"given{beside}, as in {function}(28, 256, 3)")
    return _with_call(Spec(**fields), words)


def _left_out(words: Mapping[str, object], names: Iterable[str], beside: str, hint: str = "") -> None:
    for word in names:
        if word in words:
            raise SpecError(word, f"left out beside {beside}", words[word], hint)


def _refuse_kinds(function: str, places: Sequence[object], words: Mapping[str, object], first: object) -> None:
    """What is neither a size nor something that a Spec is read off."""
    kinds = "Q, a Spec, a layer, a model or a state_dict"
    cell = first.__name__ if isinstance(first, type) else first
    if isinstance(cell, str) and (meant := {name.lower(): name for name in CELLS}.get(cell.lower())):
        sizes = ", ".join(str(size) for size in places[1:] if is_whole(size)) or "28, 256"
        raise SpecError("the first argument", kinds, first, f"Did you mean {function}({sizes}, cell={meant!r})?")
    second = places[1] if len(places) > 1 else words.get("x")
    if hasattr(second, "shape") or hasattr(second, "batch_sizes"):
        raise SpecError("the first argument", "a layer or a model where the second is a tensor", first)
    _left_out(words, ("x", "layer"), "numbers", "It goes with a layer or a model")
    if len(places) == 1 and not is_whole(first) and not words.keys() & {"D", "hidden_size"}:
        raise SpecError("the first argument", kinds, first)


def _of_source(function: str, places: tuple[object, ...], words: dict[str, Any], x: bool) -> Given:
    """A Spec, a state_dict, a layer or a model; the last two perhaps with an x."""
    source, *rest = places or (words.pop("Q"),)
    named = dict(zip(("x", "state", "lengths") if x else ("D", "K", "batch_first"), rest, strict=False))
    fields = dict.fromkeys((*_PLACES, *_PLACES.values(), *Options.__annotations__))
    _left_out(named | words, fields, "a Spec or a layer", "Change it with spec.replace(...)")
    for word in named.keys() & words.keys():
        raise SpecError(word, "given once", words[word])
    words = named | words
    at, given = words.get("layer", ""), words.get("x")
    if given is not None and isinstance(source, (Spec, Mapping)):
        raise SpecError("the first argument", "a layer or a model where the second is x", _short(source))
    if isinstance(source, Spec):
        if at:
            raise SpecError("layer", "left out beside a Spec", at)
        return _with_call(source, words)
    name, spec = only_layer(source, at, function + "({}, layer={!r})")  # type: ignore[arg-type]
    if given is not None:
        _left_out(words, ("N", "L"), "x, which has its own")
    live = None if isinstance(source, Mapping) else source
    return _with_call(spec, words, module=live, name=name, x=given)


def _with_call(spec: Spec, words: Mapping[str, Any], **more: Any) -> Given:
    call = {word: words[word] for word in (*Placed.__annotations__, "state") if word in words}
    lengths = call.get("lengths")
    if isinstance(lengths, Iterable) and not hasattr(lengths, "tolist") and not isinstance(lengths, (str, bytes)):
        call["lengths"] = tuple(lengths)  # may be read once only
    return Given(spec, **more, **call)
