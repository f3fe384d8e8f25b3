"""`lstm-shapes inspect`: the recurrent layers of a file as a table and as data, and a file that is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lstm_shapes.lab._build import build
from lstm_shapes.theory.spec import Spec
from tests.command_line import here, refused

save_file: Any = pytest.importorskip("safetensors.torch").save_file

ENCODER = build(Spec(8, 5, 3, bidirectional=True, proj_size=2))
MODEL = nn.ModuleDict({"encoder": ENCODER, "decoder": build(Spec(7, 6, cell="GRUCell")), "head": nn.Linear(6, 3)})


class Evil:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("mark",))


def test_layers_and_what_a_file_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefix, Spec, parameters; the broken group with its reason; hostile names written out."""
    monkeypatch.setenv("COLUMNS", "80")
    state = {**MODEL.state_dict(), "bad\x1b[2J.weight_ih_l0": torch.ones(4)}
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    code, shown, err = here(capsys, "inspect", str(tmp_path / "a.pt"))
    assert (code, err) == (0, "")
    assert "[state_dict] encoder" in shown
    assert "LSTM(Q=8, D=5, K=3, bidirectional, P=2)" in shown
    assert f"{sum(w.numel() for w in ENCODER.parameters()):,}" in shown
    assert "batch_first, dropout nor nonlinearity" in shown
    assert "[state_dict] bad\\x1b[2J.weight_ih_l0 must be" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_file_without_recurrent_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound checkpoint that holds none is no error."""
    save_file(nn.Linear(2, 3).state_dict(), tmp_path / "a")
    code, out, _ = here(capsys, "inspect", str(tmp_path / "a"))
    assert code == 0
    assert "There is none: no names such as weight_ih_l0" in out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain data; what no checkpoint can tell is not among a layer's fields."""
    save_file({**MODEL.state_dict(), "bad.weight_ih_l0": torch.ones(4)}, tmp_path / "a")
    code, out, err = here(capsys, "inspect", str(tmp_path / "a"), "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["untold"] == ["batch_first", "dropout", "nonlinearity"]
    by_prefix = {layer["prefix"]: layer for layer in data["layers"]}
    assert by_prefix["decoder"]["spec"] == {
        "Q": 7, "D": 6, "K": 1, "cell": "GRUCell", "bidirectional": False, "proj_size": 0, "bias": True
    }  # fmt: skip
    assert by_prefix["bad"]["spec"] is None
    assert by_prefix["bad"]["problem"].startswith("bad.weight_ih_l0 must be")


def test_a_file_of_code_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, with nothing on stdout, and nothing of it is executed."""
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": nn.LSTM(2, 3).state_dict(), "x": Evil()}, "a.pt")
    ended = here(capsys, "inspect", "a.pt")
    refused(ended, "mkdir and not only weights, so it was not loaded")
    assert ended.out == ""
    assert not Path("mark").exists()


def test_a_safetensors_file_is_read_without_torch(tmp_path: Path) -> None:
    """Its header is JSON: the answer comes at once."""
    save_file(nn.LSTM(2, 3).state_dict(), tmp_path / "a")
    code = (
        f"import sys; from lstm_shapes._commands.models import inspect; inspect([{str(tmp_path / 'a')!r}]);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_file_beside_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, both layers and what would load; 0 where all fits; one line where it is no model."""
    source = "from torch import nn\ndef make():\n    return nn.ModuleDict({'rnn': nn.LSTM(5, 7, 2)})\nnothing = 3\n"
    (tmp_path / "models.py").write_text(source)
    model = f"{tmp_path / 'models.py'}:make"
    wide, same = nn.ModuleDict({"rnn": nn.LSTM(5, 9, 2)}), nn.ModuleDict({"rnn": nn.LSTM(5, 7, 2)})
    for name, saved in (
        ("wide", wide.state_dict()),
        ("same", same.state_dict()),
        ("wrapped", {f"module.{key}": value for key, value in same.state_dict().items()}),
    ):
        torch.save(saved, tmp_path / f"{name}.pt")
    code, shown, _ = here(capsys, "inspect", str(tmp_path / "wide.pt"), "--model", model)
    assert code == 1
    assert "nn.LSTM(5, 9, num_layers=2)" in shown
    assert here(capsys, "inspect", str(tmp_path / "same.pt"), "--model", model)[0] == 0
    code, shown, _ = here(capsys, "inspect", str(tmp_path / "wrapped.pt"), "--model", model, "--json")
    assert code == 1
    (mismatch,) = json.loads(shown)["mismatches"]
    assert mismatch["kind"] == "prefix"
    assert "removeprefix('module.')" in mismatch["fix"]
