"""`lstm-shapes explain`: the prediction first, the proof after it, as a page, a file and as data."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from math import prod
from pathlib import Path

import pytest

from lstm_shapes import Spec, predict
from tests.command_line import fake_torch, here, process, refused
from tests.snapshot import Snapshot


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
    code, out, _ = here(capsys, "explain", *arguments, "--no-proof")
    assert code == 0
    snapshot(name, out)
    table = out[out.index("Parameters") : out.index("total")]
    rows = [
        prod(int(factor.replace(",", "")) for factor in number.split(" × "))
        for number in re.findall(r"^layer.*?  ((?:[\d,]+ × )?[\d,]+)$", table, re.MULTILINE)
    ]
    total = int(re.findall(r"^total.*?([\d,]+)$", out, re.MULTILINE)[0].replace(",", ""))
    assert sum(rows) == total


def test_the_prediction_is_there_before_torch(tmp_path: Path) -> None:
    """When torch starts to load, the tables are on the screen already: a process that dies there has shown them."""
    dies = "import os, sys; sys.stderr.write('loading'); sys.stderr.flush(); os._exit(7)"
    code, out, err = process("explain", "28", "256", "3", env=fake_torch(tmp_path, dies))
    assert (code, err) == (7, "loading")
    assert out.index("Shapes") < out.index("1,345,536") < out.index("Mind")
    assert "claims hold" not in out


# Each before anything is printed.
REFUSED = {
    "Q 0": (["0", "256"], "Q (input_size) must be"),
    "D 0": (["28", "0"], "D (hidden_size) must be"),
    "batch 0": (["28", "256", "--batch", "0"], "N (batch size) must be"),
    "steps -1": (["28", "256", "--steps", "-1"], "L (steps) must be"),
    "enormous": (["99999999999999999999", "2"], "2**60"),
    "cell in small letters": (["28", "256", "--cell", "lstm"], "one of LSTM, GRU"),
    "cell of another kind": (["28", "256", "--cell", "TRANSFORMER"], "one of LSTM, GRU"),
    "cell of layers": (["28", "256", "3", "--cell", "GRUCell"], "K must be 1 for GRUCell"),
    "projection": (["28", "256", "--proj-size", "256"], "below D = 256"),
    "projection of a GRU": (["28", "256", "--cell", "GRU", "--proj-size", "8"], "Only LSTM projects"),
    "dropout": (["28", "256", "2", "--dropout", "nan"], "dropout must be"),
    "dropout of one layer": (["28", "256", "--dropout", "nan"], "dropout must be"),
    "nonlinearity": (["28", "256", "--nonlinearity", "relu"], "nonlinearity must be 'tanh' for LSTM"),
    "dtype": (["28", "256", "--dtype", "int8"], "dtype must be one of"),
    "ending": (["28", "256", "--html", "page.txt"], "ends in .html"),
    "ending without a proof": (["28", "256", "--html", "page.pdf", "--no-proof"], "ends in .html"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_a_layer_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """Exit 2, and one line that names what is wrong; nothing is shown before it."""
    ended = here(capsys, "explain", *arguments)
    refused(ended, says)
    assert ended.out == ""


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7", "xla", ""])
def test_a_device_that_is_not_here(capsys: pytest.CaptureFixture[str], device: str) -> None:
    """Known only when torch has loaded: the prediction stays, then one line and exit 2."""
    ended = here(capsys, "explain", "7", "5", "--device", device)
    refused(ended, "device must be")
    assert "Mind" in ended.out
    assert "claims hold" not in ended.out


@pytest.mark.parametrize("name", ["no/such/folder/a.html", "folder.html"])
def test_a_page_that_cannot_be_written(capsys: pytest.CaptureFixture[str], name: str, tmp_path: Path) -> None:
    """No folder to write it in, or a folder in its place: one line that names it, and exit 2."""
    (tmp_path / "folder.html").mkdir()
    refused(
        here(capsys, "explain", "7", "5", "--no-proof", "--html", str(tmp_path / name)), name.removesuffix("/a.html")
    )


@pytest.mark.parametrize(
    ("arguments", "prediction"),
    [
        (["28", "256", "3", "--batch", "2", "--steps", "20"], predict(28, 256, 3, N=2, L=20)),
        (["28", "64", "2", "--cell", "GRU"], predict(28, 64, 2, cell="GRU")),
    ],
    ids=["lesson", "GRU"],
)
def test_json_is_all_there(capsys: pytest.CaptureFixture[str], arguments: list[str], prediction: object) -> None:
    """stdout is one JSON value with the prediction, the slices, laws, notes and the proof."""
    code, out, err = here(capsys, "explain", *arguments, "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    expected = prediction.to_dict()  # type: ignore[attr-defined]
    assert {key: data[key] for key in expected} == expected
    assert Spec(**data["spec"]) == prediction.spec  # type: ignore[attr-defined]
    assert data["counts"]["total"] == sum(layer["total"] for layer in data["counts"]["layers"])
    assert data["proof"]["ok"] is True
    assert all(check["ok"] for check in data["proof"]["checks"])
    assert {"tensors", "weights", "slices", "laws", "notes"} <= data.keys()


def test_json_without_a_proof(capsys: pytest.CaptureFixture[str]) -> None:
    """The key is there, and null."""
    code, out, _ = here(capsys, "explain", "28", "256", "--json", "--no-proof")
    assert (code, json.loads(out)["proof"]) == (0, None)


def test_options_reach_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option is the field of its name."""
    words = "explain 7 5 2 --time-major -r -p 3 --no-bias --dropout 0.5 --lengths 4,2 --dtype float64 --json --no-proof"
    data = json.loads(here(capsys, *words.split()).out)
    assert Spec(**data["spec"]) == Spec(7, 5, 2, False, bidirectional=True, proj_size=3, bias=False, dropout=0.5)
    assert (data["lengths"], data["counts"]["dtype"]) == ([4, 2], "float64")
    words = "explain 7 5 --cell RNN --nonlinearity relu --unbatched --steps 9 --json --no-proof"
    data = json.loads(here(capsys, *words.split()).out)
    assert (data["spec"]["nonlinearity"], data["N"], data["L"]) == ("relu", None, 9)


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(("name", "option"), [("[b]page.html", "--proof"), ("a page.html", "--no-proof")])
def test_html_is_one_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, option: str) -> None:
    """No script, nothing loaded from elsewhere; the numbers are in it, and the proof. Brackets in a name are a name."""
    file = tmp_path / name
    code, out, err = here(capsys, "explain", "28", "256", "3", "--html", str(file), option)
    assert (code, err) == (0, f"Wrote {file}\n")
    assert "1,345,536" in out
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    page = Page(text)
    assert not page.tags & {"script", "link", "iframe", "img", "object"}
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in page.text
    assert "url(" not in page.text
    assert "1,345,536" in page.text
    for word in ("Proof", "torchinfo.summary"):
        assert (word in page.text) == (option == "--proof")


