"""Spec: which recurrent layer is meant; its rules, its weights, and how it is read off a layer or a checkpoint.

Nothing here imports torch: a live layer is known by its class and attributes, a weight by its `.shape`. Of a checkpoint
names are grouped by prefix, sizes are taken from the first layer's weights, and every name and shape is held against
`Weights`.

Source: `RNNBase.__init__` and `RNNCellBase.__init__` in `torch/nn/modules/rnn.py`; for reparametrised weights
`torch/nn/utils/parametrize.py`, `prune.py` and `weight_norm.py`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import dropwhile
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeGuard, TypeVar

from lstm_shapes.errors import SpecError, in_one_sentence, nearest

from .axes import Axes
from .symbols import CELLS, CellKind, unknown_keyword

if TYPE_CHECKING:
    from typing_extensions import Unpack


T = TypeVar("T")


class Module(Protocol):
    """What is read of a torch module: the modules inside it by name, itself among them."""

    def named_modules(self) -> Any: ...


class Options(TypedDict, total=False):
    """What a Spec has besides its sizes, as keywords."""

    cell: str
    bidirectional: bool
    proj_size: int
    bias: bool
    dropout: float
    nonlinearity: str


class Fields(Options, total=False):
    """Every field of a Spec as a keyword."""

    Q: int
    D: int
    K: int
    batch_first: bool


def _with_near_misses(kind: type[T]) -> type[T]:
    """The class, whose constructor answers an unknown keyword with the one that was probably meant."""
    construct: Callable[..., None] = kind.__init__
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]

    @wraps(construct)
    def checked(self: object, *sizes: object, **words: object) -> None:
        for word in words:
            if word not in known:
                raise unknown_keyword(kind.__name__, word, known)
        construct(self, *sizes, **words)

    kind.__init__ = in_one_sentence(checked)  # type: ignore[method-assign]
    return kind


@_with_near_misses
@dataclass(frozen=True, slots=True)
class Spec:
    """A recurrent layer in the field's symbols: Q inputs, D hidden, K layers, R directions, P projected.

    Q        torch's `input_size`, at least 1
    D        torch's `hidden_size`, at least 1
    K        torch's `num_layers`, at least 1
    batch_first   True: X is (N, L, Q). False, torch's own default: X is (L, N, Q)
    cell     `"LSTM"`, `"GRU"`, `"RNN"`, or a single step: `"LSTMCell"`, `"GRUCell"`, `"RNNCell"`
    bidirectional   R = 2 reading directions in place of 1
    proj_size       P, only for LSTM: 0 for none, else below D
    bias, dropout   as torch has them; dropout acts between layers, so K = 1 has none
    nonlinearity    `"tanh"` or `"relu"`, only for RNN

    >>> spec = Spec(28, 256, 3)
    >>> spec.R, spec.H, spec.G
    (1, 256, 4)
    >>> Spec(28, 256, 3, bidirectional=True, proj_size=64)
    Spec(Q=28, D=256, K=3, batch_first=True, bidirectional=True, proj_size=64)
    >>> Spec(28, 0, 3)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: D (hidden_size) must be a whole number of at least 1, got 0.

    Raises: SpecError, which names the field, its rule and what was given.
    Source: the constructors of RNNBase and RNNCellBase in `torch/nn/modules/rnn.py`.
    """

    Q: int
    D: int
    K: int = 1
    batch_first: bool = True
    _: dataclasses.KW_ONLY
    cell: str = "LSTM"
    bidirectional: bool = False
    proj_size: int = 0
    bias: bool = True
    dropout: float = 0.0
    nonlinearity: str = "tanh"

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise SpecError("cell", f"one of {', '.join(CELLS)}", self.cell, _cell_like(self.cell))
        for name, label in (("Q", "Q (input_size)"), ("D", "D (hidden_size)"), ("K", "K (num_layers)")):
            self._set(name, whole(label, getattr(self, name), most=_ROWS if name == "D" else ""))
        for name in ("batch_first", "bidirectional", "bias"):
            if not isinstance(getattr(self, name), bool):
                hint = "The fourth argument is batch_first; N and L go by name: N=2, L=20" * (name == "batch_first")
                raise SpecError(name, "True or False", getattr(self, name), hint)
        self._set("proj_size", whole("P (proj_size)", self.proj_size, at_least=0))
        for name, rule, holds, hint in self._rules():
            if not holds:
                raise SpecError("P (proj_size)" if name == "proj_size" else name, rule, getattr(self, name), hint)
        self._set("dropout", float(self.dropout))
        if self.kind.step:
            # A cell has no time axis for batch_first to move; one spelling keeps equality meaningful.
            self._set("batch_first", True)

    def _rules(self) -> Iterator[tuple[str, str, bool, str]]:
        """What is left to hold once sizes are sizes: field, rule, whether it holds, what to do."""
        P, D, cell, kind, dropout = self.proj_size, self.D, self.cell, self.kind, self.dropout
        yield "proj_size", f"below D = {D} (0 for no projection)", P < D, "A projection makes h narrower than c"
        yield "dropout", "a number from 0 to 1", isinstance(dropout, (int, float)) and not isinstance(dropout, bool), ""
        yield "dropout", "a probability from 0 to 1", 0 <= dropout <= 1, ""  # also false for nan
        yield "proj_size", f"0 for {cell}", not P or kind.projects, "Only LSTM projects"
        allowed = kind.nonlinearities or ("tanh",)
        known = isinstance(self.nonlinearity, str) and self.nonlinearity in allowed
        yield "nonlinearity", f"{' or '.join(map(repr, allowed))} for {cell}", known, ""
        hint = f"A cell is one step of one layer; use cell={kind.layer!r} for more"
        for name, only in (("K", 1), ("bidirectional", False), ("dropout", 0.0)):
            yield name, f"{only} for {cell}", not kind.step or getattr(self, name) == only, hint

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def kind(self) -> CellKind:
        """The row of the table of cell kinds."""
        return CELLS[self.cell]

    @property
    def R(self) -> int:
        """Reading directions: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def P(self) -> int:
        """Width of the projected hidden state, 0 = none (torch's `proj_size`)."""
        return self.proj_size

    @property
    def H(self) -> int:
        """Width of one direction's hidden state: P if projected, else D."""
        return self.proj_size or self.D

    @property
    def width(self) -> str:
        """The symbol of H: P if projected, else D."""
        return "P" if self.proj_size else "D"

    @property
    def has_c(self) -> bool:
        """Whether there is a cell state: (hn, cn) where other kinds have hn."""
        return "c" in self.kind.states

    def states(self, when: str) -> str:
        """The states as torch takes them (`when` is "0") or returns them ("n").

        >>> Spec(28, 256).states("n"), Spec(28, 256, cell="GRU").states("0")
        ('(hn, cn)', 'h0')
        """
        names = [f"{state}{when}" for state in self.kind.states]
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    @property
    def G(self) -> int:
        """Gates, the blocks stacked in each weight: LSTM 4, GRU 3, RNN 1."""
        return len(self.kind.gates)

    @property
    def arguments(self) -> dict[str, Any]:
        """torch's keyword arguments for this layer: what its class takes, proj_size only where there is one."""
        told = {name: getattr(self, _FIELDS.get(name, name)) for name in self.kind.arguments}
        if "dropout" in told and self.K == 1:
            told["dropout"] = 0.0  # torch's constructor warns that it does nothing; explain has a note for it
        return told if self.P else {name: value for name, value in told.items() if name != "proj_size"}

    @property
    def constructor(self) -> str:
        """The call that builds this layer in torch, its sizes first and every switch by name.

        >>> Spec(28, 256, 3, bidirectional=True).constructor
        'nn.LSTM(28, 256, num_layers=3, batch_first=True, bidirectional=True)'
        """
        switches = {**self.arguments, **({"dropout": self.dropout} if self.dropout else {})}
        Q, D = switches.pop("input_size"), switches.pop("hidden_size")
        words = [f"{name}={value!r}" for name, value in switches.items() if value != _TORCH_DEFAULTS.get(name, False)]
        return f"nn.{self.cell}({', '.join([str(Q), str(D), *words])})"

    def input_width(self, layer: int) -> int:
        """Features that one direction of a layer reads: Q at the bottom, R·H above."""
        return self.Q if layer == 0 else self.R * self.H

    def axes(self, *names: str, **sizes: int) -> Axes:
        """Axes by their symbols, sized by this layer and, for those of a call, by `sizes`; empty names are left out.

        >>> Spec(28, 256).axes("G·D", "Q")
        (G·D=1024, Q=28)
        """
        sizes |= {"Q": self.Q, "D": self.D, "K": self.K, "R": self.R, "P": self.P, "G": self.G}
        present = [name for name in names if name]
        atoms = {atom: sizes[atom] for name in present for atom in name.split("·")}
        return Axes.of(" ".join(present), None, **atoms)

    def replace(self, **changes: Unpack[Fields]) -> Spec:
        """The same layer with some fields changed, validated again.

        >>> Spec(28, 256, 3).replace(K=1)
        Spec(Q=28, D=256, K=1, batch_first=True)

        Raises: SpecError for a value that breaks a rule or a field that does not exist.
        """
        return dataclasses.replace(self, **changes)

    @classmethod
    def of(cls, source: Source, prefix: str = "") -> Spec:
        """The Spec of a torch layer, or of the only recurrent layer in a model or a checkpoint's state_dict.

        Of several layers `prefix` says which one, as in `Spec.of(model, prefix="encoder.rnn")`. A state_dict knows
        Q, D, K, R, P, the cell and the bias; it cannot tell batch_first, dropout, nor tanh from relu, which get their
        defaults.

        >>> import torch
        >>> Spec.of(torch.nn.GRU(28, 64, 2, bidirectional=True))
        Spec(Q=28, D=64, K=2, batch_first=False, cell='GRU', bidirectional=True)
        >>> Spec.of(torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.LSTM(4, 5)))
        Spec(Q=4, D=5, K=1, batch_first=False)

        Raises: SpecError for anything else, or for weights that fit no recurrent layer.
        """
        if not isinstance(prefix, str):
            raise SpecError("prefix", "the text in front of weight_ih_l0, as in 'encoder.rnn'", prefix)
        if isinstance(source, Spec) and not prefix:
            return source
        return only_layer(source, prefix, "Spec.of({}, prefix={!r})")[1]

    def to_dict(self) -> dict[str, int | float | bool | str]:
        """Every field as plain data, ready for JSON; `Spec(**spec.to_dict())` is the way back."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        # The four lesson arguments always, the rest only where it differs from its default.
        told = {name: value for name, value in self.to_dict().items() if value != _DEFAULTS.get(name)}
        return f"Spec({', '.join(f'{name}={value!r}' for name, value in told.items())})"


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Spec)[4:]}
"""The defaults of a Spec's fields after Q, D, K and batch_first."""

