"""The recorder: which calls a run makes, what went in and what came out, also where memory is written in place."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_shapes.lab.check import check
from lstm_shapes.lab.trace import Follower, Recorder, Still, Trace, Value, leaves

N, L, Q, D = 5, 7, 4, 6


def record(model: Callable[..., Any], *inputs: Tensor) -> Trace:
    """A run written down."""
    recorder = Recorder()
    for k, tensor in enumerate(inputs):
        recorder.trace.inputs.append(recorder.value(tensor, origin=f"input {k}"))
    with recorder:
        output = model(*inputs)
    recorder.finish(list(leaves(output)))
    return recorder.trace


def names(trace: Trace) -> list[str]:
    return [call.name for call in trace.calls]


def descends(trace: Trace, value: Value, other: Value) -> bool:
    return other.index in trace.ancestors(value)


# ---------------------------------------------------------------------- calls
def test_a_call_says_what_it_was_given_and_where() -> None:
    """Name, plain arguments by place or by name, tensors as values, the user's line."""
    trace = record(lambda x: torch.softmax(x, dim=1), torch.randn(N, L))
    (call,) = trace.calls
    assert call.name == "softmax"
    assert call.argument(1, "dim") == 1
    assert call.argument(7, "nothing", "default") == "default"
    assert call.inputs == (trace.inputs[0],)
    assert call.outputs == (trace.results[0][1],)
    assert call.where is not None
    assert call.where.file == __file__
    assert "softmax(x, dim=1)" in call.where.source


def test_questions_are_no_calls() -> None:
    """Sizes, types and flags read no element."""

    def model(x: Tensor) -> Any:
        assert x.size(0) == x.shape[0] == len(x)
        assert x.dim() == x.ndim
        assert all((x.is_contiguous(), x.dtype == torch.float32, x.numel()))
        return x.T + 0

    trace = record(model, torch.randn(N, L))
    assert names(trace) == ["T", "add"] or names(trace) == ["T", "__add__"]
    assert trace.inputs[0].index in trace.asked


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("direct", [False, True], ids=["called", "forward called directly"])
def test_a_recurrent_layer_is_one_call(kind: Callable[..., nn.RNNBase], direct: bool) -> None:
    """Its kernel, with the layer that it belongs to, also under rnn.forward(x)."""
    rnn = kind(Q, D, 2, batch_first=True, bidirectional=True)
    trace = record((lambda x: rnn.forward(x)[0]) if direct else (lambda x: rnn(x)[0]), torch.randn(N, L, Q))
    kernels = [call for call in trace.calls if call.module is rnn]
    assert len(kernels) == 1
    assert kernels[0].name in ("lstm", "gru", "rnn_tanh")
    assert descends(trace, trace.results[0][1], trace.inputs[0])


def test_a_cell_is_one_call_a_step() -> None:
    """A loop of cells shows every step, and what each goes on from."""
    cell = nn.LSTMCell(Q, D)

    def model(x: Tensor) -> Any:
        state: Any = None
        for t in range(x.size(1)):
            state = cell(x[:, t], state)
        return state[0]

    trace = record(model, torch.randn(N, L, Q))
    steps = [call for call in trace.calls if call.name == "lstm_cell"]
    assert len(steps) == L
    assert all(before.outputs[0] in after.inputs for before, after in pairwise(steps))
    assert {call.module for call in steps} == {cell}


