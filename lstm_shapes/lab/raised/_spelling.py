"""What the line that raised calls the tensors that it handled: the only reader of a traceback's syntax."""

from __future__ import annotations

import ast
import functools
import os
import sysconfig
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

from torch import Tensor

from lstm_shapes.lab._words import LONGEST, covering, tree_of_file
from lstm_shapes.lab.trace import theirs
from lstm_shapes.lab.trace._where import resolve

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
        self.frame = self.frames[self.depth][0] if own else None
        self.beyond = [frame for frame, _, _ in self.frames[self.depth + 1 :]]
        """The frames that the user's line called."""
        self.where = resolve((self.frame.f_code, self.frames[self.depth][1])) if self.frame is not None else None
        self._texts: dict[int, str] = {}
        self._nodes: list[tuple[ast.expr, Tensor]] = []

    @functools.cached_property
    def node(self) -> ast.AST | None:
        """The expression that was being evaluated; where the interpreter does not say it, the only one of the line."""
        if self.frame is None:
            return None
        if _POSITIONS is None:
            found = covering(self.where, ast.Call, ast.BinOp)
            line = self.frames[self.depth][1]
            found = [node for node in found if node.lineno == line or len(found) == 1]
            return found[0] if len(found) == 1 else None
        code = self.frame.f_code
        place = list(_POSITIONS(code))[self.frames[self.depth][2] // 2]
        fields = ("lineno", "end_lineno", "col_offset", "end_col_offset")
        nodes = ast.walk(tree_of_file(code.co_filename))
        return next((n for n in nodes if tuple(getattr(n, f, None) for f in fields) == place), None)

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
        if isinstance(node, (ast.BinOp, ast.AugAssign, ast.Compare, ast.Subscript, ast.Attribute)):
            written = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        elif isinstance(node, ast.Call):
            written = list(node.args)
            if isinstance(node.func, ast.Attribute) and len(args) == len(written) + 1:
                written.insert(0, node.func.value)
            for keyword in node.keywords:
                if keyword.arg in kwargs:
                    self._pair(keyword.value, kwargs[keyword.arg])
        if len(written) <= len(args) and not any(isinstance(one, ast.Starred) for one in written):
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
        """Give a tensor a name that no line has."""
        self._texts[id(tensor)] = text

    def text(self, given: Any) -> str:
        """What the line, or a variable of its function, calls an object; "" where neither names it."""
        found = self._texts.get(id(given), "")
        return found or next((name for name, value in self.variables() if value is given), "")

    def variables(self) -> Iterator[tuple[str, Any]]:
        """The variables of the user's function, and the items of its tuples."""
        if self.frame is None or self.frame.f_code.co_name == "<module>":
            return
        own = [(name, value) for name, value in self.frame.f_locals.items() if name.isidentifier() and name != "self"]
        yield from own
        for name, group in own:
            if isinstance(group, (tuple, list)) and len(group) < 50:
                yield from ((f"{name}[{k}]", item) for k, item in enumerate(group))

    def mentioned(self) -> Iterator[tuple[str, Any]]:
        """The variables that the failing expression names, or all of its statement where it is not known."""
        words: Any = self.where.source if self.where is not None else ""
        if self.node is not None:
            words = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)}
        if self.frame is not None:
            yield from ((name, value) for name, value in list(self.frame.f_locals.items()) if name in words)


def _of_library(file: str) -> bool:
    return os.path.realpath(file).startswith(_LIBRARIES) or "-packages" + os.sep in file
