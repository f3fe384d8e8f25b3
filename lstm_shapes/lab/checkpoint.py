"""The recurrent layers in a safetensors file or a torch checkpoint, alone and beside those of a model.

A file comes from strangers. Nothing in it is executed: safetensors is data, read with the library of that name (the
extra `[safetensors]`), which checks every rule of the format, and a torch checkpoint is loaded with
`weights_only=True`, mapped and not read where its format allows. Whatever is wrong with it becomes one line.

To compare a file with a model names and shapes suffice, so a state_dict or plain tuples will do. A layer of the file is
paired with the model's layer of the same prefix, else with the one whose prefix ends alike.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import product, takewhile
from os import PathLike, fspath
from os.path import exists, getsize, isfile
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.errors import LstmShapesError
from lstm_shapes.lab._alone import alone
from lstm_shapes.language import language, say
from lstm_shapes.theory.call import kind_of
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.spec import STORED_BY, UNTOLD, WRAPPED_BY, Found, find_layers, headline, printable

# Checkpoints nest a few levels, {"state_dict": …} or {"model": {"encoder": …}}; only an attack nests many.
_MOST_LEVELS = 16
_TORCH_NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
# What torch.save wrote first before it wrote zip archives; `MAGIC_NUMBER` in torch/serialization.py.
_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")


class CheckpointError(LstmShapesError):
    """A file that cannot be read as a checkpoint: `.path`, `.problem` and what to do, `.hint`."""

    def __init__(self, path: str, problem: str, hint: str = "") -> None:
        self.path = path
        self.problem = printable(problem, 200)
        self.hint = hint
        super().__init__(f"{printable(path, 200)} {self.problem}.{f' {hint}.' if hint else ''}")


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: its sizes, torch's name of its dtype, its bytes."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """Recurrent weights in a file: in which of its tables, below which prefix, and the Spec or the problem."""

    table: tuple[str, ...]
    found: Found
    dtype: str
    bytes: int

    @property
    def parameters(self) -> int | None:
        """Elements of the layer's weights; None where they fit no layer."""
        return None if self.found.spec is None else Counts(self.found.spec).total

    @property
    def tables(self) -> str:
        """The tables of the file that lead to the layer: `[state_dict]`, or nothing."""
        return printable("".join(f"[{name}]" for name in self.table), 200)

    @property
    def at(self) -> str:
        """How the layer is named: its prefix, after the tables that lead to it."""
        return f"{self.tables} {printable(self.found.prefix, 200)}".strip() or say("no prefix")

    def to_dict(self) -> dict[str, Any]:
        found = self.found
        known = {} if found.spec is None else found.spec.to_dict()
        return {
            "table": list(self.table),
            "prefix": found.prefix,
            "spec": {name: value for name, value in known.items() if name not in UNTOLD} or None,
            "parameters": self.parameters,
            "dtype": self.dtype,
            "bytes": self.bytes,
            "problem": None if found.problem is None else str(found.problem),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Checkpoint(Shown):
    """What a file holds: its format, how many tensors, and the recurrent layers among them."""

    path: str
    format: str
    tensors: int
    layers: tuple[StoredLayer, ...]
    tables: tuple[tuple[tuple[str, ...], Mapping[str, tuple[int, ...]]], ...] = field(default=(), compare=False)
    """Name and shape of every tensor, below the keys that lead to its table."""
    lang: str = field(default_factory=language, compare=False)

    def against(self, model: Mapping[str, Any]) -> tuple[Mismatch, ...]:
        """Where the recurrent layers of the file and of a model's state_dict do not fit.

        Of several tables in the file the one counts that holds the most of the model's recurrent weights.
        """
        tables = [shapes for _, shapes in self.tables] or [{}]
        return compare(max(tables, key=lambda shapes: (loaded(shapes, model)[0], len(find_layers(shapes)))), model)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what no checkpoint can tell is not among a layer's fields."""
        return {
            "path": self.path,
            "format": self.format,
            "tensors": self.tensors,
            "layers": [layer.to_dict() for layer in self.layers],
            "untold": list(UNTOLD),
        }


def read_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """The recurrent layers of a safetensors file or of what `torch.save` wrote.

    Raises: CheckpointError, one line, for anything else: a folder, a file cut short, one that holds code.
    """
    name = fspath(path)
    if exists(name) and not isfile(name):  # reading a pipe or a device may never end
        raise CheckpointError(name, "is not a file", "Give the .safetensors, .pt or .pth file itself")
    try:
        with open(name, "rb") as file:
            start = file.read(32)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(name, f"cannot be read: {reason.lower()}") from None
    tables: list[tuple[tuple[str, ...], dict[str, Stored]]]
    if start[8:9] == b"{":
        kind, tables = "safetensors", [((), _safetensors(name))]
    elif (is_zip := start.startswith(b"PK")) or _MAGIC in start:
        kind, tables = "torch", list(_tables(_load(name, is_zip)))
    elif start[:1] == b"\x80":
        raise CheckpointError(name, "is a Python pickle and no torch checkpoint, so it was not opened")
    else:
        raise CheckpointError(name, "is no safetensors file and no torch checkpoint" if start else "is empty")
    layers = []
    for table, tensors in tables:
        for found in find_layers(tensors):
            weights = [tensors[key] for key in found.keys]
            dtypes = {weight.dtype for weight in weights}
            dtype = dtypes.pop() if len(dtypes) == 1 else "mixed"
            layers.append(StoredLayer(table, found, dtype, sum(weight.bytes for weight in weights)))
    shapes = tuple((keys, {key: one.shape for key, one in tensors.items()}) for keys, tensors in tables)
    return Checkpoint(name, kind, sum(len(tensors) for _, tensors in tables), tuple(layers), shapes)


def _safetensors(path: str) -> dict[str, Stored]:
    """What the header of a safetensors file says; the tensors are not read, and torch is not loaded."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        problem = "is a safetensors file, and the library safetensors is not installed"
        raise CheckpointError(path, problem, "pip install 'lstm-shapes[safetensors]'") from None
    stored = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118, what is opened is no dict
                tensor = file.get_slice(name)
                shape, dtype = tuple(tensor.get_shape()), str(tensor.get_dtype())
                bits = int((re.findall(r"\d+", dtype) or ["8"])[0])  # F32, BF16, F8_E4M3; BOOL
                stored[name] = Stored(shape, _TORCH_NAMES.get(dtype, dtype.lower()), math.prod(shape) * bits // 8)
    except (SafetensorError, OSError) as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise CheckpointError(path, f"is no sound safetensors file: {reason}") from None
    return stored


def _load(path: str, is_zip: bool) -> Any:
    """What `torch.save` wrote, with torch's unpickler that builds tensors and plain containers only."""
    if is_zip:
        _refuse_bombs(path)
    import torch

    try:
        with alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # a broken pickle can raise anything
        text = str(error)
        if code := re.search(r"GLOBAL ([\w.]+)", text):
            problem = f"holds {code[1][:80]} and not only weights, so it was not loaded"
            raise CheckpointError(path, problem, "Ask for a file of model.state_dict()") from None
        text = re.sub(r"^\[enforce fail[^\]]*\][. ]*", "", text.strip())
        reason = re.split(r"[.:] |\n", text)[0][:120].rstrip(".") or type(error).__name__
        raise CheckpointError(path, f"is no torch checkpoint, or one cut short ({reason})") from None


def _refuse_bombs(path: str) -> None:
    """torch stores its records as they are: a small archive that unpacks into a large one is none of torch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except Exception:  # zipfile's own parser raises more than BadZipFile on hostile input
        raise CheckpointError(path, "is a zip archive cut short or damaged") from None
    if any(record.filename.endswith("/constants.pkl") for record in records):
        hint = "Spec.of takes the layer once you have loaded it yourself"
        raise CheckpointError(path, "is a TorchScript program and no checkpoint, so it was not loaded", hint)
    if sum(record.file_size for record in records) > getsize(path):
        raise CheckpointError(path, "is a compressed archive, which torch.save never writes")


def _tables(root: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Stored]]]:
    """Every table in what was loaded, with the keys that lead to it and the tensors in it."""
    from torch import Tensor

    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    seen = set()
    while waiting:
        keys, value = waiting.pop()
        if id(value) in seen or len(keys) > _MOST_LEVELS:
            continue
        seen.add(id(value))  # `root` keeps everything alive, so no id is used twice
        items = list(value.items() if isinstance(value, Mapping) else enumerate(value))
        tensors = {}
        for key, one in items:
            with suppress(RuntimeError):  # nested tensors have no shape
                if isinstance(one, Tensor):
                    size, dtype = one.numel() * one.element_size(), kind_of(one.dtype)
                    tensors[str(key)] = Stored(tuple(one.shape), dtype, size)
        if tensors:
            yield keys, tensors
        inner = [((*keys, str(key)[:60]), one) for key, one in items if isinstance(one, (Mapping, list, tuple))]
        waiting.extend(reversed(inner))


_SYMBOLS = {
    "cell": "the kind",
    "Q": "Q (input_size)",
    "D": "D (hidden_size)",
    "K": "K (num_layers)",
    "bidirectional": "bidirectional",
    "proj_size": "P (proj_size)",
    "bias": "bias",
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
        count = ""
        if self.model is not None:
            nothing = ": nothing of it is loaded" if not self.found else ""
            count = f". {self.found} of {self.total} of the model's weights are in the file, by name and shape{nothing}"
        return f"the file: {_side(self.file)}; the model: {_side(self.model)}{count}. {self.hint}."


def _side(layer: Found | None) -> str:
    """A layer in the field's words: rnn = LSTM(Q=168, D=128, K=2, bidirectional)."""
    if layer is None or layer.spec is None:
        return "no such layer" if layer is None else f"{layer.called}, whose weights fit no layer"
    return f"{layer.called} = {headline(layer.spec)}" if layer.prefix else headline(layer.spec)


def compare(file: Mapping[Any, Any], model: Mapping[Any, Any]) -> tuple[Mismatch, ...]:
    """Where the recurrent layers of a file and of a model do not fit: values are tensors, or anything with a shape.

    >>> from lstm_shapes.theory.spec import Spec, Weights
    >>> def state(spec): return {f"rnn.{name}": axes.sizes for name, axes in Weights(spec).items()}
    >>> (mismatch,) = compare(state(Spec(32, 128)), state(Spec(32, 64)))
    >>> mismatch.kind, mismatch.fix
    ('sizes', 'nn.LSTM(32, 128)')
    >>> print(mismatch.message)
    the file: rnn = LSTM(Q=32, D=128, K=1); the model: rnn = LSTM(Q=32, D=64, K=1). 0 of 4 of ...
    """
    pairs = _pairs(find_layers(file), find_layers(model))
    judged = (_judged(stored, wanted, file, model) for stored, wanted in pairs)
    return tuple(mismatch for mismatch in judged if mismatch is not None)


def loaded(file: Mapping[Any, Any], model: Mapping[Any, Any]) -> tuple[int, int]:
    """How many of the model's recurrent weights a file holds under their names and in their shapes, and of how many."""
    keys = [key for layer in find_layers(model) for key in layer.keys]
    return sum(_same(file, key, model) for key in keys), len(keys)


def _same(file: Mapping[Any, Any], key: str, model: Mapping[Any, Any]) -> bool:
    one, other = (table.get(key, ()) for table in (file, model))
    return key in file and tuple(getattr(one, "shape", one)) == tuple(getattr(other, "shape", other))


def _pairs(stored: tuple[Found, ...], wanted: tuple[Found, ...]) -> list[tuple[Found | None, Found | None]]:
    """The layers of a file beside those of a model: the same prefix, else the one that ends alike, else the rest."""

    def likeness(pair: tuple[Found, Found]) -> tuple[bool, int, bool]:
        (model, file), same = pair, pair[0].spec == pair[1].spec
        return model.prefix == file.prefix, _shared(model.prefix, file.prefix) + same, same

    pairs: dict[str, Found] = {}
    for model, file in sorted(product(wanted, stored), key=likeness, reverse=True):
        alike = any(likeness((model, file))) or not model.prefix or not file.prefix
        if alike and model.prefix not in pairs and file not in pairs.values():
            pairs[model.prefix] = file
    alone = [layer for layer in wanted if layer.prefix not in pairs]
    unused = [layer for layer in stored if layer not in pairs.values()]
    if len(alone) == len(unused) == 1:
        pairs[alone[0].prefix] = unused.pop()
    return [*((pairs.get(layer.prefix), layer) for layer in wanted), *((layer, None) for layer in unused)]


def _shared(one: str, other: str) -> int:
    """How many last parts two prefixes share."""
    ends = zip(reversed(_parts(one)), reversed(_parts(other)), strict=False)
    return sum(1 for _ in takewhile(lambda parts: parts[0] == parts[1], ends))


def _parts(prefix: str) -> list[str]:
    return [part for part in prefix.split(".") if part]


def _judged(
    file: Found | None, model: Found | None, saved: Mapping[Any, Any], wanted: Mapping[Any, Any]
) -> Mismatch | None:
    """A layer of the model beside its partner in the file; None where it is loaded whole."""
    keys = () if model is None else model.keys
    found = sum(_same(saved, key, wanted) for key in keys)
    mismatch = partial(Mismatch, file=file, model=model, found=found, total=len(keys))
    if model is None:
        return mismatch("unused", hint="The model has no recurrent layer for it")
    if file is None:
        hint = "The file has no recurrent layer for it, or one under a name that ends otherwise"
        return mismatch("missing", hint=hint)
    if file.spec is None or model.spec is None:
        return mismatch("broken", hint=str(file.problem or model.problem).rstrip("."))
    if file.spec == model.spec and found == len(keys):
        return None
    told, renamed = _renamed(file, model, saved, wanted)
    if file.spec == model.spec:
        return mismatch("names" if file.prefix == model.prefix else "prefix", hint=told, fix=renamed)
    sides = {name: (getattr(file.spec, key), getattr(model.spec, key)) for key, name in _SYMBOLS.items()}
    differ = [
        f"{name} is {one} in the file and {other} in the model" for name, (one, other) in sides.items() if one != other
    ]
    built = file.spec.replace(batch_first=False).constructor
    keeps = "batch_first, dropout and nonlinearity are in no file and stay as the model has them"
    hint = f"{', '.join(differ)}. To load this file build {model.called} as {built}; {keeps}"
    if file.prefix != model.prefix and renamed:
        hint += f". The keys differ too: {renamed}"
    return mismatch("sizes", hint=hint, fix=built)


def _renamed(file: Found, model: Found, saved: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> tuple[str, str]:
    """Why the keys of this layer differ and what to do; the dict whose keys fill it, empty if none does."""
    reasons = []
    shared, fronts = _shared(file.prefix, model.prefix), (_parts(file.prefix), _parts(model.prefix))
    old, new = ("".join(f"{part}." for part in parts[: len(parts) - shared]) for parts in fronts)
    if old and new:
        reasons = [f"The keys of the file have {printable(old)!r} where the model's have {printable(new)!r}"]
    elif old or new:
        because = [f": {reason}" for word, reason in WRAPPED_BY.items() if word in (old or new).split(".")]
        side = "file" if old else "model"
        reasons = [f"The keys of the {side} have {printable(old or new)!r} in front{''.join(because)}"]
    stored, kept = file.forms, model.forms
    reasons += [f"In the file {told}" for form, told in STORED_BY.items() if told and form in stored - kept]
    reasons += [f"In the model {told}" for form, told in STORED_BY.items() if told and form in kept - stored]
    # What is done to a key, as methods of str and their arguments, and at last a text in front.
    steps: list[tuple[Any, ...]] = [("removesuffix", "_raw")] if stored - kept == {"_raw"} else []
    if steps and any(name.startswith("module.") for name in file.names):
        # Weight drop wraps a layer as its `module`, and keeps the weights that it drops itself.
        outer = f"{file.prefix}." if file.prefix else ""
        steps.insert(0, ("replace", f"{outer}module.", outer, 1) if outer else ("removeprefix", "module."))
    if old:
        steps.append(("replace", old, new, 1) if new else ("removeprefix", old))
    front = new if not old else ""

    def renamed(key: str) -> str:
        return front + reduce(lambda key, step: str(getattr(key, step[0])(*step[1:])), steps, key)

    keys, items = [key for key in saved if isinstance(key, str)], "saved.items()"
    if len({renamed(key) for key in keys}) < len(keys) and "_raw" in stored - kept:
        # The last of two equal keys stays, and a weight is what is raw; the other is its copy with some of it dropped.
        items = "sorted(saved.items(), key=lambda item: item[0].endswith('_raw'))"
    others = not new and old and not all(key.startswith(old) for key in keys)
    if others and {renamed(key) for key in keys} != set(wanted):
        keys, items = [key for key in keys if key.startswith(old)], f"{items} if k.startswith({old!r})"
    made = {renamed(key): saved[key] for key in keys}
    if all(_same(made, key, wanted) for key in model.keys):
        code = "".join(f".{method}({', '.join(map(repr, args))})" for method, *args in steps)
        fix = f"{{{f'{front!r} + ' if front else ''}k{code}: v for k, v in {items}}}"
        return ". ".join([*reasons, f"With saved as the file's state_dict, load {fix}"]), fix
    same_way = "Load before the model's weights are wrapped, or wrap them the way the file's were"
    return ". ".join([*reasons, same_way]), ""
