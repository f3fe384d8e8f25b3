"""Every run from the same start: dropout, batch statistics, fresh memory, training; and what is put back."""

from __future__ import annotations

import copy
import io
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstm_shapes.lab.check import check
from lstm_shapes.lab.trace import Recorder, Snapshot, Still

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


# ---------------------------------------------------------------------- what a run changes is put back
class Slots:
    """An object without a dictionary."""

    __slots__ = ("_hidden", "rows")

    def __init__(self) -> None:
        self.rows: list[int] = [1]
        self._hidden = 1


def counting() -> Callable[[], Any]:
    """A function that changes what it closes over."""
    count, seen = 0, [torch.zeros(2)]

    def step() -> Any:
        nonlocal count
        count += 1
        seen.append(seen[-1] + 1)
        return count, len(seen)

    return step


class Holder(nn.Module):
    """Holds one thing of each kind that a run may change."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(Q, D)
        self.register_buffer("mean", torch.ones(Q))
        self.slots, self.step = Slots(), counting()
        self.recent, self.order = deque([1, 2], maxlen=3), OrderedDict(a=1, b=2)
        self.numbers = np.arange(3.0)
        self.draws = (random.Random(0), np.random.default_rng(0), np.random.RandomState(0), torch.Generator())
        self.layer.weight.grad = torch.ones(D, Q)

    def draw(self) -> list[float]:
        """What each generator gives next, and Python's, NumPy's and torch's own."""
        mine, new, old, torchs = self.draws
        held = [mine.random(), float(new.random()), float(old.rand()), float(torch.rand(1, generator=torchs))]
        return [*held, random.random(), float(np.random.rand()), float(torch.rand(1))]


def holds(model: Holder) -> Any:
    """All of it that shows."""
    weight = model.layer.weight
    shown = weight.tolist(), None if weight.grad is None else weight.grad.tolist(), weight.requires_grad
    kept = model.slots.rows, list(model.recent), list(model.order), model.numbers.tolist(), model.mean.tolist()
    return copy.deepcopy((shown, kept, list(vars(model)), list(model.layer._parameters), model.training))


def change(model: Holder, snapshot: Snapshot) -> None:
    """Change everything, by writing into it and by putting something else in its place."""
    grad = model.layer.weight.grad
    assert grad is not None
    snapshot.writes(model.layer.weight)
    snapshot.writes(grad)
    with torch.no_grad():
        model.layer.weight.mul_(2)
        grad.add_(1)
    model.layer.weight.grad = None
    model.layer.weight.requires_grad_(False)
    del model.layer.bias
    model.mean.data = torch.zeros(2)
    model.slots.rows = [2]
    model.recent.append(3)
    model.order.move_to_end("a")
    model.numbers += 1
    model.new = model.step()
    model.eval()


def test_everything_that_a_run_changes_is_put_back() -> None:
    """Elements, gradients, attributes, slots, containers in their order, closures, arrays and generators; again too."""
    model = Holder()
    before, version = holds(model), model.layer.bias._version
    snapshot = Snapshot(model, watched=True)
    drawn = model.draw()
    snapshot.restore_random()
    assert not snapshot.changed()
    for _ in range(2):
        change(model, snapshot)
        assert snapshot.changed()
        snapshot.restore()
        assert holds(model) == before
        assert model.draw() == drawn
        assert model.step() == (1, 2)
        snapshot.restore()
    assert model.layer.bias._version == version


def test_what_a_program_is_called_with_is_put_back_and_is_no_state_of_it() -> None:
    """A list that is handed in belongs to its owner: that it changed says nothing of the model."""
    given: list[Any] = [torch.zeros(N), {"rows": 1}]
    snapshot = Snapshot(nn.Linear(Q, D), given=(given,))
    given[0].add_(1)
    given[1]["rows"] = 2
    given.append(3)
    assert not snapshot.changed()
    snapshot.restore()
    assert given[0].tolist() == [0.0] * N
    assert given[1:] == [{"rows": 1}]


def test_what_is_private_and_what_has_no_elements_yet() -> None:
    """A private attribute is put back and is no state that a second call would meet; a lazy layer has no weights."""
    model: Any = nn.LazyLinear(D)
    model.slots = Slots()
    snapshot = Snapshot(model, watched=True)
    model.slots._hidden = 2
    assert not snapshot.changed()
    snapshot.restore()
    assert model.slots._hidden == 1


def test_what_moves_on_is_named() -> None:
    """Iterators and open files have a place that nobody can put back."""
    model: Any = nn.Linear(Q, D)
    model.source, model.log = iter([1, 2]), io.StringIO()
    assert Snapshot(model).lost == ["source (list_iterator)", "log (StringIO)"]
