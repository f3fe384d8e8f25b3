"""Call takes any sizes that one call can have, and refuses those that contradict each other."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.errors import LstmShapesError, ShapeError, SpecError
from lstm_shapes.testing import lengths
from lstm_shapes.theory.call import DEFAULT_N, DTYPES, Call, dtype_name
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases

SPEC = Spec(28, 256, 3)
CELL = Spec(28, 256, cell="LSTMCell")


def test_defaults_are_the_lessons() -> None:
    """Two sequences of twenty steps, as in the lesson's torchinfo.summary(model, (2, 20, 28))."""
    assert Call.of(SPEC) == Call() == Call(2, 20, None)
    assert type(Call.of(SPEC).N) is int


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", [2], 2**63], ids=repr)
@pytest.mark.parametrize(("name", "shown"), [("N", "N (batch size)"), ("L", "L (steps)")])
def test_sizes_are_whole_numbers(name: str, shown: str, value: object) -> None:
    """The rules of a layer's sizes are those of a call's."""
    with pytest.raises(SpecError, match="a whole number of at least 1") as caught:
        Call.of(SPEC, **{name: value})  # type: ignore[arg-type]
    assert caught.value.name == shown
    assert caught.value.got is value


def test_none_means_unbatched() -> None:
    """N=None is one sequence without a batch axis."""
    call = Call.of(SPEC, N=None, L=7)
    assert (call.batched, call.T, call.T_formula) == (False, 7, "L")


def test_a_cell_does_one_step() -> None:
    """Whatever L is said to be, a cell has one."""
    assert Call.of(CELL, N=3, L=20).L == 1
    assert Call.of(CELL, N=3).T == 3
    assert Call.of(CELL, N=None).T == 1


def test_lengths_give_N_and_L() -> None:
    """What the rows say needs no saying again."""
    call = Call.of(SPEC, lengths=[5, 3, 4])
    assert (call.N, call.L, call.lengths, call.T) == (3, 5, (5, 3, 4), 12)
    assert call.T_formula == "sum(lengths)"
    assert Call.of(SPEC, N=3, L=9, lengths=(5, 3, 4)).L == 9


def test_lengths_come_from_any_iterable() -> None:
    """A tuple, a generator, an array with tolist; each gives plain ints."""

    class Array:
        def __iter__(self) -> Any:
            raise AssertionError("tolist is there")

        def tolist(self) -> list[int]:
            return [5, 3]

    for given_lengths in ((5, 3), (number for number in (5, 3)), Array(), {5: "a", 3: "b"}):
        assert Call.of(SPEC, lengths=given_lengths).lengths == (5, 3)


def test_lengths_come_from_a_tensor() -> None:
    """As torch's own pad_packed_sequence returns them."""
    import torch

    assert Call.of(SPEC, lengths=torch.tensor([5, 3])).lengths == (5, 3)
    with pytest.raises(SpecError, match=r"lengths\[0\] must be a whole number of at least 1, got 5.0"):
        Call.of(SPEC, lengths=torch.tensor([5.0, 3.0]))
    with pytest.raises(SpecError, match="one whole number for each sequence"):
        Call.of(SPEC, lengths=torch.tensor(5))


@pytest.mark.parametrize("lengths", [5, 5.0, pytest.param(object(), id="object")], ids=str)
def test_lengths_are_many(lengths: object) -> None:
    """One number is no list of lengths."""
    with pytest.raises(SpecError, match=r"^lengths must be one whole number for each sequence"):
        Call.of(SPEC, lengths=lengths)  # type: ignore[arg-type]


def test_lengths_are_not_empty() -> None:
    """No sequences, no call."""
    with pytest.raises(SpecError, match="It is empty"):
        Call.of(SPEC, lengths=())


@pytest.mark.parametrize("entry", [0, -3, 2.0, True, "2", None], ids=repr)
def test_each_length_is_a_size(entry: object) -> None:
    """The message says which row is wrong."""
    with pytest.raises(SpecError, match=r"^lengths\[1\] must be a whole number of at least 1") as caught:
        Call.of(SPEC, lengths=(5, entry, 3))  # type: ignore[arg-type]
    assert caught.value.got is entry


def test_lengths_and_N_agree() -> None:
    """A batch size that somebody gave is not overruled, and unbatched rows have no lengths."""
    for N in (2, 4):
        with pytest.raises(ShapeError, match="lengths must be one entry for each of N sequences"):
            Call.of(SPEC, N=N, lengths=(5, 3, 4))
    with pytest.raises(ShapeError, match="lengths must be left out for one unbatched sequence"):
        Call.of(SPEC, N=None, lengths=(5, 3, 4))
    with pytest.raises(ShapeError, match="N sequences = 2, got 3"):
        Call.of(SPEC, N=2, lengths=(5, 3, 4))
    with pytest.raises(SpecError, match=r"^N"):
        Call.of(SPEC, N="3", lengths=(5, 3, 4))
    assert Call.of(SPEC, N=DEFAULT_N, lengths=(5, 3, 4)).N == 3


