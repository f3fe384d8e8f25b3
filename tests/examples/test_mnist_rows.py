"""examples/mnist_rows.py: it runs, it reads MNIST's files, and what cannot be read gets one clear line."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from examples import mnist_rows
from examples.mnist_rows import Digits, RowReader, UsageError, find, interesting, main, mnist_digits, read_idx

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(sizes: tuple[int, ...], data: bytes) -> bytes:
    """An IDX file of bytes."""
    return bytes((0, 0, 8, len(sizes))) + b"".join(size.to_bytes(4, "big") for size in sizes) + data


def images(count: int, rows: int = 28, columns: int = 28) -> bytes:
    """Images whose pixels count upwards, so that a wrong order shows."""
    return idx((count, rows, columns), bytes(at % 251 for at in range(count * rows * columns)))


def labels(count: int) -> bytes:
    """Labels 0, 1, 2, …"""
    return idx((count,), bytes(at % 10 for at in range(count)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """MNIST's four files with 12 images to learn from and 11 held out."""
    for name, content in zip(NAMES, (images(12), labels(12), images(11), labels(11)), strict=True):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the program ends with when it ends with 2."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("mnist_rows.py: ")
    return shown.err


def process(example: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An example in a process of its own, its output in pipes."""
    return subprocess.run(
        [sys.executable, ROOT / "examples" / example, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# ---------------------------------------------------------------------- the model


def test_model_is_the_lessons() -> None:
    """Scores are the head on the last hidden state of the top layer, and the last belief is their softmax."""
    model = RowReader(Q=7, D=11, K=3)
    x = torch.rand(5, 13, 7)
    Y, (hn, _) = model.rnn(x)
    scores = model(x)
    assert scores.shape == (5, 10)
    assert torch.equal(model.read(x), Y)
    torch.testing.assert_close(scores, model.head(hn[-1]))
    torch.testing.assert_close(model.beliefs(x)[:, -1], scores.softmax(dim=-1))
    torch.testing.assert_close(mnist_rows.classify(model, x), model.beliefs(x))


def test_states_follow_device_and_dtype(shape_device: torch.device) -> None:
    """The explicit h0 and c0 are made where x lives and as x is."""
    model = RowReader(Q=7, D=11, K=3).to(shape_device, torch.float64)
    scores = model(torch.rand(5, 13, 7, device=shape_device, dtype=torch.float64))
    assert (scores.shape, scores.device.type, scores.dtype) == ((5, 10), shape_device.type, torch.float64)


def test_vary_moves_a_little() -> None:
    """An image keeps its place within two pixels, each differs from the next, and the noise is small."""
    x = torch.zeros(40, 9, 7)
    x[:, 4, 3] = 10
    moved = mnist_rows.vary(x, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    assert not torch.equal(moved[0], moved[1])
    assert set((moved > 2).nonzero()[:, 1].tolist()) <= {2, 3, 4, 5, 6}
    assert set((moved > 2).nonzero()[:, 2].tolist()) <= {1, 2, 3, 4, 5}
    assert (moved[:, 0].abs() < 0.6).all()


# ---------------------------------------------------------------------- the whole program


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The program chooses a number of threads; other tests keep theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_log_gets_a_line_for_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """What it will cost comes first, then a line an epoch with the mean loss and the share that is right."""
    with torch.random.fork_rng():
        assert main(["--quick", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"10 batches of 32 images: about \d+ s, threads: \d+", lines[3])
    assert re.fullmatch(r"epoch 1/1  loss 2\.\d{3}  held out \d+\.\d%  \d+ s", lines[5])
    model, digits = RowReader(Q=8, D=7), mnist_rows.bundled_digits(0).head(40)
    console = Console(file=io.StringIO(), width=80)
    mnist_rows.follow(mnist_rows.train(model, digits, 3, 0), 3, 2, console)
    assert [line.split()[1] for line in console.file.getvalue().splitlines()] == ["1/3", "2/3", "3/3"]  # type: ignore[attr-defined]


def test_a_terminal_gets_a_bar() -> None:
    """One line that is drawn again and again, and ends with the last epoch."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, highlight=False, color_system=None)
    digits = mnist_rows.bundled_digits(0).head(40)
    mnist_rows.follow(mnist_rows.train(RowReader(Q=8, D=7), digits, 3, 0), 3, 2, console)
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"epoch 3/3 ━+ loss 2\.\d{3} held out +\d+\.\d%", drawn)


