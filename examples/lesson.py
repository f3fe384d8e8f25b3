"""The lesson, question by question in its own order, each answered by the library.

    python examples/lesson.py
    python examples/lesson.py --lang ko

The lesson classifies MNIST digits with an LSTM that reads an image row by row. What it says is quoted; where a learner
would copy a slip, the answer says so. Sentences that the library has of its own come from its table; those of this
file stand in English and in Korean beside each other.
"""

from __future__ import annotations

import argparse
import math
import sys
from functools import cache
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes._views.canvas import wrapped
from lstm_shapes.display import as_text
from lstm_shapes.lab.run import Run
from lstm_shapes.language import gloss, language, speaking
from lstm_shapes.language import say as sentence
from lstm_shapes.theory.notes import keyed_notes

Q, D, K, CLASSES = 28, 256, 3, 10
N, L = 2, 20


@cache
def run() -> Run:
    return ls.run(Q, D, K, N=N, L=L)


def note(key: str) -> None:
    """What the library notes of this layer."""
    layer = ls.predict(Q, D, K, N=N, L=L)
    say(sentence(f"note {key}", **dict(keyed_notes(layer.spec, layer.call))[key]))


class MnistRows(nn.Module):
    """The lesson's model, with its two names that do not exist put right: its class, and D for `self.hidm`."""

    def __init__(self, K: int = 3) -> None:
        super().__init__()
        self.K = K
        self.rnn = nn.LSTM(Q, D, K, batch_first=True)
        self.fc = nn.Linear(D, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(self.K, x.size(0), D)
        c0 = torch.zeros(self.K, x.size(0), D)
        rnn_out, (hn, cn) = self.rnn(x, (h0, c0))
        scores = self.fc(rnn_out[:, -1, :])
        return scores.view([-1, CLASSES])  # type: ignore[no-any-return]


class AsPrinted(MnistRows):
    """The lesson's forward as it is printed."""

    hidm: int  # used, and never given

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(self.K, x.size(0), self.hidm)
        c0 = torch.zeros(self.K, x.size(0), self.hidm)
        return self.fc(self.rnn(x, (h0, c0))[0][:, -1, :])  # type: ignore[no-any-return]


def symbols() -> None:
    note("batch size")
    hold("rows alone")
    note("shared weights")
    note("widths")


def goes_in_and_comes_out() -> None:
    for name in ("X", "Y", "hn", "cn"):
        print(f"  {name:3}{getattr(run(), name).axes}")
    note("batch first")
    note("torch's words")
    note("states and layout")


def one_width() -> None:
    hold("equal widths")
    wider = ls.predict(Q, D, K, proj_size=64, N=N, L=L)
    shapes = f"hn {wider.hn}, cn {wider.cn}"
    say(
        f"Not that of the input: here Q = {Q} and D = {D}. With a projection they differ: {shapes}.",
        f"입력의 차원과는 다릅니다. 여기서 Q = {Q}, D = {D}입니다. 투영을 하면 서로 달라집니다: {shapes}.",
    )
    note("top layer")
    hold("last step")
    note("cell states")


def initial_states() -> None:
    layer = ls.predict(Q, D, K, N=N, L=L)
    print(f"  h0 {layer.h0}\n  c0 {layer.c0}")
    hold("zero start")
    note("nothing kept")


def fed_back() -> None:
    trace = ls.gates(run().layer, run().X.plain())
    for equation in trace.step(layer=K - 1, t=3).equations[-6:]:
        print(f"  {equation.name} = {equation.formula}")
    print(f"  ({sentence('primes')})\n")
    print(trace.feedback)
    hold("feedback")
    hold("chain")


def parameters() -> None:
    print(ls.count(Q, D, K, N=N, L=L))
    note("D costs, half")
    for fewer in (D, D // 2, D // 4):
        print(f"  D = {fewer:3}: {ls.count(Q, fewer, K).total:>9,}")


def three_or_two_layers() -> None:
    for layers in (3, 2):
        print(f"  K = {layers}: {ls.count(Q, D, layers).total:>9,}")


def names_that_do_not_exist() -> None:
    say(
        "The lesson defines neither `MyModel` nor `self.hidm`. check says so of the second:",
        "강의에는 `MyModel`도 `self.hidm`도 정의되어 있지 않습니다. 둘째 것은 check의 보고서(영어)에 나옵니다.",
    )
    print(as_text(ls.check(AsPrinted(), torch.randn(N, L, Q)), width=80))


def forward_line_by_line() -> None:
    note("batch first")
    say(
        "walk names the axes of each line, and what x.size(0) is stands on the axis that it made:",
        "walk는 줄마다 축의 이름을 보여 줍니다. x.size(0)으로 만든 축의 이름이 곧 그 의미입니다.",
    )
    print(ls.walk(MnistRows(), torch.randn(N, L, Q)))


def last_state() -> None:
    note("hidden, not cell")
    hold("output is cell state")
    note("which output")


def view() -> None:
    Y: Any = run().Y  # with the names of its axes
    scores = Y[:, -1, :] @ ls.annotate(torch.randn(D, CLASSES), "D classes")
    print(f"  scores                {scores.axes}\n  scores.view([-1, 10]) {scores.view([-1, CLASSES]).axes}")
    say(
        "Nothing: it has this shape already, and the same numbers.",
        "아무것도 바꾸지 않습니다. 형상이 이미 (N, 10)이고, 값도 그대로입니다.",
    )


def summary() -> None:
    for layers in (3, 2):
        # Without device torchinfo takes a GPU where there is one, and there the lesson's h0 of the CPU is refused.
        counted = torchinfo.summary(MnistRows(layers), (N, L, Q), verbose=0, col_width=18, device="cpu")
        rnn, head = ls.count(Q, D, layers).total, D * CLASSES + CLASSES
        if layers == 3:
            print(counted)
        sign = "=" if rnn + head == counted.total_params else "≠"
        print(f"  K = {layers}: {rnn:,} + {head:,} {sign} {counted.total_params:,} (torchinfo)")
    macs = ls.count(Q, D, K, N=N, L=L).macs
    say(
        f"torchinfo's mult-adds count biases too; the LSTM's matrix products alone are {macs:,} MACs.",
        f"torchinfo의 mult-adds는 편향까지 센 값입니다. LSTM의 행렬 곱만 세면 {macs:,} MACs입니다.",
    )


def open_question() -> None:
    Y: Any = run().Y
    for code, part in (("Y[:, -1, :]", Y[:, -1, :]), ("Y[:, -1]", Y[:, -1]), ("Y[:, -1:]", Y[:, -1:])):
        print(f"  {code:12}{part.axes}")
    note("open question")
    say(f"`Y[-1]` is something else: {Y[-1].axes}.", f"`Y[-1]`은 전혀 다른 것입니다: {Y[-1].axes}.")
    hold("wrong axis")
    print(ls.picture(Q, D, K, N=N, L=L, highlight="Y[:, -1, :]").text)


def proof() -> None:
    print(ls.prove(Q, D, K, N=N, L=L))


# What the lesson says or asks, in its order, and who answers.
CHAPTERS = (
    (
        "N is the number of batches, L the sequence length, Q the input dim, K the layers, D the LSTM's dim",
        "N은 배치의 개수입니까? D는 Q와 같아야 합니까?",
        symbols,
    ),
    (
        "Y, (hn, cn) = LSTM(X): which axis is the batch, which the steps?",
        "Y, (hn, cn) = LSTM(X): 어느 축이 배치이고 어느 축이 시점입니까?",
        goes_in_and_comes_out,
    ),
    (
        "Cell state and output have the same width, that of the input. Why have hn and cn one shape?",
        "셀 상태와 출력의 차원은 입력의 차원과 같습니까? hn과 cn의 형상은 왜 같습니까?",
        one_width,
    ),
    (
        "How to initialise what is not x: what are h0 and c0, and what if they are left out?",
        "x가 아닌 것은 어떻게 초기화합니까? h0과 c0은 무엇이고, 생략하면 어떻게 됩니까?",
        initial_states,
    ),
    (
        "Initial cell state, initial output and input give the next output. What is fed back?",
        "처음의 셀 상태와 출력과 입력이 다음 출력을 정합니다. 무엇이 되먹여집니까?",
        fed_back,
    ),
    (
        "Why has a recurrent net so many parameters, and what has fewer?",
        "순환 신경망에는 왜 매개변수가 많고, 어떻게 줄입니까?",
        parameters,
    ),
    (
        "K is 3 by default in the lesson's class, and 2 where it is used",
        "강의의 클래스에서 K의 기본값은 3이고, 사용할 때는 2입니다.",
        three_or_two_layers,
    ),
    (
        "model = MyModel(…) and torch.zeros(K, x.size(0), self.hidm)",
        "model = MyModel(…), 그리고 torch.zeros(K, x.size(0), self.hidm)",
        names_that_do_not_exist,
    ),
    (
        "h0 = zeros(K, x.size(0), 256), where x.size(0) is the sequence length",
        "h0 = zeros(K, x.size(0), 256)에서 x.size(0)은 시퀀스의 길이입니까?",
        forward_line_by_line,
    ),
    ("rnn_out[:, -1, :] is the last cell state", "rnn_out[:, -1, :]은 마지막 셀 상태입니까?", last_state),
    ("What does the final .view([-1, 10]) change?", "마지막의 .view([-1, 10])은 무엇을 바꿉니까?", view),
    ("torchinfo.summary(model, (2, 20, 28))", "torchinfo.summary(model, (2, 20, 28))", summary),
    ("Is [:, -1, :] different from [:, -1:]?", "[:, -1, :]과 [:, -1:]은 다릅니까?", open_question),
    ("Is all of this so?", "이 모두가 사실입니까?", proof),
)


def say(english: str, korean: str = "") -> None:
    """A sentence in the language in force; the lesson's first of a Korean term has the English word behind it."""
    print("\n".join(wrapped(gloss(korean if korean and language() == "ko" else english), 80)))


def hold(name: str) -> None:
    """A law, measured: whether its two sides are equal, by how much they differ, and why."""
    (law,) = (law for law in ls.laws(Q, D, K, N=N, L=L) if law.name == name)
    far = law.residual(run())
    if not math.isfinite(far):
        apart = sentence("other shapes")
    elif far:
        apart = f"{'가장 큰 차이' if language() == 'ko' else 'largest difference'} {far:.1g}"
    else:
        apart = sentence("no difference")
    written = law.expression if law.holds else law.expression.replace(" == ", " != ")
    law_lines, why = wrapped(gloss(f"{written}  ({apart})"), 75), wrapped(gloss(law.why), 75)
    print(f"  {'=' if law.holds else '≠'}  " + "\n     ".join([*law_lines, *why]))


def main(lang: str | None = None) -> None:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # symbols such as · may be lacking
    torch.manual_seed(0)
    with speaking(lang):
        for number, (english, korean, answer) in enumerate(CHAPTERS, start=1):
            print()
            say(f"{number}. {english}", f"{number}. {korean}")
            print("─" * 80)
            answer()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The lesson, question by question.")
    parser.add_argument("--lang", choices=("en", "ko"), help="the language of the answers")
    main(parser.parse_args().lang)
