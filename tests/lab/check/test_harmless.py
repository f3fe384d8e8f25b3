"""check leaves everything bit for bit as it was, whatever the model does to itself."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from lstm_shapes.lab.check_old import check


class Busy(nn.Module):
    """Writes into its input, its buffers, its weights and its attributes, and draws from every generator."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 8, 2, batch_first=True, dropout=0.3)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 3)
        self.seen: Tensor
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
        if self.error is not None:
            raise self.error("stop")
        result: Tensor = self.head(self.norm(out[:, -1]))
        return result


def picture(model: nn.Module) -> list[Any]:
    """Everything there is to see of a model."""
    return [
        {name: value.clone() for name, value in model.state_dict().items()},
        {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        [p.requires_grad for p in model.parameters()],
        [inner.training for inner in model.modules()],
        [len(inner._forward_hooks) + len(inner._forward_pre_hooks) for inner in model.modules()],
        sorted(vars(model)),
    ]


def same(a: Any, b: Any) -> bool:
    """Bit for bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt], ids=["runs", "raises", "interrupted"])
def test_everything_is_put_back(error: type[BaseException] | None) -> None:
    """Parameters, buffers, grads, flags, attributes, hooks, inputs and random states are as before."""
    torch.manual_seed(3)
    model = Busy(error)
    model.head.bias.grad = torch.ones(3)
    model.rnn.weight_hh_l0.requires_grad_(False)
    x = torch.randn(4, 6, 5)
    before, copy = picture(model), x.clone()
    draws = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt, match="stop"):
            check(model, x)
    else:
        assert check(model, x).ok == (error is None)
    assert same(before, picture(model))
    assert model.log == []
    assert model.state is None
    assert torch.equal(x, copy)
    assert torch.equal(draws[0], torch.get_rng_state())
    assert draws[1] == random.getstate()
    assert (draws[2] == np.random.get_state()[1]).all()  # type: ignore[index]
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks


def test_a_training_step_is_undone() -> None:
    """A callable that trains: weights, gradients and the optimizer's state are as before."""
    torch.manual_seed(3)
    rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 3)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])

    def step(x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(rnn(x)[0][:, -1]), y)
        loss.backward()
        optimizer.step()
        return float(loss)

    before = picture(rnn) + picture(head)
    assert check(step, torch.randn(4, 6, 5), torch.randint(3, (4,))).ok
    assert same(before, picture(rnn) + picture(head))
    assert not optimizer.state


@pytest.mark.parametrize("inside", [False, True], ids=["caller", "model"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference"])
def test_without_gradients(mode: Any, inside: bool) -> None:
    """The half-read direction is found where nothing can be differentiated, too."""
    with mode(not inside) if mode is torch.inference_mode else torch.enable_grad():
        rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 2)
        x = torch.randn(4, 6, 5)

        def model(x: Tensor) -> Tensor:
            with mode() if inside else torch.enable_grad():
                result: Tensor = head(rnn(x)[0][:, -1])
                return result

        assert "LS203" in check(model, x).codes


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (lambda out, hn, cn: out[:, -1], None),
        (lambda out, hn, cn: cn[-1], "LS206"),
        (lambda out, hn, cn: hn[0], "LS205"),
        (lambda out, hn, cn: out[:, 0], "LS213"),
    ],
    ids=["last", "cell", "lower", "first"],
)
def test_by_replacement(read: Any, code: str | None) -> None:
    """In inference mode the layer's results are replaced part by part, and the same rows are found."""
    rnn, head = nn.LSTM(5, 8, 2, batch_first=True), nn.Linear(8, 2)

    def model(x: Tensor) -> Tensor:
        with torch.inference_mode():
            out, (hn, cn) = rnn(x)
            result: Tensor = head(read(out, hn, cn))
            return result

    errors = [finding.code for finding in check(model, torch.randn(4, 6, 5)).errors]
    assert errors == ([] if code is None else [code])


def test_result_as_numpy() -> None:
    """A model that ends in .numpy() is examined all the same."""
    rnn = nn.GRU(5, 8)

    def model(x: Tensor) -> Any:
        with torch.no_grad():
            return rnn(x)[1][-1].numpy()

    assert check(model, torch.randn(4, 6, 5)).codes == ("LS201",)


def test_states_by_keyword() -> None:
    """Arguments given by name are seen: rnn(input=x, hx=h)."""
    rnn = nn.GRU(5, 8, batch_first=True)
    report = check(lambda x: rnn(input=x, hx=torch.zeros(4, 1, 8))[0], torch.randn(4, 6, 5))
    assert report.codes == ("LS103",)
    assert "transpose(0, 1)" in report.findings[0].fix


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    """The experiments work in double and in bfloat16."""
    rnn = nn.LSTM(5, 8).to(dtype)
    assert check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5).to(dtype)).codes == ("LS201",)
    assert check(lambda x: rnn(x)[0][-1], torch.randn(6, 4, 5).to(dtype), batch_dim=1).ok


def test_under_autocast() -> None:
    """A caller inside autocast."""
    rnn = nn.LSTM(5, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5)).codes == ("LS201",)


def test_not_recurrent() -> None:
    """A program without recurrent layers, without tensors, or without a result gives no finding."""
    assert not check(lambda x: x.mean(0), torch.randn(4, 6, 5)).findings
    assert not check(lambda: 3).findings
    assert not check(lambda text: None, "text").findings


def test_unexplained() -> None:
    """An exception that has nothing to do with shapes is reported with its cause, and not raised."""
    report = check(lambda x: 1 / 0, torch.randn(4, 6, 5))
    assert not report.ok
    assert isinstance(report.findings[0].cause, ZeroDivisionError)


def test_where_is_the_call() -> None:
    """`.where` is the file and line of the layer's call in the user's code."""
    rnn = nn.LSTM(5, 8)

    def model(x: Tensor) -> Tensor:
        out, _ = rnn(x)
        last: Tensor = out[:, -1]
        return last

    finding = check(model, torch.randn(4, 6, 5)).findings[0]
    assert finding.where is not None
    assert finding.where.file == __file__
    assert finding.where.source == "out, _ = rnn(x)"
    assert finding.layer == "rnn"
    assert finding.evidence[0].matrix[0][0]


def test_right_and_why() -> None:
    """Code that looks like a mistake and is right is named with the identity that makes it right."""
    rnn = nn.LSTM(5, 8, batch_first=True)
    report = check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5))
    assert report.ok
    assert any("is hn[-1]" in sentence for sentence in report.right)
