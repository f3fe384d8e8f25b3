"""One call is read off its arguments and held against the contract: nothing is wrong if and only if torch takes it.

Nothing here moves anybody's random numbers: torch's, Python's, or numpy's.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from lstm_shapes import Spec, annotate, build, explain, gates, prove, run
from lstm_shapes.errors import LstmShapesError, ShapeError, SpecError
from lstm_shapes.lab._calling import LayerInputs, as_value, problems_of, read_inputs, untouched_random_state
from lstm_shapes.theory._contract import Group, Operand, Packed, Problem, Words
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from tests.scale import examples
from tests.strategies import cases, distinct_sizes


def states(device: torch.device) -> list[Any]:
    """Every generator that a caller may depend on."""
    found: list[Any] = [torch.get_rng_state().tolist(), random.getstate()]
    try:
        import numpy as np
    except ImportError:
        pass
    else:
        found.append(repr(np.random.get_state()))
    if device.type == "cuda":
        found.append(torch.cuda.get_rng_state(device).tolist())
    return found


CALLS: dict[str, Callable[[torch.device], Any]] = {
    "build": lambda device: build(7, 5, 2, dropout=0.5, device=device),
    "run": lambda device: run(7, 5, 2, dropout=0.5, device=device),
    "run yours": lambda device: run(build(7, 5, 2, dropout=0.5, device=device)),
    "run packed": lambda device: run(7, 5, 2, dropout=0.5, lengths=(3, 2), device=device),
    "prove": lambda device: prove(7, 5, 2, dropout=0.5, N=3, L=4, device=device),
    "explain": lambda device: explain(7, 5, 2, dropout=0.5, N=3, L=4, device=device),
    "show": lambda device: repr(explain(7, 5, N=3, L=4, device=device)),
}


@pytest.mark.parametrize("call", CALLS)
def test_random_state_is_untouched(call: str, device: torch.device) -> None:
    """Equal before and after, whatever was called, also with dropout at work."""
    before = states(device)
    CALLS[call](device)
    assert states(device) == before


def test_a_failing_call_leaves_it_too(device: torch.device) -> None:
    """The state is put back on the way out of an exception."""
    before = states(device)

    def fail() -> None:
        with untouched_random_state(device):
            torch.rand(3, device=device)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert states(device) == before


def test_the_probe_sees_a_draw(device: torch.device) -> None:
    """The tests above can fail: one random number changes what they compare."""
    before = states(device)
    torch.rand(1, device=device)
    assert states(device) != before


def test_seeds_make_results_repeatable() -> None:
    """Two equal calls are equal wherever the global generator stands; another seed is another run."""
    first = run(7, 5, 2, N=3, L=4)
    torch.rand(11)
    again, other = run(7, 5, 2, N=3, L=4), run(7, 5, 2, N=3, L=4, seed=1)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

DTYPES = [torch.float32] * 12 + [torch.float64, torch.float16, torch.int64]
DEVICES = ["cpu"] * 12 + ["meta"]
FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "pair": lambda h, c: (h, c),
    "list": lambda h, c: [h, c],
    "one": lambda h, c: h,
    "alone": lambda h, c: (h,),
    "stacked": lambda h, c: torch.stack([h, h]),
    "three": lambda h, c: (h, c, h),
    "nested": lambda h, c: ((h, c), (h, c)),
    "layers": lambda h, c: (tuple(h.unbind(0)), tuple(c.unbind(0))) if h.dim() and c.dim() else ((), ()),
    "returned": lambda h, c: (torch.zeros(3, 4, 5), (h, c)),
    "empty": lambda h, c: (),
    "half": lambda h, c: (h, None),
}


class Drawn(NamedTuple):
    """A layer, what it is given, and the tensors in it."""

    layer: Any
    args: tuple[Any, ...]
    h0: Tensor
    c0: Tensor

    @property
    def x(self) -> Any:
        return self.args[0]

    @property
    def is_lstm(self) -> bool:
        return type(self.layer).__name__.startswith("LSTM")

    def raised(self) -> str | None:
        """What torch says, or None where it takes the call."""
        layer, x, args = self.layer, self.x, self.args
        state = args[1] if len(args) == 2 else None
        try:
            if isinstance(x, PackedSequence) and self.is_lstm and isinstance(state, (tuple, list)) and _two(state):
                # An LSTM forgets to ask this for packed rows, and reads beyond the end of a c0 that is too short.
                layer.check_forward_args(x.data, state, x.batch_sizes)
            layer(*args)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    def torch_is_lax(self, found: tuple[Problem, ...]) -> bool:
        """The calls that torch takes against its documentation (see the docstring of theory/_contract.py)."""
        kinds = {(problem.name, problem.kind) for problem in found}
        any_c0 = self.is_lstm and kinds == {("c0", "dtype")}
        if not isinstance(self.x, Tensor):
            return any_c0
        cell = isinstance(self.layer, nn.RNNCellBase)
        alone = self.x.dim() == (1 if cell else 2)
        square = cell and alone and {kind for _, kind in kinds} == {"state-shape"}
        return square or any_c0 or (self.is_lstm and alone and ("state", "state-kind") in kinds)


def _two(state: Any) -> bool:
    return len(state) == 2 and all(isinstance(part, Tensor) for part in state)


@st.composite
def shapes_near(draw: st.DrawFn, shape: list[int]) -> list[int]:
    """The shape itself, or one that differs in one place."""
    shape = list(shape)
    change = draw(st.sampled_from(["none"] * 6 + ["size", "swap", "drop", "add", "double", "one"]))
    if change == "none" or not shape:
        return shape
    at = draw(st.integers(0, len(shape) - 1))
    if change == "size":
        shape[at] = draw(st.integers(0, 8))
    elif change == "swap":
        other = draw(st.integers(0, len(shape) - 1))
        shape[at], shape[other] = shape[other], shape[at]
    elif change == "drop":
        del shape[at]
    elif change == "add":
        shape.insert(at, draw(st.integers(1, 3)))
    else:
        shape[at] = 1 if change == "one" else 2 * shape[at]
    return shape


@st.composite
def drawn_calls(draw: st.DrawFn) -> Drawn:
    """A layer of any kind and arguments that are right, or nearly."""
    kind = draw(st.sampled_from(["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"]))
    N, L, Q, P, D = draw(distinct_sizes(5, least=2, most=8))
    P, D = min(P, D), max(P, D)
    cell, alone, batch_first = kind.endswith("Cell"), draw(st.booleans()), draw(st.booleans())
    H = D
    if cell:
        layer: Any = getattr(nn, kind)(Q, D)
        x_shape, h_shape = ([Q], [D]) if alone else ([N, Q], [N, D])
    else:
        K, R = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        H = P if kind == "LSTM" and draw(st.booleans()) else D
        more = {"proj_size": P} if H == P else {}
        layer = getattr(nn, kind)(Q, D, K, batch_first=batch_first, bidirectional=R == 2, **more)
        x_shape = [L, Q] if alone else [N, L, Q] if batch_first else [L, N, Q]
        h_shape = [K * R, H] if alone else [K * R, N, H]

    def made(shape: list[int]) -> Tensor:
        return torch.zeros(shape, dtype=draw(st.sampled_from(DTYPES)), device=draw(st.sampled_from(DEVICES)))

    x: Any = made(draw(shapes_near(x_shape)))
    if not cell and x.dim() == 3 and 0 not in x.shape and x.device.type == "cpu" and draw(st.booleans()):
        n, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
        lengths = draw(st.lists(st.integers(1, steps), min_size=n, max_size=n))
        x = pack_padded_sequence(x, torch.tensor(sorted(lengths, reverse=True)), batch_first)
    h0, c0 = made(draw(shapes_near(h_shape))), made(draw(shapes_near([*h_shape[:-1], D])))
    usual = "pair" if kind.startswith("LSTM") else "one"
    form = draw(st.sampled_from(["none", "arguments", *[usual] * 8, *FORMS]))
    args = (x,) if form == "none" else (x, h0, c0) if form == "arguments" else (x, FORMS[form](h0, c0))
    return Drawn(layer, args, h0, c0)


# How torch's messages name an operand, and what the contract calls it.
NAMED = {
    "hidden[0]": "h0", "hidden[1]": "c0", "hidden0": "h0", "hidden1": "c0", "Expected hidden size": "h0",
    "hx should also": "h0", "Expected hidden to be": "h0", "Expected hx[0]": "h0", "Expected hx[1]": "c0",
    "hx and cx should": "h0 c0", "Expected input to be": "x", "input has inconsistent": "x",
    "input.size(-1)": "x", "input must have": "x", "input dtype": "x", "larger than 0": "x",
}  # fmt: skip


ROWS, H0, C0 = torch.zeros(1, 2, 4), torch.zeros(1, 2, 5), torch.zeros(1, 2, 6, dtype=torch.float16)
PACKED = pack_padded_sequence(ROWS, torch.tensor([1, 1]))


@pytest.mark.fuzz
@example(Drawn(nn.LSTM(4, 6, proj_size=5), (PACKED, (H0, C0)), H0, C0))
@given(drawn_calls())
@settings(max_examples=examples(600), deadline=None)
def test_nothing_is_wrong_if_and_only_if_torch_takes_the_call(call: Drawn) -> None:
    """Any kind of layer, batched, unbatched and packed, states of any shape, nesting, dtype and device."""
    found, said = problems_of(call.layer, call.args), call.raised()
    if said is None and call.torch_is_lax(found):
        return
    assert (said is None) == (found == ()), (call.layer, said, [str(problem) for problem in found])


@pytest.mark.fuzz
@given(drawn_calls())
@settings(max_examples=examples(600), deadline=None)
def test_the_first_problem_names_the_operand_that_torch_names(call: Drawn) -> None:
    """Except where torch blames a state for a mistake of x, or takes a state apart that it cannot read."""
    found, said = problems_of(call.layer, call.args), call.raised()
    if said is None or not found:
        return
    first = found[0]
    of_x = first.kind in ("layout", "input-rank") or not _data(call.x).is_floating_point()
    square = isinstance(call.x, Tensor) and call.x.dim() == 1
    named = next((name for words, name in NAMED.items() if words in said), None)
    if named is None or of_x or square or first.kind == "state-kind":
        return
    assert first.name.removesuffix(".data") in named.split(), (call.layer, said, str(first))


@pytest.mark.fuzz
@given(drawn_calls())
@settings(max_examples=examples(600), deadline=None)
def test_a_fix_makes_the_call_run(call: Drawn) -> None:
    """Where one thing is wrong and the contract has an expression for it, torch takes what the expression makes."""
    found = problems_of(call.layer, call.args)
    if len(found) != 1 or not found[0].fix or "meta" in {str(_data(call.x).device), *map(str, _devices(call))}:
        return
    (problem,) = found
    state = call.args[1] if len(call.args) == 2 else None
    h0, c0 = state if call.is_lstm and isinstance(state, (tuple, list)) and _two(state) else (call.h0, call.c0)
    if not call.is_lstm and isinstance(state, Tensor):
        h0 = state
    fixed = eval(problem.fix, {"torch": torch, "x": call.x, "h0": h0, "c0": c0, "state": state})
    args = {
        "x": lambda: (fixed, *call.args[1:]),
        "state": lambda: (call.x, fixed),
        "h0": lambda: (call.x, (fixed, c0) if call.is_lstm else fixed),
        "c0": lambda: (call.x, (h0, fixed)),
    }[problem.name]()
    left = [str(one) for one in problems_of(call.layer, args) if one.kind != "dtype"]
    assert not left, (call.layer, str(problem))
    if {tensor.dtype for tensor in (_data(args[0]), call.h0, call.c0)} == {torch.float32}:
        call.layer(*args)


def _data(x: Any) -> Tensor:
    return x.data if isinstance(x, PackedSequence) else x


def _devices(call: Drawn) -> set[torch.device]:
    return {call.h0.device, call.c0.device}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("x", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64])
@pytest.mark.parametrize("state", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_autocast_casts_what_it_casts(kind: str, x: torch.dtype, state: torch.dtype) -> None:
    """The three short floating types go together under autocast; float64 and integers do not."""
    layer, h = getattr(nn, kind)(4, 5), torch.zeros(3, 5) if kind.endswith("Cell") else torch.zeros(1, 3, 5)
    X = torch.zeros((*h.shape[:-1], 4)).to(x)
    start = h.to(state)
    args = X, ((start, start) if kind.startswith("LSTM") else start)
    with torch.autocast("cpu", dtype=torch.bfloat16), warnings.catch_warnings():
        found = problems_of(layer, args)
        try:
            layer(*args)
        except RuntimeError:
            assert found
        else:
            assert found == ()


def test_what_a_value_is() -> None:
    """Tensors, packed rows, nests of them and anything else, as plain data."""
    x = torch.zeros(3, 2, 4, dtype=torch.float64)
    packed = pack_padded_sequence(x, torch.tensor([3, 1]))
    assert as_value(x) == Operand((3, 2, 4), "float64")
    assert as_value(packed) == Packed(Operand((4, 4), "float64"), (2, 1, 1))
    assert as_value([x[0], (None, "a")]) == Group((Operand((2, 4), "float64"), Group((None, "str"))), "list")
    assert as_value(torch.nested.nested_tensor([x[0], x[1]], layout=torch.jagged)) == "nested tensor"


def test_arguments_as_python_passes_them() -> None:
    """By position or by name; hints in the caller's own words."""
    layer = nn.GRU(4, 5, 2)
    x, h = torch.zeros(7, 3, 4), torch.zeros(3, 2, 5)
    (problem,) = problems_of(layer, (), {"input": x, "hx": h}, words=Words(h0="self.hidden"))
    assert problem.name == "h0"
    assert problem.fix == "self.hidden.transpose(0, 1).contiguous()"
    assert problems_of(layer, (x,), {"hx": h.transpose(0, 1)}) == ()
    (problem,) = problems_of(nn.LSTM(4, 5), (x, torch.zeros(1, 3, 5), torch.zeros(1, 3, 5)))
    assert (problem.kind, problem.fix) == ("state-kind", "(h0, c0)")