_FIELDS = {"input_size": "Q", "hidden_size": "D", "num_layers": "K"}
"""torch's arguments that have another name here."""

_TORCH_DEFAULTS = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "dropout": 0.0}
"""The defaults of torch's constructors; of all others False."""

# torch keeps sizes in 64 bits, and the rows of a weight are up to four times a size; nobody needs as much of the rest.
_MOST = 2**60
_ROWS = ", so that G·D fits torch's 64 bits"

Source = Spec | Module | Mapping[str, Any]
"""What a Spec can be read off: itself, a torch layer, a model, a state_dict."""


def _cell_like(value: object) -> str:
    """The cell that is meant by "lstm", or by torch's class, as the hint of an error."""
    name = value.__name__ if isinstance(value, type) else str(value)
    plain = {cell.lower(): cell for cell in CELLS}
    near = nearest(name.lower().replace("_", ""), plain)
    return f"Did you mean {plain[near]!r}?" if near else ""


def is_whole(value: object) -> TypeGuard[int]:
    """An int that is no bool: what torch takes as a size."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole(name: str, value: object, at_least: int = 1, *, most: str = "") -> int:
    """`value` as a plain int, or a SpecError that names it; `most` is why it may not be any larger, if that is special.

    >>> whole("N", 2.0)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: N must be a whole number of at least 1, got 2.0.
    """
    rule = f"a whole number of at least {at_least}"
    if not is_whole(value):
        raise SpecError(name, rule, value, "Use int(...)" if hasattr(value, "__index__") else "")
    number = int(value)
    if number < at_least:
        raise SpecError(name, rule, value)
    if number > _MOST:
        raise SpecError(name, f"{rule} and at most 2**60{most}", value)
    return number


def headline(spec: Spec) -> str:
    """`LSTM(Q=28, D=256, K=3)`, with what differs from a plain layer."""
    words = {
        f"Q={spec.Q}, D={spec.D}": True,
        f"K={spec.K}": not spec.kind.step,
        "bidirectional": spec.bidirectional,
        f"P={spec.P}": spec.P,
        "bias=False": not spec.bias,
        f"dropout={spec.dropout:g}": spec.dropout,
        spec.nonlinearity: spec.nonlinearity != "tanh",
    }
    return f"{spec.cell}({', '.join(word for word, there in words.items() if there)})"


def suffix(spec: Spec, layer: int, direction: int = 0) -> str:
    """How torch ends the names of a layer's weights: none for a cell."""
    return "" if spec.kind.step else f"_l{layer}" + ("_reverse" if direction else "")