def test_the_cost_is_asked_of_a_copy() -> None:
    """Asking changes no weight."""
    model, digits = RowReader(Q=8, D=7), mnist_rows.bundled_digits(0).head(40)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert mnist_rows.seconds_needed(model, digits, 10) > 0
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


@pytest.mark.parametrize(
    ("given", "environment", "threads"),
    [((), None, 1), (("--threads", "2"), "1", 2), ((), "2", 2)],
    ids=["default", "asked for", "environment"],
)
def test_threads(
    given: tuple[str, ...],
    environment: str | None,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One, unless the command or OMP_NUM_THREADS, which torch has read by then, says another number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    torch.set_num_threads(2)
    monkeypatch.setattr(mnist_rows, "follow", lambda *_: None)
    with torch.random.fork_rng():
        assert main(["--quick", "--device", "cpu", *given]) == 0
    assert f"threads: {threads}\n" in capsys.readouterr().out


def test_quick_run_fits_in_40_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a narrow terminal nothing is cut either."""
    monkeypatch.setenv("COLUMNS", "40")
    with torch.random.fork_rng():
        assert main(["--quick", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "0 1 2 3 4 5 6 7 8 9" in shown
    assert "…" not in shown
    assert "nan" not in shown


def test_quick_run_fits_in_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--quick trains on the bundled digits, shows everything, and no line is cut or wrapped at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with torch.random.fork_rng():
        assert main(["--quick", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "X (N=32, L=8, Q=8) → LSTM(8, 256, 2), h0 and c0 (K=2, N=32, D=256)" in shown
    assert "320 images to learn from, 320 held out" in shown
    assert "what it was (rows), what the model said (columns)" in shown
    assert "0 1 2 3 4 5 6 7 8 9" in shown
    assert shown.rstrip().endswith("held-out images are right.")
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown


def test_learns_on_each_device(device: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    """Four epochs over the bundled digits are far better than guessing, wherever they run."""
    with torch.random.fork_rng():
        assert main(["--epochs", "4", "--device", str(device), "--seed", "3"]) == 0
    assert float(capsys.readouterr().out.split("\n")[-2].split("%")[0]) > 50


def test_mnist_files_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--data trains on IDX files; 28 steps of 28 pixels also fit in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with torch.random.fork_rng():
        assert main(["--data", str(folder), "--device", "cpu", "--epochs", "1", "--layers", "1"]) == 0
    shown = capsys.readouterr().out
    assert "X (N=32, L=28, Q=28) → LSTM(28, 256, 1)" in shown
    assert "12 images to learn from, 11 held out" in shown
    assert max(map(len, shown.splitlines())) <= 80


# ---------------------------------------------------------------------- what a person sees


def shown(part: object, width: int = 80) -> str:
    page = io.StringIO()
    Console(file=page, width=width).print(part)
    return page.getvalue()


def test_confusion_counts_each_pair() -> None:
    """Rows are what it was, columns what was said; the last column is the share that is right."""
    table = mnist_rows.confusion(torch.tensor([1, 1, 7, 1]), torch.tensor([1, 1, 1, 7]), 80)
    lines = {line.split()[0]: line.split()[1:] for line in shown(table).splitlines()[1:]}
    assert lines["1"] == ["·", "2", "·", "·", "·", "·", "·", "1", "·", "·", "67%"]
    assert lines["7"] == ["·", "1", "·", "·", "·", "·", "·", "·", "·", "·", "0%"]


def test_heat_map_stands_beside_the_image() -> None:
    """Line t shows row t of the image, the beliefs after it, and the guess; and when it settled."""
    image = torch.tensor([[0.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
    belief = torch.zeros(3, 10)
    belief[0, 4] = belief[1, 9] = belief[2, 9] = 1
    lines = shown(mnist_rows.row_by_row(image, belief, label=9, width=80)).splitlines()
    assert lines[1].strip() == "an image of 9, taken for 9 (right); settled after row 1"
    assert [line.split()[0] for line in lines[3:]] == ["0", "1", "2"]
    assert [line.split()[-2:] for line in lines[3:]] == [["4", "100%"], ["9", "100%"], ["9", "100%"]]
    heat = lines[2].index("0")
    assert [line.index("██", heat) - heat for line in lines[3:]] == [8, 18, 18]
    assert [line[:heat].count("█") for line in lines[3:]] == [2, 2, 0]


def test_interesting_images_come_first() -> None:
    """A mistake leads, then the images over which the model changed its mind most often."""
    beliefs = torch.nn.functional.one_hot(torch.tensor([[1, 1, 1], [2, 1, 1], [1, 2, 1], [1, 1, 3]]), 10)
    assert interesting(beliefs, torch.tensor([1, 1, 1, 1]), 3) == [3, 2, 1]
    assert interesting(beliefs[:2], torch.tensor([1, 1]), 3) == [1, 0]


# ---------------------------------------------------------------------- the files


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_four_names_gzipped_or_not(folder: Path, zipped: bool, dot: str) -> None:
    """Both spellings of the names, gzipped or not, give the same digits, in order and from 0 to 1."""
    for name in NAMES:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        new = name.replace("-idx", f"{dot}idx") + (".gz" if zipped else "")
        (folder / new).write_bytes(gzip.compress(content) if zipped else content)
    digits = mnist_digits(folder)
    assert [tuple(part.shape) for part in digits] == [(12, 28, 28), (12,), (11, 28, 28), (11,)]
    assert digits.train_y.tolist() == [*range(10), 0, 1]
    assert [round(value * 255) for value in digits.train_x.flatten()[:252].tolist()] == [*range(251), 0]


def test_gzip_is_known_by_content(tmp_path: Path) -> None:
    """A file that was unpacked but kept its .gz, or the other way round, is read."""
    (tmp_path / "a.gz").write_bytes(labels(3))
    (tmp_path / "b").write_bytes(gzip.compress(labels(3)))
    assert read_idx(tmp_path / "a.gz", 1).tolist() == read_idx(tmp_path / "b", 1).tolist() == [0, 1, 2]


WRONG = {
    "nothing in it": (b"", r"not an IDX file of 3 axes; its first bytes are \[\]"),
    "text": (b"<html>404</html>", "not an IDX file of 3 axes"),
    "labels for images": (labels(12), "not an IDX file of 3 axes"),
    "short header": (idx((12,), b"")[:3] + b"\3" + bytes(5), "header is damaged"),
    "enormous": (idx((2**31, 2**10, 2**10), b""), "header is damaged"),
    "cut short": (images(12)[:-1], "cut short"),
    "too long": (images(12) + b"!", "too long"),
    "no images": (idx((0, 28, 28), b""), "nothing in it"),
    "small images": (images(12, 14, 56), r"must be 28 × 28, got \(14, 56\)"),
    "fewer images": (images(11), "12 labels for 11 images"),
    "gzip cut short": (gzip.compress(images(12))[:-9], "gzip data is damaged or cut short"),
    "gzip damaged": (gzip.compress(images(12))[:30] + bytes(200), "gzip data is damaged or cut short"),
    "gzip checksum": (gzip.compress(images(12))[:-8] + bytes(8), "gzip data is damaged or cut short"),
}


@pytest.mark.parametrize("why", WRONG)
def test_wrong_images_get_one_line(folder: Path, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is wrong with a file of images, one line names the file and the fault."""
    content, message = WRONG[why]
    (folder / NAMES[0]).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        mnist_digits(folder)
    line = refused(capsys, "--data", str(folder), "--device", "cpu")
    assert "train-images" in line or "train-labels" in line


def test_labels_beyond_nine_are_refused(folder: Path) -> None:
    """Another data set's letters are not taken for digits."""
    (folder / NAMES[3]).write_bytes(idx((11,), bytes(range(11))))
    with pytest.raises(UsageError, match="t10k-labels-idx1-ubyte: labels must be 0 to 9, got 10"):
        mnist_digits(folder)


def test_missing_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says which file is missing, under both of its names."""
    (folder / NAMES[2]).unlink()
    line = refused(capsys, "--data", str(folder), "--device", "cpu")
    assert "lacks t10k-images-idx3-ubyte (or t10k-images-idx3-ubyte.gz)" in line


def test_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is no folder is said to be none."""
    assert "nowhere is no folder" in refused(capsys, "--data", str(tmp_path / "nowhere"), "--device", "cpu")


def test_unreadable_file_gets_its_reason(tmp_path: Path) -> None:
    """What the operating system says is passed on."""
    with pytest.raises(UsageError, match="Is a directory"):
        read_idx(tmp_path, 3)
    (tmp_path / NAMES[0]).mkdir()
    with pytest.raises(UsageError, match="lacks train-images"):
        find(tmp_path, "train-images", "idx3")


@pytest.mark.parametrize("name", ["nonsense", "meta", "cuda:77", "privateuseone", "hpu", "vulkan", ""])
def test_useless_device_gets_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that does not exist, that is not there, or that holds no values, is refused."""
    assert f"--device {name}" in refused(capsys, "--device", name)


def test_meta_is_refused_for_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The line speaks of training, not of the call that failed."""
    assert "training needs numbers, and tensors on meta have shapes only" in refused(capsys, "--device", "meta")


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many", "²", "9" * 5000, "101"])
def test_wrong_numbers_get_one_line(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of layers is a whole number from 1 to 100."""
    line = refused(capsys, f"--layers={number}")
    assert f"--layers: must be a whole number from 1 to 100, got '{number}'; see --help" in line


def test_seeds_end_where_torchs_end(capsys: pytest.CaptureFixture[str]) -> None:
    """The largest seed that torch takes is taken, and the next one is refused."""
    torch.Generator().manual_seed(mnist_rows.whole(0, 2**64 - 1)("18446744073709551615"))
    assert "--seed: must be a whole number from 0 to" in refused(capsys, "--seed", "18446744073709551616")


def test_unknown_words_get_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt option is one line, too, and says where to read more."""
    assert "unrecognized arguments: --sede; see --help" in refused(capsys, "--sede")


def test_interruption_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends the program with 130 and without a traceback."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist_rows, "follow", interrupted)
    with torch.random.fork_rng():
        assert main(["--quick", "--device", "cpu"]) == 130
    assert capsys.readouterr().err == ""


def test_other_encodings_are_served() -> None:
    """Where the terminal has no blocks, the heat maps are drawn with what it has, as wide as before."""
    ended = process("mnist_rows.py", "--quick", "--device", "cpu", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "X (N=32, L=8, Q=8) > LSTM(8, 256, 2)" in ended.stdout
    assert "@@" in ended.stdout
    assert "?" not in ended.stdout


def test_without_scikit_learn_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundled digits need an extra; the line names it."""
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    assert "pip install '.[examples]', or use --data DIR" in refused(capsys, "--device", "cpu")


def test_held_out_images_are_not_learned_from() -> None:
    """A fifth is held out, no image is in both parts, and the split depends on the seed alone."""
    digits = mnist_rows.bundled_digits(seed=1)
    assert (len(digits.train_x), len(digits.test_x)) == (1438, 359)
    assert torch.equal(digits.test_x, mnist_rows.bundled_digits(seed=1).test_x)
    assert not torch.equal(digits.test_x, mnist_rows.bundled_digits(seed=2).test_x)
    everything = torch.cat([digits.train_x, digits.test_x]).flatten(1)
    reference = mnist_rows.bundled_digits(seed=2)
    again = torch.cat([reference.train_x, reference.test_x]).flatten(1)
    assert sorted(everything.tolist()) == sorted(again.tolist())
    assert isinstance(digits.head(3), Digits)
