"""check and watch leave everything bit for bit as it was, whatever the model does to itself."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

import lstm_shapes as ls
from lstm_shapes.lab.check import _experiments as experiments_module
from lstm_shapes.lab.check import check
from lstm_shapes.lab.check.watch import Watch
from tests.lab.check.programs import PROGRAMS, draws, picture, plain, trained


@pytest.mark.parametrize("evaluate", [False, True], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_watched_program_gives_the_same_bits(name: str, evaluate: bool) -> None:
    """Losses, weights, gradients, the optimizer, buffers, attributes and all random states are those of a run alone."""
    seen: list[Watch] = []

    def watching() -> Watch:
        seen.append(ls.watch())
        return seen[0]

    assert trained(name, watching, evaluate=evaluate) == trained(name, nullcontext, evaluate=evaluate)
    assert seen[0].report.runs > 3
    assert ("LS201" in seen[0].codes) == (name == "wrong")


@pytest.mark.parametrize("error", [ValueError, MemoryError, SystemExit, experiments_module.OutOfTime])
@pytest.mark.parametrize("name", ["classifier", "tagger", "decoder", "actor"])
def test_experiments_that_break_off_leave_the_same_bits(
    name: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in the middle of a run of the experiments ends them, and the program goes on as if alone."""
    alone = trained(name, nullcontext)
    breaking(monkeypatch, error)
    seen: list[Watch] = []

    def watching() -> Watch:
        seen.append(ls.watch())
        return seen[0]

    assert trained(name, watching) == alone
    assert seen[0].report.not_tested


def breaking(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Every run of the experiments but the first stops with an exception after the model has run."""
    run = experiments_module.Experiments._run

    def broken(lab: Any, *args: Any) -> Any:
        outcome = run(lab, *args)
        if lab.runs > 1:
            raise error("broken off")
        return outcome

    monkeypatch.setattr(experiments_module.Experiments, "_run", broken)


def test_ctrl_c_in_the_experiments_stops_the_program_with_everything_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt is the user's: it goes on, and the model is as it was."""
    torch.manual_seed(3)
    model = PROGRAMS["actor"][0]()
    x = torch.randn(4, 7, 5)
    before = [*picture(model), *draws()]
    breaking(monkeypatch, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt, match="broken off"), ls.watch():
        model(x)
    assert [*picture(model), *draws()] == before
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks


class Busy(nn.Module):
    """Writes into its input, its buffers, its weights and its attributes, and draws from every generator."""

    seen: Tensor

    def __init__(self, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 8, 2, batch_first=True, dropout=0.3)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 3)
        self.register_buffer("seen", torch.zeros(3))
        self.log: list[int] = []
        self.error = error
        self.state: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.log.append(1)
        self.seen.add_(1)
        x[..., 0] = 0
        with torch.no_grad():
            self.head.weight.mul_(0.5)
        random.random()
        np.random.rand()
        self.eval() if self.training else self.train()
        out, self.state = self.rnn(x)
        self.extra = 1
        self.register_forward_hook(lambda *_: None)
        if self.error is not None:
            raise self.error("stop")
        result: Tensor = self.head(self.norm(out[:, -1]))
        return result


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt], ids=["runs", "raises", "interrupted"])
def test_everything_is_put_back(error: type[BaseException] | None) -> None:
    """Parameters, buffers, grads, flags, attributes, hooks, inputs and random states are as before."""
    torch.manual_seed(3)
    model = Busy(error)
    model.head.bias.grad = torch.ones(3)
    model.rnn.weight_hh_l0.requires_grad_(False)
    x = torch.randn(4, 6, 5)
    before, copy = [*picture(model), *draws()], x.clone()
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt, match="stop"):
            check(model, x)
    else:
        check(model, x)
    assert [*picture(model), *draws()] == before
    assert torch.equal(x, copy)
    assert not hasattr(model, "extra")
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks


def test_a_training_step_is_undone() -> None:
    """A callable that trains: weights, gradients, the state of the optimizer and of its schedule are as before."""
    torch.manual_seed(3)
    rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 3)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    count = 0

    def step(x: Tensor, y: Tensor) -> float:
        nonlocal count
        count += 1
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(rnn(x)[0][:, -1]), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        return float(loss)

    x, y = torch.randn(4, 6, 5), torch.randint(3, (4,))
    before = [*picture(rnn), *picture(head), plain(schedule.state_dict())]
    check(step, x, y)
    assert [*picture(rnn), *picture(head), plain(schedule.state_dict())] == before
    assert not optimizer.state
    assert count == 0
    for _ in range(2):
        step(x, y)
    before = [plain(optimizer.state_dict()), count]
    check(step, x, y)
    assert [plain(optimizer.state_dict()), count] == before


DRAW = torch.Generator().manual_seed(1)
LOG: list[int] = []
STEP = 0


def test_globals_closures_and_what_is_passed_in_are_put_back() -> None:
    """A generator, a list and a counter that a function names, closes over or is given."""
    rnn = nn.GRU(5, 8, batch_first=True)
    kept: dict[str, Any] = {"deep": [{"h": torch.zeros(8)}]}

    def model(x: Tensor, draw: torch.Generator) -> Tensor:
        global STEP
        STEP += 1
        LOG.append(STEP)
        kept["deep"][0]["h"] += torch.rand(8, generator=DRAW)
        kept["deep"].append({})
        out: Tensor = rnn(x)[0][:, -1] + torch.rand(8, generator=draw)
        return out

    draw = torch.Generator().manual_seed(2)
    before = plain([DRAW, draw, LOG, STEP, kept])
    assert check(model, torch.randn(4, 6, 5), draw).ok
    assert plain([DRAW, draw, LOG, STEP, kept]) == before


