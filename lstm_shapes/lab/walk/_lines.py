"""The lines of a recorded run: each call of a torch function at the statements that were running when it was made.

A statement that calls no torch function, alone or further in, leaves no line; a `return` of names and the head of a
loop around lines are still seen.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import CO_GENERATOR
from pathlib import Path
from traceback import walk_stack, walk_tb
from types import CodeType, FrameType
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab._private import BUFFERS
from lstm_shapes.lab._words import tree_of
from lstm_shapes.lab.trace import KERNELS, Call, Recorder, Value, theirs
from lstm_shapes.lab.trace._record import in_library
from lstm_shapes.language import say
from lstm_shapes.theory.axes import UNKNOWN, Axes, Axis

from .comments import Claim, Verdict, claims_in

_MOST = 6
"""How many tensors of a list or dict are shown."""
_MOST_CALLS = 500
_DEEPEST = 12
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPOUND = (*_LOOPS, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ROUNDS_INSIDE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FRAMES_OF_A_LINE = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
_TORCH_RNN = (str(Path("nn", "utils", "rnn.py")), str(Path("nn", "modules", "rnn.py")))


# ---------------------------------------------------------------- what is written
@dataclass(frozen=True, slots=True)
class Statement:
    """A simple statement, or the head of a compound one, as it is written."""

    line: int
    source: str
    targets: tuple[str, ...] = ()
    """What it binds: names, attributes such as `self.state`, and what `out[t] = y` writes into."""
    returned: tuple[str, ...] | None = None
    """The names that a `return` of names alone hands back, () where it hands back something else."""
    loops: tuple[int, ...] = ()
    """The first lines of the loops around it, outermost first; the last is its own, if it heads one."""
    head: bool = False
    repeats: bool = False
    """Whether it has rounds of its own, as a comprehension."""
    claims: tuple[Claim, ...] = ()


def statements_of(code: CodeType, names: dict[str, Any]) -> dict[int, Statement]:
    """For every line of the file that code comes from, its statement; empty where there is no source."""
    if code.co_name == "<lambda>":
        return {}  # its line is somebody else's statement
    return _read("".join(linecache.getlines(code.co_filename, names)))


@lru_cache(256)
def _read(text: str) -> dict[int, Statement]:
    claims, starts = claims_in(text)
    bare = [line[: starts.get(number)] for number, line in enumerate(text.split("\n"), 1)]
    by_line: dict[int, Statement] = {}

    def visit(node: ast.AST, loops: tuple[int, ...]) -> None:
        if isinstance(node, _DEFINITIONS):
            loops = ()
        elif isinstance(node, ast.stmt):
            end = node.end_lineno or node.lineno
            if isinstance(node, _COMPOUND) or type(node).__name__ == "TryStar":
                first: Any = (getattr(node, "body", None) or getattr(node, "cases", [node]))[0]
                end = max(node.lineno, getattr(first, "pattern", first).lineno - 1)
            if isinstance(node, _LOOPS):
                loops = (*loops, node.lineno)
            lines = range(node.lineno, end + 1)
            spoken = [one for at in lines for one in claims.get(at, ()) if at == node.lineno or not one.above]
            statement = Statement(
                node.lineno,
                " ".join("\n".join(bare[node.lineno - 1 : end]).split()),
                tuple(dict.fromkeys(_targets(node))),
                _returned(node.value) if isinstance(node, ast.Return) else None,
                loops,
                isinstance(node, _LOOPS),
                not isinstance(node, _COMPOUND) and any(isinstance(one, _ROUNDS_INSIDE) for one in ast.walk(node)),
                tuple(spoken),
            )
            # A statement inside another's lines (a one-line if) is the smaller one, and met later.
            by_line.update(dict.fromkeys(lines, statement))
        for child in ast.iter_child_nodes(node):
            visit(child, loops)

    visit(tree_of(text), ())
    return by_line


def _targets(node: Any) -> list[str]:
    """What a statement or a target binds, in order."""
    if isinstance(node, ast.Assign | ast.Tuple | ast.List):
        parts = node.targets if isinstance(node, ast.Assign) else node.elts
        return [name for part in parts for name in _targets(part)]
    if isinstance(node, ast.Name | ast.Attribute):
        return [name for name in [ast.unparse(node)] if name != "_" and not name.startswith("_.")]
    inner = getattr(node, "value" if isinstance(node, ast.Subscript | ast.Starred) else "target", None)
    return [] if inner is None else _targets(inner)


def _returned(value: ast.expr | None) -> tuple[str, ...]:
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    names = tuple(part.id for part in parts if isinstance(part, ast.Name))
    return names if len(names) == len(parts) else ()


# ---------------------------------------------------------------- what came of it
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

    depth: int = 0
    file: str = ""
    line: int = 0
    source: str = ""
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


# ---------------------------------------------------------------- what ran
@dataclass(frozen=True, slots=True)
class Row:
    """A tensor that has a name in the program, as it was then."""

    name: str
    value: Value
    note: str = ""


@dataclass(eq=False, slots=True)
class Node(Step):
    """A step while it is recorded, with what ran inside it."""

    count: int = 0
    statement: Statement | None = None
    title: str = ""
    """The title that a call had the first time; later ones may call another module."""
    inner: dict[Any, Node] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    last: list[Row] = field(default_factory=list)
    """What the latest round made; `rows` are of the first."""
    calls: list[Call] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def all(self) -> Iterator[Node]:
        """The node, and everything that ran inside it."""
        yield self
        for inner in self.inner.values():
            yield from inner.all()


@dataclass(eq=False, slots=True)
class _Visit:
    """A function that is running: the statement under way, and since which call."""

    frame: FrameType
    node: Node
    statements: dict[int, Statement]
    known: dict[str, int] = field(default_factory=dict)
    """The sizes that names in comments stand for."""
    now: Statement | None = None
    line: Node | None = None
    place: int = -1
    child: FrameType | None = None
    since: int = 0
    own: Call | None = None
    """The latest call that the statement itself made."""
    before: dict[str, list[Row]] = field(default_factory=dict)
    previous: list[Row] = field(default_factory=list)


class LineRecorder(Recorder):
    """A recorder that knows the statements around each call. `root` holds what ran, in order."""

    def __init__(self, names: dict[int, str], own: str = "") -> None:
        super().__init__()
        self._names = names
        self.root = Node()
        self.readings: list[tuple[Node, Claim, list[Row], dict[str, int], dict[str, int]]] = []
        """Each claim of a statement in one round, the tensors that it may be about, and the sizes that names stand for
        in comments and in the program."""
        self.at: dict[int, Node] = {}
        """The node of each call, by its index."""
        self.inside: set[int] = set()
        """The calls that torch's own layers and packing make, which sort and count."""
        self._own = own
        self._base: FrameType | None = None
        self._visits: list[_Visit] = []
        self._generators: dict[FrameType, _Visit] = {}
        self._next = 0

    def __enter__(self) -> Any:
        self._base = sys._getframe(1)
        linecache.checkcache()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._next = self.count
        self._leave(0)
        self._generators.clear()
        self._base = None

    @property
    def _innermost(self) -> Node:
        """The statement that runs now, or the function where it has none."""
        return (self._visits[-1].line or self._visits[-1].node) if self._visits else self.root

    # ------------------------------------------------------------------ the recorder's events
    def _begin(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        frames, inner = self._frames()
        self._next = index
        self._arrive(frames)
        call = super()._begin(index, name, func, args, kwargs)
        if inner:
            self.inside.add(call.index)
        here, node = self._visits[-1] if self._visits else None, self._innermost
        if here is not None:
            here.own = call
        if name in KERNELS:
            layer = node.inner.setdefault(("layer", id(call.module)), Node(kind="layer"))
            layer.count += 1
            layer.calls.append(call)
            node = layer if here is None or here.line is None else node
        elif not inner and (here is None or not here.statements):
            node = self._operation(node, call)
        self.at[call.index] = node
        return call

    def _module_ends(self, module: nn.Module, args: Any, output: Any) -> None:
        super()._module_ends(module, args, output)
        self._next = self.count
        for at in range(len(self._visits) - 1, -1, -1):
            visit = self._visits[at]
            if visit.node.title.endswith(".forward") and visit.frame.f_locals.get("self") is module:
                if output is not None or sys.exc_info()[0] is None:
                    self._leave(at + 1)
                    self._finish(visit, ending=True, output=output)
                    del self._visits[at]
                return

    # ------------------------------------------------------------------ frames
    def _frames(self) -> tuple[list[tuple[FrameType, FrameType | None]], bool]:
        """The user's functions that are running, outermost first, each with the frame that it has called.

        And whether torch's own layers and packing lie between the innermost and the call.
        """
        frames: list[tuple[FrameType, FrameType | None]] = []
        inner = False
        child: FrameType | None = None
        for frame, _ in walk_stack(sys._getframe(2)):
            if frame is self._base:
                break
            if _followed(frame.f_code, self._own):
                frames.insert(0, (frame, child))
            inner = inner or (not frames and frame.f_code.co_filename.endswith(_TORCH_RNN))
            child = frame
        return frames[:_DEEPEST], inner

    def _arrive(self, frames: list[tuple[FrameType, FrameType | None]]) -> None:
        """Finish the statements that are over, and begin those that a call is made in now."""
        common = 0
        while common < min(len(frames), len(self._visits)) and self._visits[common].frame is frames[common][0]:
            common += 1
        self._leave(common)
        for at, (frame, child) in enumerate(frames):
            if at == len(self._visits):
                self._visits.append(self._generators.get(frame) or self._enter(frame))
            visit = self._visits[at]
            statement = visit.statements.get(frame.f_lineno)
            place = frame.f_lasti
            again = place < visit.place or (place == visit.place and child is not visit.child)
            if statement is not visit.now or (again and statement is not None and not statement.repeats):
                self._leave(at + 1)
                self._finish(visit)
                self._start(visit, statement)
            visit.place, visit.child = place, child

    def _enter(self, frame: FrameType) -> _Visit:
        above, code, title = self._innermost, frame.f_code, self._title(frame)
        node = above.inner.get(code)
        if node is None:
            node = _call_of(above, code, title)
            if above is not self.root:
                names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
                node.rows = node.last = [row for name in names for row in self.rows(name, frame.f_locals.get(name))]
        elif title != node.title:
            # Layers of one class, one after the other at one line: the first and the latest.
            node.source = f"{node.title.partition(':')[0]} … {title}"
        node.count += 1
        visit = _Visit(frame, node, statements_of(code, frame.f_globals))
        if code.co_flags & CO_GENERATOR:
            self._generators[frame] = visit
        return visit

    def _leave(self, depth: int) -> None:
        """The functions further in are over, or wait."""
        while len(self._visits) > depth:
            visit = self._visits.pop()
            self._finish(visit, ending=not visit.frame.f_code.co_flags & CO_GENERATOR)

    # ------------------------------------------------------------------ statements
    def _start(self, visit: _Visit, statement: Statement | None) -> None:
        visit.now, visit.line, visit.own, visit.since = statement, None, None, self._next
        visit.place, visit.child = -1, None
        if statement is None:
            return
        file = visit.frame.f_code.co_filename
        heads = [visit.statements[line] for line in statement.loops if line != statement.line]
        for one in (*heads, statement):
            node = visit.node.inner.setdefault(one.line, _line_of(file, one))
        node.count += 1
        visit.line = node
        visit.before = {
            one.subject: self._named(visit, one.subject)
            for one in statement.claims
            if one.given or (one.above and one.subject)
        }

    def _finish(self, visit: _Visit, ending: bool = False, output: Any = None) -> None:
        """The statement is over: what it has bound are tensors that were made while it ran."""
        final = visit.statements.get(visit.frame.f_lineno) if ending else None
        if final is not None and final.returned is not None and final is not visit.now:
            self._finish(visit)
            self._start(visit, final)
        statement, node = visit.now, visit.line
        if statement is None or node is None:
            return
        rows: list[Row] = []
        if statement.returned is not None:
            rows = self.rows("return", output)
            for name in statement.returned if not rows else ():
                rows += self._named(visit, name, "return" if len(statement.returned) == 1 else name)
        calls = self.trace.calls[visit.since :]
        fresh = {value for call in calls for value in call.outputs}
        for target in statement.targets:
            made = self._named(visit, target)
            rows += made if any(row.value in fresh or row.value.maker in calls for row in made) else []
        if not rows and not statement.targets and visit.own is not None:
            word = "" if statement.returned is None else "return"
            rows = [Row(word, value) for value in visit.own.outputs[:1]]
        if not node.rows:
            node.rows = rows
        node.last = rows
        held = {dim: visit.frame.f_locals.get(dim) for one in statement.claims for dim in one.dims}
        numbers = {dim: value for dim, value in held.items() if type(value) is int}
        for claim in statement.claims:
            self.readings.append((node, claim, self._meant(visit, claim, rows), visit.known, numbers))
        visit.now, visit.line, visit.previous = None, None, rows

    def _meant(self, visit: _Visit, claim: Claim, rows: list[Row]) -> list[Row]:
        """The tensors that a claim may be about."""
        if claim.subject:
            before = visit.before.get(claim.subject, [])[:1]
            return before if before and claim.given else [*before, *self._named(visit, claim.subject)[:1]]
        made = rows[claim.place : claim.place + 1] if claim.of in (1, len(rows)) else []
        return made + (visit.previous if claim.above and len(visit.previous) == 1 else [])

    def _named(self, visit: _Visit, text: str, name: str = "") -> list[Row]:
        """The tensors that a name or an attribute holds now."""
        first, *rest = text.split(".")
        value = visit.frame.f_locals.get(first)
        for word in rest:
            space = getattr(value, "__dict__", {})
            value = space.get(word, space.get(BUFFERS, {}).get(word))
        return self.rows(name or text, value)

    def rows(self, name: str, value: Any, depth: int = 2) -> list[Row]:
        """The tensors in a value, recorded, with a note and under the names that a program would use for them."""
        if isinstance(value, Tensor):
            return [Row(name, self.value(value))]
        if isinstance(value, PackedSequence):
            return [Row(f"{name}.data", self.value(value.data), say("is packed"))]
        if isinstance(value, dict) and depth:
            return [row for key in list(value)[:_MOST] for row in self.rows(f"{name}[{key!r}]", value[key], depth - 1)]
        if not isinstance(value, tuple | list) or not depth:
            return []
        rows = [row for at, one in enumerate(value[: _MOST + 1]) for row in self.rows(f"{name}[{at}]", one, depth - 1)]
        if isinstance(value, list) and len(value) > 2 and rows and len({row.value.shape for row in rows}) == 1:
            # Outputs gathered in a loop: one line for all of them.
            return [Row(f"{name}[…]", rows[0].value, say("are gathered", count=len(value)))]
        return rows[:_MOST]

    def _operation(self, parent: Node, call: Call) -> Node:
        """A torch function as a step of its own, where there is no line to put it at; repetitions are folded."""
        last = next(reversed(parent.inner.values()), None)
        sizes = [value.shape for value in call.inputs[:1]]
        if last is None or last.source != call.name or [v.shape for v in last.calls[0].inputs[:1]] != sizes:
            last = Node(kind="call", source="indexing" if call.name == "__getitem__" else call.name)
            if len(parent.inner) < _MOST_CALLS:
                parent.inner[("call", len(parent.inner))] = last
        last.count += 1
        last.calls.append(call)
        return last

    def _title(self, frame: FrameType) -> str:
        """`encoder: Encoder.forward`: the submodule's name where the frame is a method of one."""
        owner, code = frame.f_locals.get("self"), frame.f_code
        if isinstance(owner, nn.Module):
            return f"{self._names.get(id(owner), '')}: {type(owner).__name__}.{code.co_name}".removeprefix(": ")
        return str(getattr(code, "co_qualname", code.co_name))

    # ------------------------------------------------------------------ the exception
    def stopped(self, error: BaseException) -> None:
        """Say at the innermost line where the program ended."""
        node = self.root
        for frame, number in walk_tb(error.__traceback__):
            code = frame.f_code
            if _followed(code, self._own) and frame is not self._base:
                node = node.inner.get(code) or _call_of(node, code, self._title(frame), 1)
                statement = statements_of(code, frame.f_globals).get(number)
                if statement is not None:
                    node = node.inner.setdefault(statement.line, _line_of(code.co_filename, statement, 1))
        text = str(error)
        node.raised = f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
        node.rows = [] if node.count == 1 else node.rows


def _line_of(file: str, statement: Statement, count: int = 0) -> Node:
    return Node(file=file, line=statement.line, source=statement.source, statement=statement, count=count)


def _call_of(above: Node, code: CodeType, title: str, count: int = 0) -> Node:
    """A new node for a function that is called somewhere."""
    where = code.co_filename, code.co_firstlineno
    node = Node(0, *where, source=title, title=title, count=count, kind="call")
    above.inner[code] = node
    return node


@lru_cache(4096)
def _followed(code: CodeType, own: str) -> bool:
    """Whether a function's lines are shown: the user's own, not torch's, Python's or an installed library's."""
    file = code.co_filename
    if code.co_name in _FRAMES_OF_A_LINE or not theirs(file) or (code.co_name, file) == ("<lambda>", "<string>"):
        return False
    if "__create_fn__" in getattr(code, "co_qualname", ""):
        return False
    return not in_library(file) or bool(own and file.startswith(own))
