"""Train the lesson's model on handwritten digits, and watch what it believes after each row of an image.

An image is read like a sentence: each row of pixels is one step. `nn.LSTM` reads the rows from the top, and a
linear head turns its last hidden state into ten scores.

    python examples/mnist_rows.py                    the 1,797 digits (8 × 8) that scikit-learn ships
    python examples/mnist_rows.py --data DIR         MNIST's own four files (28 × 28), gzipped or not

Shapes: X is (N, L, Q) with N images, L rows, Q pixels a row; Y is (N, L, D); h0 and c0 are (K, N, D), whether
batch_first or not.
"""

from __future__ import annotations

import argparse
import codecs
import copy
import gzip
import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

import lstm_shapes as ls

CLASSES = 10
BATCH = 32

# ---------------------------------------------------------------------- the model


class RowReader(nn.Module):
    """The lesson's model: K layers of LSTM over the rows, and a linear head on the last hidden state."""

    def __init__(self, Q: int = 28, D: int = 256, K: int = 2) -> None:
        super().__init__()
        self.D, self.K = D, K
        self.rnn = nn.LSTM(Q, D, K, batch_first=True)
        self.head = nn.Linear(D, CLASSES)

    def read(self, x: Tensor) -> Tensor:
        """Y (N, L, D): the top layer's hidden state after each row of x (N, L, Q)."""
        # x.size(0) is the batch. The states are (K, N, D) although x is batch first, and live where x lives.
        h0 = torch.zeros(self.K, x.size(0), self.D, device=x.device, dtype=x.dtype)
        c0 = torch.zeros_like(h0)
        rnn_out, (_hn, _cn) = self.rnn(x, (h0, c0))
        return rnn_out  # type: ignore[no-any-return]  # torch's modules are untyped when called

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, 10) from Y[:, -1, :], the last *hidden* state of the top layer (not the cell state)."""
        rnn_out = self.read(x)
        return self.head(rnn_out[:, -1, :])  # type: ignore[no-any-return]

    @torch.no_grad()
    def beliefs(self, x: Tensor) -> Tensor:
        """Probabilities (N, L, 10): the same head applied to every Y[:, t], not only to the last."""
        return self.head(self.read(x)).softmax(dim=-1)  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- the data


class Digits(NamedTuple):
    """Images (N, L, Q) from 0 to 1 and their labels (N,), for training and held out."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    def move(self, device: torch.device) -> Digits:
        """The same digits on another device."""
        return Digits(*(tensor.to(device) for tensor in self))

    def head(self, count: int) -> Digits:
        """Only the first few of each part."""
        return Digits(*(tensor[:count] for tensor in self))


class UsageError(Exception):
    """Something that the user can mend; shown as one line."""


def bundled_digits(seed: int) -> Digits:
    """Scikit-learn's 1,797 digits, 8 × 8 pixels from 0 to 16, a random fifth of them held out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            "the bundled digits come with scikit-learn: pip install '.[examples]', or use --data DIR"
        ) from None
    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32) / 16
    y = torch.tensor(bunch.target, dtype=torch.int64)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held_out, kept = order[: len(x) // 5], order[len(x) // 5 :]
    return Digits(x[kept], y[kept], x[held_out], y[held_out])


def mnist_digits(folder: Path) -> Digits:
    """MNIST's four files: 28 × 28 pixels from 0 to 255."""
    if not folder.is_dir():
        raise UsageError(f"--data wants the folder that holds MNIST's four files; {folder} is no folder")
    parts: list[Tensor] = []
    for part in ("train", "t10k"):
        images_file = find(folder, f"{part}-images", "idx3")
        labels_file = find(folder, f"{part}-labels", "idx1")
        images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
        if images.shape[1:] != (28, 28):
            raise UsageError(f"{images_file}: images must be 28 × 28, got {tuple(images.shape[1:])}")
        if len(images) != len(labels):
            raise UsageError(f"{labels_file}: {len(labels):,} labels for {len(images):,} images")
        if labels.max() >= CLASSES:
            raise UsageError(f"{labels_file}: labels must be 0 to {CLASSES - 1}, got {int(labels.max())}")
        parts += [images.float() / 255, labels.long()]
    return Digits(*parts)


def find(folder: Path, stem: str, kind: str) -> Path:
    """One of the names under which an MNIST file is handed on."""
    names = [f"{stem}{dot}{kind}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder} lacks {names[0]} (or {names[1]})")