def test_a_layer_in_another_dtype_is_named_as_the_other_way_out() -> None:
    """All that is given is float64: the data, or the layer."""
    layer, x = nn.GRU(4, 5), torch.zeros(7, 3, 4).double()
    found = problems_of(layer, (x, torch.zeros(1, 3, 5).double()))
    assert [problem.name for problem in found] == ["x", "h0"]
    assert "x.float(), or layer.double(): everything that it is given is float64" in found[0].hint


LAYER = build(Spec(28, 256, 3), device="meta")


def read(layer: nn.Module, x: Any, lengths: Any = None, state: Any = None) -> LayerInputs:
    """The inputs of a layer of torch's."""
    return read_inputs(layer, Spec.of(layer), x, state, lengths)


def on_meta(*shape: int) -> Tensor:
    """A tensor without numbers, where LAYER is."""
    return torch.zeros(shape, device="meta")


@given(cases())
def test_the_call_is_read_off_x(case: tuple[Spec, Call]) -> None:
    """An X of the predicted sizes means the call it was predicted for."""
    spec, call = case
    inputs = read(build(spec), torch.zeros(Prediction(spec, call).X.sizes), call.lengths)
    assert inputs.call == call
    assert inputs.packed is None


@given(cases(kinds=("packed",), cells=("LSTM", "GRU", "RNN")))
def test_a_packed_sequence_brings_its_lengths(case: tuple[Spec, Call]) -> None:
    """N and lengths come from it; L is its longest row; X is padded again."""
    spec, call = case
    assert call.lengths is not None
    X = torch.rand(Prediction(spec, call).X.sizes)
    packed = pack_padded_sequence(X, torch.tensor(call.lengths), spec.batch_first, enforce_sorted=False)
    inputs = read(build(spec), packed)
    assert inputs.call == Call(call.N, max(call.lengths), call.lengths)
    assert tuple(inputs.X.shape) == Prediction(spec, inputs.call).X.sizes
    assert inputs.packed is packed


