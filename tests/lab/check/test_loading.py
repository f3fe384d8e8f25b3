"""Checkpoints: what load_state_dict refuses, and what strict=False passes over."""

from __future__ import annotations

import pytest
from torch import nn

from lstm_shapes.lab.check._loading import Loading, explain_load_error


def test_loading_is_put_back() -> None:
    """The method of torch is torch's again, also after an exception."""
    original = nn.Module.load_state_dict
    with pytest.raises(RuntimeError, match="size mismatch"), Loading() as loads:
        nn.LSTM(4, 8).load_state_dict(nn.LSTM(4, 16).state_dict())
    assert nn.Module.load_state_dict is original
    assert [one.code for one in loads.findings] == ["LS114"]
    assert "D=16" in loads.findings[0].detail
    assert "D=8" in loads.findings[0].detail


def test_what_strict_false_passes_over() -> None:
    """Nothing of a layer is an error, a part a warning, all or a file that has none nothing."""
    model, saved = nn.LSTM(4, 8, 2), nn.LSTM(4, 8, 2).state_dict()
    half = {key: value for key, value in saved.items() if key.endswith("l0")}
    with Loading() as loads:
        model.load_state_dict(saved, strict=False)
        nn.ModuleDict({"rnn": model, "fc": nn.Linear(8, 2)}).load_state_dict(
            {f"fc.{key}": value for key, value in nn.Linear(8, 2).state_dict().items()}, strict=False
        )
        assert loads.findings == []
        model.load_state_dict(half, strict=False)
        model.load_state_dict({f"module.{key}": value for key, value in saved.items()}, strict=False)
    assert [(one.code, one.level) for one in loads.findings] == [("LS215", "warning"), ("LS215", "error")]
    assert "removeprefix('module.')" in loads.findings[1].fix


def test_load_error_without_a_hook() -> None:
    """The exception's own frames hold the file and the model."""
    try:
        nn.ModuleDict({"rnn": nn.GRU(4, 8)}).load_state_dict(nn.GRU(4, 8).state_dict())
    except RuntimeError as error:
        found = explain_load_error(error)
    assert found is not None
    assert "'rnn.' + k" in found.fix
    assert explain_load_error(ValueError("no file")) is None


def test_weights_one_level_deeper() -> None:
    """A checkpoint that holds more than the state_dict."""
    model = nn.GRU(4, 8)
    with pytest.raises(RuntimeError), Loading() as loads:
        model.load_state_dict({"epoch": 3, "model": model.state_dict()})
    assert "saved['model']" in loads.findings[0].fix


def test_the_last_to_leave_puts_it_back() -> None:
    """One inside another: both are told, and the outer still sees after the inner has left."""
    original, saved = nn.Module.load_state_dict, {"module.weight_ih_l0": nn.GRU(4, 8).weight_ih_l0}
    with Loading() as outer:
        with Loading() as inner:
            nn.GRU(4, 8).load_state_dict(saved, strict=False)
        nn.GRU(4, 8).load_state_dict(saved, strict=False)
    assert (len(inner.findings), len(outer.findings)) == (1, 2)
    assert nn.Module.load_state_dict is original
