"""README's code runs, and prints what README says it prints."""

from __future__ import annotations

import doctest
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lstm_shapes.theory.symbols import SYMBOLS

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"(?P<before>[^\n]*)\n```(?P<kind>\w+)\n(?P<code>.*?)\n```", re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block; a line `<!-- not run: why -->` above it takes it out."""

    kind: str
    code: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page that name a language."""
    for match in FENCE.finditer("\n" + text):
        if "<!-- not run:" not in match["before"]:
            yield Block(match["kind"], match["code"], text[: match.start("code") - 1].count("\n") + 1)


def failures(page: str, code: str, names: dict[str, object], line: int) -> str:
    """Run a Python block; what went wrong, or nothing."""
    if ">>>" not in code:
        exec(compile("\n" * (line - 1) + code, page, "exec"), names)
        return ""
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    test = doctest.DocTestParser().get_doctest(code + "\n", names, page, page, line)
    runner.run(test, out=report.write, clear_globs=False)
    names.update(test.globs)  # a page is one session: later blocks see earlier names
    return report.getvalue()


def commands(code: str) -> Iterator[tuple[str, str]]:
    """Each `$ command` of a console block with the output that follows it."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of README runs, in order, in one session."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(README.read_text(encoding="utf-8")):
        if block.kind == "python":
            assert failures("README.md", block.code, names, block.line) == ""


# What README's commands find in a reader's folder.
FILES = {
    "mymodels/tagger.py": """
from torch import nn
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.rnn = nn.Embedding(50, 4), nn.LSTM(4, 16, batch_first=True)
    def forward(self, tokens):
        return self.rnn(self.table(tokens))[0][:, -1]
""",
    "model.py": """
from torch import nn
class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(28, 16, batch_first=True)
    def forward(self, x):
        return self.rnn(x)[0][:, -1]
make = Rows
""",
}
SERVES = "explore"  # it would serve until somebody ends it: tests/test_explorer.py does


def readme_commands() -> list[tuple[list[str], str]]:
    """The words of each `$ lstm-shapes …` in README, up to a pipe, and what is shown under it."""
    consoles = [block for block in blocks(README.read_text(encoding="utf-8")) if block.kind == "console"]
    found = []
    for command, shown in (pair for block in consoles for pair in commands(block.code)):
        words = shlex.split(command.partition(" | ")[0], comments=True)
        if words[:1] == ["lstm-shapes"]:
            found.append((words[1:], shown))
    return found


def test_readme_shows_every_command() -> None:
    """The test below has something to run."""
    assert {words[0] for words, _ in readme_commands() if words} >= {"explain", "count", "inspect", "check", "walk"}


def test_commands_run(tmp_path: Path) -> None:
    """Every `$ lstm-shapes …` of README ends well and prints the lines shown under it."""
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    weights = torch.nn.LSTM(28, 16).state_dict()
    save_file({f"rnn.{name}": value for name, value in weights.items()}, tmp_path / "model.safetensors")
    for words, shown in readme_commands():
        if words[:1] == [SERVES]:
            continue
        command = [sys.executable, "-m", "lstm_shapes", *words]
        done = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        if shown.strip():
            assert doctest.OutputChecker().check_output(shown + "\n", done.stdout, FLAGS), (
                f"README shows for {words}:\n{shown}\nbut it prints:\n{done.stdout}"
            )


PAGE = """
```python
x = 2
```

<!-- not run: it would -->
```python
1 / 0
```

```python
>>> x
3
```
```console
$ lstm-shapes count 1
a
b
$ ls
```
"""


def test_blocks_are_found_with_their_lines() -> None:
    """The reader of pages sees every block but the one that is taken out."""
    found = list(blocks(PAGE))
    assert [(block.kind, block.line) for block in found] == [("python", 3), ("python", 12), ("console", 16)]
    assert list(commands(found[2].code)) == [("lstm-shapes count 1", "a\nb\n"), ("ls", "")]


def test_a_wrong_page_is_caught() -> None:
    """A block that prints something else, or raises, is reported."""
    names: dict[str, object] = {}
    first, second, _ = blocks(PAGE)
    assert failures("page", first.code, names, first.line) == ""
    assert "Expected:\n    3\nGot:\n    2" in failures("page", second.code, names, second.line)
    with pytest.raises(ZeroDivisionError, match="by zero"):
        failures("page", "1 / 0", names, 1)


def test_the_symbols_are_those_of_the_table() -> None:
    """README's table has each symbol with torch's argument, torch's letter and its meaning."""
    page = README.read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    shown = rows[rows.index(["symbol", "torch argument", "torch's docs", "meaning"]) + 2 :]
    assert shown == [[s.letter, s.argument, s.torch_symbol, s.meaning] for s in SYMBOLS.values()]