def test_names_are_taken_off_before_torch() -> None:
    """An annotated x is read as a plain tensor that shares its memory."""
    x = annotate(torch.zeros(2, 20, 28), "N L Q")
    X = read(nn.LSTM(28, 5, batch_first=True), x).X
    assert type(X) is torch.Tensor
    assert X.data_ptr() == x.data_ptr()


def test_lengths_need_a_batch() -> None:
    """One unbatched sequence has nothing to pad."""
    with pytest.raises(ShapeError, match=r"\(N, L, Q\) where lengths are given, got \(20, 28\)"):
        read(LAYER, on_meta(20, 28), [20])


def test_lengths_fit_x() -> None:
    """One for each row of x, none longer than x."""
    with pytest.raises(ShapeError, match="N sequences = 2, got 3"):
        read(LAYER, on_meta(2, 20, 28), [3, 2, 1])
    with pytest.raises(ShapeError, match="at most L each = 20"):
        read(LAYER, on_meta(2, 20, 28), [21, 2])


def test_packed_rows_bring_their_own_lengths() -> None:
    """Others beside them would contradict."""
    packed = pack_sequence([torch.zeros(3, 4), torch.zeros(2, 4)])
    with pytest.raises(ShapeError, match="left out for a PackedSequence"):
        read(nn.GRU(4, 5), packed, [3, 2])


