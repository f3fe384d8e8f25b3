"""What a user does first, with an installed lstm_shapes and nothing of this folder: run by tests/release.sh."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits  # what the extra [examples] brings

import lstm_shapes as ls

BIN = Path(sys.executable).parent


def command(*words: str, code: int = 0) -> str:
    """What the installed command prints; it says nothing on stderr."""
    done = subprocess.run([BIN / "lstm-shapes", *words], capture_output=True, text=True, encoding="utf-8", check=False)
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


def main() -> None:
    """Every door once."""
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
