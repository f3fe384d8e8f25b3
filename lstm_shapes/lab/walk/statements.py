"""Which statement a line belongs to, so that an expression over three lines is one step."""

from __future__ import annotations

import ast
import linecache
import textwrap
from dataclasses import dataclass
from types import CodeType
from typing import Any

__all__ = ["Statement", "statements_of"]

_COMPOUND = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Statement:
    """A simple statement, or the head of a compound one; `attributes` are targets like `self.state`."""

    line: int
    source: str
    attributes: tuple[tuple[str, str], ...] = ()
    returns: bool = False
    body: int | None = None
    """For the head of a loop, the first line of its body."""
    twice: bool = False
    """The head of a with, which Python passes going in and coming out."""


# The lines that were read, and what they say; linecache gives other lines when a file has changed.
_FILES: dict[str, tuple[list[str], dict[int, Statement]]] = {}


def statements_of(code: CodeType, names: dict[str, Any]) -> dict[int, Statement]:
    """For every line of the file that code comes from, its statement; empty where there is no source."""
    file = code.co_filename
    lines = linecache.getlines(file, names)
    if code.co_name == "<lambda>":
        return {}  # its line is somebody else's statement
    if file not in _FILES or _FILES[file][0] is not lines:
        _FILES[file] = (lines, _read(lines))
    return _FILES[file][1]


def _read(lines: list[str]) -> dict[int, Statement]:
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, Statement] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, _DEFINITIONS):
            continue
        end = node.end_lineno or node.lineno
        if isinstance(node, _COMPOUND) or type(node).__name__ in ("Match", "TryStar"):
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            first = body[0] if body else None
            end = max(node.lineno, getattr(first, "lineno", end + 1) - 1)
        source = " ".join(textwrap.dedent("".join(lines[node.lineno - 1 : end])).split())
        looping = isinstance(node, _LOOPS) and node.body[0].lineno != node.lineno
        statement = Statement(
            node.lineno,
            source,
            _attributes(node),
            returns=isinstance(node, ast.Return),
            body=node.body[0].lineno if isinstance(node, _LOOPS) and looping else None,
            twice=isinstance(node, ast.With | ast.AsyncWith),
        )
        for line in range(node.lineno, end + 1):
            # A statement inside another's lines (a one-line if) is the smaller one; ast.walk meets it later.
            found[line] = statement
    return found


def _attributes(node: ast.stmt) -> tuple[tuple[str, str], ...]:
    """Targets of an assignment that are attributes of a plain name."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    flat = [item for target in targets for item in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return tuple(
        (target.value.id, target.attr)
        for target in flat
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)
    )