def test_a_batch_of_nothing_is_a_spec_error() -> None:
    """torch takes it; there is nothing to explain in it."""
    with pytest.raises(SpecError, match=r"N \(batch size\) must be a whole number of at least 1, got 0"):
        read(LAYER, on_meta(0, 20, 28))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 6)), r"^x must be \(L, N, Q\), .* with Q = 4 last"),
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 4), torch.zeros(3, 1, 5)), r"^h0 must be \(K, N, D\) = "),
        (lambda call: call(nn.LSTM(4, 5), torch.zeros(2, 3, 4), (torch.zeros(1, 3, 5),)), r"^state must be \(h0, c0\)"),
        (
            lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 4).double()),
            "^x must be of the weights' dtype = 'float32'",
        ),
        (lambda call: call(nn.GRU(4, 5), [[1.0]]), r"^x must be a torch.Tensor or a PackedSequence"),
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 0, 4)), r"^N \(batch size\) must be"),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("function", [run, gates], ids=["run", "gates"])
def test_run_and_gates_raise_the_first_problem_of_the_contract(function: Any, call: Any, says: str) -> None:
    """The same words from both."""
    with pytest.raises(LstmShapesError, match=says):
        call(function)


def test_bad_lengths_are_spec_errors() -> None:
    """Each entry is a whole number."""
    with pytest.raises(SpecError, match=r"lengths\[1\]"):
        read(LAYER, on_meta(2, 20, 28), [3, 0])


