"""read_checkpoint: the recurrent layers in a safetensors file or a torch checkpoint, by their prefix.

A file comes from strangers. Nothing in it is executed: safetensors is data, read with the library of that name (the
extra `[safetensors]`), which checks every rule of the format, and a torch checkpoint is loaded with
`weights_only=True`, mapped and not read where its format allows. Whatever is wrong with it becomes one line.
"""

from __future__ import annotations

import math
import re
import stat
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NoReturn

from lstm_shapes.display import Shown
from lstm_shapes.errors import LstmShapesError
from lstm_shapes.lab._alone import alone
from lstm_shapes.language import language, say
from lstm_shapes.theory.checkpoint import Mismatch, compare, loaded
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.spec import UNTOLD, Found, find_layers, printable

__all__ = ["Checkpoint", "CheckpointError", "Stored", "StoredLayer", "read_checkpoint"]

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
    try:
        status = Path(name).stat()
        if not stat.S_ISREG(status.st_mode):
            # Reading a pipe or a device may never end.
            raise CheckpointError(name, "is not a file", "Give the .safetensors, .pt or .pth file itself")
        with open(name, "rb") as file:
            start = file.read(32)
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(name, f"cannot be read: {reason.lower()}") from None
    if start[8:9] == b"{":
        return _checkpoint(name, "safetensors", [((), _safetensors(name))])
    is_zip = start.startswith(b"PK")
    if is_zip or _MAGIC in start:
        return _checkpoint(name, "torch", list(_tables(_load(name, is_zip, status.st_size))))
    if start[:1] == b"\x80":
        raise CheckpointError(name, "is a Python pickle and no torch checkpoint, so it was not opened")
    raise CheckpointError(name, "is no safetensors file and no torch checkpoint" if start else "is empty")


def _checkpoint(path: str, kind: str, tables: list[tuple[tuple[str, ...], dict[str, Stored]]]) -> Checkpoint:
    layers = []
    for table, tensors in tables:
        for found in find_layers(tensors):
            at = f"{found.prefix}." if found.prefix else ""
            weights = [tensors[at + weight] for weight in found.names]
            dtypes = {weight.dtype for weight in weights}
            dtype = dtypes.pop() if len(dtypes) == 1 else "mixed"
            layers.append(StoredLayer(table, found, dtype, sum(weight.bytes for weight in weights)))
    shapes = tuple((keys, {name: one.shape for name, one in tensors.items()}) for keys, tensors in tables)
    return Checkpoint(path, kind, sum(len(tensors) for _, tensors in tables), tuple(layers), shapes)


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


def _load(path: str, is_zip: bool, size: int) -> Any:
    """What `torch.save` wrote, with torch's unpickler that builds tensors and plain containers only."""
    if is_zip:
        _refuse_bombs(path, size)
    import torch

    try:
        with alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # a broken pickle can raise anything
        _explain(path, error)


def _refuse_bombs(path: str, size: int) -> None:
    """torch stores its records as they are: a small archive that unpacks into a large one is none of torch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except Exception:  # zipfile's own parser raises more than BadZipFile on hostile input
        raise CheckpointError(path, "is a zip archive cut short or damaged") from None
    if any(record.filename.endswith("/constants.pkl") for record in records):
        hint = "Spec.of takes the layer once you have loaded it yourself"
        raise CheckpointError(path, "is a TorchScript program and no checkpoint, so it was not loaded", hint)
    if sum(record.file_size for record in records) > size:
        raise CheckpointError(path, "is a compressed archive, which torch.save never writes")


def _explain(path: str, error: Exception) -> NoReturn:
    text = str(error)
    code = re.search(r"GLOBAL ([\w.]+)", text)
    if code:
        problem = f"holds {code[1][:80]} and not only weights, so it was not loaded"
        raise CheckpointError(path, problem, "Ask for a file of model.state_dict()") from None
    text = re.sub(r"^\[enforce fail[^\]]*\][. ]*", "", text.strip())
    reason = re.split(r"[.:] |\n", text)[0][:120].rstrip(".") or type(error).__name__
    raise CheckpointError(path, f"is no torch checkpoint, or one cut short ({reason})") from None


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
        stored = ((str(key), _stored(one)) for key, one in items if isinstance(one, Tensor))
        tensors = {key: one for key, one in stored if one is not None}
        if tensors:
            yield keys, tensors
        inner = [((*keys, str(key)[:60]), one) for key, one in items if isinstance(one, (Mapping, list, tuple))]
        waiting.extend(reversed(inner))


def _stored(tensor: Any) -> Stored | None:
    try:
        size = tensor.numel() * tensor.element_size()
        return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), size)
    except RuntimeError:  # nested tensors have no shape
        return None
