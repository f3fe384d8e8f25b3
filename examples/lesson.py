"""The lesson, question by question in its own order, each answered by the library.

    python examples/lesson.py

The lesson classifies MNIST digits with an LSTM that reads an image row by row. What it says is quoted; where a learner
would copy a slip, the answer says so.
"""

from __future__ import annotations

import math
import sys
import textwrap
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.language import say as sentence
from lstm_shapes.theory.notes import keyed_notes

Q, D, K, CLASSES = 28, 256, 3, 10
N, L = 2, 20

LAYER = ls.predict(Q, D, K, N=N, L=L)
RUN = ls.run(Q, D, K, N=N, L=L)
Y: Any = RUN.Y  # with the names of its axes
NOTES = {key: sentence(f"note {key}", **gaps) for key, gaps in keyed_notes(LAYER.spec, LAYER.call)}
LAWS = {law.name: law for law in ls.laws(Q, D, K, N=N, L=L)}


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
    say(NOTES["batch size"])
    hold("rows alone")
    say(NOTES["shared weights"])
    say(NOTES["widths"])


def goes_in_and_comes_out() -> None:
    for name in ("X", "Y", "hn", "cn"):
        print(f"  {name:3}{getattr(RUN, name).axes}")
    say(NOTES["batch first"])
    say(NOTES["torch's words"])
    say(NOTES["states and layout"])


def one_width() -> None:
    hold("equal widths")
    wider = ls.predict(Q, D, K, proj_size=64, N=N, L=L)
    say(
        f"Not that of the input: here Q = {Q} and D = {D}. With a projection they differ: hn {wider.hn}, cn {wider.cn}."
    )
    say(NOTES["top layer"])
    hold("last step")
    say(NOTES["cell states"])


def initial_states() -> None:
    print(f"  h0 {LAYER.h0}\n  c0 {LAYER.c0}")
    hold("zero start")
    say(NOTES["nothing kept"])


def fed_back() -> None:
    trace = ls.gates(RUN.layer, RUN.X.plain())
    for equation in trace.step(layer=K - 1, t=3).equations[-6:]:
        print(f"  {equation.name} = {equation.formula}")
    print("  (h' and c' are the states after the step before)\n")
    print(trace.feedback)
    hold("feedback")
    hold("chain")


def parameters() -> None:
    print(LAYER.counts)
    say(NOTES["D costs, half"])
    for fewer in (D, D // 2, D // 4):
        print(f"  D = {fewer:3}: {ls.count(Q, fewer, K).total:>9,} parameters")


def three_or_two_layers() -> None:
    for layers in (3, 2):
        print(f"  K = {layers}: {ls.count(Q, D, layers).total:>9,} parameters")


def names_that_do_not_exist() -> None:
    say("The lesson defines neither `MyModel` nor `self.hidm`. check says so of the second:")
    print(ls.check(AsPrinted(), torch.randn(N, L, Q)))


def forward_line_by_line() -> None:
    say(NOTES["batch first"])
    say("walk names the axes of each line, and what x.size(0) is stands on the axis that it made:")
    print(ls.walk(MnistRows(), torch.randn(N, L, Q)))


def last_state() -> None:
    say(NOTES["hidden, not cell"])
    hold("output is cell state")
    say(NOTES["which output"])


def view() -> None:
    scores = Y[:, -1, :] @ ls.annotate(torch.randn(D, CLASSES), "D classes")
    print(f"  before {scores.axes}\n  after  {scores.view([-1, CLASSES]).axes}")
    say("Nothing: it has this shape already, and the same numbers.")


def summary() -> None:
    for layers in (3, 2):
        # Without device torchinfo takes a GPU where there is one, and there the lesson's h0 of the CPU is refused.
        counted = torchinfo.summary(MnistRows(layers), (N, L, Q), verbose=0, col_width=18, device="cpu")
        rnn, head = ls.count(Q, D, layers).total, D * CLASSES + CLASSES
        if layers == 3:
            print(counted)
        same = "equal" if rnn + head == counted.total_params else "DIFFERENT"
        print(f"  K = {layers}: predicted {rnn:,} + {head:,}, torchinfo {counted.total_params:,}: {same}")
    say("torchinfo's mult-adds count biases too; the LSTM's matrix products alone are", f"{LAYER.counts.macs:,} MACs.")


def open_question() -> None:
    for code, part in (("Y[:, -1, :]", Y[:, -1, :]), ("Y[:, -1]", Y[:, -1]), ("Y[:, -1:]", Y[:, -1:])):
        print(f"  {code:12}{part.axes}")
    say(sentence("open question"))
    say("`Y[-1]` is something else:", f"{Y[-1].axes}.")
    hold("wrong axis")
    print(ls.picture(Q, D, K, N=N, L=L, highlight="Y[:, -1, :]").text)


def proof() -> None:
    print(ls.prove(Q, D, K, N=N, L=L))


# What the lesson says or asks, in its order, and who answers.
CHAPTERS = {
    "N is the number of batches, L the sequence length, Q the input dim, K the layers, D the LSTM's dim": symbols,
    "Y, (hn, cn) = LSTM(X): which axis is the batch, which the steps?": goes_in_and_comes_out,
    "Cell state and output have the same width, that of the input. Why have hn and cn one shape?": one_width,
    "How to initialise what is not x: what are h0 and c0, and what if they are left out?": initial_states,
    "Initial cell state, initial output and input give the next output. What is fed back?": fed_back,
    "Why has a recurrent net so many parameters, and what has fewer?": parameters,
    "K is 3 by default in the lesson's class, and 2 where it is used": three_or_two_layers,
    "model = MyModel(…) and torch.zeros(K, x.size(0), self.hidm)": names_that_do_not_exist,
    "h0 = zeros(K, x.size(0), 256), where x.size(0) is the sequence length": forward_line_by_line,
    "rnn_out[:, -1, :] is the last cell state": last_state,
    "What does the final .view([-1, 10]) change?": view,
    "torchinfo.summary(model, (2, 20, 28))": summary,
    "Is [:, -1, :] different from [:, -1:]?": open_question,
    "Is all of this so?": proof,
}


def say(*words: str) -> None:
    """A sentence."""
    print(textwrap.fill(" ".join(words), 80, break_on_hyphens=False))


def hold(name: str) -> None:
    """A law, measured: whether its two sides are equal, by how much they differ, and why."""
    law = LAWS[name]
    sign, far = "=" if law.holds else "≠", law.residual(RUN)
    print(f"  {sign}  {law.expression}  ({f'largest difference {far:.1g}' if math.isfinite(far) else 'other shapes'})")
    print(textwrap.fill(law.why, 80, initial_indent="     ", subsequent_indent="     "))


def main() -> None:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # symbols such as · may be lacking
    torch.manual_seed(0)
    for number, (question, answer) in enumerate(CHAPTERS.items(), start=1):
        print(f"\n{textwrap.fill(f'{number}. {question}', 80)}\n{'─' * 80}")
        answer()


if __name__ == "__main__":
    main()
