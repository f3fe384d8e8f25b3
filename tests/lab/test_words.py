"""The words of findings: what the user calls things, read from the line, and calls with other arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.lab._words import (
    append_line,
    argument_text,
    call_text,
    layer_names,
    loop_line,
    named,
    result_names,
    symbol,
    value_name,
)
from lstm_shapes.lab.trace import Call, Recorder, Trace, Where, layer_calls

N, L, Q, D = 5, 7, 4, 6
F = nn.functional


def record(model: Callable[..., Any], *inputs: Tensor) -> Trace:
    recorder = Recorder()
    for k, tensor in enumerate(inputs):
        recorder.trace.inputs.append(recorder.value(tensor, origin=f"input {k}"))
    with recorder:
        model(*inputs)
    return recorder.trace


def last(model: Callable[..., Any], *inputs: Tensor) -> Call:
    return record(model, *inputs).calls[-1]


def _softmax(x: Tensor) -> Any:
    scores = x * 2
    weights = torch.softmax(scores, dim=0)
    return weights


def _method(x: Tensor) -> Any:
    return (x + 1).softmax(0)


def _axis(x: Tensor) -> Any:
    return torch.softmax(x[:, 1:], 0)


def _twice(x: Tensor) -> Any:
    return torch.softmax(torch.softmax(x, 0), 0)


@pytest.mark.parametrize(
    ("model", "says", "changed"),
    [
        (_softmax, "scores", "torch.softmax(scores, dim=1)"),
        (_method, "x + 1", "(x + 1).softmax(1)"),
        (_axis, "x[:, 1:]", "torch.softmax(x[:, 1:], 1)"),
        (_twice, "", "softmax(…, dim=1)"),
    ],
)
def test_a_call_is_written_anew(model: Callable[..., Any], says: str, changed: str) -> None:
    """Its first tensor as the line spells it, and the call with another dim; a line with two of them is not guessed."""
    call = last(model, torch.randn(N, L))
    assert argument_text(call) == says
    assert call_text(call, dim=1) == changed


def test_what_a_tensor_is_called() -> None:
    """By the argument of its reader, else by what its maker is bound to, else by what made it."""
    trace = record(_softmax, torch.randn(N, L))
    product, softmax = trace.calls
    assert value_name(trace.inputs[0]) == "input 0"
    assert value_name(trace.inputs[0], product) in ("x", "input 0")
    assert value_name(product.outputs[0], softmax) == "scores"
    assert value_name(product.outputs[0]) == "scores"
    assert value_name(softmax.outputs[0]) == "weights"
    call = last(_method, torch.randn(N, L))
    assert value_name(call.outputs[0]) == "the result of softmax"


def _take_apart(m: nn.RNNBase, x: Tensor) -> Any:
    out, (h, c) = m(x)
    return out, h, c


def _pair(m: nn.RNNBase, x: Tensor) -> Any:
    out, state = m(x)
    return out, state


def _blank(m: nn.RNNBase, x: Tensor) -> Any:
    _, (h, _) = m(x)
    return h


def _whole(m: nn.RNNBase, x: Tensor) -> Any:
    return m(x)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (_take_apart, {"Y": "out", "hn": "h", "cn": "c"}),
        (_pair, {"Y": "out", "hn": "state[0]", "cn": "state[1]"}),
        (_blank, {"Y": "Y", "hn": "h", "cn": "cn"}),
        (_whole, {"Y": "Y", "hn": "hn", "cn": "cn"}),
    ],
)
def test_what_a_layers_results_are_called(model: Callable[..., Any], names: dict[str, str]) -> None:
    """Y, hn and cn in the user's words, torch's where the user has none."""
    rnn = nn.LSTM(Q, D)
    (layer,) = layer_calls(record(lambda x: model(rnn, x), torch.randn(L, N, Q)), {})
    assert layer_names(layer) == names


def test_names_on_the_left() -> None:
    """Of a plain, an annotated and an unpacking statement; none in an expression or where there is no source."""
    where = last(_softmax, torch.randn(N, L)).where
    assert result_names(where) == ("weights",)
    assert result_names(last(_method, torch.randn(N, L)).where) == ()
    assert result_names(None) == ()
    assert result_names(Where("no such file.py", 3)) == ()


def _loop(x: Tensor) -> Any:
    steps = []
    for t in range(x.size(1)):
        steps.append(torch.tanh(x[:, t]))
    return torch.stack(steps, 1)


def test_the_loop_and_the_list() -> None:
    """The `for` around a line, and the line that fills the list which is stacked."""
    trace = record(_loop, torch.randn(N, L))
    step = next(call for call in trace.calls if call.name == "tanh")
    where = loop_line(step.where)
    assert where is not None
    assert where.source == "for t in range(x.size(1)):"
    filled = append_line(trace.calls[-1])
    assert filled is not None
    assert filled.source == "steps.append(torch.tanh(x[:, t]))"
    assert loop_line(None) is None
    assert loop_line(trace.calls[-1].where) == trace.calls[-1].where


def test_shapes_and_symbols() -> None:
    """A shape with the axes that are known; @ for a product."""
    trace = record(lambda x: x * 1, torch.randn(N, L))
    assert named(trace.inputs[0]) == f"({N}, {L})"
    assert named(trace.inputs[0], {0: "N", 1: "L"}) == f"(N={N}, L={L})"
    assert named(record(lambda x: x * 1, torch.randn(N)).inputs[0], {0: "N"}) == f"(N={N},)"
    assert (symbol("matmul"), symbol("__matmul__"), symbol("bmm")) == ("@", "@", "bmm")
