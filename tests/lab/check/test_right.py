"""Right programs stay unaccused, whatever they look like."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lstm_shapes.lab.check import check
from tests.lab.check.right_programs import RIGHT


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("seed", [1, 5, 23])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_has_no_error(name: str, seed: int, training: bool) -> None:
    """No error and no warning, in training with active dropout and in evaluation; the samples were tested."""
    torch.manual_seed(seed)
    model, inputs, told = RIGHT[name]()
    if isinstance(model, nn.Module):
        model.train(training)
    report = check(model, *inputs, **told)
    assert report.ok, str(report)
    assert not report.warnings, str(report)
    assert report.tested, str(report)
