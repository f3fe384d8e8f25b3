"""Nothing here moves anybody's random numbers: torch's, Python's, or numpy's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lstm_shapes import build, explain, prove, run
from lstm_shapes.lab.random_state import untouched_random_state


def states(device: torch.device) -> list[Any]:
    """Every generator that a caller may depend on."""
    found: list[Any] = [torch.get_rng_state().tolist(), random.getstate()]
    try:
        import numpy as np
    except ImportError:
        pass
    else:
        found.append(repr(np.random.get_state()))
    if device.type == "cuda":
        found.append(torch.cuda.get_rng_state(device).tolist())
    return found


CALLS: dict[str, Callable[[torch.device], Any]] = {
    "build": lambda device: build(7, 5, 2, dropout=0.5, device=device),
    "run": lambda device: run(7, 5, 2, dropout=0.5, device=device),
    "run yours": lambda device: run(build(7, 5, 2, dropout=0.5, device=device)),
    "run packed": lambda device: run(7, 5, 2, dropout=0.5, lengths=(3, 2), device=device),
    "prove": lambda device: prove(7, 5, 2, dropout=0.5, N=3, L=4, device=device),
    "explain": lambda device: explain(7, 5, 2, dropout=0.5, N=3, L=4, device=device),
    "show": lambda device: repr(explain(7, 5, N=3, L=4, device=device)),
}


@pytest.mark.parametrize("call", CALLS)
def test_random_state_is_untouched(call: str, device: torch.device) -> None:
    """Equal before and after, whatever was called, also with dropout at work."""
    before = states(device)
    CALLS[call](device)
    assert states(device) == before


def test_a_failing_call_leaves_it_too(device: torch.device) -> None:
    """The state is put back on the way out of an exception."""
    before = states(device)

    @untouched_random_state(device)
    def fail() -> None:
        torch.rand(3, device=device)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert states(device) == before


def test_the_probe_sees_a_draw(device: torch.device) -> None:
    """The tests above can fail: one random number changes what they compare."""
    before = states(device)
    torch.rand(1, device=device)
    assert states(device) != before


def test_seeds_make_results_repeatable() -> None:
    """Two equal calls are equal wherever the global generator stands; another seed is another run."""
    first = run(7, 5, 2, N=3, L=4)
    torch.rand(11)
    again, other = run(7, 5, 2, N=3, L=4), run(7, 5, 2, N=3, L=4, seed=1)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
