"""What a user does first, with an installed lstm_shapes and nothing of this folder: run by tests/release.sh.

The code and the commands are taken from the pages that show them, in the folder `sdist`.
"""

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits  # what the extra [examples] brings

import lstm_shapes as ls

BIN = Path(sys.executable).parent


ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def called(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command; asked for an answer it gets q."""
    program, own = BIN / "lstm-shapes", {**os.environ, **environment}
    return subprocess.run(
        [program, *words], env=own, input="q\n", capture_output=True, text=True, encoding="utf-8", check=False
    )


def command(*words: str, code: int = 0) -> str:
    """What it prints; it says nothing on stderr."""
    done = called(*words)
    assert (done.returncode, done.stderr) == (code, ""), done
    return done.stdout


class Tagger(torch.nn.Module):
    """Without batch_first: nothing raises."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps: torch.Tensor = self.rnn(x)[0]
        return steps[:, -1]


# What the commands of the pages are about.
FILES = {
    "mymodels/tagger.py": """
from torch import nn
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(1000, 4), nn.LSTM(4, 16, batch_first=True)
    def forward(self, tokens):
        return self.rnn(self.embedding(tokens))[0]
""",
    "model.py": """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(28, 16, batch_first=True)
    def forward(self, x):
        return self.rnn(x)[0][:, -1]
def make():
    return Net()
""",
    "train.py": "import torch, model\nmodel.make()(torch.randn(5, 7, 28)).sum().backward()\n",
}


def commands_of(page: Path) -> list[list[str]]:
    """The words of each command that a page shows, after a prompt or in a sentence; what follows a pipe is not ours."""
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"^\$ lstm-shapes([^#|\n]*)", text, re.MULTILINE)
    said = re.findall(r"(?:`|\()lstm-shapes( [a-z]+ [^`)…]*)(?:`|\))", text)  # a name alone is no command
    return [shlex.split(words) for words in dict.fromkeys(word.strip() for word in [*shown, *said])]


def commands(pages: list[Path]) -> int:
    """Each command of the pages, on a console that can write everything and on one that cannot; how many there are."""
    for name, text in FILES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    save = importlib.import_module("safetensors.torch").save_file
    save(importlib.import_module("model").make().state_dict(), "model.safetensors")
    found = list(map(shlex.split, dict.fromkeys(shlex.join(words) for page in pages for words in commands_of(page))))
    for words in found:
        if words[:1] == ["explore"]:  # a server, which runs until somebody ends it, and needs an extra
            words = ["explore", "--help"]
        for environment in ({}, ASCII):
            done = called(*words, **environment)
            said = done.stdout + done.stderr  # run leaves stdout to its script
            assert done.returncode == 0, done
            assert said.strip(), done
            assert not environment or said.isascii(), done
    return len(found)


def code_of(page: Path) -> int:
    """The blocks of Python of a page, one after the other; how many there are."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in blocks:
            exec(compile(block, page.name, "exec"), names)
    return len(blocks)


def main() -> None:
    """Every door once, or what the pages show."""
    if sys.argv[1:]:
        sys.path.insert(0, "")
        pages = [Path(name) for name in sys.argv[1:]]
        blocks = sum(map(code_of, pages))
        sys.stdout.write(f"{commands(pages)} commands and {blocks} blocks of code of the pages work with the wheel\n")
        return
    assert Path(ls.__file__).is_relative_to(sys.prefix), ls.__file__
    assert (Path(ls.__file__).parent / "py.typed").exists()
    assert command("--version").strip() == f"lstm-shapes {ls.__version__}"

    explanation = ls.explain(28, 256, 3, N=2, L=20)
    assert explanation.proof is not None
    assert explanation.proof.ok
    # torch, torchinfo and the flop counter were all asked.
    by = " ".join(check.by for check in explanation.proof.checks)
    assert all(tool in by for tool in ("numel()", "torchinfo.summary", "flop_registry", "the numbers")), by
    assert "1,345,536" in str(explanation)

    assert ls.check(Tagger(), torch.randn(8, 20, 4)).codes == ("LS201",)
    assert "LSTM" in str(ls.walk(Tagger(), torch.randn(8, 20, 4)))
    assert ls.gates(Tagger().rnn, torch.randn(8, 20, 4)).residual < 1e-5
    assert load_digits().data.shape == (1797, 64)

    assert "1,345,536" in command("explain", "28", "256", "3", "--batch", "2", "--steps", "20")
    assert json.loads(command("explain", "28", "64", "2", "--cell", "GRU", "--json"))["counts"]["total"] == 43_008
    torch.save(Tagger().state_dict(), "model.pt")
    assert "rnn" in command("inspect", "model.pt")
    Path("mymodels.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.rnn = nn.LSTM(4, 8)\n    def forward(self, x):\n        return self.rnn(x)[0][:, -1]\n",
        encoding="utf-8",
    )
    assert "LS201" in command("check", "mymodels:Net", "--input", "8,20,4", code=1)
    sys.stdout.write("the installed wheel works: import, proof, check, walk, gates, command line\n")


if __name__ == "__main__":
    main()