def gate_rows(spec: Spec, gate: str) -> tuple[str, str]:
    """The rows of a gate in weight_ih, weight_hh and both biases, as a slice in symbols and in numbers.

    >>> gate_rows(Spec(28, 256), "f"), gate_rows(Spec(28, 256, cell="RNN"), "h")
    (('D:2D', '256:512'), ('0:D', '0:256'))
    """
    place, D = spec.kind.gates.index(gate), spec.D
    first, last = ("0" if not n else "D" if n == 1 else f"{n}D" for n in (place, place + 1))
    return f"{first}:{last}", f"{place * D}:{(place + 1) * D}"


def with_directions(spec: Spec, name: str, *, last: bool = False) -> str:
    """`name` with the directions it is crossed with, if there are two: R·D forward half first, K·R layer-major."""
    if spec.R == 1:
        return name
    return f"{name}·R" if last else f"R·{name}"


def input_symbol(spec: Spec, layer: int) -> str:
    """The symbol of `input_width`: Q at the bottom, R·D or R·P above, without an R of 1."""
    return with_directions(spec, spec.width) if layer else "Q"


def equations(spec: Spec) -> tuple[tuple[str, str], ...]:
    """One step as the table of cells has it, (name, right side), with the layer's own nonlinearity.

    >>> equations(Spec(28, 256, cell="RNN", nonlinearity="relu"))
    (('h', 'relu(x_h + h_h)'),)
    """
    if not spec.kind.nonlinearities:
        return spec.kind.equations
    return tuple((name, right.replace("tanh", spec.nonlinearity)) for name, right in spec.kind.equations)


