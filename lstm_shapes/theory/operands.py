"""What is handed to a recurrent layer, as plain data: shapes, dtypes and devices without a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lstm_shapes.errors import ShapeError

__all__ = ["FLOATS", "Group", "Operand", "Other", "Packed", "Problem", "Value", "Words", "form", "leaves"]

FLOATS = {"float16": ".half()", "bfloat16": ".bfloat16()", "float32": ".float()", "float64": ".double()"}
"""The dtypes that a layer computes in, and how a tensor is made to have one."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One tensor. `names` are those of its axes, where it carries any; a dense tensor's layout is strided."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    device: str = "cpu"
    layout: str = "strided"
    names: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def is_number(self) -> bool:
        """Whether it holds fractions, as activations are, and not token ids or a mask."""
        return self.dtype.startswith(("float", "bfloat", "complex"))


@dataclass(frozen=True, slots=True)
class Packed:
    """A PackedSequence: its data, (T, Q), and how many rows still run at each step."""

    data: Operand
    batch_sizes: tuple[int, ...]

    @property
    def N(self) -> int:
        """Sequences: all of them run at the first step."""
        return self.batch_sizes[0] if self.batch_sizes else 0


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple, a list, or the arguments that follow x where a call was given several."""

    parts: tuple[Value, ...]
    kind: str = "tuple"


@dataclass(frozen=True, slots=True)
class Other:
    """A value that is no tensor, known by the name of its type."""

    kind: str


Value = Operand | Packed | Group | Other | None


@dataclass(frozen=True, slots=True)
class Words:
    """What the caller's program calls the operands: hints are written in these words."""

    x: str = "x"
    h0: str = "h0"
    c0: str = "c0"
    state: str = "state"
    layer: str = "layer"

    def of(self, role: str) -> str:
        """The caller's word for x, h0, c0, state or layer."""
        return str(getattr(self, role))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one operand: it must be `formula` = `expected`, is `got`, and `hint` says what to do.

    `name` is x, h0, c0 or state. `kind` says which rule is broken: input-kind, input-rank, feature-axis, layout,
    state-kind, state-shape, dtype, device, packing or configuration. `fix` is an expression that makes an operand which
    passes, where there is one: it replaces the operand `name`, and `hint` holds it.
    """

    name: str
    formula: str
    expected: object = None
    got: object = None
    hint: str = ""
    kind: str = ""
    fix: str = ""

    @property
    def error(self) -> ShapeError:
        """The same as an exception."""
        return ShapeError(self.name, self.formula, expected=self.expected, got=self.got, hint=self.hint)

    def __str__(self) -> str:
        return str(self.error)


def form(value: Value) -> object:
    """A value as people write it: the shape of a tensor, nested as its containers are.

    >>> form(Group((Operand((2, 3, 5)), None)))
    ((2, 3, 5), None)
    """
    if isinstance(value, Operand):
        return value.shape
    if isinstance(value, Group):
        parts = [form(part) for part in value.parts]
        return parts if value.kind == "list" else tuple(parts)
    if isinstance(value, Packed):
        return f"PackedSequence of {value.data.shape}"
    return None if value is None else value.kind


def leaves(value: Value) -> Iterator[Operand]:
    """Every tensor in a value."""
    if isinstance(value, Operand):
        yield value
    elif isinstance(value, Group):
        for part in value.parts:
            yield from leaves(part)
