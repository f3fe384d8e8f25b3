"""lab/parts.py: a part of a layer computes what that part computed inside."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lstm_shapes.lab.build import build
from lstm_shapes.lab.parts import as_sequence_layer, one_direction, some_layers
from lstm_shapes.theory.spec import Spec

DEEP = Spec(7, 5, 12, bidirectional=True, proj_size=3)


@pytest.mark.parametrize(("first", "last"), [(0, 12), (0, 3), (2, 4), (9, 12), (11, 12)])
def test_some_layers_hold_their_weights(first: int, last: int) -> None:
    """Layer `first` becomes layer 0, two-digit numbers too; the part is a copy and not a view."""
    layer = build(DEEP)
    part, spec = some_layers(layer, DEEP, first, last)
    assert Spec.of(part) == spec == DEEP.replace(Q=DEEP.input_width(first), K=last - first)
    for index in range(last - first):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"):
            for suffix in ("", "_reverse"):
                own = getattr(part, f"{kind}_l{index}{suffix}")
                theirs = getattr(layer, f"{kind}_l{first + index}{suffix}")
                assert torch.equal(own, theirs)
                assert own.data_ptr() != theirs.data_ptr()


def test_one_direction_holds_its_weights() -> None:
    """Forward or backward, it is a plain layer with that direction's weights."""
    layer = build(DEEP)
    backward, spec = one_direction(layer, DEEP, 10, 1)
    assert spec == Spec.of(backward) == Spec(6, 5, 1, proj_size=3)
    assert torch.equal(getattr(backward, "weight_hr_l0"), getattr(layer, "weight_hr_l10_reverse"))  # noqa: B009
    forward, _ = one_direction(layer, DEEP, 0, 0)
    assert torch.equal(getattr(forward, "weight_ih_l0"), getattr(layer, "weight_ih_l0"))  # noqa: B009


def test_parts_keep_mode_dtype_and_device(device: torch.device) -> None:
    """What the layer is, its parts are."""
    spec = Spec(7, 5, 2, dropout=0.5)
    layer = build(spec, dtype="float64", device=device).eval()
    part, _ = some_layers(layer, spec, 1, 2)
    weight = next(part.parameters())
    assert not part.training
    assert weight.dtype == torch.float64
    assert weight.device.type == device.type


def test_cell_as_a_layer() -> None:
    """A relu cell is a relu layer: one step of both is the same."""
    cell = nn.RNNCell(7, 5, nonlinearity="relu")
    layer, spec = as_sequence_layer(cell, Spec.of(cell))
    assert spec == Spec(7, 5, 1, False, cell="RNN", nonlinearity="relu")
    x = torch.randn(4, 7)
    assert torch.allclose(layer(x.unsqueeze(0))[1][0], cell(x), atol=1e-6)