class Weights(Mapping[str, Axes]):
    """torch's parameter names with their axes, in `named_parameters()` order.

    G·D rows: the gates' blocks are stacked in torch's order. Computed when asked for, so that a layer of any
    depth costs nothing to describe.

    >>> weights = Weights(Spec(28, 256, 3))
    >>> weights["weight_ih_l0"], weights["weight_hh_l2"]
    ((G·D=1024, Q=28), (G·D=1024, D=256))
    >>> len(weights)
    12
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def _parts(self, layer: int = 0) -> dict[str, str]:
        """The weights of one direction and their axes: what stands in torch's RNNBase.__init__."""
        spec = self._spec
        gates = "G·D" if spec.G > 1 else "D"
        parts = {"weight_ih": f"{gates} {input_symbol(spec, layer)}", "weight_hh": f"{gates} {spec.width}"}
        parts |= {"bias_ih": gates, "bias_hh": gates} if spec.bias else {}
        return parts | ({"weight_hr": "P D"} if spec.P else {})

    def __iter__(self) -> Iterator[str]:
        spec, parts = self._spec, self._parts()
        for layer in range(spec.K):
            for direction in range(spec.R):
                yield from (part + suffix(spec, layer, direction) for part in parts)

    def __len__(self) -> int:
        return self._spec.K * self._spec.R * len(self._parts())

    def __getitem__(self, name: str) -> Axes:
        spec = self._spec
        told = re.fullmatch(r"(\w+?)(?:_l(0|[1-9][0-9]{0,18}))?(_reverse)?", name) if isinstance(name, str) else None
        if told is None or (told[2] is None) != spec.kind.step or (told[3] and spec.R == 1):
            raise KeyError(name)
        layer = int(told[2] or 0)
        if layer >= spec.K:
            raise KeyError(name)
        try:
            return spec.axes(*self._parts(layer)[told[1]].split())
        except KeyError:
            raise KeyError(name) from None

    def __repr__(self) -> str:
        shown = [f"{name}: {self[name]}" for name, _ in zip(self, range(24), strict=False)]
        more = len(self) - len(shown)
        return "\n".join([*shown, *([f"… and {more} more"] if more else [])])