def read_idx(path: Path, ndim: int) -> Tensor:
    """An IDX file as a tensor of bytes: 0, 0, 8, the number of axes, each size in 4 bytes, then the data."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"  # by content: names get lost on the way
        with gzip.open(path) if zipped else path.open("rb") as file:
            magic, header = file.read(4), file.read(4 * ndim)
            sizes = [int.from_bytes(header[at : at + 4], "big") for at in range(0, len(header), 4)]
            wanted = math.prod(sizes)
            if magic != bytes((0, 0, 8, ndim)):
                raise UsageError(f"{path}: not an IDX file of {ndim} axes; its first bytes are {list(magic)}")
            # A header may claim anything; do not reserve more memory for it than such data sets need.
            if len(sizes) < ndim or wanted > 2**30:
                raise UsageError(f"{path}: the header is damaged, it says {sizes}")
            data = bytearray(file.read(wanted + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: the gzip data is damaged or cut short ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    if len(data) != wanted:
        what = "cut short" if len(data) < wanted else "too long"
        raise UsageError(f"{path}: the file is {what}, {sizes} is {wanted:,} bytes of data")
    if not data:
        raise UsageError(f"{path}: there is nothing in it")
    return torch.frombuffer(data, dtype=torch.uint8).reshape(sizes)


# ---------------------------------------------------------------------- training


def train(model: RowReader, digits: Digits, epochs: int, seed: int) -> Iterator[tuple[int, float, float | None]]:
    """Cross entropy, Adam at 1e-3 rising to 3e-3 and falling to 0, batches of 32 in a new order each epoch.

    Yields after each batch the epoch and the loss, and after the last one of an epoch also the share that is right.
    """
    batches = math.ceil(len(digits.train_x) / BATCH)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * batches, div_factor=3)
    loss_of = nn.CrossEntropyLoss()
    draws = torch.Generator().manual_seed(seed)

    def right() -> float:
        guesses = classify(model, digits.test_x)[:, -1].argmax(dim=-1)
        return (guesses == digits.test_y).float().mean().item()

    for epoch in range(1, epochs + 1):
        for at, rows in enumerate(torch.split(torch.randperm(len(digits.train_x), generator=draws), BATCH), start=1):
            loss = loss_of(model(vary(digits.train_x[rows], draws)), digits.train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            yield epoch, loss.item(), right() if at == batches else None


def seconds_needed(model: RowReader, digits: Digits, epochs: int) -> float:
    """What training will take: a batch is learned and a batch is looked at, on a copy, the quickest of three counts."""
    trial = copy.deepcopy(model)
    trial.rnn.flatten_parameters()  # the weights of a copy are no one block, which cuDNN remarks on at every call
    optimizer = torch.optim.Adam(trial.parameters())
    x, y, draws = digits.train_x[:BATCH], digits.train_y[:BATCH], torch.Generator()

    def learn() -> None:
        nn.CrossEntropyLoss()(trial(vary(x, draws)), y).backward()
        optimizer.step()

    def seconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    look = seconds(lambda: trial.beliefs(x).sum().item())  # a number is waited for, on a GPU too
    return epochs * (len(digits.train_x) * seconds(learn) + len(digits.test_x) * look) / BATCH


def follow(steps: Iterable[tuple[int, float, float | None]], epochs: int, batches: int, console: Console) -> None:
    """Train, and show how far it is: a bar on a terminal, a line for each epoch in a log."""
    if not console.is_terminal:
        start, losses = time.perf_counter(), []
        for epoch, loss, right in steps:
            losses.append(loss)
            if right is not None:
                mean, since = sum(losses[-batches:]) / batches, time.perf_counter() - start
                console.print(f"epoch {epoch}/{epochs}  loss {mean:.3f}  held out {right:.1%}  {since:.0f} s")
        return
    columns = ("{task.description}", "loss {task.fields[loss]:>5}", "held out {task.fields[right]:>5}")
    texts = [TextColumn(column) for column in columns]
    # The numbers need 40 columns; the bar and the clock are for wider terminals.
    bar, clock = ([BarColumn(20)], [TimeElapsedColumn()]) if console.width >= 72 else ([], [])
    with Progress(texts[0], *bar, *texts[1:], *clock, console=console) as progress:
        task = progress.add_task("epoch 1", total=epochs * batches, loss="–", right="–")
        for epoch, loss, right in steps:
            progress.update(task, description=f"epoch {epoch}/{epochs}", advance=1, loss=f"{loss:.3f}")
            if right is not None:
                progress.update(task, right=f"{right:.1%}")


def vary(x: Tensor, draws: torch.Generator) -> Tensor:
    """Each image a little turned, stretched, slanted and moved, with a little noise: fourteen hundred are few."""
    N, L, Q = x.shape
    change = torch.randn((N, 2, 3), generator=draws).to(x) / 10
    grid = nn.functional.affine_grid(torch.eye(2, 3).to(x) + change, [N, 1, L, Q], align_corners=False)
    noise = 0.1 * torch.randn(x.shape, generator=draws).to(x)
    return nn.functional.grid_sample(x[:, None], grid, align_corners=False)[:, 0] + noise


def classify(model: RowReader, x: Tensor) -> Tensor:
    """`beliefs` (N, L, 10) in pieces, so that ten thousand images need no more memory than one piece."""
    return torch.cat([model.beliefs(part) for part in torch.split(x, 500)])


# ---------------------------------------------------------------------- what a person sees

# Shades are drawn in the terminal's own colour: readable on dark and on light ground, and in a pipe.
SHADES = " ░▒▓█"


def shades(values: Tensor, width: int) -> str:
    """Numbers from 0 to 1 as blocks, each `width` characters wide."""
    return "".join(SHADES[min(4, round(value * 4))] * width for value in values.tolist())


def confusion(guesses: Tensor, labels: Tensor, width: int) -> Group:
    """How often each digit (row) was taken for each digit (column)."""
    counts = torch.bincount(labels * CLASSES + guesses, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    gap = 2 if 27 + 10 * len(str(int(counts.max()))) <= width else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    table.add_column("")
    for digit in range(CLASSES):
        table.add_column(str(digit), justify="right")
    table.add_column("right", justify="right")
    for digit, row in enumerate(counts.tolist()):
        styles = ["bold green" if guess == digit else "red" for guess in range(CLASSES)]
        cells = [Text(str(n), style) if n else Text("·", "dim") for n, style in zip(row, styles, strict=True)]
        table.add_row(Text(str(digit), "bold"), *cells, f"{row[digit] / sum(row):.0%}" if sum(row) else "")
    return Group("what it was (rows), what the model said (columns)", table)


def stopping_early(beliefs: Tensor, labels: Tensor, width: int) -> Group:
    """How many images the head gets right if the reading stops after row t."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("t", justify="right")
    table.add_column("")
    table.add_column("", justify="right")
    for t, share in enumerate((beliefs.argmax(dim=-1) == labels[:, None]).float().mean(dim=0).tolist()):
        table.add_row(str(t), "█" * round(share * min(40, width - 16)), f"{share:.1%}")
    return Group("\nright, if the reading stops after row t", table)


