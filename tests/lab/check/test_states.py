"""Rows of the state, directions and steps: which are read, at the line that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.lab.check import Report, check
from tests.lab.check.cases import run

N, L, Q, D = 5, 7, 4, 6


def line(report: Report) -> str:
    where = report.findings[0].where
    assert where is not None, str(report)
    return where.source


def top_or_other(kind: Callable[..., nn.RNNBase], read: Callable[[Tensor], Tensor], **options: Any) -> Report:
    """A model that reads rows of hn."""
    rnn, head = kind(Q, D, 3, batch_first=True, **options), nn.LazyLinear(3)

    def model(x: Tensor) -> Any:
        state = rnn(x)[1]
        hn = state[0] if isinstance(state, tuple) else state
        return head(read(hn))  # reads

    head(torch.randn(1, read(torch.randn(3 * (2 if options else 1), N, D)).shape[-1]))
    return check(model, torch.randn(N, L, Q))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(
    ("read", "right"),
    [
        (lambda hn: hn[-1], True),
        (lambda hn: hn[2], True),
        (lambda hn: hn.sum(0), True),
        (lambda hn: hn.transpose(0, 1).flatten(1), True),
        (lambda hn: torch.cat((hn[0], hn[-1]), 1), True),
        (lambda hn: hn[0], False),
        (lambda hn: hn[1], False),
        (lambda hn: hn[:2].mean(0), False),
    ],
)
def test_rows_of_a_stacked_layer(
    kind: Callable[..., nn.RNNBase], read: Callable[[Tensor], Tensor], right: bool
) -> None:
    """The top layer's row is among those read, or LS205 says which are."""
    report = top_or_other(kind, read)
    assert report.ok is right, str(report)
    assert right or report.codes == ("LS205",)


@pytest.mark.parametrize(
    ("read", "right"),
    [
        (lambda hn: torch.cat((hn[-2], hn[-1]), 1), True),
        (lambda hn: hn.view(3, 2, N, D)[-1].sum(0), True),
        (lambda hn: torch.cat((hn[0], hn[1]), 1), False),
        (lambda hn: torch.cat((hn[-1], hn[-1]), 1), False),
        (lambda hn: hn[-1], False),
    ],
)
def test_rows_of_two_directions(read: Callable[[Tensor], Tensor], right: bool) -> None:
    """Both directions of the top layer; one of them, twice, or the lowest layer's is wrong."""
    report = top_or_other(nn.GRU, read, bidirectional=True)
    assert report.ok is right, str(report)


def _handed(change: Callable[[Tensor, Tensor], Any]) -> Report:
    encode, decode = nn.LSTM(Q, D, 2, batch_first=True), nn.LSTM(3, D, 2, batch_first=True)

    def model(x: Tensor, y: Tensor) -> Any:
        _, (hn, cn) = encode(x)
        state = change(hn, cn)
        return decode(y, state)[0]

    return check(model, torch.randn(N, L, Q), torch.randn(N, 4, 3))


def test_an_encoders_state_starts_the_same_layers() -> None:
    """Layer k from layer k, h from h; other rows and (cn, hn) are found."""
    assert _handed(lambda hn, cn: (hn, cn)).ok
    assert _handed(lambda hn, cn: (hn.tanh(), cn)).ok
    assert _handed(lambda hn, cn: (hn, torch.zeros_like(cn))).ok
    assert _handed(lambda hn, cn: (hn.flip(0), cn.flip(0))).codes == ("LS205",)
    assert _handed(lambda hn, cn: (cn, hn)).codes == ("LS206",)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda y, hn, cn: hn[-1], ""),
        (lambda y, hn, cn: hn[-1] + cn[-1], ""),
        (lambda y, hn, cn: y[:, -1] * cn[-1], ""),
        (lambda y, hn, cn: cn[-1], "LS206"),
        (lambda y, hn, cn: cn.squeeze(0), "LS206"),
    ],
)
def test_the_cell_state_alone(read: Callable[..., Tensor], code: str) -> None:
    """cn is read beside hn or Y, or LS206 says that it is read alone, at the line that reads it."""
    rnn, head = nn.LSTM(Q, D, batch_first=True), nn.Linear(D, 3)

    def model(x: Tensor) -> Any:
        y, (hn, cn) = rnn(x)
        return head(read(y, hn, cn))

    report = check(model, torch.randn(N, L, Q))
    assert report.codes == ((code,) if code else ()), str(report)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda y: y[:, -1], "LS203"),
        (lambda y: y[:, 0], "LS203"),
        (lambda y: y.mean(1), ""),
        (lambda y: y, ""),
        (lambda y: torch.cat((y[:, -1, :D], y[:, 0, D:]), 1), ""),
        (lambda y: torch.cat((y[:, 0], y[:, -1]), 1), ""),
        (lambda y: y[:, L // 2], ""),
    ],
)
def test_steps_of_two_directions(read: Callable[[Tensor], Tensor], code: str) -> None:
    """The backward half has read the sequence at the first step, the forward half at the last."""
    rnn = nn.LSTM(Q, D, batch_first=True, bidirectional=True)
    report = check(lambda x: read(rnn(x)[0]), torch.randn(N, L, Q))
    assert report.codes == ((code,) if code else ()), str(report)


def test_the_first_step_only() -> None:
    """One direction read at its first step has seen one step: LS213 or LS203 says so."""
    rnn = nn.GRU(Q, D, batch_first=True)
    report = check(lambda x: rnn(x)[0][:, 0], torch.randn(N, L, Q))
    assert not report.ok
    assert "[:, 0]" in line(report)


def test_stacked_cells_that_go_on_from_each_other() -> None:
    """Two cells in a loop, each from its own state; crossed states are found, and c in the place of h."""
    low, high, head = nn.LSTMCell(Q, D), nn.LSTMCell(D, D), nn.Linear(D, 3)

    def model(x: Tensor, crossed: bool, cell: bool) -> Any:
        a = b = (x.new_zeros(x.size(0), D), x.new_zeros(x.size(0), D))
        steps = []
        for t in range(x.size(1)):
            a = low(x[:, t], b if crossed else a)
            b = high(a[0], b)
            steps.append(b[1] if cell else b[0])
        return head(torch.stack(steps, 1))

    x = torch.randn(N, L, Q)
    assert check(model, x, False, False).ok
    assert not check(model, x, True, False).ok
    report = check(model, x, False, True)
    assert report.codes == ("LS206",)
    assert "steps.append" in line(report)


@pytest.mark.parametrize(
    ("read", "handed", "line"), [("h, c = s", "(c, h)", 7), ("c, h = s", "(h, c)", 6), ("(c, h) = s", "(h, c)", 6)]
)
def test_the_line_that_exchanges_h_and_c(read: str, handed: str, line: int) -> None:
    """Where they are handed on in the wrong order, else the first call that takes one for the other."""
    program = f"""
enc, dec = nn.LSTM(5, 8, batch_first=True), nn.LSTM(6, 8, batch_first=True)
def model(x, y):
    _, s = enc(x)
    {read}
    h, c = torch.tanh(h), torch.tanh(c)
    Y, _ = dec(y, {handed})
    return Y
inputs = (torch.randn(4, 7, 5), torch.randn(4, 3, 6))
"""
    report = run(program, file=f"<exchanged {read} {handed}>")
    assert report.codes == ("LS206",)
    where = report.findings[0].where
    assert where is not None
    assert where.line == line