UNTOLD = ("batch_first", "dropout", "nonlinearity")
"""What no weight depends on, so that no checkpoint can tell: these fields get their defaults."""

_MODES = {"LSTM": "LSTM", "GRU": "GRU", "RNN_TANH": "RNN", "RNN_RELU": "RNN"}

STORED_BY = {
    "_raw": "weight drop keeps a weight as `…_raw`",
    "": "",
    ".original": "a parametrisation keeps a weight as `parametrizations.….original`",
    ".original1": "weight_norm keeps a weight as `parametrizations.….original0` and `original1`",
    "_orig": "pruning keeps a weight as `…_orig` beside its mask",
    "_v": "weight_norm keeps a weight as `…_g` and `…_v`",
}
"""What a reparametrisation adds to a parameter's name; of two the first is the weight."""
WRAPPED_BY = {
    "module": "DataParallel names them so",
    "_orig_mod": "torch.compile names them so",
    "model": "a wrapper that keeps the model as `self.model` names them so",
}
"""What stands in front of every name."""
_NAME = re.compile(
    r"(?:(?P<prefix>.*?)\.)??"
    r"(?:parametrizations\.)?"
    r"(?P<part>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?P<layer>_l[0-9]+)?(?P<reverse>_reverse)?"
    rf"(?P<stored>{'|'.join(map(re.escape, STORED_BY))})",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Found:
    """One group of recurrent weights below a prefix: its Spec, or why it has none."""

    prefix: str
    names: tuple[str, ...]
    spec: Spec | None = None
    problem: SpecError | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The names with the prefix, as the state_dict has them."""
        return tuple(f"{self.prefix}.{name}" if self.prefix else name for name in self.names)

    @property
    def forms(self) -> set[str]:
        """Which of STORED_BY the names have."""
        return {match["stored"] for name in self.names if (match := _NAME.fullmatch(name)) is not None}

    @property
    def called(self) -> str:
        """The prefix, or `the layer` where there is none."""
        return printable(self.prefix) or "the layer"


def find_layers(state_dict: Mapping[Any, Any]) -> tuple[Found, ...]:
    """Every group of recurrent weights in a checkpoint, the sound and the broken."""
    groups: dict[str, dict[str, tuple[int, str, Any]]] = {}
    for name, value in state_dict.items():
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            continue
        prefix = match["prefix"] or ""
        canonical = match["part"] + (match["layer"] or "") + (match["reverse"] or "")
        rank = [*STORED_BY].index(match["stored"])
        group = groups.setdefault(prefix, {})
        if canonical not in group or rank < group[canonical][0]:
            group[canonical] = (rank, name[len(prefix) + 1 :] if prefix else name, value)
    for prefix in [name for name, of in groups.items() if all(raw.endswith("_raw") for _, raw, _ in of.values())]:
        # Weight drop wraps the layer: the weights that it drops are its own, the rest are those of its `module`.
        inner = groups.pop(f"{prefix}.module".removeprefix("."), {})
        kept = {name: (rank, f"module.{spelled}", value) for name, (rank, spelled, value) in inner.items()}
        groups[prefix] = kept | groups[prefix]
    return tuple(_read(prefix, group) for prefix, group in groups.items())


def _read(prefix: str, group: dict[str, tuple[int, str, Any]]) -> Found:
    stored = tuple(spelled for _, spelled, _ in group.values())
    try:
        shapes = {name: _shape(_join(prefix, spelled), value) for name, (_, spelled, value) in group.items()}
        return Found(prefix, stored, _infer(prefix, shapes))
    except SpecError as problem:
        return Found(prefix, stored, problem=problem)


def _infer(prefix: str, shapes: dict[str, tuple[int, ...]]) -> Spec:
    """Sizes from the first layer's weights, then every weight against the algebra: none other, none missing."""
    layers = {_NAME.fullmatch(name)["layer"] for name in shapes}  # type: ignore[index]
    step = layers == {None}
    first = "" if step else "_l0"

    def matrix(part: str, formula: str) -> tuple[int, int]:
        shape = shapes.get(part + first)
        if shape is None:
            raise SpecError(_join(prefix, part + first), f"there beside {next(iter(shapes))}", None)
        if len(shape) != 2 or 0 in shape:
            raise SpecError(_join(prefix, part + first), f"a matrix {formula}", shape)
        return shape[0], shape[1]

    (_, Q), (rows, H) = matrix("weight_ih", "(G·D, Q)"), matrix("weight_hh", "(G·D, H)")
    projected = f"weight_hr{first}" in shapes
    D = matrix("weight_hr", "(P, D)")[1] if projected else H
    cells = [name for name, kind in CELLS.items() if kind.step == step and len(kind.gates) * D == rows]
    if not cells:
        rule = f"(G·D, H) with G = 4, 3 or 1 gates of D = {D} rows each"
        raise SpecError(_join(prefix, "weight_hh" + first), rule, (rows, H))
    try:
        spec = Spec(
            Q,
            D,
            len(layers),
            cell=cells[0],
            bidirectional=any(name.endswith("_reverse") for name in shapes),
            proj_size=H if projected else 0,
            bias=any(name.startswith("bias_") for name in shapes),
        )
    except SpecError as error:
        raise SpecError(f"{error.name} of the layer at {prefix[:60]!r}", error.rule, error.got, error.hint) from None
    weights, layer = Weights(spec), f"{spec.cell} of {spec.K} layer{'s' * (spec.K > 1)}"
    for name, shape in shapes.items():
        if name not in weights:
            hint = "Layers are numbered from l0 without a gap, and a cell's weights have no number"
            raise SpecError(_join(prefix, name), f"a weight of the {layer} around it", shape, hint)
        axes = weights[name]
        if shape != axes.sizes:
            raise SpecError(_join(prefix, name), f"({', '.join(axes.names)}) = {axes.sizes} in this {layer}", shape)
    # All names are the layer's own, so a missing one comes within len(shapes) + 1 names.
    missing = next((name for name in weights if name not in shapes), None)
    if missing is not None:
        raise SpecError(_join(prefix, missing), f"there, as a weight of the {layer} around it", None)
    return spec


def _shape(name: str, value: Any) -> tuple[int, ...]:
    """The sizes of one weight as plain ints; a bare shape is its own."""
    try:
        shape = value if isinstance(value, tuple) else tuple(value.shape)
    except (AttributeError, TypeError):
        raise SpecError(name, "a tensor, or anything with a .shape", type(value).__name__) from None
    if not all(is_whole(size) and size >= 0 for size in shape):
        raise SpecError(f"the shape of {name}", "whole numbers", shape)
    return tuple(int(size) for size in shape)


def _live(module: Any) -> Spec | None:
    """The Spec of one torch module by its class and attributes; None for any other module."""
    names = {kind.__name__ for kind in type(module).__mro__ if kind.__module__.partition(".")[0] == "torch"}
    original = getattr(module, "original_name", None)  # of a scripted module
    names |= {original} if isinstance(original, str) else set()
    step = next((name for name, kind in CELLS.items() if kind.step and name in names), None)
    mode = getattr(module, "mode", None)
    sequence = isinstance(mode, str) and mode in _MODES and names & {"RNNBase", *_MODES.values()}
    if step is None and not sequence:
        return None
    if not hasattr(module, "hidden_size"):  # a user's own class of the same name, scripted
        return None
    cell = step or _MODES[str(mode)]
    told = {} if step or not CELLS[cell].nonlinearities else {"nonlinearity": str(mode).removeprefix("RNN_").lower()}
    return by_attributes(module, cell, told)


def by_attributes(module: Any, cell: str, told: Mapping[str, Any]) -> Spec:
    """The Spec that a module's attributes with torch's names describe, and what is `told` beside them.

    What is missing has torch's default, so batch_first is False.

    Raises: SpecError where input_size or hidden_size is missing.
    """
    for name in ("input_size", "hidden_size"):
        if not hasattr(module, name):
            hint = "Pass spec=Spec(Q, D, K, ...) for a layer that does not say what it is"
            raise SpecError(f"{type(module).__name__}.{name}", "there", hint=hint)
    taken = [name for name in CELLS[cell].arguments if hasattr(module, name)]
    fields: dict[str, Any] = {
        "batch_first": False,
        **{_FIELDS.get(name, name): getattr(module, name) for name in taken},
    }
    if not isinstance(bias := fields.get("bias", True), bool):  # a vector or none in place of a yes or no
        fields["bias"] = bias is not None
    return Spec(**{**fields, **told}, cell=cell)


def is_source(value: object) -> bool:
    """Whether a Spec may be read off a value: it is one, holds modules, or maps names to weights."""
    return isinstance(value, (Spec, Mapping)) or (hasattr(value, "named_modules") and not isinstance(value, type))


def only_layer(source: Source, at: str, call: str) -> tuple[str, Spec]:
    """The name and the Spec of the layer at `at`, or of the only one; `call` is how to pick one of several.

    Raises: SpecError for a source without such a layer, or with several.
    """
    if isinstance(source, Spec) or not is_source(source):
        hint = "lstm-shapes inspect reads a file" if isinstance(source, (str, PathLike)) else ""
        kinds = "a torch LSTM, GRU, RNN or …Cell, a model that holds one, or a state_dict"
        raise SpecError("the source" if at == "" else "what is picked from", kinds, source, hint)
    if isinstance(source, Mapping):
        what, candidates = "state_dict", find_layers(source)
    else:
        layers = ((str(name), _live(module)) for name, module in source.named_modules())
        what, candidates = "model", tuple(Found(name, (), spec) for name, spec in layers if spec is not None)
    name = at.removesuffix(".")
    chosen = (
        [layer for layer in candidates if layer.prefix == name]
        or [
            layer
            for layer in candidates
            if ".".join(dropwhile(WRAPPED_BY.__contains__, layer.prefix.split("."))) == name
        ]
        or (list(candidates) if not name else [])
    )
    if len(chosen) == 1:
        (layer,) = chosen
        if layer.spec is None:
            assert layer.problem is not None  # a Found has one or the other
            raise layer.problem
        return layer.prefix, layer.spec
    sound = [printable(layer.prefix) for layer in candidates if layer.spec is not None]
    if not sound:
        problem = next((f"Nearest: {layer.problem}" for layer in candidates if layer.problem is not None), "")
        raise SpecError(f"the {what}", "one that holds a recurrent layer", type(source).__name__, problem)
    calls, shown = call.format(what, sound[0]), ", ".join(map(repr, sound[:8])) + (", …" if len(sound) > 8 else "")
    if not name:
        hint = f"It holds {len(sound)}: {shown}. Pick one: {calls}"
        raise SpecError(f"the {what}", "one that holds a single recurrent layer", type(source).__name__, hint)
    word = re.findall(r"(\w+)=", call)[-1]
    raise SpecError(word, "the name of a recurrent layer in it", at, f"There are: {shown}. Write {calls}")


def printable(text: str, limit: int = 60) -> str:
    """Text from a file, safe for a terminal: on one line, cut, control characters written out."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def _join(prefix: str, name: str) -> str:
    return f"{printable(prefix)}.{printable(name)}" if prefix else printable(name)