def test_no_row_is_longer_than_L() -> None:
    """The message has the bound and the rows."""
    with pytest.raises(ShapeError, match=r"at most L each = 4, got \(5, 3\). The longest sequence has 5 steps"):
        Call.of(SPEC, L=4, lengths=(5, 3))
    with pytest.raises(SpecError, match=r"^L"):
        Call.of(SPEC, L=4.0, lengths=(5, 3))


def test_a_cell_takes_no_lengths() -> None:
    """One step has nothing to pad; the message names the layer that has."""
    with pytest.raises(ShapeError, match=r"left out for LSTMCell.*use cell='LSTM'"):
        Call.of(CELL, lengths=(5, 3))


@given(cases())
def test_a_call_survives_pickle_and_copy(case: tuple[Spec, Call]) -> None:
    """And stays hashable, as a key of a cache."""
    _, call = case
    assert pickle.loads(pickle.dumps(call)) == copy.deepcopy(call) == call
    assert hash(copy.copy(call)) == hash(call)


@given(cases())
def test_of_is_stable(case: tuple[Spec, Call]) -> None:
    """Validating what is valid changes nothing."""
    spec, call = case
    assert Call.of(spec, N=call.N, L=call.L, lengths=call.lengths) == call


@given(cases())
def test_T_counts_steps_row_by_row(case: tuple[Spec, Call]) -> None:
    """T is the number of steps that are computed: each row has its own."""
    _, call = case
    rows = call.lengths or [call.L] * (1 if call.N is None else call.N)
    assert sum(1 for length in rows for _ in range(length)) == call.T


SIZE = st.none() | st.integers(-2, 9) | st.floats() | st.text(max_size=3) | st.booleans()


@given(SIZE, SIZE, st.none() | st.lists(SIZE) | SIZE)
def test_nonsense_is_refused_in_one_line(N: Any, L: Any, lengths: Any) -> None:
    """Whatever comes in: an error of ours, or a call whose sizes fit together."""
    made: Call | LstmShapesError
    try:
        made = Call.of(SPEC, N, L, lengths)
    except LstmShapesError as error:
        made = error
    if isinstance(made, LstmShapesError):
        assert len(str(made).splitlines()) == 1
    else:
        assert made.L >= 1
        assert made.lengths is None or (len(made.lengths) == made.N and max(made.lengths) <= made.L)


def test_dtype_names() -> None:
    """torch's own names, its aliases, and the dtypes themselves."""
    import torch

    for name, size in DTYPES.items():
        dtype = getattr(torch, name)
        assert dtype_name(name) == dtype_name(dtype) == dtype_name(f"torch.{name}") == name
        assert dtype.itemsize == size
    assert [dtype_name(alias) for alias in ("float", "double", "half")] == ["float32", "float64", "float16"]


@pytest.mark.parametrize("dtype", ["int64", "complex64", "float8", "", None, 32, "Float32"], ids=repr)
def test_other_dtypes_are_refused(dtype: object) -> None:
    """Recurrent layers take floating point; the message lists it."""
    with pytest.raises(SpecError, match=r"^dtype must be one of float16, bfloat16, float32, float64, got"):
        dtype_name(dtype)


@given(lengths(), st.integers(0, 5))
def test_parts_agree_with_each_other(drawn: tuple[int, ...], extra: int) -> None:
    """Counts and permutations are views of one thing."""
    packing = Call.of_lengths(drawn, max(drawn) + extra)
    assert sum(packing.batch_sizes) == packing.T
    assert packing.batch_sizes == tuple(packing.batch_size(step) for step in range(max(drawn)))
    assert packing.T + packing.saved == packing.padded == len(drawn) * packing.L
    assert packing.share == pytest.approx(packing.saved / packing.padded)
    assert [packing.sorted_indices[place] for place in packing.unsorted_indices] == list(range(len(drawn)))
    assert list(packing.sorted_lengths) == [drawn[row] for row in packing.sorted_indices]
    assert packing.ties == (len(set(drawn)) != len(drawn))


def test_impossible_lengths() -> None:
    """Lengths are whole numbers of at least 1, at most L, and there is one."""
    with pytest.raises(SpecError, match=r"lengths\[1\] must be a whole number of at least 1, got 0"):
        Call.of_lengths((3, 0))
    with pytest.raises(SpecError, match="lengths must be one whole number for each sequence"):
        Call.of_lengths(())
    with pytest.raises(ShapeError, match=r"lengths must be at most L each = 2, got \(3, 1\)"):
        Call.of_lengths((3, 1), L=2)
