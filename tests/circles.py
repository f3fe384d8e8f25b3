"""Which module of a package imports which, and the circles among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["circles", "imports", "named_in_strings"]


def imports(package: Path) -> dict[str, set[str]]:
    """Module -> the modules of the same package that it imports, at its top, in functions and under TYPE_CHECKING."""
    modules = _modules(package)
    return {name: set(_imported(name, path, modules)) - {name} for name, path in modules.items()}


def named_in_strings(package: Path) -> set[str]:
    """The modules that import something whose name they work out, or write in a string, where it may be one of ours."""
    return {
        name
        for name, path in _modules(package).items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
        and not _foreign(node.args[0], package.name)
    }


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The sets of modules that reach one another."""
    reached = {module: _reached(module, graph) for module in graph}
    return {
        frozenset(other for other in seen if module in reached[other])
        for module, seen in reached.items()
        if module in seen
    }


def _reached(module: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def _modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file; a package by its own name."""
    files = {path: path.relative_to(package.parent).with_suffix("").parts for path in sorted(package.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in files.items()}


def _imported(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                up = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
                source = ".".join([*up[: len(up) - node.level + 1], *([source] if source else [])])
            for alias in node.names:
                # `from . import page` is an arrow to page, not to the package that it is in.
                found = f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules else source
                if found in modules:
                    yield found


def _foreign(argument: ast.expr, package: str) -> bool:
    """Whether it is the plain name of a module of somebody else's."""
    if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
        return False
    return not argument.value.startswith((".", package))
