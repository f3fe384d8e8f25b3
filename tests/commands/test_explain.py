"""`lstm-shapes explain` and `count`: what is printed, when, and how bad input ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_shapes.cli import main
from tests.snapshot import Snapshot


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lstm_shapes", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **environment},
    )


def test_alone_it_explains_the_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    """No command at all: LSTM(28, 256, 3) on N=2, L=20, with its proof, every line within 80 columns."""
    assert call() == 0
    out = capsys.readouterr().out
    assert "LSTM(Q=28, D=256, K=3)" in out
    assert "1,345,536" in out
    assert re.search(r"(\d+) of \1 hold, on cpu in float32", out)
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out.replace("(K·R, N, …)", "")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("lesson", ["28", "256", "3", "--batch", "2", "--steps", "20"]),
        ("packed", ["28", "64", "2", "--cell", "GRU", "--bidirectional", "--lengths", "5,3", "--time-major"]),
        ("cell", ["28", "64", "--cell", "LSTMCell", "--batch", "3", "--no-bias"]),
        ("projected", ["28", "64", "6", "--proj-size", "16", "--unbatched", "--dropout", "0.5"]),
    ],
)
def test_the_prediction_as_a_page(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str], snapshot: Snapshot
) -> None:
    """What a reader sees, held as files; the parameter rows add up to their total."""
    assert call("explain", *arguments, "--no-proof") == 0
    out = capsys.readouterr().out
    snapshot(name, out)
    table = out[out.index("Parameters") : out.index("total")]
    rows = [int(number.replace(",", "")) for number in re.findall(r"^layer.*?([\d,]+)$", table, re.MULTILINE)]
    total = int(re.findall(r"^total.*?([\d,]+)$", out, re.MULTILINE)[0].replace(",", ""))
    assert sum(rows) == total


def test_the_first_table_needs_no_torch() -> None:
    """`--no-proof` and `count` end without torch; the prediction is printed before torch begins to load."""
    code = (
        "import sys, builtins\n"
        "from lstm_shapes.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    for arguments in (["explain", "28", "256", "3", "--no-proof"], ["count", "28", "256", "3"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("False\n")
    watcher = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': sys.stdout.flush(); sys.stdout.write('TORCH\\n')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from lstm_shapes.cli import main\n"
        "main(['explain', '28', '64', '1'])\n"
    )
    done = subprocess.run([sys.executable, "-c", watcher], capture_output=True, text=True, check=True)
    assert done.stdout.index("Shapes") < done.stdout.index("TORCH") < done.stdout.index("Proof")


def test_json_is_all_there_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with shapes, weights, counts, slices, laws, notes and proof."""
    assert call("explain", "28", "64", "2", "--cell", "GRU", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tensors"]["Y"] == {"names": ["N", "L", "D"], "sizes": [2, 20, 64]}
    assert told["counts"]["total"] == sum(layer["total"] for layer in told["counts"]["layers"])
    assert told["proof"]["ok"] is True
    assert {"weights", "slices", "laws", "notes", "spec"} <= told.keys()
    assert call("explain", "28", "64", "2", "--json", "--no-proof") == 0
    assert json.loads(capsys.readouterr().out)["proof"] is None
    assert call("count", "28", "64", "2", "--json", "--batch", "2") == 0
    assert json.loads(capsys.readouterr().out)["macs"] > 0


def test_html_is_written_beside_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is whole and needs no network; the console says where it went, on stderr."""
    file = tmp_path / "a page.html"
    assert call("explain", "28", "64", "2", "--html", str(file), "--no-proof") == 0
    captured = capsys.readouterr()
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page
    assert "Wrote" in captured.err
    assert "Wrote" not in captured.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain"], "Q"),
        (["explain", "28"], "D"),
        (["explain", "abc", "256"], "Q"),
        (["explain", "28", "0"], "D (hidden_size) must be"),
        (["explain", "28", "-4"], "negative"),
        (["explain", "28", "2.5"], "D"),
        (["explain", "28", "256", "3", "4"], "unexpected extra argument"),
        (["explain", "28", "256", "--batch", "0"], "N (batch size) must be"),
        (["explain", "28", "256", "--steps", "x"], "--steps"),
        (["explain", "28", "256", "--lengths", "3,,2"], "--lengths"),
        (["explain", "28", "256", "--lengths", "3,0"], "lengths[1]"),
        (["explain", "28", "256", "--lengths", "3,2", "--batch", "5"], "lengths must be"),
        (["explain", "28", "256", "--unbatched", "--batch", "2"], "--unbatched"),
        (["explain", "28", "256", "--cell", "TRANSFORMER"], "one of LSTM, GRU"),
        (["explain", "28", "256", "--proj-size", "256"], "below D = 256"),
        (["explain", "28", "256", "--cell", "GRU", "--proj-size", "3"], "Only LSTM projects"),
        (["explain", "28", "256", "--dropout", "nan"], "dropout"),
        (["explain", "28", "256", "--dtype", "int8"], "dtype"),
        (["explain", "28", "256", "--device", "toaster"], "device"),
        (["explain", "28", "256", "--html", "page.pdf", "--no-proof"], ".html"),
        (["explain", "28", "256", "--html", "no/such/page.html", "--no-proof"], "page.html"),
        (["explain", "99999999999999999999", "2"], "2**60"),
        (["explian", "28", "256"], "No such command"),
        (["count", "28", "256", "--bogus"], "No such option"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line on stderr that says what is wrong; never a traceback."""
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("lstm-shapes: ")


def test_a_real_process_ends_as_promised() -> None:
    """Exit codes, help and an ASCII terminal, through the real interpreter."""
    assert shell("count", "0", "1").returncode == 2
    help_ = shell("explain", "--help")
    assert help_.returncode == 0
    assert "Examples:" in help_.stdout
    assert shell("--version").stdout.startswith("lstm-shapes 0.")
    plain = shell("count", "28", "256", PYTHONIOENCODING="ascii")
    assert plain.returncode == 0
    assert "292,864" in plain.stdout


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`lstm-shapes … | head -1` ends quietly."""
    command = f'"{sys.executable}" -m lstm_shapes explain 28 256 3 --no-proof | head -1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "LSTM(Q=28, D=256, K=3)"
    assert done.stderr == ""


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt is not a traceback."""

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lstm_shapes.commands.explain.predict", interrupted)
    assert call("explain", "28", "256") == 130


def test_a_proof_that_fails_is_exit_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong prediction is shown with a cross and with what it should have been."""
    from lstm_shapes.theory.counts import LayerCount

    monkeypatch.setattr(LayerCount, "total", property(lambda self: 7))
    assert call("explain", "28", "64") == 1
    assert "✗" in capsys.readouterr().out
