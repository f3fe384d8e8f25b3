"""A run as it is written down: the line of the user's that made each call, and recurrent layers as their calls."""

from __future__ import annotations

import contextlib
import functools
import linecache
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import lstm_shapes
from lstm_shapes.lab.trace import LayerCall, Recorder, Where, here, layer_calls, raised_at, theirs
from lstm_shapes.lab.trace._record import in_library, resolve, source_line

N, L, Q, D = 5, 7, 4, 6
KINDS = [nn.LSTM, nn.GRU, nn.RNN]


def line_of(model: Callable[..., Any], *inputs: Tensor) -> Where:
    """Where the last call of a run was made."""
    recorder = Recorder()
    with recorder:
        model(*inputs)
    where = recorder.trace.calls[-1].where
    assert where is not None
    return where


def test_files_of_torch_and_ours_are_not_the_users() -> None:
    """Nor contextlib, functools and code that torch.fx writes."""
    assert theirs(__file__)
    assert theirs("<stdin>")
    for file in (torch.__file__, lstm_shapes.__file__, contextlib.__file__, functools.__file__, "<frozen runpy>"):
        assert not theirs(file)


def test_a_call_inside_torch_is_at_the_line_that_called_torch() -> None:
    """The kernel of a layer: the user's line that called the layer, with source and function."""
    rnn = nn.LSTM(4, 6)

    def model(x: Tensor) -> Any:
        return rnn(x)  # this line

    where = line_of(model, torch.randn(7, 5, 4))
    assert where.file == __file__
    assert where.source == "return rnn(x)  # this line"
    assert where.function == "model"


def test_decorators_and_partials_are_passed_through() -> None:
    """no_grad, functools.partial and context managers stand between and are not named."""

    @torch.no_grad()
    def model(x: Tensor, scale: float) -> Any:
        return torch.mul(x, scale)  # here

    assert line_of(functools.partial(model, scale=2.0), torch.randn(3)).source == "return torch.mul(x, scale)  # here"


def test_here_is_the_running_line() -> None:
    """File, number and source of the line that asks."""
    where = here()
    assert where is not None
    assert where.source == "where = here()"
    assert where.line > 1


def test_a_program_from_a_string_has_a_line_without_source() -> None:
    """Its number is known; the source is empty, and the place is said without it."""
    names: dict[str, Any] = {"torch": torch}
    exec(compile("\n\ndef model(x):\n    return torch.tanh(x)\n", "<typed>", "exec"), names)
    where = line_of(names["model"], torch.randn(3))
    assert (where.file, where.line, where.source) == ("<typed>", 4, "")
    assert str(where) == "<typed>:4"
    program = "\n\ndef model(x):\n    return torch.tanh(x)\n"
    linecache.cache["<typed>"] = (len(program), None, program.splitlines(True), "<typed>")
    try:
        again = line_of(names["model"], torch.randn(3))
        assert str(again) == "<typed>:4: return torch.tanh(x)"
    finally:
        linecache.cache.pop("<typed>")


def test_an_exception_is_at_the_users_innermost_line() -> None:
    """Torch's own frames below it are passed over."""

    def inner(x: Tensor) -> Any:
        return nn.Linear(3, 2)(x)  # raises

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        inner(torch.randn(5, 4))
    where = raised_at(caught.value.__traceback__)
    assert where is not None
    assert where.source == "return nn.Linear(3, 2)(x)  # raises"
    assert raised_at(None) is None


def test_generators_are_at_the_line_that_runs() -> None:
    """A step of a generator is the generator's line, not that of who asks for it."""

    def steps(x: Tensor) -> Iterator[Tensor]:
        for row in x.unbind(0):
            yield torch.tanh(row)  # a step

    assert line_of(lambda x: list(steps(x)), torch.randn(3, 2)).source == "yield torch.tanh(row)  # a step"


def test_a_place_as_data() -> None:
    """Plain data for JSON; no line is no place."""
    where = Where("a.py", 3, "x = 1", "f")
    assert where.to_dict() == {"file": "a.py", "line": 3, "source": "x = 1", "function": "f"}
    assert str(where) == "a.py:3: x = 1"
    assert resolve(None) is None
    assert source_line("no such file.py", 3) == ""


# ---------------------------------------------------------------------- layers
def calls(model: Callable[..., Any], *inputs: Any, names: dict[int, str] | None = None) -> list[LayerCall]:
    recorder = Recorder()
    with recorder:
        model(*inputs)
    return layer_calls(recorder.trace, names or {})


def _name(kind: Any) -> str:
    return str(kind.__name__)


def same(value: Any, tensor: Tensor) -> bool:
    elements = value.elements
    return elements is not None and torch.equal(elements, tensor)


