"""Where a Spec can come from: a live torch layer, or the names and shapes in a checkpoint.

Nothing here imports torch: a layer is known by its class and attributes, a weight by its `.shape`. A
checkpoint is read in three steps: names are grouped by prefix, the sizes are taken from the first layer's
weights, and then every name and every shape must be the one that `shapes.Weights` predicts for those sizes.

Source: `RNNBase.__init__` and `RNNCellBase.__init__` in `torch/nn/modules/rnn.py`; for reparametrised weights
`torch/nn/utils/parametrize.py`, `prune.py` and `weight_norm.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from lstm_shapes.errors import SpecError

from .cells import CELLS
from .shapes import Weights
from .spec import Spec

__all__ = ["UNTOLD", "WRAPPERS", "Found", "find_layers", "printable", "recurrent_layers", "spec_of"]

UNTOLD = ("batch_first", "dropout", "nonlinearity")
"""What no weight depends on, so that no checkpoint can tell: these fields get their defaults."""

_MODES = {"LSTM": "LSTM", "GRU": "GRU", "RNN_TANH": "RNN", "RNN_RELU": "RNN"}

# A parameter of a recurrent layer, perhaps stored under another name by a reparametrisation: pruning and the
# old spectral_norm append _orig, the old weight_norm _v, the new ones keep `original` or `original1`. Weight drop
# (AWD-LSTM, fastai) keeps the weight itself as _raw.
_NAME = re.compile(
    r"(?:(?P<prefix>.*?)\.)??"
    r"(?:parametrizations\.)?"
    r"(?P<part>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?P<layer>_l[0-9]+)?(?P<reverse>_reverse)?"
    r"(?P<stored>_raw|_orig|_v|\.original|\.original1)?",
    re.DOTALL,
)
_PREFERRED = ("_raw", "", ".original", ".original1", "_orig", "_v")
WRAPPERS = ("module", "model", "_orig_mod")
"""What DataParallel, Lightning and torch.compile put in front of every name."""


@dataclass(frozen=True, slots=True)
class Found:
    """One group of recurrent weights below a prefix: its Spec, or why it has none.

    `names` are the parameters as the checkpoint spells them, below the prefix.
    """

    prefix: str
    names: tuple[str, ...]
    spec: Spec | None = None
    problem: SpecError | None = None


def spec_of(source: Any, prefix: str = "") -> Spec:
    """The Spec of a torch layer, or of the layer below `prefix` in a model or a state_dict.

    >>> class Weight:
    ...     def __init__(self, *shape): self.shape = shape
    >>> spec_of({"rnn.weight_ih_l0": Weight(192, 28), "rnn.weight_hh_l0": Weight(192, 64)}, "rnn.")
    Spec(Q=28, D=64, K=1, batch_first=True, cell='GRU', bias=False)

    Raises: SpecError for a source without such a layer, naming the prefixes where there is one.
    """
    if not isinstance(prefix, str):
        raise SpecError("prefix", "the text in front of weight_ih_l0, as in 'encoder.rnn'", prefix)
    at = prefix.removesuffix(".")
    if isinstance(source, Spec) and not at:
        return source
    if isinstance(source, Mapping):
        found = find_layers(source)
    elif callable(getattr(source, "named_modules", None)):
        # dict() keeps the last of a repeated name, as attribute look-up does.
        layers = ((str(name), _live(module)) for name, module in source.named_modules())
        found = tuple(Found(name, (), spec) for name, spec in layers if spec is not None)
    else:
        kinds = "a torch LSTM, GRU, RNN or …Cell, a model that holds one, or a state_dict"
        hint = "lstm-shapes inspect reads a file" if isinstance(source, (str, PathLike)) else ""
        raise SpecError("source", kinds, source, hint)
    return _choose(found, at)


def recurrent_layers(state_dict: Mapping[Any, Any]) -> dict[str, Spec]:
    """Every recurrent layer of a checkpoint by its prefix, in the order of the names.

    Groups of weights that look recurrent and fit no layer are left out; `find_layers` says why.
    """
    return {found.prefix: found.spec for found in find_layers(state_dict) if found.spec is not None}


def find_layers(state_dict: Mapping[Any, Any]) -> tuple[Found, ...]:
    """Every group of recurrent weights in a checkpoint, the sound and the broken."""
    groups: dict[str, dict[str, tuple[int, str, Any]]] = {}
    for name, value in state_dict.items():
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            continue
        prefix = match["prefix"] or ""
        canonical = match["part"] + (match["layer"] or "") + (match["reverse"] or "")
        rank = _PREFERRED.index(match["stored"] or "")
        group = groups.setdefault(prefix, {})
        if canonical not in group or rank < group[canonical][0]:
            group[canonical] = (rank, name[len(prefix) + 1 :] if prefix else name, value)
    for prefix in [name for name in groups if _only_raw(groups[name])]:
        # Weight drop wraps the layer: the weights that it drops are its own, the rest are those of its `module`.
        inner = groups.pop(_join_names(prefix, "module"), {})
        kept = {name: (rank, f"module.{spelled}", value) for name, (rank, spelled, value) in inner.items()}
        groups[prefix] = kept | groups[prefix]
    return tuple(_read(prefix, group) for prefix, group in groups.items())


def _only_raw(group: dict[str, tuple[int, str, Any]]) -> bool:
    return all(spelled.endswith("_raw") for _, spelled, _ in group.values())


def _join_names(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _read(prefix: str, group: dict[str, tuple[int, str, Any]]) -> Found:
    stored = tuple(spelled for _, spelled, _ in group.values())
    try:
        shapes = {name: _shape(_join(prefix, spelled), value) for name, (_, spelled, value) in group.items()}
        return Found(prefix, stored, _infer(prefix, shapes))
    except SpecError as problem:
        return Found(prefix, stored, problem=problem)


def _infer(prefix: str, shapes: dict[str, tuple[int, ...]]) -> Spec:
    """Sizes from the first layer's weights, then every weight against the algebra."""
    layers = {_NAME.fullmatch(name)["layer"] for name in shapes}  # type: ignore[index]
    step = layers == {None}
    first = "" if step else "_l0"
    Q = _matrix(prefix, "weight_ih" + first, "(G·D, Q)", shapes)[1]
    rows, H = _matrix(prefix, "weight_hh" + first, "(G·D, H)", shapes)
    projected = f"weight_hr{first}" in shapes
    D = _matrix(prefix, "weight_hr" + first, "(P, D)", shapes)[1] if projected else H
    cells = [kind for kind in CELLS.values() if kind.step == step and len(kind.gates) * D == rows]
    if not cells:
        rule = f"(G·D, H) with G = 4, 3 or 1 gates of D = {D} rows each"
        raise SpecError(_join(prefix, "weight_hh" + first), rule, (rows, H))
    try:
        spec = Spec(
            Q,
            D,
            len(layers),
            cell=cells[0].name,
            bidirectional=any(name.endswith("_reverse") for name in shapes),
            proj_size=H if projected else 0,
            bias=any(name.startswith("bias_") for name in shapes),
        )
    except SpecError as error:
        raise SpecError(f"{error.name} of the layer at {prefix[:60]!r}", error.rule, error.got, error.hint) from None
    _verify(prefix, spec, shapes)
    return spec


