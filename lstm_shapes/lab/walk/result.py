"""What a walk found: lines in the order they ran, with the tensors they made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.display import Shown
from lstm_shapes.lab.torch_rules import axes_of
from lstm_shapes.theory.axes import Axes, Axis
from lstm_shapes.theory.origins import UNKNOWN

if TYPE_CHECKING:
    from lstm_shapes.lab.check.report import Report

__all__ = ["Made", "Mixed", "Step", "Walk", "made_of"]

_MOST = 6
"""How many tensors of a list or dict are shown."""


@dataclass(frozen=True, slots=True)
class Made:
    """A tensor that has a name in the program: `Y (N=2, L=20, D=256)`; without names where nobody knows them."""

    name: str
    sizes: tuple[int, ...]
    axes: Axes | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """The axes with their sizes, or the bare shape."""
        if self.axes is None:
            return f"{self.sizes} no names"
        return f"({', '.join(map(_axis, self.axes))}{',' if len(self.axes) == 1 else ''})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = None if self.axes is None else list(self.axes.names)
        return {"name": self.name, "axes": names, "sizes": list(self.sizes), "note": self.note}


def _axis(axis: Axis) -> str:
    """An axis as readers see it; a part of a cut axis says what it is a part of."""
    if axis.known:
        return repr(axis)
    labels = [(atom.origin.factor or (atom.origin,))[0].name for atom in axis.atoms]
    return repr(axis) if UNKNOWN in labels or len(labels) != 1 else f"part of {labels[0]}={axis.size}"


class Mixed(str):
    """A mark that says more than where a name ends: axes were mixed."""

    __slots__ = ()


@dataclass(slots=True)
class Step:
    """A line of the program, or a call where there is no source, and what came of it."""

    depth: int
    file: str
    line: int
    source: str
    count: int = 1
    made: list[Made] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    """What broke off a name here, or mixed axes."""
    raised: str = ""
    loop: bool = False
    """The head of a loop; `count` is its rounds."""
    kind: str = "line"
    """`line`, `call` into a function or submodule, or `layer` opened."""

    @property
    def mixed(self) -> tuple[Mixed, ...]:
        """Those of the marks that say that axes were mixed."""
        return tuple(mark for mark in self.marks if isinstance(mark, Mixed))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "kind": self.kind,
            "depth": self.depth,
            "file": self.file,
            "line": self.line,
            "source": self.source,
            "count": self.count,
            "loop": self.loop,
            "made": [made.to_dict() for made in self.made],
            "marks": list(self.marks),
            "raised": self.raised,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Walk(Shown):
    """A model's forward, line by line. Shows itself; `.steps`, `.output`, `.marks`, `.to_dict()`."""

    model: str
    inputs: tuple[Made, ...]
    steps: tuple[Step, ...]
    output: tuple[Made, ...] = ()
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    report: Report | None = None
    """What `check` says of the exception, where there was one."""

    @property
    def ok(self) -> bool:
        """Whether the model came to its end and no axes were mixed on the way."""
        return self.error is None and not self.mixed

    @property
    def mixed(self) -> tuple[str, ...]:
        """The marks of reshapes that mixed axes, in order."""
        return tuple(mark for step in self.steps for mark in step.mixed)

    @property
    def marks(self) -> tuple[str, ...]:
        """Everything that broke off a name, in order."""
        return tuple(mark for step in self.steps for mark in step.marks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "model": self.model,
            "ok": self.ok,
            "inputs": [made.to_dict() for made in self.inputs],
            "steps": [step.to_dict() for step in self.steps],
            "output": [made.to_dict() for made in self.output],
            "notes": list(self.notes),
            "error": None if self.error is None else f"{type(self.error).__name__}: {self.error}",
            "report": None if self.report is None else self.report.to_dict(),
        }


def made_of(name: str, value: Any, depth: int = 2) -> list[Made]:
    """The tensors in a value under the names that a program would use for them.

    >>> import torch
    >>> [made.name for made in made_of("state", (torch.zeros(1), torch.zeros(2)))]
    ['state[0]', 'state[1]']
    """
    if isinstance(value, Tensor):
        return [Made(name, tuple(value.shape), axes_of(value))]
    if isinstance(value, PackedSequence):
        return [Made(f"{name}.data", tuple(value.data.shape), axes_of(value.data), "packed")]
    if depth == 0:
        return []
    if isinstance(value, dict):
        return [made for key in list(value)[:_MOST] for made in made_of(f"{name}[{key!r}]", value[key], depth - 1)]
    if isinstance(value, tuple | list):
        return _row(name, value, depth)
    return []


def _row(name: str, value: tuple[Any, ...] | list[Any], depth: int) -> list[Made]:
    found = [made_of(f"{name}[{at}]", one, depth - 1) for at, one in enumerate(value[: _MOST + 1])]
    flat = [made for row in found for made in row]
    if len(value) > 2 and flat and len({(made.text) for made in flat}) == 1 and isinstance(value, list):
        # Outputs gathered in a loop: one line for all of them.
        return [Made(f"{name}[…]", flat[0].sizes, flat[0].axes, f"{len(value)} tensors")]
    return flat[:_MOST]
