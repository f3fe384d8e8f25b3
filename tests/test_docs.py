"""README and docs are what `make docs` writes now; blocks run, links lead somewhere, commands work."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from docs.build import BLOCK, ROOT, built, page
from lstm_shapes.lab.check import RULES
from lstm_shapes.language import speaking
from lstm_shapes.theory.symbols import SYMBOLS

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files() -> dict[Path, str]:
    return built()


def test_pages_are_up_to_date(files: dict[Path, str]) -> None:
    """Each file holds what its code shows; if the change is meant: `make docs`, and read the diff.

    A page may name the torch that wrote it, and is right with another.
    """

    def said(text: str) -> str:
        return re.sub(r"torch \d[\w.+]*", "torch", text)

    kept = {path: said(path.read_text(encoding="utf-8")) for path in files if path.exists()}
    stale = [str(path.relative_to(ROOT)) for path, text in files.items() if kept.get(path) != said(text)]
    if f"torch=={torch.__version__.partition('+')[0]}" not in (ROOT / "constraints.txt").read_text(encoding="utf-8"):
        stale = [name for name in stale if name != "docs/rules.md"]  # it quotes torch, which words its errors anew
    assert not stale, f"{', '.join(stale)}: run `make docs`"
    assert {*(ROOT / "docs").glob("pictures/*.svg")} <= {*files}


def anchors(path: Path) -> set[str]:
    """What a link may name on a page: its headings as a repository's site writes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(name.rpartition("-")[0] == slug or name == slug for name in found)
        found.append(f"{slug}-{again}" if again else slug)
    return {*found}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """To a file that exists, and on a page of ours to a heading that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text(encoding="utf-8"))):
        if not re.match(r"\w+:", target):
            file, _, anchor = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            assert other.exists(), f"{path.name} links to {target}"
            assert not anchor or anchor in anchors(other), f"{path.name} links to {target}"


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links to all others."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} == set(
        re.findall(r"\((\S+\.md)\)", index)
    )


def test_every_block_runs() -> None:
    """A block is Python, what Python showed, or commands, which run below; the generated pages hold doctests, which run
    where they stand, and the programs of rules, which have tests of their own."""
    for path in PAGES:
        if path.name in ("reference.md", "rules.md") or (path.parent == ROOT and not path.name.startswith("README")):
            continue
        text = path.read_text(encoding="utf-8")
        rest = [kind for kind, _ in FENCE.findall(BLOCK.sub("", text))]
        assert set(rest) <= {"console", ""}, path
    for rule in RULES.values():
        text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
        assert f"```python\n{rule.wrong}```" in text
        assert f"```python\n{rule.right}```" in text


def test_torchs_words_are_torchs() -> None:
    """What the page of exceptions says that torch says is what torch says in a program of that rule."""
    text = (ROOT / "docs" / "why-does-this-exception-come.md").read_text(encoding="utf-8")
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8").split("\n## ")
    rows = re.findall(r"^\| `(.+?)` \| \[(LS\d+)\]", text, re.MULTILINE)
    assert len(rows) > 5
    for words, code in rows:
        said = next(part for part in rules if part.startswith(code))
        if code == "LS109":  # raised by the second backward, which check does not call
            once = torch.ones(1, requires_grad=True).exp()
            once.backward()
            with pytest.raises(RuntimeError, match=words):
                once.backward()
        else:
            assert words in " ".join(said.partition("\nraised ")[2].split()), words


def found_below(package: str, name: str) -> bool:
    """Whether a dotted name is a module, or what one holds."""
    place: Any = importlib.import_module(package)
    for part in name.split("."):
        if hasattr(place, "__path__") and importlib.util.find_spec(f"{place.__name__}.{part}") is not None:
            place = importlib.import_module(f"{place.__name__}.{part}")
        elif hasattr(place, part):
            place = getattr(place, part)
        else:
            return False
    return True


def test_what_moved_is_where_the_changelog_says() -> None:
    """Every name on the right is there, and none on the left is, but for modules that share it."""
    table = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("### Moved")[2].partition("\n#")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for was, now in rows:
        for name in re.findall(r"`([\w.]+)`", now):
            assert found_below("lstm_shapes", name), f"{name} is nowhere"
        for name in re.findall(r"`([\w.]+)`", was):
            assert not found_below("lstm_shapes", name), f"{name} is still there"


def test_the_map_names_what_there_is() -> None:
    """The paths of ARCHITECTURE.md's first table exist; each name where to start reading stands in its room."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "lstm_shapes"
    rooms = [line.split(" | ") for line in text.splitlines() if re.match(r"\| `[\w/]+(\.py|/)`", line)]
    assert len(rooms) > 20
    for room, _, start in rooms:
        folder, files = package, list[Path]()
        for name in re.findall(r"`([\w./]+)`", room):
            path = next(base / name for base in (package, folder, folder.parent) if (base / name).exists())
            folder = path if path.is_dir() else path.parent
            files += path.rglob("*.py") if path.is_dir() else [path]
        code = "\n".join(path.read_text(encoding="utf-8") for path in files)
        for name in re.findall(r"`([\w./]+)`", start):
            there = any(path.name == name or path.as_posix().endswith(f"lstm_shapes/{name}") for path in files)
            assert there or re.search(rf"^(def|class) {name}\b", code, re.MULTILINE), f"{name} is not in {room}"