class Noisy(nn.Module):
    """Its forward names a generator and a list of the module's file."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        LOG.append(1)
        out: Tensor = self.rnn(x)[0][:, -1] + torch.rand(8, generator=DRAW)
        return out


def test_globals_that_a_forward_names_are_put_back() -> None:
    """Also those that no function given to check names, but the class of a module."""
    before = plain([DRAW, LOG])
    assert check(Noisy(), torch.randn(4, 6, 5)).ok
    assert plain([DRAW, LOG]) == before


def test_an_untouched_parameter_keeps_its_version() -> None:
    """Nothing is written where nothing changed: a graph that was built before can still be run backward."""
    model = PROGRAMS["language"][0]()
    tokens = torch.randint(11, (4, 7))
    loss = model(tokens).sum()
    versions = [p._version for p in model.parameters()]
    check(model, tokens)
    assert [p._version for p in model.parameters()] == versions
    loss.backward()


def test_an_iterator_cannot_be_put_back_and_the_experiments_stay_away() -> None:
    """A model that holds an iterator or an open file is not run twice by watch; the report names it."""

    class Streaming(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(5, 8, batch_first=True)
            self.scale = iter(range(1, 100))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.rnn(x)[0][:, -1] * next(self.scale)
            return out

    model = Streaming()
    with ls.watch() as report:
        model(torch.randn(4, 6, 5))
    assert next(model.scale) == 2
    assert "scale (range_iterator)" in report.report.not_tested[0]


class Turning(nn.Module):
    """Another head in each call, in turns that nobody can put back."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 8, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(8, 3) for _ in range(period))
        self.turn = itertools.cycle(range(period))

    def forward(self, x: Tensor, last: Tensor) -> Tensor:
        out: Tensor = self.heads[next(self.turn)](self.rnn(x)[0][torch.arange(len(x)), last - 1])
        return out


@pytest.mark.parametrize("N", [3, 4, 6])
@pytest.mark.parametrize("period", range(2, 9))
def test_a_model_that_takes_turns_is_not_accused(period: int, N: int) -> None:
    """However many runs it takes until the turns come round: neither its samples nor its padding are called wrong."""
    x, last = torch.randn(N, 7, 4), torch.tensor([7, 3, 5, 2, 6, 4][:N])
    for lengths in (None, last):
        assert set(check(Turning(period), x, last, lengths=lengths).codes) <= {"LS304"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    """The experiments work in double and in bfloat16."""
    rnn = nn.LSTM(5, 8).to(dtype)
    assert "LS201" in check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5).to(dtype)).codes
    assert check(lambda x: rnn(x)[0][-1], torch.randn(6, 4, 5).to(dtype), batch_dim=1).ok


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference"])
def test_without_gradients(mode: Any) -> None:
    """Samples are followed where nothing can be differentiated, too."""
    rnn = nn.LSTM(5, 8)
    with mode():
        assert "LS201" in check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5)).codes


def test_under_autocast() -> None:
    """A caller inside autocast."""
    rnn = nn.LSTM(5, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "LS201" in check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5)).codes


def test_result_as_numpy() -> None:
    """A model that ends in .numpy() is examined all the same."""
    rnn = nn.GRU(5, 8)

    def model(x: Tensor) -> Any:
        with torch.no_grad():
            return rnn(x)[1][-1].numpy()

    assert "LS201" in check(model, torch.randn(4, 6, 5)).codes


def test_not_recurrent() -> None:
    """A program without tensors, or without a result, gives no finding."""
    assert not check(lambda: 3).findings
    assert not check(lambda text: None, "text").findings


def _by_numpy(weight: Tensor) -> None:
    weight.detach().numpy()[...] += 1


def _by_foreach(weight: Tensor) -> None:
    torch._foreach_add_([weight], 1.0)


@pytest.mark.parametrize(
    "write",
    [
        lambda weight: weight.add_(1),
        lambda weight: weight.data.mul_(2),
        lambda weight: weight[0].zero_(),
        lambda weight: setattr(weight, "data", weight * 2),
        lambda weight: torch.add(weight, 1, out=weight),
        lambda weight: nn.functional.embedding(torch.tensor([0, 1]), weight, max_norm=0.1),
        _by_numpy,
        _by_foreach,
    ],
)
def test_a_parameter_that_the_model_writes_to_is_put_back(write: Callable[[Tensor], object]) -> None:
    """Parameters are copied when a call is about to write into them, by whatever name."""
    rnn = nn.GRU(5, 8, batch_first=True)
    weight = rnn.get_parameter("weight_hh_l0")

    def model(x: Tensor) -> object:
        with torch.no_grad():
            write(rnn.get_parameter("weight_hh_l0"))
        return rnn(x)[0][:, -1]

    before, memory = weight.detach().clone(), weight.data_ptr()
    assert check(model, torch.randn(4, 6, 5)).ok
    assert torch.equal(weight, before)
    assert weight.data_ptr() == memory
