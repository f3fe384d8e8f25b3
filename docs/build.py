"""Writes README's and docs' pages: `make docs`. A test holds the files against what this writes.

A page is its own source. Its Python blocks run from top to bottom in one session, and what stands under a block is
what the block shows: the value of its last line, as a REPL shows it, or a picture. `reference.md` and `rules.md` are
made of docstrings.
"""

from __future__ import annotations

import ast
import io
import linecache
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from inspect import Parameter, cleandoc, getdoc, isclass, isfunction, signature
from pathlib import Path
from typing import Any, get_type_hints

import torch

import lstm_shapes as ls
from lstm_shapes.display import Shown, as_text
from lstm_shapes.lab.check import RULES
from lstm_shapes.pictures import Picture
from tests.lab.check.cases import run as run_rule

__all__ = ["BLOCK", "ROOT", "built", "page"]

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GENERATED = ("reference.md", "rules.md")

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?P<shown>\n(```text\n.*?^```|!\[[^\]\n]*\]\([^)\n]*pictures/[^)\n]*\.svg\))\n)?",
    re.MULTILINE | re.DOTALL,
)
"""A Python block of a page with what it shows."""


def built() -> dict[Path, str]:
    """Every file that is written, with its text."""
    files: dict[Path, str] = {}
    for path in sorted({*ROOT.glob("README*.md"), *DOCS.glob("*.md")} - {DOCS / name for name in GENERATED}):
        files[path], drawn = page(path.read_text(encoding="utf-8"), path.stem, "docs/" if path.parent == ROOT else "")
        files.update({DOCS / name: svg for name, svg in drawn.items()})
    return {**files, DOCS / "reference.md": _reference(), DOCS / "rules.md": _rules()}


# ---------------------------------------------------------------------- a page that runs


def page(text: str, name: str, folder: str = "") -> tuple[str, dict[str, str]]:
    """The page with what its blocks show now, and the files of its pictures."""
    names: dict[str, Any] = {"__name__": "__main__"}
    program: list[str] = []  # all blocks so far: a report names the line of a file that a reader could have typed
    pictures: dict[str, str] = {}

    def shown(match: re.Match[str]) -> str:
        before = len(program)
        program.extend(match["code"].splitlines(keepends=True))
        linecache.cache["example.py"] = (0, None, program, "example.py")
        value, output = _run(match["code"], "\n" * before, names)
        block = f"```python\n{match['code']}```\n"
        if isinstance(value, Picture):
            file = f"pictures/{name}-{len(pictures) + 1}.svg"
            pictures[file] = value.svg
            return f"{block}\n![{_words(value.svg)}]({folder}{file})\n"
        if value is not None:
            output += f"{as_text(value, width=80) if isinstance(value, Shown) else repr(value)}\n"
        if not output.strip():
            return block
        return f"{block}\n{_shown(output)}"

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BLOCK.sub(shown, text), pictures


def _run(code: str, above: str, names: dict[str, Any]) -> tuple[Any, str]:
    """The value of the last line, None where it has none, and what was printed."""
    lines = ast.parse(above + code).body
    last = lines[-1] if lines else None
    if isinstance(last, ast.Expr):
        lines.pop()
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(ast.Module(lines, []), "example.py", "exec"), names)
        value = (
            eval(compile(ast.Expression(last.value), "example.py", "eval"), names)
            if isinstance(last, ast.Expr)
            else None
        )
    return value, printed.getvalue()


def _shown(output: str) -> str:
    """A block of what was shown, without the blanks that fill lines."""
    lines = "\n".join(line.rstrip() for line in output.rstrip().splitlines())
    return f"```text\n{lines}\n```\n"


def _words(svg: str) -> str:
    """What a drawing says to who cannot see it."""
    found = re.search(r"<title[^>]*>(.*?)</title><desc[^>]*>(.*?)</desc>", svg, re.DOTALL)
    assert found is not None, "a drawing has a title and a description"
    return f"{found[1]}. {found[2]}".replace("[", "&#91;").replace("]", "&#93;")


# ---------------------------------------------------------------------- the reference


def _reference() -> str:
    """One page of every public name, from signatures and docstrings."""
    public = {name: getattr(ls, name) for name in sorted(ls.__all__, key=str.lower)}
    functions = {name: value for name, value in public.items() if isfunction(value)}
    errors = {
        name: value for name, value in public.items() if isclass(value) and issubclass(value, (Exception, Warning))
    }
    results = {value.__name__: value for value in map(_result, functions.values()) if value is not None}
    types = {name: value for name, value in public.items() if isclass(value) and name not in errors}
    types = dict(sorted({**types, **results}.items()))
    parts = [
        "# Reference\n\nEvery public name of `lstm_shapes`, made of its docstring. "
        "The letters are those of the [symbols](../README.md#symbols).\n"
    ]
    groups: list[tuple[str, dict[str, Any]]] = [("Calls", functions), ("What comes back", types), ("Errors", errors)]
    headings: list[str] = []  # of two that differ in capitals alone, picture and Picture, the second gets a number
    for title, members in groups:
        links = []
        for name in members:
            again = headings.count(name.lower())
            headings.append(name.lower())
            links.append(f"[`{name}`](#{name.lower()}{f'-{again}' if again else ''})")
        parts.append(f"\n**{title}**: {', '.join(links)}\n")
    for _, members in groups:
        parts += [_entry(name, value) for name, value in members.items()]
    return "".join(parts)