@pytest.mark.parametrize("given", [False, True], ids=["no state", "state given"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer(kind: Callable[..., nn.RNNBase], K: int, bidirectional: bool, batch_first: bool, given: bool) -> None:
    """X, h0, c0, Y, hn, cn and the numbers N, L, Q, K, R, H are those of torch."""
    rnn = kind(Q, D, K, batch_first=batch_first, bidirectional=bidirectional)
    R = 2 if bidirectional else 1
    x = torch.randn(N, L, Q) if batch_first else torch.randn(L, N, Q)
    h0, c0 = torch.randn(K * R, N, D), torch.randn(K * R, N, D)
    state = ((h0, c0) if kind is nn.LSTM else h0) if given else None
    made: list[Any] = []

    def model(x: Tensor) -> Any:
        made.append(rnn(x, state))
        return made[0]

    (layer,) = calls(model, x, names={id(rnn): "encoder.rnn"})
    assert (layer.N, layer.L, layer.Q, layer.K, layer.R, layer.H) == (N, L, Q, K, R, D)
    assert (layer.batch_axis, layer.time_axis) == ((0, 1) if batch_first else (1, 0))
    assert not any((layer.cell, layer.packed, layer.unbatched))
    assert (layer.name, layer.module, layer.label) == ("encoder.rnn", rnn, _name(kind))
    assert same(layer.X, x)
    y, end = made[0]
    ends = end if isinstance(end, tuple) else (end,)
    roles = ("Y", "hn", "cn") if kind is nn.LSTM else ("Y", "hn")
    assert tuple(layer.outputs) == roles
    assert all(same(layer.outputs[role], tensor) for role, tensor in zip(roles, (y, *ends), strict=True))
    assert tuple(layer.states) == (("h0", "c0") if kind is nn.LSTM else ("h0",))
    if given:
        assert same(layer.states["h0"], h0)
    assert layer.lengths == [L] * N


@pytest.mark.parametrize("kind", KINDS)
def test_an_unbatched_call(kind: Callable[..., nn.RNNBase]) -> None:
    """One sequence without a batch axis: torch adds one, and the call says so."""
    rnn = kind(Q, D, batch_first=True)
    (layer,) = calls(lambda x: rnn(x)[0], torch.randn(L, Q))
    assert layer.unbatched
    assert (layer.N, layer.L) == (1, L)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_call(kind: Callable[..., nn.RNNBase]) -> None:
    """Steps of rows in the order in which the kernel reads them; X has no batch axis."""
    rnn = kind(Q, D, batch_first=True)
    lengths = torch.tensor([3, 7, 2, 5, 4])

    def model(x: Tensor) -> Any:
        return rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[1]

    (layer,) = calls(model, torch.randn(N, L, Q))
    assert layer.packed
    assert (layer.batch_axis, layer.time_axis, layer.batch_first) == (None, None, False)
    assert (layer.N, layer.L) == (N, L)
    assert layer.lengths == [7, 5, 4, 3, 2]
    assert layer.X.shape == (21, Q)


@pytest.mark.parametrize(("cell", "roles"), [(nn.LSTMCell, ("hn", "cn")), (nn.GRUCell, ("hn",)), (nn.RNNCell, ("hn",))])
def test_a_cell(cell: Callable[..., nn.RNNCellBase], roles: tuple[str, ...]) -> None:
    """One step: no Y, no axis of time, N rows."""
    made = cell(Q, D)
    (layer,) = calls(made, torch.randn(N, Q))
    assert layer.cell
    assert tuple(layer.outputs) == roles
    assert (layer.batch_axis, layer.time_axis, layer.N, layer.L, layer.K, layer.R) == (0, None, N, 1, 1, 1)
    assert layer.label == _name(cell)
    assert layer.called == f"the {_name(cell)}"


def test_a_projection_and_its_weights() -> None:
    """H is the width of the hidden state, P; the weights are those of the layer."""
    rnn = nn.LSTM(Q, D, 2, batch_first=True, proj_size=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oneDNN has no projections
        (layer,) = calls(lambda x: rnn(x)[0], torch.randn(N, L, Q))
    assert layer.H == 3
    assert layer.outputs["cn"].shape == (2, N, D)
    assert [v.tensor for v in layer.weights] == list(rnn._flat_weights)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (nn.LSTM(Q, D), "nn.LSTM(4, 6, batch_first=True)"),
        (nn.GRU(Q, D, 2, bidirectional=True), "nn.GRU(4, 6, 2, batch_first=True, bidirectional=True)"),
        (nn.LSTM(Q, D, 2, dropout=0.5, proj_size=3), "nn.LSTM(4, 6, 2, batch_first=True, dropout=0.5, proj_size=3)"),
    ],
)
def test_the_constructor_with_a_change(layer: nn.RNNBase, says: str) -> None:
    """What to write for the same layer in the other layout."""
    (call,) = calls(lambda x: layer(x)[0], torch.randn(L, N, Q))
    assert call.constructor(batch_first=True) == says


def test_a_call_that_raised_is_no_layer_call() -> None:
    """Only calls that came back have outputs."""
    rnn = nn.LSTM(Q, D)
    recorder = Recorder()
    with pytest.raises(RuntimeError, match=r"input\.size"), recorder:
        rnn(torch.randn(L, N, Q + 1))
    assert layer_calls(recorder.trace, {}) == []


def test_a_library_is_one_of_any_interpreter() -> None:
    """Python's own files, torch's and those of another interpreter's packages; a folder of the user's is none."""
    assert all(map(in_library, (str(linecache.__file__), str(torch.__file__), "/other/lib/site-packages/x/y.py")))
    assert not any(map(in_library, (__file__, "/home/me/my-packages/model.py", "<string>")))
