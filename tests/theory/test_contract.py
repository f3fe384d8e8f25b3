"""What is said of each mistake in a recurrent call: the operand, the rule, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from lstm_shapes.theory._contract import Group, Operand, Packed, Problem, Value, Words, problems
from lstm_shapes.theory.spec import Spec

LSTM = Spec(4, 5, 2)
MAJOR = LSTM.replace(batch_first=False)
GRU = Spec(4, 5, 2, cell="GRU")
BOTH = GRU.replace(bidirectional=True)
PROJECTED = LSTM.replace(proj_size=3)
CELL = Spec(4, 5, cell="LSTMCell")
X = Operand((3, 7, 4))
H = Operand((2, 3, 5))


def pair(h: Value, c: Value | None = None) -> Group:
    """(h, c), or twice the same."""
    return Group((h, h if c is None else c))


def one(*args: Any, **options: Any) -> Problem:
    """The only problem of a call."""
    found = problems(*args, **options)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


@pytest.mark.parametrize(
    ("spec", "x", "state"),
    [
        (LSTM, X, pair(H)),
        (LSTM, X, Group((H, H), "list")),
        (LSTM, X, None),
        (MAJOR, Operand((7, 3, 4)), pair(H)),
        (LSTM, Operand((7, 4)), pair(Operand((2, 5)))),
        (PROJECTED, X, pair(Operand((2, 3, 3)), H)),
        (BOTH, X, Operand((4, 3, 5))),
        (GRU, Packed(Operand((5, 4)), (3, 1, 1)), Operand((2, 3, 5))),
        (CELL, Operand((3, 4)), pair(Operand((3, 5)))),
        (CELL, Operand((4,)), pair(Operand((5,)))),
        (LSTM, Operand((0, 7, 4)), None),
        (LSTM, Operand((3, 3, 4)), pair(H)),
    ],
    ids=range(12),
)
def test_what_fits_has_no_problem(spec: Spec, x: Value, state: Value) -> None:
    """Layers and cells, batched, unbatched and packed."""
    assert problems(spec, x, state) == ()


@pytest.mark.parametrize(
    ("spec", "x", "says", "fix"),
    [
        (LSTM, "ndarray", "input-kind: x must be a torch.Tensor or a PackedSequence, got 'ndarray'", ""),
        (LSTM, Group((X, H)), "input-kind: .* A layer in front returns .Y, state.: take its Y", ""),
        (
            LSTM,
            Operand((4,)),
            r"input-rank: x must be \(N, L, Q\), or \(L, Q\) for one sequence, got",
            "x.unsqueeze(0)",
        ),
        (LSTM, Operand(()), r"input-rank: .* got \(\)\.$", ""),
        (Spec(1, 5), Operand((7,)), "input-rank: .* adds a feature axis of Q = 1", "x.unsqueeze(-1)"),
        (LSTM, Operand((3, 1, 7, 4)), "input-rank: .* leaves out the axis of size 1", "x.squeeze(1)"),
        (LSTM, Operand((3, 7, 2, 2)), "input-rank: .* makes 4 features of the last two axes", "x.flatten(2)"),
        (LSTM, Operand((3, 2, 7, 4)), "input-rank: .* both count sequences", "x.flatten(0, 1)"),
        (CELL, Operand((3, 7, 4)), r"input-rank: .*for t in range\(x.size\(1\)\).*LSTM takes all steps at once", ""),
        (CELL, Operand((3, 1, 4)), "input-rank: .* leaves out", "x.squeeze(1)"),
        (LSTM, Operand((3, 0, 4)), "input-rank: .* with at least one step", ""),
        (LSTM, Operand((3, 4, 7)), r"feature-axis: .*with Q = 4 last.*Axis 1 has size 4", "x.transpose(1, 2)"),
        (MAJOR, Operand((4, 7, 3)), "feature-axis: .*Axis 0 has size 4", "x.movedim(0, -1)"),
        (LSTM, Operand((3, 28)), "feature-axis: .*28 = 7·4: where a row holds its steps", "x.unflatten(1, (-1, 4))"),
        (Spec(1, 5), Operand((3, 7)), "feature-axis: .*one feature of each number", "x.unsqueeze(-1)"),
        (LSTM, Operand((3, 7, 9)), r"feature-axis: .*Build the layer for 9: nn.LSTM\(9, 5, num_layers=2, batch_", ""),
        (LSTM, Operand((3, 7), "int64"), r"dtype: x must be in floating.*nn.Embedding\(number of tokens, 4\)", ""),
        (LSTM, Operand((3, 7, 4), "int64"), "dtype: .*Numbers: x.float()", "x.float()"),
        (LSTM, Operand((3, 7, 4), "float64"), "dtype: .* or layer.double()", "x.float()"),
        (LSTM, Operand((3, 7, 4), device="cuda:0"), "device: .*'cpu', got 'cuda:0'", "x.to('cpu')"),
        (LSTM, Operand((3, 7, 4), layout="sparse_coo"), "input-kind: x must be a dense tensor", "x.to_dense()"),
        (CELL, Packed(Operand((5, 4)), (3, 2)), r"packing: .*one step.*LSTM takes packed rows", ""),
        (LSTM, Packed(Operand((5, 7, 4)), (3, 2)), r"packing: x.data must be \(T, Q\) with Q = 4", ""),
        (LSTM, Packed(Operand((4, 4)), (3, 2)), r"packing: .* = \(5, 4\), got \(4, 4\)", ""),
        (LSTM, Packed(Operand((5, 4)), (2, 3)), "packing: x.batch_sizes must be numbers that never grow", ""),
        (LSTM, Packed(Operand((5, 9)), (3, 2)), r"feature-axis: x.data must be \(T, Q\) with Q = 4", ""),
        (LSTM, Packed(Operand((5, 4), "int64"), (3, 2)), r"dtype: .*x._replace\(data=embedding\(x.data\)\)", ""),
    ],
)
def test_what_is_wrong_with_x(spec: Spec, x: Value, says: str, fix: str) -> None:
    """Kind, rank, width, steps, dtype, device, packing."""
    problem = one(spec, x)
    assert problem.fix == fix
    kind, _, text = says.partition(": ")
    assert problem.kind == kind
    with pytest.raises(Exception, match=text):
        raise problem.error


@pytest.mark.parametrize(
    ("spec", "x", "state", "name", "says", "fix"),
    [
        # the kind of the state
        (LSTM, X, H, "state", "taken apart along its first axis, as if", "(state, torch.zeros_like(state))"),
        (PROJECTED, X, Operand((2, 3, 3)), "state", "Where c starts", "(state, state.new_zeros(2, 3, 5))"),
        (LSTM, X, Operand((2, 2, 3, 5)), "state", "Both states are kept in one tensor", "(state[0], state[1])"),
        (CELL, Operand((3, 4)), Operand((2, 3, 5)), "state", "Both states are kept", "(state[0], state[1])"),
        (LSTM, X, Group((H,)), "state", "taken apart", "(state[0], torch.zeros_like(state[0]))"),
        (LSTM, X, Group((pair(H),)), "state", "takes off the outer tuple", "state[0]"),
        (LSTM, X, Group((pair(Operand((2, 9, 5))),)), "state", "takes off the outer tuple", ""),
        (LSTM, X, Group((Operand((3, 7, 5)), pair(H))), "state", "all that a layer returns", "state[1]"),
        (LSTM, X, Group((H, H), "arguments"), "state", r"layer\(x, \(h0, c0\)\)", "(h0, c0)"),
        (LSTM, X, Group((H, H, H)), "state", "Pass two tensors", ""),
        (LSTM, X, pair(H, "NoneType"), "state", "leave the state out", ""),
        (LSTM, X, "str", "state", "Leave the state out", ""),
        (LSTM, X, pair(pair(Operand((3, 5)))), "state", "torch.stack", "(torch.stack([h for h, c in state]), "),
        (LSTM.replace(K=3), X, Group((pair(Operand((3, 5))),) * 3), "state", "torch.stack", "(torch.stack([h for"),
        (GRU, X, pair(H), "state", "GRU has no cell state", "state[0]"),
        (GRU, X, pair(H, Operand((9, 9))), "state", "GRU has no cell state", "state[0]"),
        (GRU, X, Group((Operand((3, 7, 5)), H)), "state", r"\(Y, hn\), its state is", "state[1]"),
        (GRU, X, Group((Operand((3, 5)),) * 2, "list"), "state", "One tensor holds all", "torch.stack(state)"),
        # its shape
        (GRU, X, Operand((3, 2, 5)), "h0", "never moves the axes", "h0.transpose(0, 1).contiguous()"),
        (LSTM, X, pair(H, Operand((3, 2, 5))), "c0", "never moves the axes", "c0.transpose(0, 1).contiguous()"),
        (GRU, X, Operand((2, 1, 5)), "h0", "holds one sequence", "h0.expand(-1, 3, -1).contiguous()"),
        (GRU, X, Operand((2, 9, 5)), "h0", "the last batch is often smaller", "x.new_zeros(2, x.size(0), 5)"),
        (GRU, Packed(Operand((5, 4)), (3, 2)), Operand((2, 9, 5)), "h0", "holds 9", "x.data.new_zeros(2, x.batch"),
        (GRU, X, Operand((2, 3, 6)), "h0", r"hidden_size 5: nn.GRU\(4, 6.*nn.Linear\(6, 5\)", ""),
        (GRU, X, Operand((4, 3, 5)), "h0", "has 4 rows and this layer K = 2: it was made", "h0[-2:].contiguous()"),
        (GRU, X, Operand((1, 3, 5)), "h0", "a row of its own", "h0.repeat(2, 1, 1)"),
        (BOTH, X, H, "h0", "with bidirectional=True each layer has two", "h0.repeat_interleave(2, 0)"),
        (BOTH, X, Operand((2, 3, 10)), "h0", "stand side by side in it", "torch.stack(h0.chunk(2, -1), 1)"),
        (GRU, X, Operand((3, 5)), "h0", "adds the axis of the 2 layers", "h0.unsqueeze(0).repeat(2, 1, 1)"),
        (GRU, X, Operand((2, 5)), "h0", "state of one sequence", "h0.unsqueeze(1).repeat(1, 3, 1)"),
        (GRU, X, Operand((1, 2, 3, 5)), "h0", "leaves out its axis", "h0.squeeze(0)"),
        (PROJECTED, X, pair(H, H), "h0", "h0 is P = 3 wide and c0 is D = 5 wide", "x.new_zeros(2, x.size(0), 3)"),
        (CELL.replace(cell="GRUCell"), Operand((3, 4)), Operand((2, 3, 5)), "h0", "a cell is one", "h0[-1]"),
        (CELL.replace(cell="GRUCell"), Operand((3, 4)), Operand((5,)), "h0", "lacks its first axis", "h0.repeat(3, 1)"),
        # x is at fault, and torch blames the state
        (GRU, Operand((7, 4)), Operand((2, 7, 5)), "x", "2-D x is one sequence", "x.unsqueeze(1)"),
        (GRU, Operand((7, 4)), Operand((2, 1, 5)), "x", "the rows the steps of one", "x.unsqueeze(0)"),
        (GRU, Operand((21, 4)), H, "x", "neighbouring rows", "x.unflatten(0, (3, 7))"),
        (MAJOR, X, pair(H), "x", "hold N = 3 sequences, .* batch_first=True in the layer", "x.transpose(0, 1)"),
        (GRU, Operand((7, 3, 4)), H, "x", "batch_first=False in the layer", "x.transpose(0, 1)"),
        (CELL, Operand((4,)), pair(Operand((1, 5))), "x", "makes a batch of one", "x.unsqueeze(0)"),
        # dtype and device of the state
        (GRU, X, Operand((2, 3, 5), "float64"), "h0", "makes states of the dtype of x", "h0.float()"),
        (LSTM, X, pair(H, Operand((2, 3, 5), device="cuda:0")), "c0", "states on the device of x", "c0.to('cpu')"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_state(spec: Spec, x: Value, state: Value, name: str, says: str, fix: str) -> None:
    """Kind and nesting, shape, dtype and device; or x, where the state is right."""
    problem = one(spec, x, state)
    assert problem.name == name
    assert problem.fix.startswith(fix)
    assert bool(problem.fix) == bool(fix)
    with pytest.raises(Exception, match=says):
        raise problem.error


def test_rows_of_hn_are_no_pair_of_h_and_c() -> None:
    """`(h[0], h[1])` cut from hn of two layers has no axis of layers."""
    first, second = problems(LSTM, X, pair(Operand((3, 5))))
    assert (first.name, second.name) == ("h0", "c0")
    assert "hn[0] and hn[1] are two layers of one tensor, and no pair of h and c" in first.hint


def test_of_one_layer_two_states_without_their_first_axis_are_a_pair() -> None:
    """Nothing of rows is said where there is one row."""
    first, second = problems(LSTM.replace(K=1), X, pair(Operand((3, 5))))
    assert (first.fix, second.fix) == ("h0.unsqueeze(0)", "c0.unsqueeze(0)")
    assert first.hint == "h0.unsqueeze(0) adds the axis of layers"


def test_exchanged_states_under_a_projection_are_told_so() -> None:
    """c0 is the wide one."""
    first, second = problems(PROJECTED, X, pair(H, Operand((2, 3, 3))))
    assert (first.fix, second.fix) == ("c0", "h0")
    assert "here they are exchanged" in first.hint


@pytest.mark.parametrize(
    ("maker", "spec", "says", "fix"),
    [
        (GRU.replace(K=4), GRU, "4 layers of one direction, .* 2 layers of one .*num_layers=4", "h0[-2:].con"),
        (BOTH, GRU, "2 layers of two directions, .* hidden_size=10 here keeps", "h0[0::2] + h0[1::2]"),
        (BOTH, GRU.replace(K=1), "the top 1 of its layers", "h0[-2:][0::2] + h0[-2:][1::2]"),
        (BOTH.replace(K=1), GRU.replace(K=3), "with num_layers=1 and join the directions", ""),
        (GRU, BOTH, "starts both directions of a layer from the same row", "h0.repeat_interleave(2, 0)"),
        (GRU.replace(K=1), BOTH, "the same num_layers and bidirectional", ""),
        (GRU, GRU.replace(K=3), "build both with num_layers=2", ""),
    ],
)  # fmt: skip
def test_rows_are_told_by_the_layer_that_made_the_state(maker: Spec, spec: Spec, says: str, fix: str) -> None:
    """Twice as many rows are two directions only if that layer has two."""
    problem = one(spec, X, Operand((maker.K * maker.R, 3, 5)), maker=maker)
    assert problem.fix.startswith(fix)
    assert bool(problem.fix) == bool(fix)
    with pytest.raises(Exception, match=says):
        raise problem.error


def test_a_maker_of_another_width_is_named() -> None:
    """The hint says where the width comes from."""
    problem = one(GRU, X, Operand((2, 3, 6)), maker=GRU.replace(D=6))
    assert problem.hint.startswith("It comes from nn.GRU(4, 6, num_layers=2, batch_first=True). Its width is 6")


@pytest.mark.parametrize(("width", "halves"), [(10, True), (7, False), (4, False)])
def test_a_state_twice_as_wide_may_be_two_halves(width: int, halves: bool) -> None:
    """Of D = 5, 10 numbers may be two directions side by side; 7 = 2 + D may not."""
    for problem in problems(LSTM, X, pair(Operand((2, 3, width)))):
        assert ("[..., :5] is the forward one" in problem.hint) is halves
        assert f"nn.Linear({width}, 5)" in problem.hint


@pytest.mark.parametrize(("width", "built"), [(0, 1), (1, 1), (2, 2)])
def test_a_layer_for_a_state_has_its_width(width: int, built: int) -> None:
    """At least 1: no layer is 0 wide."""
    assert f"hidden_size 5: nn.GRU(4, {built}, num_layers=2" in one(GRU, X, Operand((2, 3, width))).hint


def test_an_advice_that_would_not_run_is_no_fix() -> None:
    """x has Q on axis 1, but moving it leaves N wrong for the state: said, and not offered as what makes it run."""
    first, *_ = problems(GRU, Operand((3, 4, 7)), Operand((2, 9, 5)))
    assert (first.kind, first.fix) == ("feature-axis", "")
    assert "x.transpose(1, 2) puts it last" in first.hint


def test_several_problems_come_in_torchs_order() -> None:
    """Rank of the state, width of x, shape of the state, device."""
    x = Operand((3, 7, 9), device="cuda:0")
    found = problems(LSTM, x, pair(Operand((2, 4, 5)), Operand((3, 5))))
    assert [(one.name, one.kind) for one in found] == [
        ("c0", "state-shape"), ("x", "feature-axis"), ("h0", "state-shape"), ("x", "device")
    ]  # fmt: skip


def test_hints_are_in_the_callers_words() -> None:
    """What the program calls the operands."""
    words = Words(x="emb", h0="self.h", layer="self.rnn")
    assert one(GRU, X, Operand((3, 2, 5)), words=words).fix == "self.h.transpose(0, 1).contiguous()"
    assert one(GRU, X, Operand((2, 9, 5)), words=words).fix == "emb.new_zeros(2, emb.size(0), 5)"
    assert "self.rnn.double()" in one(GRU, Operand((3, 7, 4), "float64"), words=words).hint


def test_names_that_contradict_the_layer() -> None:
    """A tensor may say itself that its batch and time lie the other way round."""
    named = Operand((3, 7, 4), names=("L", "N", "Q"))
    problem = one(LSTM, named)
    assert "batch_first=False reads them as they are" in problem.hint
    assert (problem.kind, problem.fix, problem.got) == ("layout", "x.transpose(0, 1)", "(L, N, Q)")
    assert problems(LSTM, Operand((3, 7, 4), names=("N", "L", "D"))) == ()
    assert one(GRU, X, Operand((2, 3, 5), names=("N", "K", "D"))).name == "h0"


def test_autocast_lets_short_floats_pass() -> None:
    """And float64 not."""
    half = Operand((3, 7, 4), "bfloat16")
    assert problems(GRU, half, H, autocast=True) == ()
    assert one(GRU, half, H).name == "x"
    assert one(GRU, X, Operand((2, 3, 5), "float64"), autocast=True).name == "h0"
