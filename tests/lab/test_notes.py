"""Each note for learners says what is so, measured on layers here; a test in the end looks that none is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import lstm_shapes as ls
from lstm_shapes.theory.notes import NOTES

X = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([4, 2])
HELD: set[str] = set()


def holds(*keys: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The notes that a test measures."""
    HELD.update(keys)
    return lambda test: test


def made(x: torch.Tensor = X, K: int = 3, **fields: Any) -> tuple[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A layer of Q = 7 and D = 5 in double precision, with its Y, hn and cn."""
    layer = ls.build(7, 5, K, dtype=torch.float64, **fields)
    with torch.no_grad():
        Y, (hn, cn) = layer(x.double())
    return layer, Y, hn, cn


@holds("batch first", "time first", "states and layout", "torch's words")
def test_layout() -> None:
    """batch_first exchanges the axes of x and Y, leaves those of the states, and is False in torch."""
    _, Y, hn, cn = made()
    _, turned, same_hn, same_cn = made(X.transpose(0, 1), batch_first=False)
    torch.testing.assert_close(turned.transpose(0, 1), Y)
    torch.testing.assert_close((same_hn, same_cn), (hn, cn))
    assert (hn.shape, nn.LSTM(7, 5).batch_first, ls.Spec(7, 5).batch_first) == ((3, 2, 5), False, True)


@holds("hidden, not cell", "top layer", "unbatched")
def test_last_step() -> None:
    """The last step is hn[-1] and no row of cn; one sequence has no batch axis anywhere."""
    _, Y, hn, cn = made()
    assert torch.equal(Y[:, -1], hn[-1])
    assert not any(torch.allclose(Y[:, -1], row) for row in (*cn, *hn[:-1]))
    _, Y, hn, cn = made(X[0])
    assert (Y.shape, hn.shape) == ((4, 5), (3, 5))


@holds("open question")
def test_an_integer_takes_its_axis_away() -> None:
    """The same numbers with one axis less; Linear takes either, cross entropy against N labels the first alone."""
    _, Y, _, _ = made()
    assert (Y[:, -1, :].shape, Y[:, -1:].shape) == ((2, 5), (2, 1, 5))
    assert torch.equal(Y[:, -1, :], Y[:, -1])
    assert torch.equal(Y[:, -1:].squeeze(1), Y[:, -1])
    head, labels = nn.Linear(5, 3, dtype=torch.float64), torch.tensor([0, 2])
    assert nn.functional.cross_entropy(head(Y[:, -1]), labels).shape == ()
    with pytest.raises(RuntimeError, match="target"):
        nn.functional.cross_entropy(head(Y[:, -1:]), labels)


@holds("half a summary")
def test_backward_half_of_the_last_step() -> None:
    """It does not change with what comes before the last step; hn[-2] and hn[-1] do."""
    layer, Y, hn, _ = made(K=1, bidirectional=True)
    changed = torch.cat((X[:, :-1] + 1, X[:, -1:]), dim=1).double()
    other, (h, _) = layer(changed)
    torch.testing.assert_close(other[:, -1, 5:], Y[:, -1, 5:])
    assert not torch.allclose(h[-2], hn[-2])
    assert not torch.allclose(h[-1], hn[-1])


@holds("short rows", "short rows, two directions", "top layer, short rows")
@pytest.mark.parametrize("two", [False, True])
def test_short_rows(two: bool) -> None:
    """hn is each row after its own last step, and Y is zero beyond it."""
    run = ls.run(7, 5, 3, bidirectional=two, lengths=LENGTHS)
    assert run.Y is not None
    Y, hn = run.Y.plain(), run.hn.plain()
    assert torch.equal(Y[torch.arange(2), LENGTHS - 1, :5], hn[-2 if two else -1])
    assert not Y[1, 2:].any()
    assert torch.equal(Y[0, -1, :5], hn[-2 if two else -1, 0])


@holds("projection", "one step", "widths")
def test_widths() -> None:
    """A projection narrows h alone; a cell gives (h, c); an embedding's width is Q."""
    _, Y, hn, cn = made(proj_size=2)
    assert (Y.size(-1), hn.size(-1), cn.size(-1)) == (2, 2, 5)
    assert [state.shape for state in nn.LSTMCell(7, 5)(X[:, 0])] == [(2, 5)] * 2
    assert nn.GRUCell(7, 5)(X[:, 0]).shape == (2, 5)
    assert nn.LSTM(7, 5)(nn.Embedding(9, 7)(torch.zeros(4, 2, dtype=torch.long)))[0].shape == (4, 2, 5)


@holds("no dropout", "dropout", "chained")
def test_layers_are_chained() -> None:
    """Three layers are three one-layer LSTMs; dropout acts in train mode, and only where there is a between."""
    layer, Y, hn, _ = made()
    passed = X.double()
    for k in range(3):
        one = nn.LSTM(passed.size(-1), 5, batch_first=True, dtype=torch.float64)
        mine = {name: value for name, value in layer.state_dict().items() if name.endswith(f"_l{k}")}
        one.load_state_dict({name.replace(f"_l{k}", "_l0"): value for name, value in mine.items()})
        passed, (h, _) = one(passed)
        torch.testing.assert_close(h[0], hn[k])
    torch.testing.assert_close(passed, Y)
    for K, training, same in ((3, True, False), (3, False, True), (1, True, True)):
        dropping, *_ = made(K=K, dropout=0.5)
        dropping.train(training)
        assert torch.equal(dropping(X.double())[0], dropping(X.double())[0]) == same


@holds("batch size", "shared weights")
def test_rows_and_steps_share_weights() -> None:
    """Another sample changes nothing in a row; any number of rows and steps is read by the same weights."""
    layer, Y, _, _ = made()
    torch.testing.assert_close(layer(torch.cat((X[:1], X[1:] + 1)).double())[0][0], Y[0])
    assert layer(torch.zeros(9, 100, 7).double())[0].shape == (9, 100, 5)
    assert {ls.count(7, 5, 3, N=N, L=L).total for N in (1, 9) for L in (1, 1000)} == {1 * ls.count(layer).total}


@holds("D costs", "D costs, half", "share", "share, half")
def test_share_of_the_recurrent_matrices() -> None:
    """The share is counted on the weights themselves; half the width is counted on a layer of that width."""
    layer, *_ = made()
    numbers = {name: weight.numel() for name, weight in layer.named_parameters()}
    share = sum(number for name, number in numbers.items() if "weight_hh" in name) / sum(numbers.values())
    less = sum(weight.numel() for weight in nn.LSTM(7, 2, 3).parameters())
    said = next(note for note in ls.explain(layer, proof=False).notes if "recurrent matrices" in note)
    assert said.count(f"{share:.0%}") == said.count(f"D = 2 it is {less:,} in place of {sum(numbers.values()):,}") == 1


@holds("memory")
def test_memory() -> None:
    """What autograd keeps of an unfused layer, each block of memory once and without the weights; without grad none."""
    layer, *_ = made(K=1)
    weights = {weight.untyped_storage().data_ptr() for weight in layer.parameters()}
    kept: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        store = value.untyped_storage()
        if store.data_ptr() not in weights and value.is_floating_point():
            kept[store.data_ptr()] = store.nbytes() // 8
        return value

    held = []  # alive until counted, so that no address is used twice
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        with torch.no_grad():
            layer(X.double())
        assert not kept
        held.append(layer(X.double()))
    assert sum(kept.values()) * 8 == ls.count(7, 5, N=2, L=4, dtype=torch.float64).activation_bytes


@holds("nothing kept", "nothing kept, two directions")
def test_nothing_is_kept_and_states_go_on() -> None:
    """Two calls give the same; a sequence goes on where a call ended if (hn, cn) is passed, in one direction only."""
    for two in (False, True):
        layer, Y, hn, _ = made(bidirectional=two)
        x = X.double()
        torch.testing.assert_close(layer(x)[0], Y)
        first, (h, c) = layer(x[:, :2])
        second, (end, _) = layer(x[:, 2:], (h.detach(), c.detach()))
        assert torch.allclose(torch.cat((first, second), dim=1), Y) == (not two)
        assert torch.allclose(end, hn) == (not two)
        assert not torch.allclose(layer(x[:, 2:])[0], Y[:, 2:])


@holds("which output")
@pytest.mark.parametrize(("two", "width"), [(False, 5), (True, 10)])
def test_linear_fits_steps_and_summaries(two: bool, width: int) -> None:
    """nn.Linear(width, n) gives n numbers a step on Y, and n a sequence on the summary."""
    _, Y, hn, _ = made(bidirectional=two)
    head = nn.Linear(width, 3, dtype=torch.float64)
    assert head(Y).shape == (2, 4, 3)
    assert head(torch.cat((hn[-2], hn[-1]), dim=-1) if two else Y[:, -1]).shape == (2, 3)


@holds("cell states")
@pytest.mark.parametrize(("two", "top", "row"), [(False, -1, -1), (True, (-1, 0), -2)])
def test_cell_states_are_in_gates(two: bool, top: Any, row: int) -> None:
    """c of the top layer at every step, of which the row of cn is the last."""
    layer, _, _, cn = made(bidirectional=two)
    c = ls.gates(layer, X.double())[top].c
    assert c.axes.names == ("N", "L", "D")
    torch.testing.assert_close(c.plain()[:, -1], cn[row])


def test_every_note_is_held() -> None:
    """By a test above; the words of Keras by an LSTM in Keras' own order, in tests/test_keras.py."""
    assert {*HELD, "Keras"} == set(NOTES)
