"""examples/lesson.py answers every question of the lesson, in its order, and what it prints is so."""

from __future__ import annotations

import re

import pytest
import torch
from rich.cells import cell_len

from examples import lesson
from lstm_shapes.language._korean import TERMS

# What the answer to each question must say, in the lesson's order; what is code or a number, in both languages.
BOTH = (
    ("=  layer(X) == ",),
    ("X  (N=2, L=20, Q=28)", "hn (K=3, N=2, D=256)"),
    ("=  hn.shape == cn.shape", "=  Y[:, -1] == hn[-1]", "Q = 28", "P=64"),
    ("h0 (K=3, N=2, D=256)", "=  layer(X) == layer(X, (zeros, zeros))"),
    ("c = f ⊙ c' + i ⊙ g", "h = o ⊙ tanh(c)"),
    ("4·(Q·D + D·D + 2D)", "D =  64:    90,624"),
    ("K = 3: 1,345,536", "K = 2:   819,200"),
    ("has no attribute 'hidm'",),
    ("h0 (K=3, N=2, D=256)", "return (N=2, fc=10)"),
    ("≠  Y[:, -1] != cn[-1]", "`nn.Linear(256, n)`"),
    ("scores                (N=2, classes=10)", "scores.view([-1, 10]) (N=2, classes=10)"),
    ("1,345,536 + 2,570 = 1,348,106 (torchinfo)", "819,200 + 2,570 = 821,770 (torchinfo)"),
    ("Y[:, -1:]   (N=2, L=1, D=256)", "≠  Y[-1] != hn[-1]", "[h] → hn[2]"),
    ("26",),
)
ANSWERS = {
    "en": (
        ("not the number of batches", "The sequences of a batch never meet", "(difference 0)", "D need not be Q"),
        ("`x.size(0)` is N, the batch", "torch's own default is `batch_first=False`", "`batch_first` never moves"),
        ("both D wide", "Not that of the input", "Y holds the top layer only"),
        ("A state that is left out is a state of zeros", "The layer keeps nothing between calls"),
        ("with hn, cn fed back", "in no other way", "What one step hands to the next"),
        ("58% of the parameters", "With D = 128 it is 345,088"),
        (),
        ("neither `MyModel` nor `self.hidm`",),
        ("`x.size(0)` is N, the batch", "stands on the axis that it made"),
        ("hidden state, not cell state", "(largest difference 0.07)", "One answer a sequence"),
        ("Nothing: it has this shape already, and the same numbers",),
        ("mult-adds count biases too",),
        ("an integer takes its axis away, a slice keeps it with size 1", "holds the same numbers with one axis more"),
        ("26 of 26 hold, on cpu in float32",),
    ),
    "ko": (
        (
            "배치의 개수가 아니라 배치 하나의 크기",
            "서로 영향을 주지 않습니다",
            "(차이 0)",
            "D는 Q와 같을 필요가 없습니다",
        ),
        ("`x.size(0)`은 배치 크기 N", "torch의 기본값은 `batch_first=False`", "상태의 축 순서를 바꾸지 않습니다"),
        ("차원이 모두 D입니다", "입력의 차원과는 다릅니다", "Y에는 최상위 층만 있으므로"),
        ("생략한 초기 상태는 0으로 채운 상태와 같습니다", "층은 호출이 끝나면 아무 상태도 기억하지 않습니다"),
        ("상태를 되먹인 결과 (hn, cn)", "통해서만", "한 시점에서 다음 시점으로 전해지는 것"),
        ("매개변수의 58% 정도가 순환 행렬에 있습니다", "D = 128이면 매개변수의 수가 1,345,536개에서 345,088개로"),
        (),
        ("`MyModel`도 `self.hidm`도 정의되어 있지 않습니다",),
        ("`x.size(0)`은 배치 크기 N", "축의 이름이 곧 그 의미입니다"),
        ("셀 상태가 아니라 은닉 상태입니다", "(가장 큰 차이 0.07)", "시퀀스마다 답이 하나이면"),
        ("아무것도 바꾸지 않습니다",),
        ("mult-adds는 편향까지 센 값입니다",),
        ("정수 인덱스는 그 축을 없애고, 슬라이스는 크기 1인 축으로 남깁니다", "값은 같지만 축이 하나 더 있습니다"),
        ("예측 26개 가운데 26개가 측정과 일치합니다",),
    ),
}


@pytest.mark.parametrize("lang", ANSWERS)
def test_every_question_is_answered_in_its_order(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Under each heading stands what answers it, in either language, and nothing is wider than a terminal."""
    with torch.random.fork_rng():
        lesson.main(lang)
    shown = capsys.readouterr().out
    assert shown.index("시퀀스(sequence)") < shown.index("2. ") if lang == "ko" else "(sequence)" not in shown
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
    chapters = re.split(r"^\d+\. ", shown, flags=re.MULTILINE)[1:]
    assert len(chapters) == len(ANSWERS[lang]) == len(BOTH) == len(lesson.CHAPTERS)
    for chapter, *answers in zip(chapters, BOTH, ANSWERS[lang], strict=True):
        said = " ".join(chapter.split())
        for term in TERMS.values():
            said = said.replace(f"({term})", "")
        for answer in (*answers[0], *answers[1]):
            assert answer in chapter or answer in said, f"{answer}\n\n{chapter}"
    assert "≠ 1,348,106" not in shown
    assert "≠ 821,770" not in shown
    assert bool(re.search("[가-힣]", shown)) == (lang == "ko")