def _verify(prefix: str, spec: Spec, shapes: dict[str, tuple[int, ...]]) -> None:
    """Every weight is one of the layer's, has its shape, and none is missing."""
    weights = Weights(spec)
    layer = f"{spec.cell} of {spec.K} layer{'s' * (spec.K > 1)}"
    for name, shape in shapes.items():
        if name not in weights:
            hint = "Layers are numbered from l0 without a gap, and a cell's weights have no number"
            raise SpecError(_join(prefix, name), f"a weight of the {layer} around it", shape, hint)
        axes = weights[name]
        if shape != axes.sizes:
            rule = f"({', '.join(axes.names)}) = {axes.sizes} in this {layer}"
            raise SpecError(_join(prefix, name), rule, shape)
    # All names are the layer's own, so a missing one comes within len(shapes) + 1 names.
    missing = next((name for name in weights if name not in shapes), None)
    if missing is not None:
        raise SpecError(_join(prefix, missing), f"there, as a weight of the {layer} around it", None)


def _matrix(prefix: str, name: str, formula: str, shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    shape = shapes.get(name)
    if shape is None:
        raise SpecError(_join(prefix, name), f"there beside {next(iter(shapes))}", None)
    if len(shape) != 2 or 0 in shape:
        raise SpecError(_join(prefix, name), f"a matrix {formula}", shape)
    return shape[0], shape[1]


def _shape(name: str, value: Any) -> tuple[int, ...]:
    """The sizes of one weight as plain ints; a bare shape is its own."""
    try:
        shape = value if isinstance(value, tuple) else tuple(value.shape)
    except (AttributeError, TypeError):
        raise SpecError(name, "a tensor, or anything with a .shape", type(value).__name__) from None
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
        raise SpecError(f"the shape of {name}", "whole numbers", shape)
    return tuple(int(size) for size in shape)


def _live(module: Any) -> Spec | None:
    """The Spec of one torch module by its class and attributes; None for any other module.

    Subclasses, scripted, quantised and parametrised layers keep torch's class or its name.
    """
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
    fields: dict[str, Any] = {"bias": module.bias}
    if step is not None:
        cell = step
        if CELLS[cell].nonlinearities:
            fields["nonlinearity"] = module.nonlinearity
    else:
        cell = _MODES[str(mode)]
        fields |= {"K": module.num_layers, "batch_first": module.batch_first, "dropout": module.dropout}
        fields |= {"bidirectional": module.bidirectional, "proj_size": getattr(module, "proj_size", 0)}
        if CELLS[cell].nonlinearities:
            fields["nonlinearity"] = str(mode).removeprefix("RNN_").lower()
    return Spec(module.input_size, module.hidden_size, cell=cell, **fields)


def _choose(found: tuple[Found, ...], at: str) -> Spec:
    """The layer at exactly this prefix, else the only one there but for a wrapper's name in front."""
    chosen = [layer for layer in found if layer.prefix == at] or [
        layer for layer in found if ".".join(_unwrapped(layer.prefix)) == at
    ]
    if len(chosen) != 1:
        sound = [layer.prefix for layer in found if layer.spec is not None]
        shown = ", ".join(repr(prefix[:60]) for prefix in sound[:8]) + (", …" if len(sound) > 8 else "")
        hint = f"Recurrent layers are at: {shown}" if sound else _why_none(found)
        raise SpecError("prefix", "where a recurrent layer is", at, hint)
    layer = chosen[0]
    if layer.spec is None:
        assert layer.problem is not None  # a Found has one or the other
        raise layer.problem
    return layer.spec


def _why_none(found: tuple[Found, ...]) -> str:
    problem = next((str(layer.problem) for layer in found if layer.problem is not None), "")
    return f"There is none; nearest: {problem}" if problem else "There is no recurrent layer in it"


def _unwrapped(prefix: str) -> Iterator[str]:
    """The parts of a prefix without the names of wrappers in front."""
    leading = True
    for part in prefix.split("."):
        leading = leading and part in WRAPPERS
        if not leading:
            yield part


def printable(text: str, limit: int = 60) -> str:
    """Text from a file, safe for a terminal: on one line, cut, control characters written out.

    >>> printable("rnn\\x1b[2J")
    'rnn\\\\x1b[2J'
    """
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def _join(prefix: str, name: str) -> str:
    return f"{printable(prefix)}.{printable(name)}" if prefix else printable(name)
