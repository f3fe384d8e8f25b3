"""What is held still while runs are compared: dropout, batch statistics, fresh memory, and training itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstm_shapes.lab.check import check
from lstm_shapes.lab.trace import Recorder, Still

N, L, Q, D = 5, 7, 4, 6


def run(model: Callable[..., Any], x: Tensor, still: Still | None = None) -> Any:
    """A run that is held still."""
    with Recorder(still or Still()):
        return model(x)


@pytest.mark.parametrize(
    "drop",
    [
        nn.Dropout(0.9),
        nn.Dropout1d(0.9),
        nn.AlphaDropout(0.9),
        nn.FeatureAlphaDropout(0.9),
        lambda x: F.dropout(x, 0.9),
        lambda x: F.dropout(x, 0.9, training=True, inplace=True),
        lambda x: torch.dropout(x, 0.9, train=True),
        lambda x: torch.dropout_(x, 0.9, True),
        lambda x: torch.feature_dropout(x, 0.9, True),
    ],
)
def test_dropout_is_the_identity(drop: Callable[[Tensor], Tensor]) -> None:
    """In whatever way it is called."""
    x = torch.randn(N, L, Q)
    assert torch.equal(run(drop, x.clone()), x)


def test_dropout_inside_a_layer_and_in_attention() -> None:
    """The argument of a stacked LSTM, of MultiheadAttention and of scaled_dot_product_attention."""
    rnn = nn.LSTM(Q, D, 2, batch_first=True, dropout=0.5)
    attend = nn.MultiheadAttention(Q, 2, dropout=0.5, batch_first=True)
    x = torch.randn(N, L, Q)
    models: list[Callable[[Tensor], Tensor]] = [
        lambda x: rnn(x)[0],
        lambda x: attend(x, x, x)[0],
        lambda x: F.scaled_dot_product_attention(x, x, x, None, 0.5),
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
    ]
    for model in models:
        one, other = run(model, x), run(model, x)
        assert torch.equal(one, other)
        assert not torch.equal(model(x), model(x))
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 5, 4, 2, 1]), batch_first=True)
    assert torch.equal(run(lambda x: rnn(packed)[0].data, x), run(lambda x: rnn(packed)[0].data, x))


def test_nothing_is_held_without_still() -> None:
    """A recorder alone changes nothing of a run."""
    x = torch.ones(N, L)
    with Recorder():
        dropped = F.dropout(x, 0.5)
    assert bool((dropped == 0).any())


@pytest.mark.parametrize("tracked", [True, False], ids=["running statistics", "none"])
def test_batch_statistics_are_those_of_the_first_run(tracked: bool) -> None:
    """Another sample changes its own row and no other; running statistics are left alone."""
    norm = nn.BatchNorm1d(Q, track_running_stats=tracked)
    still = Still()
    x = torch.randn(N, Q)
    still.begin()
    first = run(norm, x, still)
    assert torch.allclose(first, norm(x), atol=1e-6)
    other = x.clone()
    other[2] += 5
    second = run(norm, other, still)
    assert torch.equal((first != second).any(1), torch.arange(N) == 2)


def test_batch_statistics_of_each_call_are_their_own() -> None:
    """A BatchNorm in a loop has the statistics of each of its steps; a longer loop goes on with the last."""
    norm = nn.BatchNorm1d(Q, affine=False)
    still = Still()
    x = torch.randn(N, 3, Q) * torch.tensor([1.0, 10.0, 100.0])[:, None]

    def model(x: Tensor) -> Any:
        return torch.stack([norm(step) for step in x.unbind(1)], dim=1)

    first = run(model, x, still)
    assert torch.allclose(first.std(0, unbiased=False), torch.ones(3, Q), atol=1e-3)
    assert torch.equal(run(model, x, still), first)
    longer = run(model, torch.cat((x, x[:, -1:]), 1), still)
    assert torch.equal(longer[:, :3], first)
    assert torch.equal(longer[:, 3], first[:, 2])


def test_a_batch_norm_that_does_not_fit_raises_in_its_own_words() -> None:
    """Sizes that are wrong are torch's to refuse."""
    with pytest.raises(RuntimeError, match="running_mean should contain 3 elements not 4"):
        run(nn.BatchNorm1d(4), torch.randn(N, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.empty(50, 40),
        lambda x: torch.empty_like(x),
        lambda x: x.new_empty(50, 40),
        lambda x: torch.empty_strided((50, 40), (40, 1)),
    ],
)
def test_fresh_memory_is_zero(make: Callable[[Tensor], Tensor]) -> None:
    """What torch leaves as it found it differs from run to run."""
    torch.full((50, 40), 7.0)
    assert not bool(run(make, torch.randn(50, 40)).any())


def test_nothing_is_trained() -> None:
    """A backward pass leaves no gradient; the rest of the step runs."""
    layer = nn.Linear(Q, 2)

    def step(x: Tensor) -> Any:
        loss = layer(x).sum()
        loss.backward()
        return loss

    run(step, torch.randn(N, Q))
    assert layer.weight.grad is None


def test_rrelu_draws_nothing() -> None:
    """A randomised leaky relu is its mean."""
    layer = nn.RReLU(0.1, 0.9)
    x = -torch.ones(N, Q)
    assert torch.allclose(run(layer, x), torch.full((N, Q), -0.5))


@pytest.mark.parametrize("wrong", [False, True])
def test_a_bug_behind_a_batch_norm_stays_visible(wrong: bool) -> None:
    """Samples that meet behind a BatchNorm in training mode are found, and the BatchNorm is not accused."""
    norm, rnn = nn.BatchNorm1d(Q), nn.GRU(Q, D, batch_first=not wrong)

    def model(x: Tensor) -> Any:
        return rnn(norm(x.transpose(1, 2)).transpose(1, 2))[0]

    report = check(model, torch.randn(N, L, Q))
    assert report.ok is not wrong
    assert ("LS201" in report.codes) is wrong
