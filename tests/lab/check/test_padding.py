"""Padding: where lengths are known from, who reads what stands behind them, and who does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_shapes.lab.check import Report, check
from tests.lab.check.right_programs import LENGTHS, Program, padded, tokens

Q, D, V = 4, 6, 11


def line(report: Report) -> str:
    where = report.errors[0].where
    assert where is not None, str(report)
    return where.source


def said(report: Report) -> str:
    """What the report says of padding."""
    return next(item for item in (*report.tested, *report.not_tested) if item.startswith("padding"))


# ---------------------------------------------------------------------- where lengths come from
def test_lengths_that_are_given() -> None:
    """check(…, lengths=…) where the model knows of none."""
    rnn = nn.LSTM(Q, D, batch_first=True)
    report = check(lambda x: rnn(x)[0][:, -1], padded(LENGTHS), lengths=LENGTHS)
    assert report.codes == ("LS204",)
    assert said(report) == "padding (lengths)"


def test_lengths_that_a_packing_call_shows() -> None:
    """What is packed with is among the inputs."""
    rnn = nn.GRU(Q, D, batch_first=True)

    def model(x: Tensor, n: Tensor) -> Any:
        return rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][-1]

    report = check(model, padded(LENGTHS), LENGTHS)
    assert report.ok, str(report)
    assert said(report) == "padding (the lengths that are packed with)"


def test_lengths_are_those_of_what_is_packed() -> None:
    """An input in front of it with more rows in each sample, regions of an image, is not cut by them."""
    rnn, fc = nn.GRU(Q, D, batch_first=True), nn.Linear(3, D)

    def model(image: Tensor, x: Tensor, n: Tensor) -> Tensor:
        h = rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][-1]
        regions = fc(image)
        weights = torch.softmax((regions * h.unsqueeze(1)).sum(-1), dim=1)
        pooled: Tensor = (weights.unsqueeze(-1) * regions).sum(1)
        return pooled

    report = check(model, torch.randn(len(LENGTHS), 9, 3), padded(LENGTHS), LENGTHS)
    assert report.ok, str(report)
    assert said(report) == "padding (the lengths that are packed with)"


def test_lengths_are_not_those_of_features_that_are_as_many() -> None:
    """Rows that are all padded to more steps than the longest has, beside features of its number, are cut in time."""
    rnn, fc = nn.GRU(Q, D, batch_first=True), nn.Linear(7, D)

    def model(x: Tensor, features: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = rnn(x)[0][torch.arange(len(x)), lengths - 1] + fc(features)
        return out

    report = check(model, torch.randn(len(LENGTHS), 9, Q), torch.randn(len(LENGTHS), 7), lengths=LENGTHS)
    assert report.ok, str(report)
    assert said(report) == "padding (lengths)"


def test_lengths_that_padding_idx_shows() -> None:
    """Ids that an Embedding holds for padding are counted."""
    model = nn.Sequential(nn.Embedding(V, Q, padding_idx=0), nn.Linear(Q, 3))
    report = check(model, tokens(LENGTHS))
    assert report.ok, str(report)
    assert said(report) == "padding (padding id 0)"
    other = nn.Sequential(nn.Embedding(V, Q, padding_idx=10), nn.Linear(Q, 3))
    assert said(check(other, tokens(LENGTHS, 10))) == "padding (padding id 10)"


def test_zeros_at_the_end_alone_are_not_lengths() -> None:
    """Nothing is guessed from them; the report says what would let padding be tested."""
    table, rnn = nn.Embedding(V, Q), nn.LSTM(Q, D, batch_first=True)
    report = check(lambda ids: rnn(table(ids))[0][:, -1], tokens(LENGTHS))
    assert report.ok
    assert said(report) == "padding (rows end in zeros; pass lengths= to test padding)"


@pytest.mark.parametrize(
    ("x", "told", "why"),
    [
        (torch.randn(5, 7, Q), {}, "no lengths given"),
        (torch.randn(5, 7, Q), {"lengths": [7] * 5}, "no row is padded"),
        (torch.randn(5, 7, Q), {"lengths": [7, 5]}, "lengths holds 2 numbers and the batch N = 5 samples"),
        (torch.randn(5, 7, Q), {"lengths": [9, 5, 4, 3, 2]}, "no input has a time axis as long as lengths say"),
        (torch.randn(7, Q), {"batch_dim": None}, "batch_dim=None: the input has no batch axis"),
    ],
)
def test_why_padding_is_not_said(x: Tensor, told: dict[str, Any], why: str) -> None:
    """The reason stands in the report."""
    assert said(check(lambda x: x * 2, x, **told)) == f"padding ({why})"


# ---------------------------------------------------------------------- who reads it
def _lstm(m: Any, x: Tensor, n: Tensor) -> Any:
    packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(m.rnn(packed)[0], batch_first=True)[0]


def _hidden(x: Tensor, n: Tensor) -> Any:
    return torch.arange(x.size(1)) >= n[:, None]


def _attention(m: Any, out: Tensor, n: Tensor) -> Any:
    return torch.bmm(torch.softmax(m.score(out).squeeze(-1), dim=1).unsqueeze(1), out).squeeze(1)


def _masked_attention(m: Any, out: Tensor, n: Tensor) -> Any:
    scores = m.score(out).squeeze(-1).masked_fill(_hidden(out, n), float("-inf"))
    return torch.bmm(torch.softmax(scores, dim=1).unsqueeze(1), out).squeeze(1)


READS: dict[str, tuple[Callable[..., Any], str]] = {
    "last step": (lambda m, out, n: out[:, -1], "[:, -1]"),
    "mean": (lambda m, out, n: out.mean(1), ".mean(1)"),
    "maximum": (lambda m, out, n: (out - 5).amax(1), ".amax(1)"),
    "attention": (_attention, "softmax"),
    "backwards": (lambda m, out, n: m.back(out.flip(1))[1][-1], "m.back("),
    "convolution": (lambda m, out, n: m.conv((out + 1).transpose(1, 2)).amax(2), "m.conv("),
}
LEAVES: dict[str, Callable[..., Any]] = {
    "last real step": lambda m, out, n: out[torch.arange(len(out)), n - 1, :D],
    "gathered": lambda m, out, n: out[..., :D].gather(1, (n - 1).view(-1, 1, 1).expand(-1, 1, D)).squeeze(1),
    "masked mean": lambda m, out, n: out.masked_fill(_hidden(out, n)[..., None], 0).sum(1) / n[:, None],
    "masked maximum": lambda m, out, n: out.masked_fill(_hidden(out, n)[..., None], -9).amax(1),
    "masked attention": _masked_attention,
    "each step": lambda m, out, n: F.relu(out),
}
PARTS: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: nn.LSTM(Q, D, batch_first=True, bidirectional=True),
    "score": lambda: nn.Linear(2 * D, 1),
    "back": lambda: nn.GRU(2 * D, 3, batch_first=True, bias=True),
    "conv": lambda: nn.Conv1d(2 * D, 3, 3, padding=1),
}


@pytest.mark.parametrize("seed", [1, 5])
@pytest.mark.parametrize("name", READS)
def test_padding_that_is_read(name: str, seed: int) -> None:
    """Behind a packed layer: an error at the line that reads it."""
    torch.manual_seed(seed)
    reads, source = READS[name]
    model = Program(lambda m, x, n: reads(m, _lstm(m, x, n), n), **{k: make() for k, make in PARTS.items()})
    report = check(model, padded(LENGTHS), LENGTHS, lengths=LENGTHS)
    assert "LS204" in report.codes, str(report)
    assert source in line(report) or name in line(report), str(report)


@pytest.mark.parametrize("seed", [1, 5])
@pytest.mark.parametrize("name", LEAVES)
def test_padding_that_is_not_read(name: str, seed: int) -> None:
    """Rows read to their own length: no error, and padding was tested."""
    torch.manual_seed(seed)
    leaves = LEAVES[name]
    model = Program(lambda m, x, n: leaves(m, _lstm(m, x, n), n), **{k: make() for k, make in PARTS.items()})
    report = check(model, padded(LENGTHS), LENGTHS, lengths=LENGTHS)
    assert report.ok, str(report)
    assert said(report) == "padding (lengths)"


def test_padding_in_front_under_lengths_that_count_from_the_front() -> None:
    """The real steps stand at the end, and packing takes the first ones."""
    rnn = nn.GRU(Q, D, batch_first=True)

    def model(x: Tensor, n: Tensor) -> Any:
        return rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][-1]

    table = nn.Embedding(V, Q)
    for lengths in (None, LENGTHS):
        report = check(model, padded(LENGTHS).flip(1), LENGTHS, lengths=lengths)
        assert report.codes == ("LS209",), str(report)
        assert report.errors[0].title.startswith("rows are padded in front")
        embedded = check(lambda ids, n: model(table(ids), n), tokens(LENGTHS).flip(1), LENGTHS, lengths=lengths)
        assert embedded.codes == ("LS209",), str(embedded)
        assert check(model, padded(LENGTHS), LENGTHS, lengths=lengths).ok
        assert check(lambda x, n: model(x.flip(1), n), padded(LENGTHS).flip(1), LENGTHS, lengths=lengths).ok


def test_padding_in_front_without_packing() -> None:
    """The last step is a real one in every row: nobody is accused, and padding is said not to be tested."""
    table, rnn = nn.Embedding(V, Q, padding_idx=0), nn.LSTM(Q, D, batch_first=True)
    report = check(lambda ids: rnn(table(ids))[0][:, -1], tokens(LENGTHS).flip(1), lengths=LENGTHS)
    assert report.ok, str(report)
    assert said(report) == "padding (rows are padded in front)"


# ---------------------------------------------------------------------- lengths that are packed with
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda n: n - 1, "LS209"),
        (lambda n: n.flip(0), "LS209"),
        (lambda n: n.roll(1), "LS209"),
    ],
)
def test_lengths_that_are_not_those_of_the_rows(wrong: Callable[[Tensor], Tensor], code: str) -> None:
    """Too short, or those of other rows: the packing call is named."""
    rnn = nn.GRU(Q, D, batch_first=True)

    def model(x: Tensor, n: Tensor) -> Any:
        return rnn(pack_padded_sequence(x, wrong(n).clamp(min=1), batch_first=True, enforce_sorted=False))[1][-1]

    report = check(model, padded(LENGTHS), LENGTHS, lengths=LENGTHS)
    assert code in report.codes, str(report)
    assert "pack_padded_sequence" in line(report)
