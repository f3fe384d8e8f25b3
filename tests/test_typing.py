"""What type checkers say of README's code, of a user's script, and of calls that are wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.build import BLOCK, ROOT


def readme_code() -> str:
    """README's Python blocks as one script."""
    return "".join(block["code"] for block in BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")))


# Lines that a checker must refuse end in `# wrong`; all others must pass.
SCRIPT = """
import torch
from torch import nn

import lstm_shapes as ls
from lstm_shapes.explanation import Explanation
from lstm_shapes.lab.run import Run
from lstm_shapes.theory.axes import Axes


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(28, 256, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Y: torch.Tensor = self.rnn(x)[0]
        return Y[:, -1]


def names(tensor: ls.AnnotatedTensor) -> tuple[str, ...]:
    return tensor.axes.names


x = torch.randn(2, 20, 28)
model = Tagger()
explained: Explanation = ls.explain(28, 256, 3, N=2, L=20, cell="LSTM", bidirectional=True, proof=False)
explained = ls.explain(input_size=28, hidden_size=256, num_layers=3)
explained = ls.explain(model.rnn, x)
explained = ls.explain(model, x, layer="rnn")
explained = ls.explain(model.state_dict())
explained = ls.explain(ls.Spec(28, 256), lengths=[3, 2], device=torch.device("cpu"), dtype=torch.float64)
total: int = explained.total + ls.count(model).total
input_axes: Axes = explained.X
X, Y, hn, cn = ls.run(28, 256, 3, N=2, L=20)
made: Run = ls.run(model.rnn, x, (hn, cn))
last = Y[:, -1]
print(names(last), names((last @ torch.randn(256, 10)).softmax(-1)), names(hn.transpose(0, 1).flatten(1)))
print(bool((Y[:, -1] == hn[-1]).all()), [names(row) for row in Y], names(2 * Y.mean(1, keepdim=True) - 1))
print(ls.gates(model.rnn, x)[0].f.axes.sizes, ls.gates(model, x, layer="rnn").f.mean().item())
print(ls.laws(28, 256)[0].holds, ls.prove(model.rnn, x).ok, ls.picture(model, highlight="Y[:, -1]").svg)
layer = ls.build(28, 256, cell="GRU", dtype="float64", seed=3)
print(layer.hidden_size, ls.check(model, x).ok, ls.predict(layer).hn.sizes, ls.walk(model, x).ok)
print(ls.annotate(x, "N L Q").axes.formula, ls.Spec.of(model, prefix="rnn").replace(K=1))

ls.explain(28, 256, num_layer=3)  # wrong
ls.explain("28", 256)  # wrong
ls.predict(28, 256, device="cpu")  # wrong
ls.run(28, 256, cell=nn.GRU)  # wrong
ls.run(model.rnn, x, cell="GRU")  # wrong
ls.count(28, 256, dtype=7)  # wrong
ls.gates(ls.Spec(28, 256), x)  # wrong
ls.picture(28, 256, highlights="Y")  # wrong
ls.Spec(28, 256).replace(N=3)  # wrong
ls.Explanation  # wrong
"""


def by_mypy(folder: Path) -> str:
    """Every complaint of `mypy --strict`, a line each."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "--hide-error-context",
               f"--cache-dir={folder / 'cache'}", "readme.py", "script.py"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if ": error:" in line)


def by_pyright(folder: Path) -> str:
    """Every error of pyright, a line each; skips where it or the node that it runs on is not there."""
    program = shutil.which("pyright") or shutil.which("pyright", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("pyright is not installed")
    command = [program, "--pythonpath", sys.executable, "readme.py", "script.py"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if not re.search(r"^\d+ errors?,", done.stdout, re.MULTILINE):  # it fetches itself at its first call
        pytest.skip(f"pyright did not run: {(done.stderr or done.stdout).strip()[-200:]}")
    return "\n".join(line.strip() for line in done.stdout.splitlines() if " - error:" in line)


PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": PATHS}


@pytest.mark.parametrize("checked", [by_mypy, by_pyright], ids=["mypy", "pyright"])
def test_readme_passes_and_a_script_is_told_what_is_wrong(checked: Callable[[Path], str], tmp_path: Path) -> None:
    """README's code is well typed; of the script each call that would be refused at run time, and no other line."""
    (tmp_path / "readme.py").write_text(readme_code(), encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    told = checked(tmp_path)
    found = {(name, int(number)) for name, number in re.findall(r"(\w+)\.py:(\d+)", told)}
    wrong = {number for number, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")}
    assert found == {("script", number) for number in wrong}, told
