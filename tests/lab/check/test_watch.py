"""watch: a program that runs is examined at the first call of each model, and what it raises is explained."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
import weakref
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.checkpoint import checkpoint

import lstm_shapes as ls
from lstm_shapes.lab.check import watch as watch_module
from lstm_shapes.lab.check.report import Finding
from lstm_shapes.lab.check.watch import Watch
from lstm_shapes.lab.trace import Trace
from lstm_shapes.lab.trace import recorder as bounded
from tests.lab.check.programs import PROGRAMS, trained

N, L, Q, D, C = 4, 7, 5, 8, 3


class Net(nn.Module):
    """Reads its input with or without batch_first, and the last of its second or first axis."""

    def __init__(self, batch_first: bool = False, last: bool = True, cell: type[nn.Module] = nn.LSTM) -> None:
        super().__init__()
        self.rnn = cell(Q, D, batch_first=batch_first)
        self.head = nn.Linear(D, C)
        self.last = last

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        out, _ = self.rnn(x)
        result: Tensor = self.head(out[:, -1] if self.last else out[-1]) * scale
        return result


def watched(model: nn.Module, *args: Any, **kwargs: Any) -> Watch:
    """What one call of a model shows."""
    with ls.watch() as report:
        model(*args, **kwargs)
    return report


# ---------------------------------------------------------------------- what is examined
def test_a_missing_batch_first_is_found_at_its_line() -> None:
    """In a training loop whose code is not changed, once, with the axis that was taken."""
    report = watched(Net(), torch.randn(N, L, Q))
    assert not report.ok
    assert report.codes == ("LS201",)
    where = report.findings[0].where
    assert where is not None
    assert where.file == __file__
    assert where.source == "out, _ = self.rnn(x)"
    assert "axis 0 of the input as the batch" in report.report.tested[0]


def test_a_right_program_gives_an_empty_report_that_says_what_was_tested() -> None:
    """Nothing is found where nothing is wrong, and the result is that of the model alone."""
    net, x = Net(batch_first=True), torch.randn(N, L, Q)
    alone = net(x)
    with ls.watch() as report:
        y = net(x)
    assert torch.equal(y, alone)
    assert report.ok
    assert report.findings == ()
    assert report.report.tested == (
        "Net: samples (4 of 4), with axis 0 of the input as the batch (index i of it alone moves row i of the result)",
    )
    assert report.report.not_tested == ("Net: padding (no lengths given)",)


def test_the_batch_axis_is_inferred() -> None:
    """Steps first is found out by what moves; a stream of one sample has no axis to test."""
    report = watched(Net(last=False), torch.randn(L, N, Q))
    assert report.ok
    assert "axis 1 of the input as the batch" in report.report.tested[0]
    alone = watched(Net(last=False), torch.randn(L, 1, Q))
    assert alone.ok
    assert not alone.report.tested
    assert "length 1" in " ".join(alone.report.not_tested)
    unbatched = watched(Net(last=False), torch.randn(L, Q))
    assert unbatched.ok
    assert "no axis moves its own rows" in " ".join(unbatched.report.not_tested)


def test_the_batch_of_steps_first_is_found_behind_a_bug() -> None:
    """No axis moves its own rows where a softmax runs along the batch: what layer and result have is the batch."""

    class Attention(Net):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            out, _ = self.rnn(x)
            weights = torch.softmax(self.head(out).mean(-1, keepdim=True), dim=1)
            result: Tensor = (weights * out).sum(0)
            return result

    report = watched(Attention(), torch.randn(L, N, Q))
    assert report.codes == ("LS201",)
    assert "softmax" in report.findings[0].where.source  # type: ignore[union-attr]
    assert "axis 1 of the input as the batch" in report.report.tested[0]


def test_a_second_input_can_show_the_batch() -> None:
    """An image's features (N, Q) beside its caption's tokens (N, L)."""

    class Caption(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb = nn.Embedding(11, Q)
            self.rnn = nn.GRU(Q, D, batch_first=True)
            self.start = nn.Linear(Q, D)

        def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
            h0 = torch.tanh(self.start(features)).softmax(0)
            out: Tensor = self.rnn(self.emb(tokens), h0[None])[0]
            return out

    report = watched(Caption(), torch.randn(N, Q), torch.randint(11, (N, L)))
    assert not report.ok
    assert "softmax(0)" in report.findings[0].where.source  # type: ignore[union-attr]


def test_rows_that_become_sequences_inside_show_the_batch() -> None:
    """Flat rows (N, L·Q) are no stream of steps: the layer has an axis as long as they are many."""

    class Rows(Net):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return super().forward(x.view(-1, L, Q), scale)

    assert watched(Rows(), torch.randn(N, L * Q)).codes == ("LS201",)
    assert watched(Rows(batch_first=True), torch.randn(N, L * Q)).ok


def test_a_time_major_language_model_that_keeps_its_state_is_right() -> None:
    """Truncated backpropagation over many steps: a tensor that was let go still says whether it carried a gradient."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, Q)
            self.rnn = nn.LSTM(Q, D, 2)
            self.head = nn.Linear(D, 11)

        def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            out, state = self.rnn(self.table(x), state)
            return self.head(out), state

    model, steps = Words(), 9
    data = torch.randint(11, (steps * L + 1, N))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with ls.watch() as report:
        state = (torch.zeros(2, N, D), torch.zeros(2, N, D))
        for t in range(0, steps * L, L):
            state = (state[0].detach(), state[1].detach())
            scores, state = model(data[t : t + L], state)
            loss = nn.functional.cross_entropy(scores.view(-1, 11), data[t + 1 : t + L + 1].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert report.findings == ()
    assert "axis 1 of the input as the batch" in report.report.tested[0]


def test_arguments_by_keyword_are_seen() -> None:
    """model(x=x, scale=2.0)."""
    assert watched(Net(), x=torch.randn(N, L, Q), scale=2.0).codes == ("LS201",)


def test_each_root_is_examined_once_with_its_submodules() -> None:
    """Later calls of it, and of what is in it, cost nothing; a second model is another root."""
    net = Net(batch_first=True)
    with ls.watch() as report:
        net(torch.randn(N, L, Q))
        runs = report.report.runs
        net(torch.randn(N + 1, L, Q))
        net.head(torch.randn(N, D))
        assert report.report.runs == runs
        Net()(torch.randn(N, L, Q))
    assert len(report.report.tested) == 2


def test_a_call_with_one_sample_is_followed_by_another_try() -> None:
    """torchinfo's or a person's first call with N=1 shows nothing; the first batch does."""
    net = Net(batch_first=True)
    with ls.watch() as report:
        net(torch.randn(1, L, Q))
        assert not report.report.tested
        net(torch.randn(N, L, Q))
    assert report.report.tested


def test_a_layer_written_by_hand_is_found_by_its_loop() -> None:
    """A line that runs again with the same weights on what it gave before; a feedforward model is left alone."""

    class Hand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(Q + D, D)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.zeros(x.size(0), D)
            for t in range(x.size(1)):
                h = torch.tanh(self.step(torch.cat([x[:, t], h], 1)))
            return h.softmax(0)

    class Plain(Hand):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.step(x).softmax(0)
            return result

    assert not watched(Hand(), torch.randn(N, L, Q)).ok
    plain = watched(Plain(), torch.randn(N, Q + D))
    assert plain.ok
    assert plain.report.not_tested == ("no module with a recurrent layer was called",)


def test_wrapped_models_are_unwrapped() -> None:
    """DataParallel and torch.compile: the module inside is examined, and the call goes on through the wrapper."""
    x = torch.randn(N, L, Q)
    assert watched(nn.DataParallel(Net()), x).codes == ("LS201",)
    net = Net()
    compiled: Any = torch.compile(net, backend="eager")
    with ls.watch() as report:
        y = compiled(x)
    assert report.codes == ("LS201",)
    assert torch.equal(y, net(x))


@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_compiled_function_is_compiled_as_without(fullgraph: bool) -> None:
    """torch.compile follows our mode and our hooks, and finds nothing there that stops it."""
    net, x = nn.Sequential(nn.Linear(Q, D), nn.Tanh(), nn.Linear(D, C)), torch.randn(N, Q)
    alone = net(x).sum()
    torch._dynamo.reset()

    def total(value: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = net(value).sum()
        return summed

    function: Any = torch.compile(total, backend="eager", fullgraph=fullgraph)
    with ls.watch() as report:
        assert torch.equal(function(x), alone)
        assert torch.equal(function(x), alone)
    assert report.ok


# ---------------------------------------------------------------------- what is not, and why
def test_what_is_not_examined_is_said_with_the_reason() -> None:
    """A recurrent layer called by itself, a trace, a scripted module, tensors without elements."""
    x = torch.randn(N, L, Q)
    assert "called by itself" in watched(nn.LSTM(Q, D), x).report.not_tested[0]
    assert "no elements" in watched(Net().to("meta"), x.to("meta")).report.not_tested[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ls.watch() as report:
            torch.jit.trace(Net(), x, check_trace=False)
        assert "traced" in report.report.not_tested[0]
        with ls.watch() as report:
            torch.jit.script(nn.Sequential(nn.Linear(Q, D), nn.Tanh()))(x)
        assert report.ok


def test_recomputation_inside_a_backward_pass_is_not_examined() -> None:
    """A root that is called for the first time by a checkpoint in backward."""
    net, x = Net(), torch.randn(N, L, Q, requires_grad=True)
    with ls.watch() as report:
        loss = checkpoint(lambda value: value * 1, x, use_reentrant=False).sum()
        x.register_hook(lambda _: net(x.detach()).sum() * 0 + torch.zeros_like(x))
        loss.backward()
    assert report.report.not_tested == ("Net: called inside a backward pass",)


def test_a_lazy_module_is_examined_after_its_first_call() -> None:
    """Its weights are there then."""

    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(Q, D)
            self.head = nn.LazyLinear(C)

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.rnn(x)
            result: Tensor = self.head(out[:, -1])
            return result

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = watched(Lazy(), torch.randn(N, L, Q))
    assert report.codes == ("LS201",)


def test_the_time_ends_the_experiments_and_not_the_program() -> None:
    """seconds=0: nothing was tested, and the report says so."""
    net, x = Net(), torch.randn(N, L, Q)
    with ls.watch(seconds=0) as report:
        y = net(x)
    assert y.shape == (N, C)
    assert report.report.not_tested == ("Net: the time was over",)


def test_experiments_can_be_turned_off() -> None:
    """experiments=False: no run but the program's own."""
    with ls.watch(experiments=False) as report:
        Net()(torch.randn(N, L, Q))
    assert report.ok
    assert report.report.runs == 0
    assert report.report.not_tested == ("experiments (turned off)",)


def test_nothing_is_printed_logged_or_warned_of_twice(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What a model says is said once."""
    import logging

    class Loud(Net):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            print("out")
            print("err", file=sys.stderr)
            logging.getLogger("loud").warning("log")
            warnings.warn("loud", UserWarning, stacklevel=1)
            return super().forward(x, scale)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        report = watched(Loud(), torch.randn(N, L, Q))
    assert report.codes == ("LS201",)
    assert tuple(capsys.readouterr()) == ("out\n", "err\n")
    assert [record.message for record in caplog.records] == ["log"]
    assert [str(warning.message) for warning in said] == ["loud"]


def test_modules_of_other_threads_are_left_alone() -> None:
    """The hooks are global; a watch belongs to its thread."""
    net, x = Net(), torch.randn(N, L, Q)
    with ls.watch() as report:
        thread = threading.Thread(target=net, args=(x,))
        thread.start()
        thread.join()
    assert report.ok
    assert not report.report.tested


# ---------------------------------------------------------------------- exceptions
def test_an_exception_is_raised_on_unchanged_and_never_followed_by_ok() -> None:
    """The same object leaves the block with its own message; what no rule explains is an error of the report."""
    raised = RuntimeError("mine")
    with pytest.raises(RuntimeError, match=r"^mine$") as caught, ls.watch() as report:  # noqa: PT012
        Net(batch_first=True)(torch.randn(N, L, Q))
        raise raised
    assert caught.value is raised
    assert not getattr(raised, "__notes__", [])
    assert not report.ok
    assert report.findings[0].cause is raised
    assert "ok" not in str(report).splitlines()[0]


def test_an_explained_exception_carries_a_note() -> None:
    """By the operand at fault, the line that made it and the names of the outermost module."""
    net = Net(batch_first=True)
    net.head = nn.Linear(D + 1, C)
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught, ls.watch() as report:
        net(torch.randn(N, L, Q))
    assert report.codes == ("LS111",)
    finding = report.findings[0]
    assert finding.where is not None
    assert finding.where.source.startswith("result: Tensor = self.head(")
    assert finding.layer or finding.fix
    if sys.version_info >= (3, 11):
        assert "LS111" in caught.value.__notes__[0]


def test_the_call_that_raised_is_known() -> None:
    """Also where the exception was caught and raised again; a failure that was dealt with is not blamed later."""
    net = Net(batch_first=True)
    net.head = nn.Linear(D + 1, C)
    watched = ls.watch()
    with pytest.raises(RuntimeError, match="mat1"), watched:  # noqa: PT012
        try:
            net(torch.randn(N, L, Q))
        except RuntimeError:
            torch.zeros(1)
            raise
    trace = watched._recorder.trace
    assert [call.name for call in trace.calls if call.error is not None] == ["linear"]
    watched = ls.watch()
    with pytest.raises(KeyError), watched:  # noqa: PT012 (what happens before is the point)
        with suppress(RuntimeError):
            net(torch.randn(N, L, Q))
        raise KeyError("other")
    trace = watched._recorder.trace
    assert not [call for call in trace.calls if call.error is not None]
    assert watched.codes == ("LS113",)


def test_a_graph_that_is_gone_is_explained_in_a_training_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception comes in the second backward pass; what led to it is still known, on a short page too."""
    monkeypatch.setattr(bounded, "_PAGE", 5)
    rnn = nn.GRU(Q, D, batch_first=True)
    h = torch.zeros(1, N, D)
    with pytest.raises(RuntimeError, match="second time"), ls.watch() as report:  # noqa: PT012
        for _ in range(3):
            out, h = rnn(torch.randn(N, L, Q), h)
            out.sum().backward()
    assert report.codes[0] == "LS109"


def test_a_file_that_is_not_loaded_is_found() -> None:
    """strict=False with another prefix, anywhere in the block; the method is torch's own again afterwards."""
    before = nn.Module.load_state_dict
    state = {f"module.{key}": value for key, value in Net().state_dict().items()}
    with ls.watch() as report:
        Net().load_state_dict(state, strict=False)
    assert "LS215" in report.codes
    assert nn.Module.load_state_dict is before


def test_ctrl_c_is_nobodys_bug() -> None:
    """A KeyboardInterrupt passes through without an explanation."""
    with pytest.raises(KeyboardInterrupt), ls.watch() as report:
        raise KeyboardInterrupt
    assert report.ok
    assert list(report) == []
    assert report.to_dict()["findings"] == []


def test_hooks_are_gone_afterwards() -> None:
    """After the block, and after an exception in it, torch and warnings have the hooks they had before."""

    def hooks() -> tuple[int, int, Any]:
        module = nn.modules.module
        return len(module._global_forward_hooks), len(module._global_forward_pre_hooks), warnings.showwarning

    before = hooks()
    with ls.watch():
        assert hooks() != before
    with pytest.raises(ZeroDivisionError, match="division"), ls.watch():
        _ = 1 / 0
    assert hooks() == before


def test_torchs_own_warnings_name_the_users_line() -> None:
    """As they do without a watch."""
    with warnings.catch_warnings(record=True) as said, ls.watch():
        warnings.simplefilter("always")
    assert not said
    lines: list[tuple[str, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, category, filename, lineno, *_: lines.append((filename, lineno))
        with ls.watch():
            mse_loss(torch.randn(3, 1), torch.randn(3))
            line = sys._getframe().f_lineno - 1
    assert lines == [(__file__, line)]


# ---------------------------------------------------------------------- what one run shows, and memory
def test_losses_are_seen_with_their_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first backward passes and at the end; a fault of the rules stops nothing."""
    shapes: list[tuple[int, ...]] = []

    def seen(trace: Trace) -> list[Finding]:
        for call in trace.calls:
            if call.name == "mse_loss" and call.inputs[0].elements is not None:
                shapes.append(tuple(call.inputs[0].tensor.shape))
        if len(shapes) > 1:
            raise ValueError("ours")
        return [Finding("LS212", "seen", "error", "title", "detail", "fix")]

    monkeypatch.setattr(watch_module, "seen_losses", seen)
    weight = torch.randn(Q, 1, requires_grad=True)
    with pytest.warns(UserWarning, match="ours"), ls.watch() as report:
        mse_loss(torch.randn(N, Q) @ weight, torch.randn(N, 1)).backward()
    assert shapes == [(N, 1), (N, 1)]
    assert report.codes == ("LS212",)


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_a_long_loop_keeps_no_tensor_alive(train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a loop of any length is constant: old tensors are let go, and old calls are forgotten."""
    monkeypatch.setattr(bounded, "_MOST_CALLS", 200)
    monkeypatch.setattr(bounded, "_MOST_BYTES", 20_000)
    net, seen = Net(batch_first=True), []
    with ls.watch() as report:
        for _ in range(200):
            with torch.set_grad_enabled(train):
                y = net(torch.randn(N, L, Q))
            seen.append(weakref.ref(y))
            if train:
                y.sum().backward()
            assert len(report._recorder.trace.calls) <= 200
        del y
        gc.collect()
        assert sum(reference() is not None for reference in seen) < 50
        assert len(report._recorder._holding) < 1_000


def test_the_experiments_leave_no_calls_in_the_trace() -> None:
    """What explains an exception is the program's own run."""
    net, x = Net(batch_first=True), torch.randn(N, L, Q)
    with ls.watch(experiments=False) as alone:
        net(x)
    with ls.watch() as report:
        net(x)
    calls = [[call.name for call in one._recorder.trace.calls] for one in (alone, report)]
    assert calls[0] == calls[1]


def test_a_failure_that_is_dealt_with_keeps_nothing_alive() -> None:
    """The tensors of a failed step are free for the next try, as without a watch."""
    net = Net(batch_first=True)
    net.head = nn.Linear(D + 1, C)
    with ls.watch():
        x = torch.randn(N, L, Q)
        seen = weakref.ref(x)
        with suppress(RuntimeError):  # pytest.raises would keep the frames
            net(x)
        del x
        gc.collect()
        Net(batch_first=True)(torch.randn(N + 1, L, Q)).sum().backward()
        torch.zeros(1)
        assert seen() is None


def test_every_program_of_the_harmless_ones_is_judged_rightly() -> None:
    """No finding in the right ones, by whatever axis was taken."""
    for name in PROGRAMS:
        with ls.watch() as report:
            trained(name, nullcontext, steps=1)
        assert report.ok == (name != "wrong"), (name, str(report))


def test_a_wrapper_around_load_state_dict_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wraps the method inside a watch wraps it for good; the next watch sees through the wrapper."""
    monkeypatch.setattr(nn.Module, "load_state_dict", nn.Module.load_state_dict)
    with ls.watch():
        watched = nn.Module.load_state_dict
        wrapper = lambda self, *args, **kwargs: watched(self, *args, **kwargs)  # noqa: E731
        nn.Module.load_state_dict = wrapper  # type: ignore[method-assign]
    assert nn.Module.load_state_dict is wrapper
    for _ in range(2):
        with ls.watch() as report:
            nn.LSTM(3, 4).load_state_dict({}, strict=False)
        assert report.codes == ("LS215",)
        assert nn.Module.load_state_dict is wrapper
