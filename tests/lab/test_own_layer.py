"""A layer of somebody's own: read by its attributes, and run."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab.run import random_run
from lstm_shapes.testing import assert_laws
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec


class Own(nn.Module):
    """Has the attributes it is told to have, and returns what it is told to return."""

    def __init__(self, result: Any = None, **attributes: Any) -> None:
        super().__init__()
        self.result = result
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, X: torch.Tensor, state: Any = None) -> Any:
        return self.result


@pytest.mark.parametrize(
    ("attributes", "spec"),
    [
        ({}, Spec(7, 5, batch_first=False)),
        ({"num_layers": 2, "batch_first": True, "bidirectional": True}, Spec(7, 5, 2, bidirectional=True)),
        ({"bias": None, "proj_size": 3}, Spec(7, 5, batch_first=False, bias=False, proj_size=3)),
        ({"bias": nn.Parameter(torch.zeros(20))}, Spec(7, 5, batch_first=False)),
    ],
)
def test_attributes_say_what_it_is(attributes: dict[str, Any], spec: Spec) -> None:
    """torch's names, torch's defaults; a bias vector in place of a flag is a yes."""
    with pytest.raises(AssertionError, match=f"^the layer is no {re.escape(repr(spec))}: "):
        assert_laws(Own(input_size=7, hidden_size=5, **attributes))


def test_without_attributes_a_spec_is_needed() -> None:
    """The message names the attribute and the way around."""
    with pytest.raises(SpecError, match=r"Own.hidden_size must be there. Pass spec=Spec"):
        assert_laws(Own(input_size=7))


Y, state = torch.zeros(3, 4, 5), torch.zeros(1, 3, 5)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Y, r"the result must be Y, \(hn, cn\), got '?Tensor'?"),
        ((Y, state), r"the result must be Y, \(hn, cn\), got '?Tensor, Tensor'?"),
        ((Y, (state, None)), r"the result must be Y, \(hn, cn\), got '?Tensor, Tensor, NoneType'?"),
        ((Y.transpose(0, 1), (state, state)), r"Y must be \(N, L, D\) = \(3, 4, 5\), got \(4, 3, 5\)"),
        ((Y, (state.transpose(0, 1), state)), r"hn must be \(K, N, D\) = \(1, 3, 5\), got \(3, 1, 5\)"),
        ((Y, (state, state[0])), r"cn must be \(K, N, D\) = \(1, 3, 5\), got \(3, 5\)"),
    ],
)
def test_results_of_another_form(result: Any, message: str) -> None:
    """What is missing or misshapen is named."""
    with pytest.raises(ShapeError, match=message):
        random_run(Spec(7, 5), Call(3, 4), layer=Own(result))


def test_one_state_is_passed_bare() -> None:
    """A GRU's hn is a tensor and not a tuple of one."""
    spec = Spec(7, 5, cell="GRU")
    assert random_run(spec, Call(3, 4), layer=Own((Y, state))).cn is None
    with pytest.raises(ShapeError, match=r"the result must be Y, hn, got '?Tensor, Tensor, Tensor'?"):
        random_run(spec, Call(3, 4), layer=Own((Y, (state, state))))


def test_run_follows_from_the_seed(device: torch.device) -> None:
    """Same seed, same X and state, on every device; the layer brings its own device and dtype."""
    layer = nn.LSTM(7, 5, batch_first=True, device=device, dtype=torch.float64)
    runs = [random_run(Spec(7, 5), Call(3, 4), layer=layer, seed=seed) for seed in (1, 1, 2)]
    assert runs[0].X.dtype == torch.float64
    assert torch.equal(runs[0].X.plain(), runs[1].X.plain())
    assert torch.equal(runs[0].h0.plain(), runs[1].h0.plain())
    assert not torch.equal(runs[0].X.plain(), runs[2].X.plain())
    assert not torch.equal(runs[0].h0.plain(), torch.zeros_like(runs[0].h0.plain()))
