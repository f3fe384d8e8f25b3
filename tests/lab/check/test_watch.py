"""watch: what one run shows, for code that is not a function."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref

import pytest
import torch
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.lab.check_old import watch as watch_module


def test_a_right_program_gives_an_empty_report() -> None:
    """Nothing is found where nothing is wrong, and the results are those of the layer alone."""
    layer, x = nn.LSTM(4, 8, 2, batch_first=True), torch.randn(3, 5, 4)
    alone = layer(x)[0]
    with ls.watch() as report:
        Y, _ = layer(x)
    assert report.ok
    assert report.findings == ()
    assert torch.equal(Y, alone)
    assert "nothing found" in repr(report)


def test_an_exception_is_explained_and_raised_on_unchanged() -> None:
    """The same exception object leaves the block, with its own message; the note says what it means."""
    raised = RuntimeError("mine")
    with pytest.raises(RuntimeError, match=r"^mine$") as caught, ls.watch():
        raise raised
    assert caught.value is raised
    assert not getattr(raised, "__notes__", [])

    head, rnn = nn.Linear(8, 2), nn.LSTM(4, 8, bidirectional=True)
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught, ls.watch() as report:
        head(rnn(torch.randn(5, 3, 4))[0])
    assert report.codes[0] == "LS111"
    if sys.version_info >= (3, 11):
        assert "LS111" in caught.value.__notes__[0]


def test_an_exception_that_was_caught_earlier_is_not_blamed_later() -> None:
    """A model that failed and was dealt with does not explain the next, unrelated exception."""
    rnn = nn.GRU(4, 8)
    with pytest.raises(KeyError) as caught, ls.watch() as report:  # noqa: PT012 (what happens before is the point)
        with pytest.raises(RuntimeError, match="input"):
            rnn(torch.randn(5, 3, 9))
        raise KeyError("other")
    assert report.codes == ()
    assert not getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(
    ("code", "level"), [("LS202", "warning"), ("LS203", "warning"), ("LS212", "error"), ("LS301", "note")]
)
def test_rules_that_need_no_second_run(code: str, level: str) -> None:
    """Each is found at its own line, and not in the program that does it right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of two of them itself
        wrong = _wrong(code)
    assert [(f.code, f.level) for f in wrong.findings] == [(code, level)]
    where = wrong.findings[0].where
    assert where is not None
    assert where.file == __file__
    assert where.source
    assert _right().codes == ()


def _wrong(code: str) -> ls.Watch:
    x, target = torch.randn(3, 5, 4), torch.randn(3)
    with ls.watch() as report:
        if code == "LS202":
            nn.LSTM(4, 8, 2, batch_first=True)(x)[1][0].view(3, -1)
        elif code == "LS203":
            nn.LSTM(4, 8, batch_first=True, bidirectional=True)(x)[0][:, -1]
        elif code == "LS212":
            Y, _ = nn.LSTM(4, 1, batch_first=True)(x)
            nn.functional.mse_loss(Y[:, -1], target)
        else:
            nn.LSTM(4, 8, dropout=0.5, batch_first=True)(x)
    return report


def _right() -> ls.Watch:
    x, target = torch.randn(3, 5, 4), torch.randn(3)
    with ls.watch() as report:
        Y, (hn, _) = nn.LSTM(4, 8, 2, batch_first=True, bidirectional=True)(x)
        hn.transpose(0, 1).reshape(3, -1)
        hn.view(2, 2, 3, 8)
        Y[:, -1, :8], Y[:, 0, 8:], Y[:, :, :8], Y[0]
        nn.functional.mse_loss(nn.LSTM(4, 1, 2, dropout=0.5)(x)[0][0, :, 0], torch.randn(5))
        nn.functional.mse_loss(Y[:, -1, :8].sum(-1), target)
    return report


def test_a_long_loop_keeps_no_tensor_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls long past are remembered by their shapes only, and the list of them is bounded."""
    monkeypatch.setattr(watch_module, "_MOST_CALLS", 50)
    rnn, seen = nn.GRU(4, 8), []
    watched = ls.watch()
    with watched:
        for _ in range(120):
            Y, hn = rnn(torch.randn(5, 3, 4))
            seen.append(weakref.ref(Y))
        del Y, hn
        gc.collect()
        assert sum(ref() is not None for ref in seen) <= watch_module._RECENT
    assert len(watched._recorder.seen.calls) <= 50


def test_hooks_are_gone_afterwards() -> None:
    """After the block, and after an exception in it, torch has the global hooks it had before."""
    module_hooks = nn.modules.module
    before = len(module_hooks._global_forward_hooks), len(module_hooks._global_forward_pre_hooks)
    with ls.watch():
        pass
    with pytest.raises(ZeroDivisionError, match="division"), ls.watch():
        _ = 1 / 0
    assert (len(module_hooks._global_forward_hooks), len(module_hooks._global_forward_pre_hooks)) == before


def test_ctrl_c_is_nobodys_bug() -> None:
    """A KeyboardInterrupt passes through without an explanation."""
    with pytest.raises(KeyboardInterrupt), ls.watch() as report:
        raise KeyboardInterrupt
    assert report.ok
    assert list(report) == []
    assert report.to_dict()["findings"] == []


def test_training_gives_the_same_numbers_with_and_without() -> None:
    """Gradients and parameters after three steps are bit for bit those of an unwatched run."""
    assert all(torch.equal(a, b) for a, b in zip(_trained(True), _trained(False), strict=True))


def _trained(watched: bool) -> list[Tensor]:
    torch.manual_seed(3)
    rnn, head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    def train() -> None:
        for _ in range(3):
            optimizer.zero_grad()
            head(rnn(torch.randn(3, 5, 4))[0][:, -1]).square().mean().backward()
            optimizer.step()

    if watched:
        with ls.watch():
            train()
    else:
        train()
    return [p.detach().clone() for p in parameters]
