"""Inputs as slots: their axes, other values of the same kind, and inputs that hold nothing to replace."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.lab.check import Report, check
from lstm_shapes.lab.check._inputs import Inputs, whole_numbers
from lstm_shapes.lab.trace import Recorder

N, L, Q, D = 5, 7, 4, 6


def inputs(*args: Any, batch_dim: int | None = 0, lengths: Any = None, **kwargs: Any) -> Inputs:
    return Inputs(args, kwargs, batch_dim, lengths)


# ---------------------------------------------------------------------- slots
@pytest.mark.parametrize(
    ("value", "batch_dim", "batch", "time"),
    [
        (torch.randn(N, L, Q), 0, 0, 1),
        (torch.randn(L, N, Q), 1, 1, 0),
        (torch.randn(N, Q), 0, 0, None),
        (torch.randint(9, (N, L)), 0, 0, 1),
        (torch.randn(L, Q), None, None, 0),
        (torch.randn(N), 0, 0, None),
    ],
)
def test_axes_of_a_slot(value: Tensor, batch_dim: int | None, batch: int | None, time: int | None) -> None:
    """The batch is where batch_dim says; time is the next axis of a sequence."""
    made = inputs(value, batch_dim=batch_dim)
    (slot,) = made.slots
    assert (slot.batch, slot.time) == (batch, time)
    assert made.slots[0].movable is (batch is not None)
    assert made.N in {1, N} - ({1} if batch_dim is not None else {N})


def test_lengths_before_the_batch_are_not_the_batch() -> None:
    """N comes from the first input that is no lengths; a state's batch axis is found by its size."""
    lengths = torch.tensor([7, 5, 4, 3, 2])
    made = inputs(lengths, torch.randn(N, L, Q), torch.randn(2, N, D), lengths=lengths)
    assert made.N == N
    assert [slot.batch for slot in made.slots] == [0, 0, 1]
    assert [slot.movable for slot in made.slots] == [False, True, True]


class Pair(NamedTuple):
    x: Tensor
    more: dict[str, Tensor]


def test_nested_inputs_are_rebuilt_in_their_own_kinds() -> None:
    """Named tuples, dicts, lists and packed sequences come back as what they were; copies, not the caller's tensors."""
    x, y = torch.randn(N, L, Q), torch.randn(N, 3)
    packed = pack_padded_sequence(torch.randn(N, L, Q), torch.tensor([7, 5, 4, 3, 2]), batch_first=True)
    made = inputs(Pair(x, {"y": y}), [packed, [7, 5, 4, 3, 2]], flag=True)
    (pair, (again, counts)), kwargs = made.same()
    assert isinstance(pair, Pair)
    assert isinstance(again, PackedSequence)
    assert (counts, kwargs) == ([7, 5, 4, 3, 2], {"flag": True})
    assert torch.equal(pair.more["y"], y)
    assert pair.x is not x
    assert torch.equal(again.data, packed.data)


# ---------------------------------------------------------------------- other values of the same kind
@pytest.mark.parametrize("sample", range(N))
def test_one_sample_is_replaced_and_no_other(sample: int) -> None:
    """Every real step of the row differs, and everything else is as it was."""
    x, ids = torch.randn(N, L, Q), torch.randint(1, 9, (N, L))
    made = inputs(x, ids)
    (other, others), _ = made.sample(sample)
    rows = torch.arange(N) == sample
    assert torch.equal((other != x).flatten(1).any(1), rows)
    assert torch.equal((others != ids).any(1), rows)
    assert bool((others[sample] != ids[sample]).all())
    assert set(others.flatten().tolist()) <= set(ids.flatten().tolist())


def test_padding_stays() -> None:
    """Steps of zeros and padding ids of the replaced row are as before."""
    x = torch.randn(N, L, Q)
    x[1, 4:] = 0
    ids = torch.randint(1, 9, (N, L))
    ids[1, 4:] = 0
    (other, others), _ = inputs(x, ids).sample(1)
    assert not bool(other[1, 4:].any())
    assert not bool(others[1, 4:].any())
    assert bool((others[1, :4] != ids[1, :4]).all())