@pytest.mark.parametrize("option", ["--proof", "--no-proof"])
def test_full_is_everything(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """The first screen names it; it has every slice, note, law and count, and every line of the proof."""
    short = here(capsys, "explain", "7", "5", "2", option).out
    assert len(short.splitlines()) <= 50
    assert short.endswith("more: lstm-shapes explain Q D K --full\n")
    assert ("claims hold" in short) == (option == "--proof")
    full = here(capsys, "explain", "7", "5", "2", "--full", option).out
    titles = ["Slices", "Notes", "Laws", "Kept for backward", *(["Proof"] if option == "--proof" else [])]
    assert [title for title in full.splitlines() if title in titles] == titles
    assert "more:" not in full


def test_a_failed_proof_is_exit_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts can rely on it; the check that failed is on the screen, with what had been predicted."""
    from lstm_shapes.theory.counts import LayerCount

    right = LayerCount.direction.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(LayerCount, "direction", property(lambda self: right(self) + 1))
    code, out, _ = here(capsys, "explain", "7", "5")
    assert code == 1
    assert re.search(r"✗ +parameters in all +280 .*\n +not 281", out)


def test_a_giant_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """275 billion parameters, proved on a twin, which the proof says."""
    code, out, _ = here(capsys, "explain", "65536", "65536", "8", "-n", "4096", "-l", "5000")
    assert code == 0
    assert "274,882,101,248" in out
    assert "Run on a small twin" in " ".join(out.split())
