"""What a walk found: lines in the order they ran, with the tensors they made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lstm_shapes.display import Shown
from lstm_shapes.language import language, say
from lstm_shapes.theory.axes import UNKNOWN, Axes, Axis

from .comments import Verdict

if TYPE_CHECKING:
    from lstm_shapes.lab.check.report import Report


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
            return f"{self.sizes} {say('no names')}"
        return f"({', '.join(map(_axis, self.axes))}{',' if len(self.axes) == 1 else ''})"

    @property
    def plain(self) -> str:
        """The axes with their sizes, those without a name as sizes alone."""
        return str(self.sizes) if self.axes is None else self.text.replace("?=", "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = None if self.axes is None else list(self.axes.names)
        return {"name": self.name, "axes": names, "sizes": list(self.sizes), "note": self.note}


def _axis(axis: Axis) -> str:
    """An axis as readers see it; a part of a cut axis says what it is a part of."""
    if axis.known:
        return repr(axis)
    labels = [(atom.origin.factor or (atom.origin,))[0].name for atom in axis.atoms]
    return repr(axis) if UNKNOWN in labels or len(labels) != 1 else say("part of", name=labels[0], size=str(axis.size))


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
    """What broke off a name here, mixed axes, or called an axis something else."""
    comments: list[Verdict] = field(default_factory=list)
    """What comments say of shapes here, and whether it is so."""
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
        plain = {name: getattr(self, name) for name in ("kind", "depth", "file", "line", "source", "count", "loop")}
        return {
            **plain,
            "made": [made.to_dict() for made in self.made],
            "marks": list(self.marks),
            "comments": [{"text": one.text, "true": one.true, "so": one.so} for one in self.comments],
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
    lang: str = field(default_factory=language, compare=False)

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

    @property
    def comments(self) -> tuple[Verdict, ...]:
        """Every comment that gives a shape, and whether it is so, in order."""
        return tuple(one for step in self.steps for one in step.comments)

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