class ConvLSTM(nn.Module):
    """A cell of convolutions, stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 + 3, 4 * 3, 3, padding=1)

    def forward(self, x: Tensor) -> Any:
        h = c = x.new_zeros(x.size(0), 3, *x.shape[3:])
        for step in x.unbind(1):
            i, f, g, o = self.gates(torch.cat((step, h), 1)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


def test_layers_written_by_hand_are_their_own_calls() -> None:
    """A ConvLSTM: a convolution a step, all on the way from input to result."""
    trace = record(ConvLSTM(), torch.randn(N, 3, 2, 8, 8))
    assert names(trace).count("conv2d") == 3
    (_, result) = trace.results[0]
    way = trace.ancestors(result)
    assert all(any(v.index in way for v in call.outputs) for call in trace.calls if call.name == "conv2d")
    assert trace.inputs[0].index in way


class Tree(nn.Module):
    """A cell that is called along a tree, children first."""

    def __init__(self) -> None:
        super().__init__()
        self.leaf, self.both = nn.Linear(Q, D), nn.GRUCell(D, D)

    def forward(self, x: Tensor) -> Any:
        def node(low: int, high: int) -> Tensor:
            if high - low == 1:
                return torch.tanh(self.leaf(x[:, low]))
            middle = (low + high) // 2
            made: Tensor = self.both(node(low, middle), node(middle, high))
            return made

        return node(0, x.size(1))


def test_a_tree_of_calls() -> None:
    """A recursive model: one call a node, and check finds nothing wrong in it."""
    trace = record(Tree(), torch.randn(N, L, Q))
    assert names(trace).count("linear") == L
    assert names(trace).count("gru_cell") == L - 1
    assert check(Tree(), torch.randn(N, L, Q)).ok


# ---------------------------------------------------------------------- values
def test_a_write_in_place_makes_another_value() -> None:
    """What was there before keeps its elements; who reads later reads the new value."""

    def model(x: Tensor) -> Any:
        y = x * 2
        z = y + 1
        y[:, 0] = 0
        return y.sum(1) + z.sum(1)

    x = torch.randn(N, L)
    trace = record(model, x)
    first = trace.calls[0].outputs[0]
    written = next(call for call in trace.calls if call.name == "__setitem__").outputs[0]
    assert first is not written
    elements = first.elements
    assert elements is not None
    assert torch.equal(elements, x * 2)
    assert descends(trace, written, first)
    assert [call.name for call in written.readers] == ["sum"]


def test_a_write_through_a_view_is_seen_in_its_base() -> None:
    """out[t] = y in a buffer: the buffer that is returned descends from every y; views of views too."""

    def model(x: Tensor) -> Any:
        out = torch.zeros(L, N, Q)
        for t in range(L):
            out[t].view(-1, Q)[1:].copy_(x[1:, t] * 2)
        return out

    trace = record(model, torch.randn(N, L, Q))
    result = trace.results[0][1]
    assert result.maker is not None
    assert result.maker.name == "copy_"
    products = [call.outputs[0] for call in trace.calls if call.name in ("mul", "__mul__")]
    assert len(products) == L
    assert descends(trace, result, products[-1])


def test_a_stale_view_shows_what_was_written_behind_it() -> None:
    """A view that was taken before the write holds the new elements when it is read."""

    def model(x: Tensor) -> Any:
        y = x * 1
        row = y[0]
        y.mul_(3)
        return row + 0

    x = torch.randn(N, L)
    trace = record(model, x)
    result = trace.results[0][1]
    read = trace.calls[-1].inputs[0]
    assert read.deferred
    assert descends(trace, result, trace.inputs[0])
    writer = next(call for call in trace.calls if call.name == "mul_")
    assert read.maker is writer
    elements = read.elements
    assert elements is not None
    assert torch.equal(elements, x[0] * 3)


@pytest.mark.parametrize("write", [lambda t: t.relu_(), lambda t: nn.functional.relu(t, inplace=True)])
def test_writes_by_name_and_by_flag(write: Callable[[Tensor], Tensor]) -> None:
    """relu_ and relu(inplace=True) both write."""
    trace = record(lambda x: write(x - 1), torch.randn(N, L))
    before, after = trace.calls[0].outputs[0], trace.results[0][1]
    assert before is not after
    elements = before.elements
    assert elements is not None
    assert bool((elements < 0).any())


def test_out_writes_into_its_tensor() -> None:
    """torch.mul(x, 2, out=buffer) makes a value of the buffer."""
    buffer = torch.zeros(N, L)

    def model(x: Tensor) -> Any:
        torch.mul(x, 2, out=buffer)
        return buffer + 0

    trace = record(model, torch.randn(N, L))
    assert descends(trace, trace.results[0][1], trace.inputs[0])


def test_tuples_are_values_in_their_order() -> None:
    """split, max and an LSTM give tuples: each part is an output of the call."""
    rnn = nn.LSTM(Q, D, batch_first=True)

    def model(x: Tensor) -> Any:
        low, high = x.split((3, 4), dim=1)
        best, _ = low.max(dim=1)
        _, (hn, cn) = rnn(high)
        return best, hn, cn

    trace = record(model, torch.randn(N, L, Q))
    split, best, kernel = (next(c for c in trace.calls if c.name == name) for name in ("split", "max", "lstm"))
    assert [v.shape for v in split.outputs] == [(N, 3, Q), (N, 4, Q)]
    assert trace.results[0][1] is best.outputs[0]
    assert [value for _, value in trace.results[1:]] == list(kernel.outputs[1:])


def test_packed_sequences_are_followed() -> None:
    """From the padded rows through packing, the layer and padding back."""
    rnn = nn.GRU(Q, D, batch_first=True)
    lengths = torch.tensor([7, 5, 4, 2, 1])

    def model(x: Tensor) -> Any:
        packed = pack_padded_sequence(x, lengths, batch_first=True)
        return pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]

    trace = record(model, torch.randn(N, L, Q))
    assert {"_pack_padded_sequence", "gru", "_pad_packed_sequence"} <= set(names(trace))
    assert descends(trace, trace.results[0][1], trace.inputs[0])


def test_what_goes_through_numpy_is_still_descended_from() -> None:
    """A detour over numpy, a list or a number is unknown to torch and is no break in the descent."""
    trace = record(lambda x: torch.from_numpy(np.tanh(x.numpy())) + 1, torch.randn(N, L))
    assert descends(trace, trace.results[0][1], trace.inputs[0])
    trace = record(lambda x: torch.tensor([row.sum().item() for row in x]) * 2, torch.randn(N, L))
    assert descends(trace, trace.results[0][1], trace.inputs[0])


def test_new_tensors_descend_from_nothing() -> None:
    """zeros_like takes a shape and no element."""
    trace = record(lambda x: torch.zeros_like(x) + 1, torch.randn(N, L))
    assert not descends(trace, trace.results[0][1], trace.inputs[0])


def test_an_exception_is_the_calls() -> None:
    """The call that raised is the last, and says with what; the mode and the hooks are gone."""
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), recorder:
        torch.randn(N, L) @ torch.randn(N, L)
    assert isinstance(recorder.trace.calls[-1].error, RuntimeError)
    assert [v.shape for v in recorder.trace.stopped_with] == [(N, L), (N, L)]
    count = len(recorder.trace.calls)
    torch.ones(2).sum()
    assert len(recorder.trace.calls) == count


class Refuses(nn.Module):
    """Raises before any call is made."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("mine")


