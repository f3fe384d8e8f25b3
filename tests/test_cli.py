"""The command line: the prediction first, the proof after it, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lstm_shapes import Spec, count, predict
from lstm_shapes.cli import main

ROOT = Path(__file__).parent.parent


def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, its output in pipes."""
    return subprocess.run(
        [sys.executable, "-m", "lstm_shapes", *arguments], capture_output=True, text=True, check=False, **options
    )


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command in this process: exit code, stdout, stderr."""
    with pytest.raises(SystemExit, match=r"^\d+$") as left:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, out, err


def test_alone_it_explains_the_lesson() -> None:
    """Without a word: the lesson's numbers, proved, plain in a pipe, nothing on stderr."""
    done = call()
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("LSTM(Q=28, D=256, K=3)", "(2, 20, 28)", "1,345,536", "Proof", "hold, on cpu in float32."):
        assert text in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_lesson_by_hand_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """`lstm-shapes` is short for `explain 28 256 3 --batch 2 --steps 20`."""
    alone = here(capsys)
    assert alone == here(capsys, "explain", "28", "256", "3", "--batch", "2", "--steps", "20")
    assert alone[0] == 0


def test_the_prediction_is_there_before_torch(tmp_path: Path) -> None:
    """When torch starts to load, the tables are on the screen already."""
    (tmp_path / "torch.py").write_text("import sys; sys.stderr.write('loading'); sys.stderr.flush(); sys.exit(7)")
    done = call("explain", "28", "256", "3", env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert (done.returncode, done.stderr) == (7, "loading")
    assert "1,345,536" in done.stdout
    assert "Proof" not in done.stdout


@pytest.mark.parametrize("arguments", [["explain", "28", "256", "--no-proof"], ["count", "28", "256"], ["--help"]])
def test_no_torch_without_a_proof(arguments: list[str]) -> None:
    """Arithmetic needs no torch."""
    code = (
        "import sys; from lstm_shapes.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


NONSENSE = {
    "no D": ["explain", "28"],
    "words": ["explain", "many", "few"],
    "zero": ["explain", "0", "256"],
    "negative": ["explain", "28", "-256", "3"],
    "negative after --": ["explain", "--", "28", "-256"],
    "float": ["explain", "28.5", "256"],
    "exponent": ["count", "1e3", "256"],
    "nan": ["count", "nan", "256"],
    "empty": ["count", "", "256"],
    "enormous": ["count", "9" * 4000, "256"],
    "too long for int": ["count", "9" * 5000, "256"],
    "beyond 64 bits": ["count", str(2**63), "256"],
    "too many": ["explain", "28", "256", "3", "2", "20"],
    "no such option": ["explain", "28", "256", "--bacth", "2"],
    "no such command": ["explian", "28", "256"],
    "no value": ["explain", "28", "256", "--batch"],
    "batch 0": ["explain", "28", "256", "--batch", "0"],
    "steps -1": ["explain", "28", "256", "--steps", "-1"],
    "cell": ["explain", "28", "256", "--cell", "lstm"],
    "projection": ["explain", "28", "256", "--proj-size", "256"],
    "projection of a GRU": ["explain", "28", "256", "--cell", "GRU", "--proj-size", "8"],
    "dropout": ["explain", "28", "256", "2", "--dropout", "nan"],
    "nonlinearity": ["explain", "28", "256", "--nonlinearity", "relu"],
    "lengths": ["explain", "28", "256", "--lengths", "5,,3"],
    "empty lengths": ["explain", "28", "256", "--lengths", ""],
    "length 0": ["explain", "28", "256", "--lengths", "5,0"],
    "long lengths": ["explain", "28", "256", "--steps", "4", "--lengths", "5,3"],
    "too few lengths": ["explain", "28", "256", "--batch", "3", "--lengths", "5,3"],
    "unbatched batch": ["explain", "28", "256", "--unbatched", "--batch", "2"],
    "dtype": ["explain", "28", "256", "--dtype", "int8"],
    "ending": ["explain", "28", "256", "--html", "page.txt"],
    "cell of layers": ["explain", "28", "256", "3", "--cell", "GRUCell"],
    "count dtype": ["count", "28", "256", "--dtype", ""],
}


@pytest.mark.parametrize("arguments", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit 2, nothing on stdout, and one line on stderr that ends as a sentence."""
    code, out, err = here(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("lstm-shapes: ")
    assert err.count("\n") == 1
    assert err.rstrip().endswith(".")
    assert len(err) < 400
    assert "Traceback" not in err


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7", "xla", ""])
def test_a_device_that_is_not_here(capsys: pytest.CaptureFixture[str], device: str) -> None:
    """Known only when torch has loaded: the prediction stays, then one line and exit 2."""
    code, out, err = here(capsys, "explain", "7", "5", "--device", device)
    assert code == 2
    assert "Proof" not in out
    assert err.count("\n") == 1
    assert err.startswith("lstm-shapes: device must be")


@pytest.mark.parametrize("path", ["no/such/folder/a.html", "."])
def test_a_page_that_cannot_be_written(capsys: pytest.CaptureFixture[str], path: str, tmp_path: Path) -> None:
    """One line and exit 2."""
    target = tmp_path / path if path != "." else tmp_path / "folder.html"
    if path == ".":
        target.mkdir()
    code, _, err = here(capsys, "explain", "7", "5", "--no-proof", "--html", str(target))
    assert code == 2
    assert err.count("\n") == 1


def test_no_traceback_from_the_process() -> None:
    """The same from outside."""
    done = call("explain", "28", "0")
    assert (done.returncode, done.stdout) == (2, "")
    expected = "lstm-shapes: D (hidden_size) must be a whole number of at least 1, got 0.\n"
    assert done.stderr == expected


def test_json_is_all_there(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is one JSON value with the prediction, the slices, laws, notes and the proof."""
    code, out, err = here(capsys, "explain", "28", "256", "3", "--batch", "2", "--steps", "20", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    prediction = predict(28, 256, 3, N=2, L=20)
    assert {key: data[key] for key in prediction.to_dict()} == prediction.to_dict()
    assert Spec(**data["spec"]) == prediction.spec
    assert data["proof"]["ok"] is True
    assert all(check["ok"] for check in data["proof"]["checks"])
    assert {"slices", "laws", "notes"} <= set(data)
    code, out, _ = here(capsys, "explain", "28", "256", "--json", "--no-proof")
    assert (code, json.loads(out)["proof"]) == (0, None)


def test_count_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The counts as they are in Python."""
    code, out, _ = here(capsys, "count", "28", "256", "3", "-n", "2", "-l", "20", "--json")
    assert (code, json.loads(out)) == (0, count(28, 256, 3, N=2, L=20).to_dict())


def test_options_reach_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option is the field of its name."""
    words = "explain 7 5 2 --time-major -r -p 3 --no-bias --dropout 0.5 --lengths 4,2 --dtype float64 --json --no-proof"
    data = json.loads(here(capsys, *words.split())[1])
    assert Spec(**data["spec"]) == Spec(7, 5, 2, False, bidirectional=True, proj_size=3, bias=False, dropout=0.5)
    assert (data["lengths"], data["counts"]["dtype"]) == ([4, 2], "float64")
    data = json.loads(
        here(
            capsys,
            *["explain", "7", "5", "--cell", "RNN", "--nonlinearity", "relu", "--unbatched", "--json", "--no-proof"],
        )[1]
    )
    assert (data["spec"]["nonlinearity"], data["N"]) == ("relu", None)


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_one_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """No script, nothing loaded from elsewhere; the numbers and the proof are in it. Brackets in a name are a name."""
    file = tmp_path / "[b]page.html"
    code, out, err = here(capsys, "explain", "28", "256", "3", "--html", str(file))
    assert (code, err) == (0, f"Wrote {file}\n")
    assert "1,345,536" in out
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    assert not page.tags & {"script", "link", "iframe", "img", "object"}
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in page.text
    assert "url(" not in page.text
    for word in ("1,345,536", "Proof", "torchinfo.summary"):
        assert word in page.text


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"], ["count", "-h"]])
def test_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Says how, with examples of each command."""
    code, out, err = here(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "Usage: lstm-shapes" in out
    if arguments[0] != "--help":
        assert f"lstm-shapes {arguments[0]} 28" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line."""
    assert re.fullmatch(r"lstm-shapes \d+\.\d+\.\d+\n", here(capsys, "--version")[1])


def test_a_failed_proof_is_exit_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts can rely on it; the check that failed is on the screen."""
    from lstm_shapes.theory.counts import LayerCount

    right = LayerCount.direction.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(LayerCount, "direction", property(lambda self: right(self) + 1))
    code, out, _ = here(capsys, "explain", "7", "5")
    assert code == 1
    assert "✗" in out


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 130, as a shell expects, and no traceback."""
    from lstm_shapes.commands import explain

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(explain, "show", stop)
    code, out, err = here(capsys, "explain", "7", "5")
    assert (code, out + err) == (130, "")


def test_a_reader_that_leaves() -> None:
    """`lstm-shapes | head -1` ends without a word."""
    words = f"'{sys.executable}' -m lstm_shapes explain 28 256 3 --no-proof --json | head -1"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_terminal_that_knows_no_symbols() -> None:
    """In ASCII the symbols are replaced; nothing fails."""
    done = call("explain", "28", "256", "--no-proof", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "1,345,536" not in done.stdout
    assert "292,864" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(("setting", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal(setting: dict[str, str], coloured: bool) -> None:
    """On a terminal there is colour, unless it is declined."""
    import pty

    reader, writer = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **setting}
    command = [sys.executable, "-m", "lstm_shapes", "explain", "28", "256", "--no-proof"]
    with subprocess.Popen(command, stdout=writer, stderr=writer, env=environment) as process:
        os.close(writer)
        found = b""
        while True:
            try:
                piece = os.read(reader, 65_536)
            except OSError:
                break
            if not piece:
                break
            found += piece
    os.close(reader)
    assert process.returncode == 0
    assert b"292,864" in found
    assert (re.search(rb"\x1b\[(?:\d+;)*3\dm", found) is not None) == coloured


def test_a_giant_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """275 billion parameters, proved on a twin, which the proof says."""
    code, out, _ = here(capsys, "explain", "65536", "65536", "8", "-n", "4096", "-l", "5000")
    assert code == 0
    assert "274,882,101,248" in out
    assert "Run on a small twin" in " ".join(out.split())