def row_by_row(image: Tensor, belief: Tensor, label: int, width: int) -> Group:
    """One image (L, Q) beside the probabilities (L, 10) that the head reads off Y[:, t]."""
    guesses = belief.argmax(dim=-1).tolist()
    L = len(guesses)
    settled = next(t for t in range(L) if len(set(guesses[t:])) == 1)  # from here on it never wavers
    verdict = "right" if guesses[-1] == label else "wrong"
    title = f"\nan image of {label}, taken for {guesses[-1]} ({verdict}); settled after row {settled}"
    digits = Text(" ").join(Text(str(d), "bold underline" if d == label else "") for d in range(CLASSES))
    # Two characters make a pixel about square, where the terminal has room for them beside the heat map.
    pixel = 2 if image.size(1) * 2 + 34 <= width else 1
    drawn = [shades(row, pixel) for row in image]
    maps = [shades(row, 2) for row in belief]
    says = [
        Text(f"{guess} {row.max():4.0%}", "green" if guess == label else "red")
        for guess, row in zip(guesses, belief, strict=True)
    ]
    columns: list[tuple[str | Text, Sequence[str | Text]]] = [("image", drawn), (digits, maps), ("says", says)]
    # t, the image, the heat map and what it says, or the image above the rest.
    beside = image.size(1) * pixel + 31 <= width
    tables = [Table(box=None, pad_edge=False, padding=(0, 1, 0, 0)) for _ in range(1 if beside else 2)]
    for table, part in zip(tables, [columns] if beside else [columns[:1], columns[1:]], strict=True):
        for name in ("t", *(name for name, _ in part)):
            table.add_column(name, no_wrap=True)
        for t in range(L):
            table.add_row(f"{t:2}", *(cells[t] for _, cells in part))
    return Group(title, *tables)


def interesting(beliefs: Tensor, labels: Tensor, count: int) -> list[int]:
    """The images over which the model changed its mind most often, a mistake first if it made one."""
    guesses = beliefs.argmax(dim=-1)
    wrong = guesses[:, -1] != labels
    changes = (guesses[:, 1:] != guesses[:, :-1]).sum(dim=1)
    order = changes.argsort(descending=True, stable=True).tolist()
    mistakes = [at for at in order if wrong[at]][:1]
    return [*mistakes, *(at for at in order if not wrong[at])][:count]