def _result(function: Callable[..., Any]) -> type | None:
    """The type of this library that a function returns."""
    value = get_type_hints(function).get("return")
    return value if isclass(value) and value.__module__.startswith("lstm_shapes") else None


def _entry(name: str, value: Any) -> str:
    """Heading, signature, docstring, and of a type its methods and properties."""
    parts = [f"\n## {name}\n", f"\n```text\n{_signature(name, value)}\n```\n" if isfunction(value) else ""]
    parts.append("\n" + _markdown(getdoc(value) or ""))
    rows = list(_members(value)) if isclass(value) and not issubclass(value, Exception) else []
    if rows:
        parts.append("\n| attribute | what it is |\n| --- | --- |\n" + "".join(rows))
    return "".join(parts)


def _signature(name: str, value: Callable[..., Any]) -> str:
    """On one line, or with one line for each argument."""
    written: list[str] = []
    stars: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    for parameter in (found := signature(value)).parameters.values():
        if parameter.kind is Parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in written):
            written.append("*")
        star = stars.get(parameter.kind, "")
        noted = "" if parameter.annotation is Parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is Parameter.empty else f" = {parameter.default!r}"
        written.append(f"{star}{parameter.name}{noted}{default}")
    end = f") -> {found.return_annotation}"
    line = f"{name}({', '.join(written)}{end}"
    return line if len(line) <= 88 else "\n".join([f"{name}(", *(f"    {part}," for part in written), end])


def _members(value: type) -> Iterator[str]:
    """A row for each property and method of the type, and of those of ours that it is one of, that has a docstring."""
    ours = [one for one in reversed(value.__mro__) if one.__module__.startswith("lstm_shapes")]
    for name, member in {name: member for one in ours for name, member in vars(one).items()}.items():
        function = member if isfunction(member) else getattr(member, "fget", None) or getattr(member, "func", None)
        text = cleandoc(function.__doc__ or "") if function is not None else ""
        if text and not name.startswith("_"):
            first = re.split(r"\n\s*\n|\n?>>>", text)[0]
            call = f"{name}(…)" if isfunction(member) else name
            yield f"| `.{call}` | {_escaped(' '.join(first.split())).replace('|', chr(92) + '|')} |\n"


def _markdown(text: str) -> str:
    """A docstring as markdown: doctests and aligned tables as blocks, sections as lists, the rest as paragraphs."""
    parts = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if block.startswith(">>>"):
            parts.append("```python\n" + block.replace("<BLANKLINE>", "") + "\n```\n")
        elif (section := re.match(r"(\w+):\n(?= )", block)) is not None:
            items = re.split(r"\n(?=\S)", cleandoc("\n" + block[section.end() :]))
            parts.append(f"**{section[1]}**\n\n" + "".join(f"- {_escaped(' '.join(i.split()))}\n" for i in items))
        elif any(re.search(r"\S {2,}\S", line) for line in lines):
            parts.append("```text\n" + block + "\n```\n")
        else:
            sentences = re.sub(r"^(Raises|Source):", r"**\1**:", block, flags=re.MULTILINE)
            parts.append(_escaped(re.sub(r"\n(?=\*\*)", "\n\n", sentences)) + "\n")
    return "\n".join(parts)


def _escaped(text: str) -> str:
    """Markdown of a sentence: < outside code is no tag."""
    return "".join(
        part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(re.split("(`+[^`]*`+)", text))
    )


# ---------------------------------------------------------------------- the rules


def _rules() -> str:
    """One page of the rules of check: wrong, what is said of it, right."""
    rules = [rule for _, rule in sorted(RULES.items())]
    parts = [
        "# The rules of check\n\n"
        "A finding of `check`, `watch` or `walk` has a code: 1xx explains an exception, 2xx is proved by an "
        "experiment, 3xx is a note. Each rule is shown with a program that it finds, what `check` says of that, and a "
        "program that it leaves alone. Both run in the tests as `check(model, *inputs)`, with `batch_dim`, `lengths` "
        "and `target` where they define them, after\n\n"
        "```python\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
        "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pack_sequence, pad_sequence\n```\n\n"
        "| code | name | what is wrong |\n| --- | --- | --- |\n"
    ]
    parts += [f"| [{rule.code}](#{_anchor(rule)}) | {rule.name} | {_escaped(rule.title)} |\n" for rule in rules]
    for rule in rules:
        report = run_rule(rule.wrong, file="wrong.py")
        parts.append(
            f"\n## {rule.code} {rule.name}\n\n{_escaped(rule.title)}.\n\n{_escaped(rule.why)}\n\n"
            f"Wrong:\n\n```python\n{rule.wrong}```\n\n{_shown(as_text(report, width=80))}\n"
            f"Right:\n\n```python\n{rule.right}```\n"
        )
    return "".join(parts)


def _anchor(rule: Any) -> str:
    return f"{rule.code.lower()}-{rule.name}"


def main() -> None:
    files = built()
    (DOCS / "pictures").mkdir(exist_ok=True)
    for old in {*(DOCS / "pictures").glob("*.svg")} - {*files}:
        old.unlink()
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    main()