@pytest.mark.parametrize("call", [run, gates, lambda layer, x: explain(layer, x)], ids=["run", "gates", "explain"])
def test_names_in_another_order_than_the_layer_reads_are_a_contradiction(call: Any) -> None:
    """The sizes fit, the names say that batch and time are swapped: an error with both ways out, no new names."""
    layer = nn.LSTM(4, 5, batch_first=True)
    with pytest.raises(ShapeError, match=r"x must be \(N, L, Q\).*got '?\(L, N, Q\).*transpose.*batch_first=False"):
        call(layer, annotate(torch.zeros(3, 2, 4), "L N Q"))
    with pytest.raises(ShapeError, match=r"got '?\(N, L, D\)"):
        call(nn.LSTM(4, 5), annotate(torch.zeros(3, 2, 4), "N L D"))


@pytest.mark.parametrize("names", ["N L D", "B T F", "? ? ?", "N T Q", "B N Q", "K N D"])
def test_other_names_for_the_same_axes_are_no_contradiction(names: str) -> None:
    """Layers stack, and other people's letters say nothing about ours."""
    x = annotate(torch.zeros(3, 2, 4), names)
    assert run(nn.LSTM(4, 5, batch_first=True), x).X.axes.names == ("N", "L", "Q")


@pytest.mark.parametrize("call", [run, gates], ids=["run", "gates"])
def test_a_state_with_its_axes_swapped_is_a_contradiction(call: Any) -> None:
    """h0 is (K·R, N, H) also with batch_first, and its own names can say that it is not."""
    layer, x = nn.GRU(4, 5, 2, batch_first=True), torch.zeros(2, 3, 4)
    with pytest.raises(ShapeError, match=r"h0 must be \(K, N, D\).*got '?\(N, K, D\).*transpose"):
        call(layer, x, state=annotate(torch.zeros(2, 2, 5), "N K D"))
    call(layer, x, state=annotate(torch.zeros(2, 2, 5), "K N D"))


def test_a_sparse_x_is_refused_with_the_way_out() -> None:
    """torch's layers read dense tensors."""
    with pytest.raises(ShapeError, match=r"x must be a dense tensor.*x.to_dense\(\)"):
        run(nn.LSTM(4, 5), torch.zeros(2, 3, 4).to_sparse())


def test_a_layer_that_returns_only_Y_is_told_what_to_return() -> None:
    """A subclass whose forward forgets the states."""

    class OnlyY(nn.LSTM):
        def forward(self, *args: Any) -> Any:
            return super().forward(*args)[0]

    with pytest.raises(ShapeError, match=r"the result must be Y, \(hn, cn\), got '?Tensor.*must return"):
        run(OnlyY(4, 5), torch.zeros(2, 3, 4))
