"""examples/lesson.py answers every question of the lesson, in its order, and what it prints is so."""

from __future__ import annotations

import re

import pytest
import torch

from examples import lesson

# What the answer to each question must say, in the lesson's order.
ANSWERS = (
    ("not the number of batches", "layer(X) == each row alone", "D need not be Q"),
    ("X  (N=2, L=20, Q=28)", "hn (K=3, N=2, D=256)", "`x.size(0)` is N, the batch", "`batch_first` never moves"),
    ("=  hn.shape == cn.shape", "here Q = 28 and D = 256", "P=64"),
    ("h0 (K=3, N=2, D=256)", "=  layer(X) == layer(X, (zeros, zeros))"),
    ("c = f ⊙ c' + i ⊙ g", "h = o ⊙ tanh(c)", "with hn, cn fed back"),
    ("4·(Q·D + D·D + 2D)", "58% of the parameters", "D =  64:    90,624 parameters"),
    ("K = 3: 1,345,536 parameters", "K = 2:   819,200 parameters"),
    ("has no attribute 'hidm'", "neither `MyModel` nor `self.hidm`"),
    ("`x.size(0)` is N, the batch", "h0 (K=3, N=2, D=256)", "return (N=2, fc=10)"),
    ("hidden state, not cell state", "≠  Y[:, -1] == cn[-1]", "`nn.Linear(256, n)` on `Y[:, -1]`"),
    ("before (N=2, classes=10)", "after  (N=2, classes=10)"),
    ("predicted 1,345,536 + 2,570, torchinfo 1,348,106: equal", "predicted 819,200 + 2,570, torchinfo 821,770: equal"),
    ("Y[:, -1:]   (N=2, L=1, D=256)", "a slice keeps it with size 1", "≠  Y[-1] == hn[-1]", "[h] → hn[2]"),
    ("hold, on cpu in float32",),
)


def test_every_question_is_answered_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Under each heading stands what answers it, and nothing is wider than a terminal."""
    with torch.random.fork_rng():
        lesson.main()
    shown = capsys.readouterr().out
    chapters = re.split(r"^\d+\. ", shown, flags=re.MULTILINE)[1:]
    assert len(chapters) == len(ANSWERS) == len(lesson.CHAPTERS)
    for chapter, answers in zip(chapters, ANSWERS, strict=True):
        said = " ".join(chapter.split())
        for answer in answers:
            assert answer in chapter or answer in said, f"{answer}\n\n{chapter}"
    assert "DIFFERENT" not in shown
    assert max(len(line) for line in shown.splitlines() if "at  " not in line) <= 90