def test_the_padding_of_an_embedding_stays() -> None:
    """The id that an embedding holds for padding is learned from a run, and is no token like the others."""
    ids = torch.tensor([[3, 4, 5, 9], [7, 9, 9, 9], [4, 6, 9, 9]])
    embedding = nn.Embedding(10, Q, padding_idx=9)
    recorder, made = Recorder(), inputs(ids)
    with recorder:
        embedding(ids)
    assert made.pads == {0}
    made.learn(recorder.trace, [])
    assert made.pads == {0, 9}
    replaced = made.sample(0)[0][0]
    assert replaced[0, 3] == 9
    assert not set(replaced[0, :3].tolist()) & {0, 9}


def test_equal_tokens_are_replaced_by_one_that_an_embedding_holds() -> None:
    """Where one id occurs only, its neighbour below is taken: it is in every table that holds the id."""
    ids = torch.full((N, L), 4)
    ((other,), _) = inputs(ids).sample(2)
    assert other[2].unique().tolist() == [3]


def test_a_packed_row_is_replaced_in_the_order_of_the_caller() -> None:
    """Sample i of a sequence that was packed unsorted is row i of the caller."""
    lengths = torch.tensor([3, 7, 2, 5, 4])
    x = torch.randn(N, L, Q) * (torch.arange(L) < lengths[:, None]).unsqueeze(-1)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    ((other,), _) = inputs(packed).sample(3)
    padded, _ = nn.utils.rnn.pad_packed_sequence(other, batch_first=True)
    assert torch.equal((padded != x).flatten(1).any(1), torch.arange(N) == 3)


def test_cut_limits_lengths_and_data() -> None:
    """The batch cut to four steps: the data is narrowed, the lengths are clamped, in their own form."""
    x, lengths = torch.randn(N, L, Q), [7, 5, 4, 3, 2]
    made = inputs(x, lengths, torch.tensor(lengths)[:, None])
    ((cut, counts, column), _) = made.cut({0: (1,)}, 4, {1: lengths, 2: lengths})
    assert torch.equal(cut, x[:, :4])
    assert counts == [4, 4, 4, 3, 2]
    assert torch.equal(column, torch.tensor([[4], [4], [4], [3], [2]]))


def test_wider_repeats_the_last() -> None:
    """One sample and two steps more."""
    x = torch.randn(N, L, Q)
    ((more,), _) = inputs(x).wider(1, 2)
    assert more.shape == (N + 1, L + 2, Q)
    assert torch.equal(more[:N, :L], x)
    assert torch.equal(more[N, :L], x[-1])


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (torch.tensor([3, 2]), [3, 2]),
        (torch.tensor([[3], [2]]), [3, 2]),
        ([3, 2], [3, 2]),
        (torch.tensor([3.0, 2.0]), None),
        (torch.tensor([True, False]), None),
        (torch.ones(2, 2, dtype=torch.long), None),
        ([], None),
        ("32", None),
        (None, None),
        (torch.ones(2, dtype=torch.long, device="meta"), None),
    ],
)
def test_whole_numbers(value: Any, numbers: list[int] | None) -> None:
    """Lengths are whole numbers on one axis, or in one column."""
    assert whole_numbers(value) == numbers


# ---------------------------------------------------------------------- inputs that show little or nothing
class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, Q)
        self.rnn = nn.LSTM(Q, D, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x if x.is_floating_point() else self.table(x))[0]


def test_no_samples() -> None:
    """A batch of N = 0: no error, and the report says that samples were not tested."""
    report = check(nn.Linear(Q, D), torch.randn(0, Q))
    assert report.ok, str(report)
    assert "samples (the batch holds N = 0 samples; two show more)" in report.not_tested


def test_one_sample() -> None:
    """N = 1 shows nothing about samples."""
    report = check(Tagger(), torch.randn(1, L, Q))
    assert report.ok
    assert "samples (the batch holds N = 1 sample; two show more)" in report.not_tested


