"""compare: the recurrent layers of a checkpoint beside those of a model, where one does not fit the other.

Names and shapes suffice, so nothing is loaded and a state_dict, the header of a file or plain tuples will do. A layer
of the file is paired with the model's layer of the same prefix, else with the one whose prefix ends alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from .spec import Found, Spec, find_layers, headline, printable

_SYMBOLS = {
    "cell": "the kind",
    "Q": "Q (input_size)",
    "D": "D (hidden_size)",
    "K": "K (num_layers)",
    "bidirectional": "bidirectional",
    "proj_size": "P (proj_size)",
    "bias": "bias",
}
_WRAPPED_BY = {
    "module": "DataParallel names them so",
    "_orig_mod": "torch.compile names them so",
    "model": "a wrapper that keeps the model as `self.model` names them so",
}
_STORED_BY = {
    "_raw": "weight drop keeps a weight as `…_raw`",
    ".original": "a parametrisation keeps a weight as `parametrizations.….original`",
    ".original1": "weight_norm keeps a weight as `parametrizations.….original0` and `original1`",
    "_v": "weight_norm keeps a weight as `…_g` and `…_v`",
    "_orig": "pruning keeps a weight as `…_orig` beside its mask",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One recurrent layer of a model that a file does not fill, or one of the file that no layer of the model takes.

    `kind` is sizes (another layer), prefix (other keys), names (weights stored under other names), missing (the file
    has no such layer), unused (the model has none) or broken (the file's weights fit no layer). `found` of `total`
    weights of the model's layer are in the file under their names and in their shapes. `fix` is an expression: the
    constructor that fits the file, or a dict made of `saved`, the file's state_dict, that loads.
    """

    kind: str
    file: Found | None
    model: Found | None
    found: int
    total: int
    hint: str = ""
    fix: str = ""

    @property
    def message(self) -> str:
        """Both sides in numbers, what is loaded, and what to do."""
        sides = f"the file: {_side(self.file)}; the model: {_side(self.model)}"
        count = ""
        if self.model is not None:
            nothing = ": nothing of it is loaded" if not self.found else ""
            count = f". {self.found} of {self.total} of the model's weights are in the file, by name and shape{nothing}"
        return f"{sides}{count}. {self.hint}."


def compare(file: Mapping[Any, Any], model: Mapping[Any, Any]) -> tuple[Mismatch, ...]:
    """Where the recurrent layers of a file and of a model do not fit: values are tensors, or anything with a shape.

    >>> from lstm_shapes.theory.spec import Weights
    >>> def state(spec): return {f"rnn.{name}": axes.sizes for name, axes in Weights(spec).items()}
    >>> (mismatch,) = compare(state(Spec(32, 128)), state(Spec(32, 64)))
    >>> mismatch.kind, mismatch.fix
    ('sizes', 'nn.LSTM(32, 128)')
    >>> print(mismatch.message)
    the file: rnn = LSTM(Q=32, D=128, K=1); the model: rnn = LSTM(Q=32, D=64, K=1). 0 of 4 of ...
    """
    stored = {layer.prefix: layer for layer in find_layers(file)}
    wanted = {layer.prefix: layer for layer in find_layers(model)}
    pairs = _pairs(stored, wanted)
    mismatches = [_judged(stored.get(pairs.get(at, "\0")), layer, file, model) for at, layer in wanted.items()]
    unused = [layer for at, layer in stored.items() if at not in pairs.values()]
    hint = "The model has no recurrent layer for it"
    mismatches += [Mismatch("unused", layer, None, 0, 0, hint) for layer in unused]
    return tuple(mismatch for mismatch in mismatches if mismatch is not None)


def loaded(file: Mapping[Any, Any], model: Mapping[Any, Any]) -> tuple[int, int]:
    """How many of the model's recurrent weights a file holds under their names and in their shapes, and of how many."""
    keys = [key for layer in find_layers(model) for key in _keys(layer)]
    return sum(_same(file, key, model) for key in keys), len(keys)


