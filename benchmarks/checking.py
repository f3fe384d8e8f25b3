"""What check and walk cost beside one forward and backward, on five models of realistic size; and its memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_shapes as ls

from .budget import Budget, SkipError, ratio

__all__ = ["BUDGETS", "MODELS", "made", "training_step"]


class LanguageModel(nn.Module):
    """A word language model: two layers over a vocabulary of 10,000."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10_000, 200)
        self.rnn = nn.LSTM(200, 200, 2, dropout=0.2, batch_first=True)
        self.decoder = nn.Linear(200, 10_000)

    def forward(self, tokens: Tensor) -> Tensor:
        Y, _ = self.rnn(self.embedding(tokens))
        scores: Tensor = self.decoder(Y)
        return scores


class Tagger(nn.Module):
    """A bidirectional tagger of packed sentences."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5_000, 100, padding_idx=0)
        self.rnn = nn.LSTM(100, 128, 2, bidirectional=True, batch_first=True, dropout=0.3)
        self.head = nn.Linear(256, 20)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        Y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=tokens.size(1))
        scores: Tensor = self.head(Y)
        return scores


class Translator(nn.Module):
    """A GRU encoder and a decoder with attention, teacher forcing."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(4_000, 128), nn.Embedding(4_000, 128)
        self.encoder = nn.GRU(128, 192, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(384, 192)
        self.decoder = nn.GRUCell(128 + 384, 192)
        self.query = nn.Linear(192, 384)
        self.head = nn.Linear(192 + 384, 4_000)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, hn = self.encoder(self.source(source))
        h = torch.tanh(self.bridge(torch.cat((hn[-2], hn[-1]), dim=1)))
        words, scores = self.target(target), []
        for t in range(target.size(1)):
            weights = torch.softmax(torch.bmm(memory, self.query(h).unsqueeze(2)).squeeze(2), dim=1)
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            h = self.decoder(torch.cat((words[:, t], context), dim=1), h)
            scores.append(self.head(torch.cat((h, context), dim=1)))
        return torch.stack(scores, dim=1)


class Reader(nn.Module):
    """A CRNN: convolutions over an image of a line, a bidirectional LSTM over its columns."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, None)),
        )  # fmt: skip
        self.rnn = nn.LSTM(128, 128, 2, bidirectional=True)
        self.head = nn.Linear(256, 80)

    def forward(self, image: Tensor) -> Tensor:
        columns = self.features(image).squeeze(2).permute(2, 0, 1)
        scores: Tensor = self.head(self.rnn(columns)[0])
        return torch.log_softmax(scores, dim=-1)


class Decoder(nn.Module):
    """An LSTMCell that makes 200 frames, each from the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(80, 256), nn.Linear(256, 80)

    def forward(self, z: Tensor) -> Tensor:
        h, c = z, torch.zeros_like(z)
        frame, frames = z.new_zeros(z.size(0), 80), []
        for _ in range(200):
            h, c = self.cell(frame, (h, c))
            frame = self.out(h)
            frames.append(frame)
        return torch.stack(frames, dim=1)


def _lengths(N: int, L: int) -> Tensor:
    return torch.linspace(L // 3, L, N).long()


def _tagged() -> tuple[Tensor, ...]:
    tokens = torch.randint(1, 5_000, (32, 60))
    lengths = _lengths(32, 60)
    return tokens.masked_fill(torch.arange(60) >= lengths[:, None], 0), lengths


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "word language model": (LanguageModel, lambda: (torch.randint(0, 10_000, (20, 35)),)),
    "BiLSTM tagger, packed": (Tagger, _tagged),
    "seq2seq with attention": (
        Translator,
        lambda: (torch.randint(1, 4_000, (16, 25)), torch.randint(1, 4_000, (16, 20))),
    ),
    "CRNN": (Reader, lambda: (torch.randn(8, 1, 32, 160),)),
    "LSTMCell decoder, 200 steps": (Decoder, lambda: (torch.randn(8, 256),)),
}


def training_step(model: nn.Module, x: tuple[Tensor, ...]) -> None:
    """Forward and backward."""
    model(*x).float().mean().backward()
    model.zero_grad(set_to_none=True)


def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model and its inputs, the same ones each time."""
    torch.manual_seed(0)
    make, inputs = MODELS[name]
    return make(), inputs()


def _check(name: str) -> tuple[float, str]:
    model, x = made(name)
    report = ls.check(model, *x)
    assert report.ok, str(report)  # a false alarm is no time to be proud of
    worst, note = ratio(lambda: ls.check(model, *x), lambda: training_step(model, x), rounds=3)
    return worst, f"{note}; {report.runs} runs"


def _walk(name: str) -> tuple[float, str]:
    model, x = made(name)
    return ratio(lambda: ls.walk(model, *x), lambda: model(*x), rounds=3)


def _memory(name: str) -> tuple[float, str]:
    """The largest resident memory of a process that checks, beyond one that only made the model, against a step's."""
    start, step, check = (_peak(name, what) for what in ("nothing", "step", "check"))
    return (check - start) / max(
        step - start, 1
    ), f"{(check - start) / 2**10:.0f} MiB against {(step - start) / 2**10:.0f} MiB"


_PROGRAM = """
import torch
torch.set_num_threads(1)
import lstm_shapes as ls
from benchmarks.checking import made, training_step
ls.check, ls.walk
model, x = made({name!r})
{what}
# Not ru_maxrss: a child begins with the peak of the process that made it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def _peak(name: str, what: str) -> int:
    if not Path("/proc/self/status").exists():
        raise SkipError("the peak of a process is read from /proc, which is not here")
    works = {
        "nothing": "model(*[v[:1] for v in x])",
        "step": "training_step(model, x)",
        "check": "ls.check(model, *x)",
    }
    program = _PROGRAM.format(name=name, what=works[what])
    return int(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()[-1]
    )


class Tiny(nn.Module):
    """The smallest model worth a check."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(x)[0][:, -1])
        return scores


def _tiny() -> tuple[float, str]:
    import time

    model, x = Tiny(), torch.randn(4, 7, 5)
    ls.check(model, x)
    seconds: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        ls.check(model, x)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / 0.5, f"{min(seconds) * 1e3:.0f} ms"


def _budget(name: str, what: str, limit: int, unit: str, measure: Callable[[str], Any]) -> Budget:
    return Budget(f"{what}: {name}", Fraction(limit), unit, lambda: measure(name))


BUDGETS = [
    *(_budget(name, "check", 10, "× forward and backward", _check) for name in MODELS),
    *(_budget(name, "check, memory", 2, "× a step's", _memory) for name in MODELS),
    Budget("check: a tiny model", Fraction(1), "× 0.5 s", _tiny),
    *(_budget(name, "walk", 10, "× one forward", _walk) for name in MODELS),
]
