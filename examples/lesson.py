"""The lesson, in its own order, each sentence answered by the library.

    python examples/lesson.py

It ends with the lesson's model under `torchinfo.summary(model, (2, 20, 28))`, and the same numbers predicted.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torchinfo
from rich.console import Console
from rich.rule import Rule
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.display.page import Page
from lstm_shapes.views.counts import parameters_sheet
from lstm_shapes.views.explanation import first_blocks
from lstm_shapes.views.shapes import shapes_sheet

Q, D, K, CLASSES = 28, 256, 3, 10
N, L = 2, 20


class MnistRows(nn.Module):
    """The lesson's model: the rows of an image are the steps, the last step is classified."""

    def __init__(self, K: int = 3) -> None:
        super().__init__()
        self.K = K
        self.rnn = nn.LSTM(Q, D, K, batch_first=True)
        self.head = nn.Linear(D, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        # x.size(0) is the batch. The lesson calls it the sequence length; with batch_first it is not.
        h0 = x.new_zeros(self.K, x.size(0), D)
        c0 = x.new_zeros(self.K, x.size(0), D)
        Y, (hn, cn) = self.rnn(x, (h0, c0))
        # The last hidden state of the top layer. The lesson calls it a cell state; that would be cn[-1].
        logits: Tensor = self.head(Y[:, -1, :])
        return logits


def main() -> None:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # symbols such as · may be lacking
    screen = Console(highlight=False)
    prediction = ls.predict(Q, D, K, N=N, L=L)

    chapter(screen, "1. What goes in, what comes out: Y, (hn, cn) = LSTM(X)")
    show(screen, shapes_sheet(prediction))
    screen.print("\nThe same, held in hand. The tensors know their axes:")
    X, Y, hn, cn = ls.run(Q, D, K, N=N, L=L)
    named: dict[str, Any] = {"X": X, "Y": Y, "hn": hn, "cn": cn, "Y[:, -1]": Y[:, -1]}
    for name, tensor in named.items():
        screen.print(f"  {name:9}{tensor.axes}")

    chapter(screen, "2. How to initialise what is not x")
    screen.print(f"h0 and c0 have the shape of hn and cn, {prediction.h0}; left out, they are zeros. Both ways:")
    layer = ls.build(Q, D, K)
    assert prediction.c0 is not None  # an LSTM has a cell state
    state = (torch.zeros(prediction.h0.sizes), torch.zeros(prediction.c0.sizes))
    same = torch.equal(layer(X.plain())[0], layer(X.plain(), state)[0])
    screen.print(f"  layer(X) == layer(X, (h0, c0)): {same}")

    chapter(screen, "3. The feedback loop: state and input give the next output")
    Y_once, _ = layer(X.plain())
    steps, fed = [], None
    for t in range(L):
        y, fed = layer(X.plain()[:, t : t + 1], fed)
        steps.append(y)
    gap = (torch.cat(steps, dim=1) - Y_once).abs().max().item()
    screen.print(f"One call over {L} steps against {L} calls that feed (hn, cn) back: largest difference {gap:.1e}.")

    chapter(screen, "4. Recurrent nets have many parameters")
    show(screen, parameters_sheet(prediction.counts))
    for narrower in (D, D // 2, D // 4):
        screen.print(f"  D = {narrower:3}: {ls.count(Q, narrower, K).total:>9,} parameters")

    chapter(screen, "5. The question the lesson leaves open")
    for block in first_blocks(prediction)[1:]:
        show(screen, block)
        screen.print()

    chapter(screen, "6. The lesson's model under torchinfo, and the prediction beside it")
    model = MnistRows(K)
    summary = torchinfo.summary(model, (N, L, Q), verbose=0, col_width=18)
    screen.print(str(summary), markup=False, soft_wrap=True)
    head = D * CLASSES + CLASSES
    predicted = prediction.counts.total + head
    screen.print(f"\n  LSTM     {prediction.counts.formula}")
    screen.print(f"         = {prediction.counts.total:,}")
    screen.print(f"  Linear   D·10 + 10 = {head:,}")
    screen.print(f"  predicted {predicted:,}, torchinfo {summary.total_params:,}: {verdict(predicted, summary)}")
    screen.print("  torchinfo's mult-adds count biases too. The LSTM's matrix products alone")
    screen.print(f"  are {prediction.counts.macs:,} MACs.")

    chapter(screen, "7. The proof")
    screen.print(ls.prove(Q, D, K, N=N, L=L))


def verdict(predicted: int, summary: torchinfo.ModelStatistics) -> str:
    return "equal" if predicted == summary.total_params else "DIFFERENT"


def chapter(screen: Console, title: str) -> None:
    screen.print()
    screen.print(Rule(title, align="left", style="none"))


def show(screen: Console, block: object) -> None:
    screen.print(Page("", "", (block,)))  # type: ignore[arg-type]  # any block


if __name__ == "__main__":
    main()