def _judged(file: Found | None, model: Found, saved: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> Mismatch | None:
    """A layer of the model beside its partner in the file; None where it is loaded whole."""
    keys = _keys(model)
    found, total = sum(_same(saved, key, wanted) for key in keys), len(keys)
    if file is None:
        hint = "The file has no recurrent layer for it, or one under a name that ends otherwise"
        return Mismatch("missing", None, model, found, total, hint)
    if file.spec is None or model.spec is None:
        problem = file.problem or model.problem
        return Mismatch("broken", file, model, found, total, str(problem).rstrip("."))
    renamed = _renamed(file, model, saved, wanted)
    if file.spec != model.spec:
        built = file.spec.replace(batch_first=False).constructor
        keeps = "batch_first, dropout and nonlinearity are in no file and stay as the model has them"
        hint = f"{_differences(file.spec, model.spec)}. To load this file build {_at(model)} as {built}; {keeps}"
        if file.prefix != model.prefix and renamed.fix:
            hint += f". The keys differ too: {renamed.fix}"
        return Mismatch("sizes", file, model, found, total, hint, built)
    if found == total:
        return None
    return Mismatch(renamed.kind, file, model, found, total, renamed.hint, renamed.fix)


class _Renamed(NamedTuple):
    """How the keys of a file become those of a model."""

    kind: str
    hint: str
    fix: str


def _renamed(file: Found, model: Found, saved: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> _Renamed:
    """The change of keys that fills this layer, given only if it does."""
    stored, kept = _forms(file), _forms(model)
    old, new = _apart(file.prefix, model.prefix)
    moved = file.prefix != model.prefix
    steps = [("_raw", "")] if stored - kept == {"_raw"} else []
    if steps and any(name.startswith("module.") for name in file.names):
        # Weight drop wraps a layer as its `module`, and keeps the weights that it drops itself.
        outer = f"{file.prefix}." if file.prefix else ""
        steps.insert(0, (f"{outer}module.", outer))
    steps += [(old, new)] if moved else []
    reasons = [_prefix_reason(old, new)] if moved else []
    reasons += [f"In the file {_STORED_BY[form]}" for form in _STORED_BY if form in stored - kept]
    reasons += [f"In the model {_STORED_BY[form]}" for form in _STORED_BY if form in kept - stored]

    def renamed(key: str) -> str:
        return reduce(_changed, steps, key)

    keys, items = [key for key in saved if isinstance(key, str)], "saved.items()"
    if len({renamed(key) for key in keys}) < len(keys) and "_raw" in stored - kept:
        # The last of two equal keys stays, and a weight is what is raw; the other is its copy with some of it dropped.
        items = "sorted(saved.items(), key=lambda item: item[0].endswith('_raw'))"
    others = not new and old and not all(key.startswith(old) for key in keys)
    if others and {renamed(key) for key in keys} != set(wanted):
        keys, items = [key for key in keys if key.startswith(old)], f"{items} if k.startswith({old!r})"
    made = {renamed(key): saved[key] for key in keys}
    kind = "prefix" if moved else "names"
    if not all(_same(made, key, wanted) for key in _keys(model)):
        same_way = "Load before the model's weights are wrapped, or wrap them the way the file's were"
        return _Renamed(kind, ". ".join([*reasons, same_way]), "")
    fix = f"{{{reduce(_written, steps, 'k')}: v for k, v in {items}}}"
    return _Renamed(kind, ". ".join([*reasons, f"With saved as the file's state_dict, load {fix}"]), fix)


def _changed(key: str, step: tuple[str, str]) -> str:
    """A key with the suffix taken off, or with another text in front."""
    old, new = step
    if old == "_raw":
        return key.removesuffix(old)
    return key.removeprefix(old) if not new else key.replace(old, new, 1) if old else new + key


def _written(code: str, step: tuple[str, str]) -> str:
    old, new = step
    if old == "_raw" or not new:
        return f"{code}.remove{'suffix' if old == '_raw' else 'prefix'}({old!r})"
    return f"{code}.replace({old!r}, {new!r}, 1)" if old else f"{new!r} + {code}"


def _prefix_reason(old: str, new: str) -> str:
    if old and new:
        return f"The keys of the file have {printable(old)!r} where the model's have {printable(new)!r}"
    side, front = ("file", old) if old else ("model", new)
    because = [f": {reason}" for word, reason in _WRAPPED_BY.items() if word in front.split(".")]
    return f"The keys of the {side} have {printable(front)!r} in front{''.join(because)}"


def _pairs(stored: Mapping[str, Found], wanted: Mapping[str, Found]) -> dict[str, str]:
    """Which prefix of the file belongs to which of the model: the same, else the one that ends alike, else the rest."""
    pairs = {at: at for at in wanted if at in stored}
    scored: list[tuple[int, bool, int, str, str]] = []
    for at in wanted:
        for other in stored:
            alike, same = _common(at, other), stored[other].spec == wanted[at].spec
            if at not in pairs and other not in pairs.values() and (alike or same or "" in (at, other)):
                scored.append((alike + same, same, -len(scored), at, other))
    for *_, at, other in sorted(scored, reverse=True):
        if at not in pairs and other not in pairs.values():
            pairs[at] = other
    rest = [at for at in wanted if at not in pairs], [at for at in stored if at not in pairs.values()]
    if len(rest[0]) == len(rest[1]) == 1:
        pairs[rest[0][0]] = rest[1][0]
    return pairs


def _common(one: str, other: str) -> int:
    """How many last parts two prefixes share."""
    count = 0
    for left, right in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if left != right or not left:
            break
        count += 1
    return count


def _apart(old: str, new: str) -> tuple[str, str]:
    """What differs in front of two prefixes, each with its dot: ("encoder.", "")."""
    left, right = ([part for part in prefix.split(".") if part] for prefix in (old, new))
    shared = _common(old, new)
    parts = left[: len(left) - shared], right[: len(right) - shared]
    return tuple("".join(f"{part}." for part in front) for front in parts)  # type: ignore[return-value]


def _forms(layer: Found) -> set[str]:
    """Under which other names a layer's weights are stored."""
    return {max((form for form in _STORED_BY if name.endswith(form)), key=len, default="") for name in layer.names}


def _keys(layer: Found) -> list[str]:
    return [f"{layer.prefix}.{name}" if layer.prefix else name for name in layer.names]


def _same(file: Mapping[Any, Any], key: str, model: Mapping[Any, Any]) -> bool:
    return key in file and _shape(file[key]) == _shape(model[key])


def _shape(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else tuple(value.shape)


def _differences(file: Spec, model: Spec) -> str:
    words = []
    for field, name in _SYMBOLS.items():
        stored, wanted = getattr(file, field), getattr(model, field)
        if stored != wanted:
            words.append(f"{name} is {stored} in the file and {wanted} in the model")
    return ", ".join(words)


def _side(layer: Found | None) -> str:
    """A layer in the field's words: rnn = LSTM(Q=168, D=128, K=2, bidirectional)."""
    if layer is None:
        return "no such layer"
    spec = layer.spec
    if spec is None:
        return f"{_at(layer)}, whose weights fit no layer"
    return f"{_at(layer)} = {headline(spec)}" if layer.prefix else headline(spec)


def _at(layer: Found) -> str:
    return printable(layer.prefix) if layer.prefix else "the layer"
