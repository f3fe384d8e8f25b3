"""The axes of a recorded run by name: what layers and the caller say of them, and nothing that is not certain."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab.trace import Recorder, Value

N, L, Q, D = 4, 7, 5, 8


def named(program: Callable[..., Tensor], *inputs: Tensor, batch: bool = True) -> tuple[AxisNames, str, list[Value]]:
    """The names of a run, and the shape of what it returned."""
    recorder = Recorder()
    values = [recorder.value(tensor) for tensor in inputs]
    with recorder:
        out = program(*inputs)
    trace = recorder.trace
    names = AxisNames(trace, {value.index: 0 for value in values} if batch else {})
    value = trace.value_of(out)
    assert value is not None
    return names, names.shape(value), trace.values


def test_layers_name_what_they_read() -> None:
    """A layer gives N, L and R·D to its output, and N and L to what its input was made of."""
    rnn = nn.LSTM(Q, D, 2, bidirectional=True)
    x = torch.randn(L, N, Q)
    names, shape, recorded = named(lambda x: rnn(x)[0], x, batch=False)
    assert shape == "(L=7, N=4, R·D=16)"
    value = recorded[0]
    assert names.shape(value) == "(L=7, N=4, Q=5)"


def test_products() -> None:
    """A size is taken apart by the axes that were merged into it, and an axis that is cut has no name."""
    rnn = nn.GRU(Q, D, 2, batch_first=True, bidirectional=True)
    x = torch.randn(N, L, Q)
    names, shape, recorded = named(lambda x: rnn(x)[1].view(-1, D), x)
    assert shape == "(K·R·N=16, D=8)"
    last = recorded[-1]
    assert names.product(last, 0) == "16 = K·R·N = 2·2·4"
    assert names.count(last) == "128 = K·R·N·D = 16·8"
    assert named(lambda x: rnn(x)[0].reshape(N, 4, -1), x)[1] == "(N=4, 4, 28)"


def test_nothing_that_is_not_certain() -> None:
    """What the caller says of the batch wins over a layer in the other layout; batches in a row are no batch."""
    rnn = nn.GRU(Q, D)
    x = torch.randn(N, L, Q)
    assert named(lambda x: rnn(x)[0], x)[1] == "(N=4, 7, D=8)"
    assert named(lambda x: torch.cat([x, x, x]), x)[1] == "(12, 7, 5)"
    assert named(lambda x: F.pad(x, (0, 3)), x)[1] == "(N=4, 7, 8)"


def test_inputs_laid_beside_each_other_are_named_together() -> None:
    """A layer names both inputs that were joined before it, except along the axis on which they were joined."""
    rnn = nn.GRU(2 * Q, D)
    recorder = Recorder()
    inputs = [torch.randn(L, N, Q) for _ in range(2)]
    values = [recorder.value(tensor) for tensor in inputs]
    with recorder:
        rnn(torch.cat(inputs, dim=-1))
    names = AxisNames(recorder.trace)
    assert [names.shape(value) for value in values] == ["(L=7, N=4, 5)"] * 2


def test_a_write_through_a_view_keeps_names() -> None:
    """`scores.data.masked_fill_(…)` leaves scores what they are."""
    x = torch.randn(N, L, Q)

    def program(x: Tensor) -> Tensor:
        y = x * 2
        y.data.masked_fill_(y > 0, 0.0)
        return y + 1

    assert named(program, x)[1] == "(N=4, 7, 5)"


def shapes(program: Callable[..., Tensor], *inputs: Tensor) -> list[str]:
    """The inputs and the result of a run, named last."""
    recorder = Recorder()
    values = [recorder.value(tensor) for tensor in inputs]
    with recorder:
        out = program(*inputs)
    result = recorder.value(out)
    names = AxisNames(recorder.trace, results=[result])
    return [names.shape(value) for value in (*values, result)]


def test_an_axis_that_is_cut_before_a_layer_reads_it_is_a_product() -> None:
    """Steps and samples in one axis, as reinforcement learning rolls them out."""
    rnn, N = nn.GRU(Q, D), 3
    assert shapes(lambda x: rnn(x.view(L, N, Q))[0].flatten(0, 1), torch.randn(L * N, Q)) == [
        "(L·N=21, Q=5)",
        "(L·N=21, D=8)",
    ]


def test_a_recurrence_written_by_hand_names_its_steps() -> None:
    """A state that goes on along an axis makes it L, what nothing is computed along is N; a sum alone is neither."""
    W, U = nn.Parameter(torch.randn(Q, D)), nn.Parameter(torch.randn(D, D))

    def loop(x: Tensor) -> Tensor:
        h = torch.zeros(N, D)
        for t in range(x.size(0)):
            h = torch.tanh(x[t] @ W + h @ U)
        return h

    def pooled(x: Tensor) -> Tensor:
        total = torch.zeros(N, Q)
        for at in range(x.size(0)):
            total = total + x[at]
        return total @ W

    x = torch.randn(L, N, Q)
    assert shapes(loop, x)[0] == "(L=7, N=4, Q=5)"
    assert shapes(pooled, x)[0] == "(7, N=4, Q=5)"


def test_samples_are_not_guessed() -> None:
    """Where two axes arrive untouched, or the one is summed over, nothing says which is which."""
    x = torch.randn(N, L, Q)
    assert shapes(nn.Linear(Q, 3), x)[0] == "(4, 7, Q=5)"
    assert shapes(lambda x: x.sum(0).sum(0), x)[0] == "(4, 7, 5)"


def test_attention_sorting_and_scattering() -> None:
    """What is normalised over is S; one row sorted keeps its name; what is scattered along an axis is not that axis."""
    rnn, score = nn.GRU(Q, D, batch_first=True), nn.Linear(Q, 1)
    x, lengths = torch.randn(N, L, Q), torch.tensor([3, 7, 5, 2])

    def attended(x: Tensor) -> Tensor:
        return torch.bmm(score(x).softmax(1).transpose(1, 2), x).squeeze(1)

    assert shapes(attended, x)[0] == "(N=4, S=7, Q=5)"

    def in_order(x: Tensor, lengths: Tensor) -> Tensor:
        order = lengths.argsort(descending=True)
        y: Tensor = rnn(x.index_select(dim=0, index=order))[0].index_select(0, order.argsort())
        return y

    assert shapes(in_order, x, lengths)[0] == "(N=4, L=7, Q=5)"
    assert shapes(in_order, x, lengths)[2] == "(N=4, L=7, D=8)"
    where = torch.zeros(N, 1, D, dtype=torch.long)
    assert shapes(lambda x: rnn(x)[0].scatter(1, where, 0.0), x)[1] == "(N=4, 7, D=8)"
