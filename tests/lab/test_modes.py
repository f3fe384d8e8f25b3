"""A small layer is proved in one thread, and the caller's threads are as many afterwards as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from lstm_shapes import count, prove
from lstm_shapes.lab import checks, proof
from lstm_shapes.lab.modes import one_thread_below


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    """More threads than one, whatever the tests run with."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("macs", "inside"), [(0, 1), (53_575_680, 1), (10**9, 1), (10**9 + 1, 3), (10**12, 3)])
def test_a_small_layer_takes_one_thread(macs: int, inside: int) -> None:
    """Up to a thousand million MACs; above, nothing changes."""
    with one_thread_below(macs):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 3


def test_the_bound_may_be_given() -> None:
    """What is small is the caller's to say."""
    with one_thread_below(7, most=6):
        assert torch.get_num_threads() == 3
    with one_thread_below(6, most=6):
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("macs", [0, 10**12])
def test_threads_come_back_after_an_error(macs: int) -> None:
    """What fails inside goes on outside, and leaves the threads as they were."""
    with pytest.raises(ZeroDivisionError, match="by zero"), one_thread_below(macs):
        _ = 1 / 0
    assert torch.get_num_threads() == 3


def test_who_has_one_thread_keeps_one() -> None:
    """As with OMP_NUM_THREADS=1: one inside, one afterwards."""
    torch.set_num_threads(1)
    with one_thread_below(0):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("Q", "D", "N", "L", "inside"), [(7, 5, 3, 4, 1), (256, 512, 8, 80, 3)])
def test_prove_leaves_the_threads_as_they_were(
    Q: int, D: int, N: int, L: int, inside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small layer runs and is checked in one thread, a large one in the caller's."""
    seen = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            seen.append((name, torch.get_num_threads()))
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, watched)

    watch(proof, "run")
    watch(checks, "_tensor_checks")
    assert ((count(Q, D, N=N, L=L).macs or 0) > 10**9) == (inside == 3)
    assert prove(Q, D, N=N, L=L)
    assert seen == [("run", inside), ("_tensor_checks", inside)]
    assert torch.get_num_threads() == 3


def test_prove_leaves_the_threads_also_where_a_check_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a proof."""

    def stop(*_: object) -> None:
        raise RuntimeError("stopped")

    monkeypatch.setattr(checks, "_mac_checks", stop)
    with pytest.raises(RuntimeError, match=r"^stopped$"):
        prove(7, 5, N=3, L=4)
    assert torch.get_num_threads() == 3
