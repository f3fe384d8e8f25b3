"""What the line that raised calls the tensors that it handled: the only reader of a traceback's syntax."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

from torch import Tensor

from lstm_shapes.lab._words import LONGEST, covering, tree_of
from lstm_shapes.lab.trace import Where, theirs
from lstm_shapes.lab.trace._where import resolve

__all__ = ["Spelling"]

_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
# Python 3.10 does not keep which columns of a line an instruction belongs to.
_POSITIONS: Callable[[CodeType], Iterator[tuple[int | None, ...]]] | None = getattr(CodeType, "co_positions", None)


class Spelling:
    """The innermost line of the user's own code on a traceback, and what it calls the tensors that it handled."""

    def __init__(self, error: BaseException) -> None:
        self.frames: list[tuple[FrameType, int, int]] = []
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            self.frames.append((trace.tb_frame, trace.tb_lineno, trace.tb_lasti))
            trace = trace.tb_next
        files = [frame.f_code.co_filename for frame, _, _ in self.frames]
        outside = [k for k, file in enumerate(files) if theirs(file)]
        own = [k for k in outside if not _of_library(files[k])] or outside
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
        return resolve((frame.f_code, line))

    @functools.cached_property
    def node(self) -> ast.AST | None:
        """The expression that was being evaluated, where the interpreter says its place; on Python 3.10, which does
        not, the only call or product of the line."""
        frame = self.frame
        if frame is None:
            return None
        if _POSITIONS is None:
            return self._only_one()
        place = list(_POSITIONS(frame.f_code))[self.frames[self.depth][2] // 2]
        fields = ("lineno", "end_lineno", "col_offset", "end_col_offset")
        tree = tree_of("".join(linecache.getlines(frame.f_code.co_filename)))
        return next((n for n in ast.walk(tree) if tuple(getattr(n, f, None) for f in fields) == place), None)

    def _only_one(self) -> ast.AST | None:
        found = covering(self.where, ast.Call, ast.BinOp)
        line = self.frames[self.depth][1]
        found = [node for node in found if node.lineno == line or len(found) == 1]
        return found[0] if len(found) == 1 else None

    @property
    def assigned(self) -> ast.expr | None:
        """The right side of the assignment that was under way."""
        found = covering(self.where, ast.Assign)
        return found[0].value if found else None

    @property
    def function(self) -> str:
        """What is called there, in the user's words: self.rnn."""
        return ast.unparse(self.node.func) if isinstance(self.node, ast.Call) else ""

    def argument(self, k: int, keyword: str = "") -> ast.expr | None:
        """The k-th argument of the call, as it is written."""
        if not isinstance(self.node, ast.Call):
            return None
        given = next((one.value for one in self.node.keywords if one.arg == keyword), None)
        return given or (self.node.args[k] if k < len(self.node.args) else None)

    def learn(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pair what the line says with the objects that it handed over."""
        node = self.node
        written: list[ast.expr] = []
        if isinstance(node, ast.Call):
            written = list(node.args)
            if isinstance(node.func, ast.Attribute) and len(args) == len(written) + 1:
                written.insert(0, node.func.value)
            if any(isinstance(one, ast.Starred) for one in written) or len(written) > len(args):
                written = []
            for keyword in node.keywords:
                if keyword.arg in kwargs:
                    self._pair(keyword.value, kwargs[keyword.arg])
        elif isinstance(node, ast.BinOp):
            written = [node.left, node.right]
        elif isinstance(node, ast.AugAssign):
            written = [node.target, node.value]
        elif isinstance(node, ast.Compare):
            written = [node.left, node.comparators[0]]
        elif isinstance(node, (ast.Subscript, ast.Attribute)):
            written = [node.value]
        if len(written) <= len(args):
            for one, given in zip(written, args, strict=False):
                self._pair(one, given)

    def _pair(self, node: ast.expr, given: Any) -> None:
        text = ast.unparse(node)
        if isinstance(given, Tensor):
            self._nodes.append((node, given))
            if len(text) <= LONGEST:
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

    def text(self, given: Any) -> str:
        """What the line, or a variable of its function, calls an object; "" where neither names it."""
        found = self._texts.get(id(given), "")
        return found or next((name for name, value in self.variables() if value is given), "")

    def variables(self) -> Iterator[tuple[str, Any]]:
        """The variables of the user's function, and the items of its tuples."""
        frame = self.frame
        if frame is None or frame.f_code.co_name == "<module>":
            return
        own = [(name, value) for name, value in list(frame.f_locals.items()) if name.isidentifier() and name != "self"]
        yield from own
        for name, group in own:
            if isinstance(group, (tuple, list)) and len(group) < 50:
                yield from ((f"{name}[{k}]", item) for k, item in enumerate(group))

    def mentioned(self) -> Iterator[tuple[str, Any]]:
        """The variables that the failing expression names, or all of its statement where it is not known."""
        frame = self.frame
        words: Any = self.where.source if self.where is not None else ""
        if self.node is not None:
            words = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)}
        if frame is not None:
            yield from ((name, value) for name, value in list(frame.f_locals.items()) if name in words)


def _of_library(file: str) -> bool:
    return os.path.realpath(file).startswith(_LIBRARIES) or "-packages" + os.sep in file