def report(model: RowReader, digits: Digits, width: int) -> tuple[float, Group]:
    """Everything learned from the held-out images: the share that is right, and what to show."""
    beliefs, x, labels = classify(model, digits.test_x).cpu(), digits.test_x.cpu(), digits.test_y.cpu()
    guesses = beliefs[:, -1].argmax(dim=-1)
    share = (guesses == labels).float().mean().item()
    shown = [row_by_row(x[at], beliefs[at], int(labels[at]), width) for at in interesting(beliefs, labels, 3)]
    why = "Each row t of the heat map is the head applied to Y[:, t]. It was trained on Y[:, -1] only."
    tables = [confusion(guesses, labels, width), stopping_early(beliefs, labels, width)]
    return share, Group(*tables, Padding(why, (0, 0, 1, 0)), *shown)


# ---------------------------------------------------------------------- the program


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see --help")


def whole(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers in this range, for argparse."""

    def read(text: str) -> int:
        # Python refuses to read thousands of figures; nothing here needs more than twenty.
        if not (text.isdecimal() and len(text) <= 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, got {text!r}")
        return int(text)

    return read


def usable(name: str) -> torch.device:
    """A device that holds a number and gives it back."""
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise UsageError("--device meta: training needs numbers, and tensors on meta have shapes only")
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:  # one for each way in which a backend can be missing
        reason = str(error).split("\n")[0].split(". ")[0]
        raise UsageError(f"--device {name}: {reason}") from error
    return device


def simpler(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the terminal's encoding lacks: as many, so that columns stay columns."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end].translate(str.maketrans("░▒▓█→·×–", ".+#@>.x-"))
    return "".join(letter if letter.isascii() else "?" for letter in lacking), error.end


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; 0 when all went well, 2 when the request cannot be met, 130 when interrupted."""
    codecs.register_error("simpler", simpler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="simpler")
    try:
        program(arguments)
    except (UsageError, OSError) as error:
        print("mnist_rows.py:", *str(error).split(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def program(arguments: Sequence[str] | None) -> None:
    """Train, then show."""
    parser = Parser("mnist_rows.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of MNIST's four files, gzipped or not")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, … (default: cuda if there is one)")
    parser.add_argument("--epochs", type=whole(1, 10_000), help="times over the images (default: 20, with --data 3)")
    parser.add_argument("--layers", type=whole(1, 100), default=2, help="K (default: 2)")
    parser.add_argument("--seed", type=whole(0, 2**64 - 1), default=0, help="of weights, order and split (default: 0)")
    parser.add_argument("--threads", type=whole(1, 1024), help="of the CPU (default: 1, or OMP_NUM_THREADS)")
    parser.add_argument("--quick", action="store_true", help="one epoch over a few images: does it run?")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    if given.threads or "OMP_NUM_THREADS" not in os.environ:
        # Batches are small, and threads that wait for each other spin: beside other programs, on two cores, two threads
        # took 13 times as long as one.
        torch.set_num_threads(given.threads or 1)
    device = usable(("cuda" if torch.cuda.is_available() else "cpu") if given.device is None else given.device)
    digits = (mnist_digits(given.data) if given.data else bundled_digits(given.seed)).move(device)
    if given.quick:
        digits = digits.head(320)
    epochs = 1 if given.quick else given.epochs or (3 if given.data else 20)

    torch.manual_seed(given.seed)
    L, Q = digits.train_x.shape[1:]
    model = RowReader(Q, K=given.layers).to(device)
    shapes = ls.predict(Q, model.D, model.K, N=BATCH, L=L)
    learned, held_out = len(digits.train_x), len(digits.test_x)
    console.print(f"{learned:,} images to learn from, {held_out:,} held out, on {device}")
    console.print(f"X {shapes.X} → LSTM({Q}, {model.D}, {model.K}), h0 and c0 {shapes.h0}")
    console.print(f"→ Y {shapes.Y} → Y[:, -1, :] (N={BATCH}, D={model.D}) → {CLASSES} scores")
    batches = math.ceil(learned / BATCH)
    seconds = seconds_needed(model, digits, epochs)
    threads = "" if device.type != "cpu" else f", threads: {torch.get_num_threads()}"
    console.print(f"{epochs * batches:,} batches of {BATCH} images: about {seconds:.0f} s{threads}\n")
    follow(train(model, digits, epochs, given.seed), epochs, batches, console)
    share, shown = report(model, digits, console.width)
    console.print()
    console.print(shown)
    console.print(f"{share:.1%} of {held_out:,} held-out images are right.", style="bold")


if __name__ == "__main__":
    sys.exit(main())