@pytest.mark.parametrize("token", [0, 1, 8])
def test_all_tokens_equal(token: int) -> None:
    """Equal tokens accuse nobody, and do not hide a wrong layout."""
    ids = torch.full((N, L), token)
    assert check(Tagger(), ids).ok
    table, rnn = nn.Embedding(9, Q), nn.LSTM(Q, D)
    assert "LS201" in check(lambda x: rnn(table(x))[0][:, -1], ids).codes


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("everywhere", [True, False])
def test_not_finite(value: float, everywhere: bool) -> None:
    """NaN and infinite numbers in a row, or in all, accuse nobody."""
    x = torch.full((N, L, Q), value) if everywhere else torch.randn(N, L, Q)
    x[1, 2] = value
    assert check(Tagger(), x).ok


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (lambda: 3, ()),
        (lambda text: text.upper(), ("text",)),
        (lambda x: None, (torch.randn(N, Q),)),
        (lambda x: float(x.sum()), (torch.randn(N, Q),)),
        (lambda x: {"shape": x.shape}, (torch.randn(N, Q),)),
    ],
)
def test_no_tensor_in_or_out(model: Any, given: tuple[Any, ...]) -> None:
    """No crash, no error, and what was not tested is said."""
    report = check(model, *given)
    assert report.ok, str(report)
    assert any(line.startswith("samples") for line in report.not_tested), str(report)


def test_inputs_of_different_batches() -> None:
    """A batch of queries beside a bank of keys: N is that of the first input."""

    def model(x: Tensor, bank: Tensor) -> Tensor:
        return x @ bank.t()

    report = check(model, torch.randn(N, Q), torch.randn(8, Q))
    assert report.ok, str(report)
    assert f"samples (3 of {N})" in report.tested


def test_a_sparse_input_and_a_sparse_buffer() -> None:
    """A graph's adjacency as an input or a buffer is no batch, and is put back."""
    adjacency = torch.eye(N).to_sparse()

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("adjacency", torch.eye(L).to_sparse())
            self.rnn = nn.GRU(Q, D, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            spread = torch.stack([torch.sparse.mm(self.adjacency, row) for row in x])
            return self.rnn(spread)[0]

    assert check(Graph(), torch.randn(N, L, Q)).ok
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that this layout is new
        compressed = adjacency.to_sparse_csr()
    for given in (adjacency, compressed):
        assert not check(lambda x, a: torch.cat((x, x)), torch.randn(N, Q), given).errors
        report = check(lambda x, a: torch.sparse.mm(a, x), torch.randn(N, Q), given)
        assert report.tested == (f"samples (3 of {N})",), str(report)


def test_a_cell_whose_bias_is_one() -> None:
    """nn.LSTMCell(a, b, 1): the third argument is a bias, no number of layers."""
    cell = nn.LSTMCell(Q, D, 1)  # type: ignore[arg-type]
    report = check(lambda x: cell(x)[0], torch.randn(N, Q))
    assert not report.errors, str(report)


def test_the_type_of_a_tensor_is_asked() -> None:
    """A forward that wants a plain tensor gets one."""
    rnn = nn.GRU(Q, D, batch_first=True)

    def model(x: Tensor) -> Any:
        assert type(x) is Tensor
        assert type(x) == torch.Tensor  # noqa: E721
        return rnn(x)[0]

    assert check(model, torch.randn(N, L, Q)).ok


@pytest.mark.parametrize("made_inside", [True, False])
def test_inference_mode(made_inside: bool) -> None:
    """Inference tensors have no versions: inside the mode and outside, wrong and right are told apart."""
    rnn, wrong = nn.GRU(Q, D, batch_first=True), nn.GRU(Q, D)

    def reports() -> tuple[Report, Report]:
        x = torch.randn(N, L, Q)
        return check(lambda x: rnn(x)[0][:, -1], x), check(lambda x: wrong(x)[0][:, -1], x)

    if made_inside:
        with torch.inference_mode():
            right, found = reports()
    else:
        right, found = torch.inference_mode()(lambda: reports())()
    assert right.ok
    assert "LS201" in found.codes


def test_a_model_that_is_inference_itself() -> None:
    """A forward decorated with inference_mode, on a tensor that needs gradients."""
    rnn = nn.LSTM(Q, D)

    @torch.inference_mode()
    def model(x: Tensor) -> Any:
        return rnn(x)[0][:, -1]

    x = torch.randn(N, L, Q, requires_grad=True)
    assert "LS201" in check(model, x).codes
    assert x.grad is None