@pytest.mark.parametrize(
    ("name", "lang", "head"),
    [
        ("README.md", "en", ["symbol", "torch argument", "torch's docs", "meaning"]),
        ("README.ko.md", "ko", ["기호", "torch 인자", "torch 문서의 기호", "의미"]),
    ],
)
def test_the_symbols_are_those_of_the_table(name: str, lang: str, head: list[str]) -> None:
    """Each README's table has each symbol with torch's argument, torch's letter and its meaning."""
    text = (ROOT / name).read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    shown = rows[rows.index(head) + 2 :]
    with speaking(lang):
        assert shown == [[s.letter, s.argument, s.torch_symbol, s.meaning] for s in SYMBOLS.values()]


# ---------------------------------------------------------------------- commands

# What the commands find in a reader's folder.
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
    "train.py": """
import torch
from model import Rows
Rows()(torch.randn(4, 28, 28)).sum().backward()
""",
}
SERVES = "explore"  # it would serve until somebody ends it: tests/test_explorer.py does


def commands() -> Iterator[list[str]]:
    """The words of each `$ lstm-shapes …` of every page, up to a pipe."""
    for path in PAGES:
        for kind, code in FENCE.findall(path.read_text(encoding="utf-8")):
            for line in code.splitlines() if kind == "console" else ():
                words = shlex.split(line.partition(" | ")[0], comments=True)
                if words[:2] == ["$", "lstm-shapes"] and words[2:3] != [SERVES]:
                    yield words[2:]


def test_commands_run(tmp_path: Path) -> None:
    """Every command ends well."""
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    weights = torch.nn.LSTM(28, 16).state_dict()
    save_file({f"rnn.{name}": value for name, value in weights.items()}, tmp_path / "model.safetensors")
    every = list(commands())
    assert {words[0] for words in every if words} >= {
        "explain",
        "count",
        "inspect",
        "check",
        "walk",
        "run",
        "rules",
        "quiz",
    }
    for words in every:
        command = [sys.executable, "-m", "lstm_shapes", *words]
        done = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"


# ---------------------------------------------------------------------- the builder

WRONG = """
```python
x = 2
print("printed")
```

```text
typed by hand
```

```python
y = x + 1
```

```text
old
```

```python
y
```

```python
import lstm_shapes as ls

ls.picture(3, 5, L=2)
```
"""


def test_outputs_are_computed() -> None:
    """What was typed is replaced, what shows nothing has nothing, a value is added, a picture becomes a file."""
    text, pictures = page(WRONG, "wrong")
    assert re.sub(r"!\[.*\]", "![…]", text) == (
        '\n```python\nx = 2\nprint("printed")\n```\n\n```text\nprinted\n```\n'
        "\n```python\ny = x + 1\n```\n"
        "\n```python\ny\n```\n\n```text\n3\n```\n"
        "\n```python\nimport lstm_shapes as ls\n\nls.picture(3, 5, L=2)\n```\n\n![…](pictures/wrong-1.svg)\n"
    )
    assert list(pictures) == ["pictures/wrong-1.svg"]
    assert page(text, "wrong") == (text, pictures)


def test_a_block_that_raises_is_an_error() -> None:
    """With the line of the page's own program."""
    with pytest.raises(ZeroDivisionError):
        page("```python\nx = 1\n```\n\n```python\nx / 0\n```\n", "raises")
