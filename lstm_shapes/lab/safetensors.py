"""The header of a safetensors file: names, dtypes and shapes, without the tensors and without torch.

A file is 8 bytes of length n (little-endian), n bytes of JSON, then the tensors end to end. The JSON maps each
name to {"dtype", "shape", "data_offsets"}. Read here rather than by the `safetensors` library: two dozen lines
against a dependency that everyone would have to install, and the library maps the whole file where the
header is all that is wanted. Every rule of the format is checked, so a file cut short is noticed.

Source: "Format" in the README of github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

__all__ = ["Stored", "read_header"]

# The library's own limit.
_MOST_HEADER_BYTES = 100_000_000
_MOST_AXES = 64

_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
}
_TORCH_NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: its sizes, torch's name of its dtype, its bytes."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


def read_header(file: BinaryIO, size: int) -> dict[str, Stored]:
    """Every tensor that an open safetensors file of `size` bytes holds.

    Raises: ValueError that says which rule of the format is broken.
    """
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= size - 8:
        raise ValueError(f"its header claims {length:,} bytes of a file of {size:,}")
    if length > _MOST_HEADER_BYTES:
        raise ValueError(f"its header of {length:,} bytes is over the limit of {_MOST_HEADER_BYTES:,}")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no table of tensors")
    header.pop("__metadata__", None)
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    _require_whole([where for where, _ in entries.values()], size - 8 - length)
    return {name: stored for name, (_, stored) in entries.items()}


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands in it twice")
    return table


def _entry(name: str, entry: Any) -> tuple[tuple[int, int], Stored]:
    """Where a tensor's bytes are, and what it is."""
    if not isinstance(entry, dict):
        raise ValueError(f"{name[:60]!r} is no tensor")
    dtype, shape, where = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not _sizes(shape) or not _sizes(where) or len(where) != 2:
        raise ValueError(f"{name[:60]!r} lacks a dtype, a shape or two offsets")
    begin, end = where
    bits = _BITS.get(dtype)
    # A dtype from after this was written passes; its shape can still be read.
    if begin > end or (bits is not None and math.prod(shape) * bits != 8 * (end - begin)):
        raise ValueError(f"{name[:60]!r} of shape {shape} does not fit its {end - begin:,} bytes")
    return (begin, end), Stored(tuple(shape), _TORCH_NAMES.get(dtype, dtype.lower()[:20]), end - begin)


def _sizes(value: Any) -> TypeGuard[list[int]]:
    """A short list of whole numbers that 64 bits can hold; bounds the arithmetic on hostile input."""
    return (
        isinstance(value, list)
        and len(value) <= _MOST_AXES
        and all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**63 for size in value)
    )


def _require_whole(ranges: list[tuple[int, int]], size: int) -> None:
    """The tensors lie end to end and fill the file."""
    position = 0
    for begin, end in sorted(ranges):
        if begin != position:
            raise ValueError("its tensors overlap or leave gaps")
        position = end
    if position != size:
        raise ValueError(f"its tensors take {position:,} bytes and {size:,} are there")
