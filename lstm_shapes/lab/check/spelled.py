"""The user's line that raised: its node in the syntax tree, and what the tensors that it handled are called there."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor

from lstm_shapes.lab.trace import Where, theirs

__all__ = ["Spelling", "chained", "frames_of", "is_own"]

_LONGEST = 48
_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def is_own(file: str) -> bool:
    """Whether a file is the user's own and not a library's."""
    return theirs(file) and not os.path.realpath(file).startswith(_LIBRARIES) and "-packages" + os.sep not in file


def frames_of(error: BaseException) -> list[tuple[FrameType, int, int]]:
    """(frame, line, last instruction) of a traceback, outermost first."""
    frames = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame, trace.tb_lineno, trace.tb_lasti))
        trace = trace.tb_next
    return frames


def chained(text: str, suffix: str) -> str:
    """`text.suffix`, in brackets where the text is no single term: (a + b).float()."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return f"{text}{suffix}"
    simple = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return f"{text}{suffix}" if simple else f"({text}){suffix}"


class Spelling:
    """The innermost line of the user's own code on a traceback."""

    def __init__(self, error: BaseException) -> None:
        self.frames = frames_of(error)
        own = [k for k, (frame, _, _) in enumerate(self.frames) if is_own(frame.f_code.co_filename)]
        if not own:
            own = [k for k, (frame, _, _) in enumerate(self.frames) if theirs(frame.f_code.co_filename)]
        self.depth = own[-1] if own else -1
        self._texts: dict[int, str] = {}
        self._nodes: list[tuple[ast.expr, Tensor]] = []

    @property
    def frame(self) -> FrameType | None:
        return self.frames[self.depth][0] if self.depth >= 0 else None

    @property
    def beyond(self) -> list[FrameType]:
        """The frames that the user's line called."""
        return [frame for frame, _, _ in self.frames[self.depth + 1 :]]

    @functools.cached_property
    def where(self) -> Where | None:
        """The line as a place."""
        if self.depth < 0:
            return None
        frame, line, _ = self.frames[self.depth]
        code = frame.f_code
        return Where(code.co_filename, line, linecache.getline(code.co_filename, line).strip(), code.co_name)

    @functools.cached_property
    def node(self) -> ast.AST | None:
        """The expression that was being evaluated, where the interpreter says its place (Python 3.11 on)."""
        if self.depth < 0:
            return None
        frame, _, instruction = self.frames[self.depth]
        positions = getattr(frame.f_code, "co_positions", None)
        if positions is None:
            return None
        place = list(positions())[instruction // 2]
        for node in ast.walk(_tree("".join(linecache.getlines(frame.f_code.co_filename)))):
            here = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
            if (*here, getattr(node, "col_offset", None), getattr(node, "end_col_offset", None)) == place:
                return node
        return None

    @property
    def assigned(self) -> ast.expr | None:
        """The right side of the assignment that was under way."""
        where = self.where
        for node in ast.walk(_tree("".join(linecache.getlines(where.file)))) if where is not None else ():
            if isinstance(node, ast.Assign) and where is not None and node.lineno <= where.line <= (node.end_lineno or 0):
                return node.value
        return None

    @property
    def function(self) -> str:
        """What is called there, in the user's words: self.rnn."""
        return _text(self.node.func) if isinstance(self.node, ast.Call) else ""

    def argument(self, k: int, keyword: str = "") -> ast.expr | None:
        """The k-th argument of the call, as it is written."""
        if not isinstance(self.node, ast.Call):
            return None
        for given in self.node.keywords:
            if given.arg == keyword:
                return given.value
        return self.node.args[k] if k < len(self.node.args) else None

    def learn(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pair what the line says with the objects that it handed over."""
        node = self.node
        if isinstance(node, ast.Call):
            written: list[ast.expr] = list(node.args)
            if isinstance(node.func, ast.Attribute) and len(args) == len(written) + 1:
                written.insert(0, node.func.value)
            if not any(isinstance(one, ast.Starred) for one in written) and len(written) <= len(args):
                for one, given in zip(written, args, strict=False):
                    self._pair(one, given)
            for keyword in node.keywords:
                if keyword.arg in kwargs:
                    self._pair(keyword.value, kwargs[keyword.arg])
        elif isinstance(node, ast.BinOp) and len(args) > 1:
            self._pair(node.left, args[0])
            self._pair(node.right, args[1])
        elif isinstance(node, ast.AugAssign) and len(args) > 1:
            self._pair(node.target, args[0])
            self._pair(node.value, args[1])
        elif isinstance(node, ast.Compare) and len(args) > 1:
            self._pair(node.left, args[0])
            self._pair(node.comparators[0], args[1])
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and args:
            self._pair(node.value, args[0])

    def _pair(self, node: ast.expr, given: Any) -> None:
        text = _text(node)
        if isinstance(given, Tensor):
            self._nodes.append((node, given))
            if text and len(text) <= _LONGEST:
                self._texts.setdefault(id(given), text)
        elif isinstance(given, (tuple, list)):
            if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == len(given):
                for one, item in zip(node.elts, given, strict=True):
                    self._pair(one, item)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                for k, item in enumerate(given):
                    if isinstance(item, Tensor):
                        self._texts.setdefault(id(item), f"{text}[{k}]")

    def descend(self, made_from: Callable[[Tensor, str], Tensor | None]) -> None:
        """Name what the operands were made from, too: in `h.t().view(4)` also h.t() and h.

        `made_from` gives the first operand of the call of that name that made a tensor.
        """
        while self._nodes:
            node, given = self._nodes.pop()
            if isinstance(node, ast.Subscript):
                inner, name = node.value, "__getitem__"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                inner, name = node.func.value, node.func.attr
            else:
                continue
            source = made_from(given, name)
            if source is not None:
                self._pair(inner, source)

    def say(self, tensor: Tensor, text: str) -> None:
        """What a tensor is called where no line says it."""
        self._texts[id(tensor)] = text

    def text(self, tensor: Tensor) -> str:
        """What the line, or a variable of its function, calls a tensor; "" where neither names it."""
        found = self._texts.get(id(tensor), "")
        return found or next((name for name, value in self.variables() if value is tensor), "")

    def variables(self) -> Iterator[tuple[str, Any]]:
        """The variables of the user's function, and the items of its tuples."""
        frame = self.frame
        if frame is None or frame.f_code.co_name == "<module>":
            return
        groups = []
        for name, value in list(frame.f_locals.items()):
            if name.isidentifier() and name != "self":
                yield name, value
                if isinstance(value, (tuple, list)) and len(value) < 50:
                    groups.append((name, value))
        for name, group in groups:
            for k, item in enumerate(group):
                yield f"{name}[{k}]", item

    def mentioned(self) -> Iterator[tuple[str, Any]]:
        """The variables that the failing expression names, or all of its statement where it is not known."""
        frame = self.frame
        if frame is None:
            return
        words = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)} if self.node is not None else None
        for name, value in list(frame.f_locals.items()):
            if words is not None and name in words or words is None and self.where and name in self.where.source:
                yield name, value


@functools.lru_cache(maxsize=32)
def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _text(node: ast.AST) -> str:
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError):  # pragma: no cover
        return ""