class Outer(nn.Module):
    """Calls what refuses, once in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.fine = Refuses(), nn.Tanh()

    def forward(self, x: Tensor, caught: bool) -> Tensor:
        y: Tensor = self.fine(x)
        if not caught:
            return self.inner(y)  # type: ignore[no-any-return]
        with suppress(ValueError):
            self.inner(y)
        self.fine(y)
        raise ValueError("after all")


@pytest.mark.parametrize("caught", [False, True], ids=["of the inner module", "of the outer one"])
def test_an_exception_of_no_call_is_where_a_module_was_left(caught: bool) -> None:
    """What the innermost module that it left was given; one that was dealt with is forgotten."""
    recorder, x = Recorder(), torch.randn(N, L)
    with pytest.raises(ValueError, match="after all" if caught else "mine"), recorder:
        Outer()(x, caught)
    (value,) = recorder.trace.stopped_with
    assert (value.tensor is x) is caught
    assert (value.maker is not None and value.maker.name == "tanh") is not caught


def test_a_scripted_module_is_one_call() -> None:
    """Its inside is not seen, and the trace says so."""

    class Inside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) * 2

    scripted = _scripted(Inside())
    trace = record(lambda x: scripted(x) + 1, torch.randn(N, L))
    assert names(trace)[0] == "script"
    assert len(trace.calls) == 2
    assert descends(trace, trace.results[0][1], trace.inputs[0])
    assert trace.unseen == {"the inside of a scripted module"}


def test_what_a_scripted_module_reads_and_gives_is_compared() -> None:
    """Beside a recorded run it is a call like any other."""
    scripted = _scripted(nn.Sequential(nn.Linear(L, D), nn.Tanh()))
    other = torch.randn(N, L)
    pairs, _ = follow(lambda x: scripted(x), torch.randn(N, L), other)
    assert [value.shape for value, _ in pairs] == [(N, L), (N, D)]
    assert torch.equal(pairs[0][1], other)
    assert torch.equal(pairs[1][1], scripted(other).detach())


def _scripted(module: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against scripting
        return torch.jit.script(module)


# ---------------------------------------------------------------------- following a second run
def follow(
    model: Callable[..., Any], x: Tensor, other: Tensor, **how: Any
) -> tuple[list[tuple[Value, Tensor]], Follower]:
    """The pairs that a second run gives beside a recorded one."""
    trace = record(model, x)
    pairs: list[tuple[Value, Tensor]] = []
    follower = Follower(trace, lambda value, tensor: pairs.append((value, tensor.detach().clone())), Still(), **how)
    with follower:
        output = model(other)
    follower.finish(trace, list(leaves(output)))
    return pairs, follower


def test_a_second_run_is_lined_up_call_by_call() -> None:
    """Each recorded value once, with the tensor in its place."""
    x, other = torch.randn(N, L), torch.randn(N, L)
    pairs, follower = follow(lambda x: (x * 2).sum(1), x, other)
    assert follower.diverged is None
    assert [value.shape for value, _ in pairs] == [(N, L), (N, L), (N,)]
    assert torch.equal(pairs[0][1], other)
    assert torch.equal(pairs[2][1], (other * 2).sum(1))
    assert len({value.index for value, _ in pairs}) == len(pairs)


def test_a_run_that_takes_another_path_is_followed_to_there() -> None:
    """Control flow that depends on the data: up to the first other call, and no further."""

    def model(x: Tensor) -> Any:
        y = x * 2
        return y + 1 if float(y.sum()) > 0 else y.tanh()

    pairs, follower = follow(model, torch.ones(N, L), -torch.ones(N, L))
    assert follower.diverged is not None
    assert follower.diverged.name in ("add", "__add__")
    assert len(pairs) >= 2


def test_a_shorter_loop_is_lined_up_where_it_goes_on() -> None:
    """With `realign` the recorded steps that are not made are skipped."""
    cell, head = nn.GRUCell(Q, D), nn.Linear(D, 2)

    def model(x: Tensor) -> Any:
        h = torch.zeros(x.size(0), D)
        for t in range(x.size(1)):
            h = cell(x[:, t], h)
        return head(h)

    x = torch.randn(N, L, Q)
    pairs, _ = follow(model, x, x[:, :3], realign=True)
    linear = [tensor for value, tensor in pairs if value.maker is not None and value.maker.name == "linear"]
    assert len(linear) == 1
    assert torch.equal(linear[0], model(x[:, :3]).detach())


def test_a_write_in_place_is_compared_where_it_is_read() -> None:
    """What a later write changes is compared before and after, each with its own time."""

    def model(x: Tensor) -> Any:
        y = x * 2
        y[0] = 5.0
        return y + 0

    x, other = torch.zeros(N, L), torch.ones(N, L)
    pairs, _ = follow(model, x, other)
    made = {(value.maker.name if value.maker else "input"): (value, tensor) for value, tensor in pairs}
    product = next(pair for name, pair in made.items() if name in ("mul", "__mul__"))
    assert torch.equal(product[1], torch.full((N, L), 2.0))
    assert float(made["__setitem__"][1][0].mean()) == 5.0
    assert float(made["__setitem__"][1][1:].mean()) == 2.0


# ---------------------------------------------------------------------- what is not seen
class Worker(nn.Module):
    """Runs its layer in another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(Q, D, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        made: list[Tensor] = []
        thread = threading.Thread(target=lambda: made.append(self.rnn(x)[0].detach()))
        thread.start()
        thread.join()
        return made[0]


class Generator(nn.Module):
    """Gives its steps one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(Q, D)

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        h = torch.zeros(x.size(0), D)
        for step in x.unbind(1):
            h = self.cell(step, h)
            yield h


def _quantised() -> Callable[[], Any]:
    def made() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch moves its quantisation elsewhere
            model = nn.Sequential(nn.Linear(Q, D), nn.Linear(D, 3))
            return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)

    return made


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: _scripted(nn.Sequential(nn.Linear(Q, D), nn.Tanh())), id="scripted"),
        pytest.param(_quantised(), id="quantised"),
        pytest.param(Worker, id="another thread"),
        pytest.param(Generator, id="generator"),
        pytest.param(lambda: torch.compile(nn.Linear(Q, D), backend="eager"), id="compiled"),
    ],
)
def test_what_cannot_be_seen_into_does_not_crash(make: Callable[[], Any]) -> None:
    """A report without an error, in which something is tested or said not to be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check(make(), torch.randn(N, L, Q))
    assert report.ok, str(report)
    assert report.tested or report.not_tested


def test_a_scripted_module_is_named_in_the_report() -> None:
    """Not tested: the inside of a scripted module."""
    report = check(_scripted(nn.Sequential(nn.Linear(Q, D), nn.Tanh())), torch.randn(N, L, Q))
    assert "the inside of a scripted module" in report.not_tested


def test_samples_that_meet_unseen_are_found() -> None:
    """In another thread, or in numpy: what moved in the result is seen although no call is."""
    worker = Worker()
    worker.rnn = nn.GRU(Q, D)
    report = check(worker, torch.randn(N, L, Q))
    assert "LS201" in report.codes
    assert "another thread" in report.errors[0].title
    assert "what runs in another thread" in report.not_tested
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy arrays are handed over without a copy
        crossed = check(lambda x: np.cumsum(x.numpy(), axis=0), torch.randn(N, Q))
    assert "LS201" in crossed.codes
    assert "numpy" in crossed.errors[0].title
