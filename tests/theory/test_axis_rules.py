"""Rules of axes by themselves: no tensors, no torch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lstm_shapes.theory._axis_rules import combining, joining, positions
from lstm_shapes.theory._axis_rules.positions import pick
from lstm_shapes.theory._axis_rules.table import RULES, Plain, Rule, describing
from lstm_shapes.theory.axes import Axes, Axis, Naming, Steps, blanks, forget, made, shifted, unnamed

Y = Axes.of("N L R·D", N=3, L=5, R=2, D=4)


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (range(4), "D=4"),
        (range(4, 8), "D=4"),
        (range(8)[::-1], "R·D=8"),
        (range(0, 8, 4), "R=2"),
        (range(0, 8, 2), "R·D=4"),
        (range(1, 8, 2), "R·D=4"),
        (range(1, 7), "?=6"),
        (range(3, 4), "R·D=1"),
        ((), "R·D=0"),
        ((4, 5, 0, 1), "?=4"),
        ((0, 5), "?=2"),
        ((0, 4, 0, 4), "?=4"),
        ((1, 1, 5, 5), "?=4"),
    ],
)
def test_positions_of_a_composite(positions: range | tuple[int, ...], expected: str) -> None:
    """A composite keeps its names where the positions are a row-major product again."""
    axis, _ = pick(Y[2], positions)
    assert repr(axis) == expected


def test_a_product_whose_factors_nobody_gave_is_whole_or_unknown() -> None:
    """K·R = 6 may be 3 · 2 or 6 · 1: all of it keeps its name, forwards or backwards, and no part of it has one."""
    h = Axes.of("K·R N", (6, 4))
    assert h[0].atoms[0].origin.opaque
    assert positions.flip(h, (0,)).names == ("K·R", "N")
    assert positions.take(h, 0, range(0, 6, 2)).names == ("?", "N")
    assert positions.reshape(h, (3, 2, 4))[0].names == ("?", "?", "N")
    assert positions.select(positions.reshape(h, (3, 2, 4))[0], 1, 0).names == ("?", "N")
    assert joining.stack([positions.select(h, 0, at) for at in (0, 2, 4)]).names == ("?", "N")
    assert joining.index(h, slice(-1, None)).names == ("K·R", "N")


@pytest.mark.parametrize(
    ("size", "first", "second", "shared"),
    [
        (12, range(4), range(4, 8), True),
        (10, range(4), range(4, 8), False),  # the axis does not end with a block
        (12, range(2, 6), range(6, 10), False),  # the blocks do not begin where one of the axis does
        (12, range(0, 8, 2), range(4, 12, 2), False),
    ],
)
def test_gates_run_along_one_axis(size: int, first: range, second: range, shared: bool) -> None:
    """Blocks of an axis that a weight makes are rows of it, and share their columns, where they fill it."""
    features = Axes((made(size, "fc"),))
    blocks = positions.take(features, 0, first), positions.take(features, 0, second)
    assert combining.elementwise(*blocks, chooses=True).names == ("fc" if shared else "?",)


def test_narrow_counts_from_the_end_too() -> None:
    """As torch does; nothing of an axis without elements, or behind the last one, is nothing."""
    x, y = Axes.of("N L", (3, 5)), Axes.of("N L", (3, 0))
    assert positions.narrow(x, 1, -2, 2)[1].same(positions.take(x, 1, range(3, 5))[1])
    assert positions.narrow(x, 1, 1, 3)[1].same(positions.take(x, 1, range(1, 4))[1])
    assert [positions.narrow(one, 1, start, 0).sizes for one, start in ((x, 5), (y, 0))] == [(3, 0)] * 2


def test_slices_without_tensors() -> None:
    """The table of slices that every explanation shows needs no torch."""
    plain = Axes.of("N L D", (2, 20, 256))
    every = slice(None)
    assert repr(joining.index(plain, (every, -1, every))) == "(N=2, D=256)"
    assert repr(joining.index(plain, (every, slice(-1, None)))) == "(N=2, L=1, D=256)"
    assert repr(joining.index(plain, -1)) == "(L=20, D=256)"
    assert repr(joining.index(plain, (..., None, 0))) == "(N=2, L=20, 1)"
    assert repr(joining.index(plain, joining.Picks((4,)))) == "(?=4, L=20, D=256)"


@pytest.mark.parametrize(
    ("before", "sizes", "after"),
    [
        ("K=1 N=4 D=8", (4, 8), "(N=4, D=8)"),
        ("K=1 N=4 D=8", (1, 32), "(K=1, N·D=32)"),
        ("N=4 L=1 D=8", (4, 8), "(N=4, D=8)"),
        ("N=4 D=8", (4, 1, 8), "(N=4, 1, D=8)"),
        ("N=4 D=8", (32,), "(N·D=32,)"),
        ("N=1", (), "()"),
        ("N=0 D=8", (8, 0), "(?=8, ?=0)"),
        ("L=20 D=6", (4, 5, 6), "(?=4, ?=5, D=6)"),
        ("N=4 L=6 D=5", (4, 3, 10), "(N=4, ?=3, ?=10)"),
        ("L=5 N=2 D=12", (5, 8, 3), "(L=5, ?=8, ?=3)"),
    ],
)
def test_reshapes_that_mix_nothing_by_mistake(before: str, sizes: tuple[int, ...], after: str) -> None:
    """Whole axes, axes of size 1, one axis cut, frames stacked, heads folded into the batch: no warning."""
    words = [word.split("=") for word in before.split()]
    axes = Axes.of([name for name, _ in words], [int(size) for _, size in words])
    found, scramble = positions.reshape(axes, sizes)
    assert repr(found) == after
    assert scramble is None
    assert positions.reshape(axes, axes.sizes)[1] is None


@pytest.mark.parametrize(
    ("before", "sizes", "mixed", "hint"),
    [
        ("K=3 N=2 D=8", (2, 24), ("K", "N", "D"), r"\.permute\(1, 0, 2\)\.reshape\(2, 24\), which is \(N=2, K·D=24\)"),
        ("K=2 N=4 D=8", (4, 16), ("K", "N", "D"), r"\.permute\(1, 0, 2\)\.reshape\(4, 16\)"),
        ("N=2 L=20 D=8", (20, 2, 8), ("N", "L"), r"\.permute\(1, 0, 2\), which is \(L=20, N=2, D=8\)"),
        ("N=4 L=6 Q=5", (2, 60), ("N", "L", "Q"), "keep whole axes together"),
        ("A=6 B=5", (10, 3), ("A", "B"), "keep whole axes together"),
    ],
)
def test_scrambles_say_what_was_meant(before: str, sizes: tuple[int, ...], mixed: tuple[str, ...], hint: str) -> None:
    """The axes that were mixed, and the permute that keeps them apart where there is one."""
    words = [word.split("=") for word in before.split()]
    axes = Axes.of([name for name, _ in words], [int(size) for _, size in words])
    found, scramble = positions.reshape(axes, sizes)
    assert scramble is not None
    assert scramble.mixed == mixed
    assert "?" in found.names
    with pytest.raises(ValueError, match=hint):
        raise ValueError(str(scramble))


def test_heads_that_are_not_moved_back_scramble() -> None:
    """(N, heads, L, width) joined without its transpose mixes steps with heads; with it, it is D again."""
    heads, _ = positions.reshape(Axes.of("N L D", (2, 20, 6)), (2, 20, 3, 2))
    moved = positions.transpose(heads, 1, 2)
    _, scramble = positions.reshape(moved, (2, 20, 6))
    assert scramble is not None
    assert (scramble.mixed, scramble.permute) == (("D", "L"), (0, 2, 1, 3))
    assert positions.reshape(positions.transpose(moved, 1, 2), (2, 20, 6))[0].names == ("N", "L", "D")


def test_joining_without_identity_keeps_only_samples_and_steps() -> None:
    """Axes that nobody tracked: N after N is N, features after features are not one axis."""
    plain = Axes.of("N D", (2, 8))
    other = Axes.of("N D", (2, 8))
    assert repr(joining.cat([plain, other], 0)) == "(N=4, D=8)"
    assert repr(joining.cat([plain, other], 1)) == "(N=2, ?=16)"
    assert repr(joining.cat([plain, (0,)], 0)) == "(N=2, D=8)"
    assert repr(joining.cat([(2, 8), (2, 8)], 0)) == "(?=4, ?=8)"
    assert repr(combining.elementwise(Axes.of("K·R", (6,)), Axes.of("K·R", K=3, R=2))) == "(K·R=6,)"
    assert repr(combining.elementwise(Axes.of("N", (1,)), Axes.of("L", (1,)))) == "(1,)"


def test_the_rest_of_the_table_without_tensors() -> None:
    """Reductions of a scalar, attention over plain keys, cells fed plain steps."""
    assert combining.reduce(Axes(), 0) == Axes()
    assert positions.transpose(Axes(), 0, 0) == Axes()
    attention = RULES["scaled_dot_product_attention"].function
    assert repr(attention(Axes.of("N L D", (2, 5, 8)), (2, 7, 8), (2, 7, 3))) == "(N=2, L=5, ?=3)"
    state = Axes.of("N D", (2, 8))
    weight = Plain((32, 3))
    assert combining.cell((2, 3), [state, state], weight, out=[(2, 8), (2, 8)]) == state
    assert combining.cell((2, 3), None, weight, out=(2, 8)) is None
    assert combining.recurrent((2, 3), [], [weight], True, 1, 0.0, True, False, True, out=[(2, 8), (1, 8)]) is None


def test_a_rule_is_called_by_its_own_signature() -> None:
    """By place or by name, in torch's words or numpy's; what it has no name for comes after the rest."""
    rule = Rule(lambda input, dim=-1, *rest, how=0: None)
    for given, named in (
        ([1, 2], {"dtype": 4}),
        ([1], {"dtype": 4, "axis": 2}),
        ([], {"dim": 2, "input": 1, "out_": 4}),
    ):
        assert rule.bound(given, {**named, "how": 3}) == ([1, 2, 4], {"how": 3})
    assert rule.bound([1], {}) == ([1, -1], {})
    with pytest.raises(KeyError, match="input"):
        rule.bound([], {"other": 1})


def test_a_product_stands_still_where_a_factor_is_one_step_long() -> None:
    """Beside a longer axis of its label; where another factor moves along it, at no place that can be told."""
    x, one = Axes.of("N L D", (2, 5, 3)), Axes.of("S D", (4, 3))
    row = positions.take(one, 0, range(2, 3))
    scores = combining.product("...td,...sd->...ts", Axes((*row[:1], *x.axes)), Axes((one[0], *x.axes)))
    assert scores.names == ("S", "N", "L", "L")
    fixed = dict(scores.fixed)
    assert fixed[x[2].atoms[0].origin] == ("over", range(3))
    assert not isinstance(fixed[one[0].atoms[0].origin], int)
    still = combining.product("...td,...sd->...ts", Axes((*row[:1], *x.axes)), Axes((*Axes.of("M", (4,)), *x.axes)))
    assert dict(still.fixed)[one[0].atoms[0].origin] == 2


def test_parts_of_one_axis_stay_parts_when_they_are_computed_with_each_other() -> None:
    """Heads and their width are D again when they are joined; of two tensors' heads each is one of its own."""
    x = Axes.of("N L D", (2, 5, 6))
    heads, _ = positions.reshape(x, (2, 5, 3, 2))
    both = combining.elementwise(heads, heads)
    assert both.names == ("N", "L", "?", "?")
    assert positions.reshape(both, (2, 5, 6))[0].names == ("N", "L", "D")
    pairs = combining.product("nlhw,nlgw->nlhg", heads, heads)
    assert positions.reshape(pairs, (2, 5, 9))[0].names == ("N", "L", "?")


def test_rules_take_no_memory_in_the_size_of_an_axis() -> None:
    """An axis of 2³⁴ is cut, repeated and joined as fast as one of 4; where only a list could say it, `?`."""
    n = 2**34
    x = Axes.of("N D", (n, 3))
    halves = positions.take(x, 0, range(n // 2)), positions.take(x, 0, range(n // 2, n))
    assert joining.cat(halves) == x
    assert joining.cat([x, Axes.of("N D", (n, 3))]).names == ("?", "D")
    assert joining.cat(halves[::-1]).names == ("?", "D")
    assert positions.flip(x, (0,)).names == ("N", "D")
    for repeated in (
        positions.repeat(x, (10, 1)),
        positions.repeat_interleave(x, 3, 0, out=(3 * n, 3)),
    ):
        assert isinstance(repeated, Axes)
        assert repeated.names == ("?", "D")


def test_small_axes_are_written_out() -> None:
    """Repeated, a step still changes the coordinate."""
    x = Axes.of("N D", (4, 3))
    assert positions.repeat(x, (2, 1)).names == ("N", "D")
    assert positions.repeat(x, (0, 1)).sizes == (0, 3)
    assert positions.repeat(Axes.of("N", (1,)), (3,)).names == ("?",)


def test_samples_of_scores_and_of_turned_scores_are_not_joined() -> None:
    """Both are (N, L, L), and no name says which L is which."""
    x = Axes.of("N L D", (2, 5, 3))
    scores = combining.matmul(x, positions.transpose(x, 1, 2))
    turned = positions.transpose(scores, 1, 2)
    assert joining.cat([scores, turned], 0).names == ("?", "L", "L")
    assert joining.cat([scores, scores], 0).names == ("N", "L", "L")


def test_values_of_several_steps_stack_to_steps_where_all_advance() -> None:
    """Sums of neighbours are one for each step; of a step that stays with one that moves, only if they are computed."""
    x = Axes.of("N L D", (2, 9, 8))
    z = Axes((x[0], x[1], *Axes.of("E", (8,))))

    def at(t: int) -> Axes:
        return positions.select(x, 1, t)

    def summed(a: int, b: int) -> Axes:
        return combining.elementwise(at(a), at(b))

    def beside(a: int, b: int) -> Axes:
        return joining.cat([at(a), positions.select(z, 1, b)], 1)

    assert joining.stack([summed(0, 1), summed(1, 2), summed(2, 3)], 1).names == ("N", "L", "D")
    assert joining.stack([summed(0, 3), summed(0, 4)], 1).names == ("N", "L", "D")
    assert joining.stack([summed(3, 4), summed(2, 3)], 1).names == ("N", "L", "D")
    assert joining.stack([summed(0, 3), summed(1, 2)], 1).names == ("N", "?", "D")
    assert joining.stack([summed(0, 1), summed(0, 1)], 1).names == ("N", "?", "D")
    assert joining.stack([combining.product("nd,nd->n", at(t), at(t + 1)) for t in range(3)], 1).names == ("N", "L")
    side = [beside(0, 3), beside(0, 4)]
    assert joining.stack(side, 1).names == ("N", "?", "?")
    assert joining.stack([combining.elementwise(one, beside(2, 2)) for one in side], 1).names == ("N", "?", "?")
    y = Axes((x[0], x[1], *Axes.of("F", (8,))))
    other = joining.cat([at(1), positions.select(y, 1, 4)], 1)
    assert combining.elementwise(side[0], other).names == ("N", "?")
    weight = Axes.of("H D", (3, 16))
    assert joining.stack([combining.product("...k,jk->...j", one, weight) for one in side], 1).names == ("N", "L", "H")


def test_what_is_written_elsewhere_takes_the_name_of_the_axis() -> None:
    """Along which it was written, and no other; turned around it takes them all."""
    x = Axes.of("N L D", (4, 4, 3))
    one, other = positions.select(x, 1, 0), positions.select(x, 1, 2)
    every = slice(None)
    assert joining.written(x, (every, 0), one).names == ("N", "L", "D")
    assert joining.written(x, (every, 0), other).names == ("N", "?", "D")
    assert joining.written(x, (every, 0), positions.flip(one, 0)).names == ("?", "?", "?")
    assert joining.written(x, (every, slice(0, 2)), positions.take(x, 1, range(2, 4))).names == ("N", "?", "D")
    assert joining.written(x, (every, slice(0, 2)), positions.take(x, 1, range(2))).names == ("N", "L", "D")
    assert joining.written(x, (joining.Picks((2,), (0, 1)),), positions.take(x, 0, range(2))).names == ("N", "L", "D")
    assert joining.written(x, (joining.Picks((2,), (0, 1)),), positions.take(x, 0, range(2, 4))).names == (
        "?",
        "?",
        "?",
    )
    assert joining.written(x, (every, 0), 1.0) == x
    assert joining.written(blanks((4, 5, 3)), (every,), Axes.of("L D", (5, 3))).names == ("?", "L", "D")
    assert joining.written(x, (every,), Axes((x[2],))).names == ("N", "L", "D")
    assert joining.written(x, None, one).names == ("?", "?", "?")


def test_what_is_gathered_is_chosen_along_one_axis() -> None:
    """The others are whole, or begin as they did."""
    x = Axes.of("N L D", (2, 5, 3))
    for dim in (1, -2):
        assert joining.gather(x, dim, out=(2, 4, 3)) == Axes.of("N ? D", (2, 4, 3))
        assert joining.gather(x, dim, out=(1, 5, 2)) == Axes.of("N ? D", (1, 5, 2))


def test_a_loss_is_one_number_or_one_for_each_target() -> None:
    """Of a plain target nothing is said."""
    scores, target = Axes.of("N C", (2, 7)), Axes.of("N", (2,))
    assert combining.class_loss(scores, target, out=()) == Axes()
    assert combining.class_loss(scores, target, out=(2,)) == target
    assert combining.class_loss(scores, (2,), out=(2,)) is None
    difference = RULES["mse_loss"].function
    assert difference(scores, scores, out=()) == Axes()
    assert difference(scores, scores, out=(2, 7)) == scores


def test_composites_agree_factor_by_factor() -> None:
    """Of two tensors whose names are the same; where one factor has another name the whole has none."""
    halves = Axes.of("R·D", R=2, D=4)
    assert combining.elementwise(halves, Axes.of("R·D", R=2, D=4)) == halves
    assert combining.elementwise(halves, Axes.of("R·E", R=2, E=4)).names == ("?",)
    assert combining.elementwise(halves, Axes.of("R·D", R=4, D=2)).names == ("?",)


def test_a_tensor_of_one_position_leaves_the_axis_its_name() -> None:
    """Where its value is known; several of them are one new axis."""
    x, every = Axes.of("N L D", (2, 5, 3)), slice(None)
    assert joining.index(x, (every, joining.Picks((1,), (3,)))) == Axes.of("N L D", (2, 1, 3))
    assert joining.index(x, (every, joining.Picks((1,)))) == Axes.of("N 1 D", (2, 1, 3))
    assert joining.index(x, (every, joining.Picks((1, 1), (3,)))).sizes == (2, 1, 1, 3)
    assert joining.index(x, (joining.Picks((1,), (1,)), joining.Picks((1,), (3,)))) == Axes.of("1 D", (1, 3))


def test_of_two_axes_of_one_name_the_first_stays() -> None:
    """It is a piece of what it was cut from."""
    x, y = Axes.of("N D", (4, 3)), Axes.of("N D", (4, 3))
    assert all(map(Axis.same, combining.elementwise(x, y), x))


def test_pieces_that_overlap_at_the_seam_are_no_axis() -> None:
    """A step from the last of one to the first of the other would change nothing."""
    x = Axes.of("N L D", (2, 5, 3))
    first, same, next_ = (positions.take(x, 1, range(*ends)) for ends in ((0, 3), (2, 5), (3, 5)))
    assert joining.cat([first, same], 1).names == ("N", "?", "D")
    assert joining.cat([first, next_], 1).names == ("N", "L", "D")


@pytest.mark.parametrize(("steps", "further"), [(range(1, 7, 3), range(3, 9, 3)), ((5, 1, 2), (7, 3, 4))])
def test_coordinates_so_much_further_on(steps: Steps, further: Steps) -> None:
    """Of a range and of a list."""
    assert shifted(steps, 2) == further


def test_neighbours_computed_with_each_other_are_still_along_their_axis() -> None:
    """Differences of steps are along L; of steps that come twice nobody knows."""
    x = Axes.of("N L D", (2, 5, 3))
    later, sooner = positions.take(x, 1, range(1, 5)), positions.take(x, 1, range(4))
    assert combining.elementwise(later, sooner).names == ("N", "L", "D")
    assert combining.elementwise(later, sooner, chooses=True).names == ("N", "?", "D")
    twice, others = positions.take(x, 1, (0, 1, 0)), positions.take(x, 1, (1, 0, 2))
    assert combining.elementwise(twice, others).names == combining.elementwise(others, twice).names == ("N", "?", "D")


def test_a_buffer_and_its_views_are_called_as_what_is_written() -> None:
    """Whole, row by row, or by slices of one step."""
    x, every = Axes.of("N L D", (2, 5, 3)), slice(None)
    buffer = blanks((2, 5, 3))
    row = positions.select(buffer, 0, 0)
    assert joining.written(buffer, (every, every), x).names == ("N", "L", "D")
    assert row.names == ("L", "D")
    half = joining.written(blanks((2, 5, 3)), (every, slice(1, 3)), positions.take(x, 1, range(1, 3)))
    assert half == Axes.of("N L D", (2, 5, 3))
    wide = Axes.of("N R·D", (2, 6), R=2)
    assert joining.written(blanks((2, 6)), (every, every), wide) == wide
    assert joining.written(blanks((2, 8)), (every, slice(0, 6)), wide).names == ("N", "?")
    sliced = blanks((2, 5, 3))
    for t in range(5):
        sliced = joining.written(sliced, (every, slice(t, t + 1)), positions.unsqueeze(positions.select(x, 1, t), 1))
    assert sliced.names == ("N", "L", "D")


# ---------------------------------------------------------------- inputs that are named last


def lstm(x: Axes, hx: list[Axes], batch_first: bool = True) -> None:
    N, L = x.sizes[:2] if batch_first else x.sizes[1::-1]
    out = [(*x.sizes[:2], 8), (2, N, 8), (2, N, 8)]
    combining.recurrent(x, hx, [Plain((32, x.sizes[-1]))], True, 2, 0.0, True, False, batch_first, out=out)


@pytest.mark.parametrize(("batch_first", "expected"), [(True, ("N", "L", "Q")), (False, ("L", "N", "Q"))])
def test_the_layer_that_reads_an_input_names_it(batch_first: bool, expected: tuple[str, ...]) -> None:
    """And its state, and masks that were computed with before or after; also what was made of it before."""
    naming = Naming()
    x, mask, lengths = unnamed(naming, (4, 5, 7)), unnamed(naming, (4, 5)), unnamed(naming, (4,))
    state = unnamed(naming, (2, 4 if batch_first else 5, 8))
    before = positions.transpose(x, 0, 1)
    combining.elementwise(x, positions.unsqueeze(mask, -1))
    lstm(x, [state, state], batch_first)
    combining.elementwise(lengths, positions.select(mask, 1, 0))
    assert (x.names, mask.names, lengths.names) == (expected, expected[:2], expected[:1])
    assert before.names == (expected[1], expected[0], "Q")
    assert state.names == ("K", "N", "D")
    assert naming.conflicts == []


def test_layers_that_read_one_input_differently_are_a_conflict() -> None:
    """Once for each axis, with the places of both; what a person said stays."""
    naming = Naming()
    x = unnamed(naming, (4, 5, 7))
    naming.where = 3
    lstm(x, [])
    naming.where = 8
    lstm(x, [], batch_first=False)
    assert x.names == ("N", "L", "Q")
    assert [(one.name, one.where, one.other, one.other_where) for one in naming.conflicts] == [
        ("L", 3, "N", 8),
        ("N", 3, "L", 8),
    ]
    given = unnamed(naming, (4, 5, 7), "N L Q")
    lstm(given, [], batch_first=False)
    assert given.names == ("N", "L", "Q")
    assert len(naming.conflicts) == 4


def test_an_input_that_met_a_weights_features_is_named_all_the_same() -> None:
    """A residual connection before the layer: features and copies give no names, and take none from it for good."""
    naming = Naming()
    x = unnamed(naming, (4, 5, 7))
    features = combining.product("...k,jk->...j", x, (7, 7))
    mixed = combining.elementwise(features, x)
    combining.elementwise(x, blanks((4, 5, 7)))
    lstm(mixed, [])
    assert x.names == mixed.names == ("N", "L", "Q")
    assert features.names == ("N", "L", "?")
    assert naming.conflicts == []


def test_zeros_beside_an_axis_of_size_one_leave_it_what_it_is() -> None:
    """Whichever comes first: repeated, it has no name."""
    x = Axes.of("N D", (1, 4))
    for both in ((x, blanks((1, 4), x)), (blanks((1, 4), x), x)):
        total = combining.elementwise(*both)
        assert total.names == ("N", "D")
        assert positions.repeat_interleave(total, 2, 0, out=(2, 4)) == Axes.of("? D", (2, 4))


def test_a_state_of_zeros_is_called_as_the_layer_reads_it() -> None:
    """It held nothing that could say so; copies are nobody's rows."""
    h0, other = blanks((2, 4, 8)), positions.expand(Axes.of("1 1 1", (1, 1, 1)), out=(2, 4, 8))
    lstm(Axes.of("N L Q", (4, 5, 7)), [h0, other])
    assert (h0.names, other.names) == (("K", "N", "D"), ("?", "?", "?"))


def test_a_cell_and_packed_data_name_what_they_read() -> None:
    """A step of a cell has no L; the sequences and steps inside packed data are those of the rows."""
    naming = Naming()
    x, rows = unnamed(naming, (4, 7)), unnamed(naming, (4, 5, 7))
    combining.cell(x, None, Plain((32, 7)), out=(4, 8))
    assert x.names == ("N", "Q")
    packed, _ = combining.pack(rows, (4,), True, out=[(9, 7), (5,)]) or ()
    assert isinstance(packed, Axes)
    combining.recurrent(packed, (5,), [], [Plain((32, 7))], True, 1, 0.0, True, False, out=[(9, 8), (1, 4, 8)])
    assert rows.names == ("N", "L", "Q")
    with_step = positions.select(unnamed(naming, (4, 5, 7)), 1, 0)
    combining.cell(with_step, None, Plain((32, 7)), out=(4, 8))
    assert with_step.names == ("N", "Q")


@pytest.mark.parametrize("batch_first", [True, False])
def test_packed_rows_are_padded_back(batch_first: bool) -> None:
    """To the N and L that they had; L may be cut to the longest row, and is unknown where it grew."""
    rows = Axes.of("N L Q" if batch_first else "L N Q", (4, 5, 7) if batch_first else (5, 4, 7))
    packed, _ = combining.pack(rows, (4,), batch_first, out=[(9, 7), (5,)]) or ()
    assert isinstance(packed, Axes)
    assert repr(packed) == "(T=9, Q=7)"

    def padded(N: int, L: int, data: Axes = packed) -> tuple[str, ...]:
        sizes = (N, L, 7) if batch_first else (L, N, 7)
        found, _ = combining.pad_packed(data, (5,), batch_first, 0.0, L, out=[sizes, (N,)]) or ()
        assert isinstance(found, Axes)
        assert found.sizes == sizes
        assert bool(found.fixed) is (N == 3)  # whole rows stand nowhere; of others their sequences are gone
        N_name, L_name, width = found.names if batch_first else (found.names[1], found.names[0], found.names[2])
        return N_name, L_name, width

    assert padded(4, 5) == ("N", "L", "Q")
    assert padded(4, 3) == ("N", "L", "Q")
    assert padded(4, 6) == ("N", "?", "Q")
    assert padded(3, 5) == ("?", "?", "Q")
    assert padded(4, 5, Axes.of("T Q", (9, 7))) == ("?", "?", "Q")


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        ("D E", "D+E"), ("D D D D", "D+D+D+D"), ("D D D D D", "5×D"), ("D D D D E", "?"), ("D ?", "D+?"), ("? ?", "?"),
        ("? ? ? ? ?", "?"), ("stacked stacked", "stacked"),
    ],
)  # fmt: skip
def test_a_walk_says_what_stands_side_by_side(names: str, joined: str) -> None:
    """Up to four by name, more if they are alike; elsewhere it has no name."""
    pieces = [Axes.of(["N", name], (4, 8)) for name in names.split()]
    assert joining.cat(pieces, 1).names == ("N", "?")
    token = describing.set(True)
    try:
        found = joining.cat(pieces, 1)
    finally:
        describing.reset(token)
    assert (found.names, found.sizes) == (("N", joined), (4, 8 * len(pieces)))


@pytest.mark.parametrize(
    ("pad", "out", "name"),
    [((1, 0), 9, "pad+D"), ((0, 2), 10, "D+pad"), ((1, 1), 10, "pad+D+pad"), ((0, 0), 8, "D"), ((-1, -2), 5, "D")],
)
def test_a_walk_says_where_an_axis_was_padded(pad: tuple[int, int], out: int, name: str) -> None:
    """In front, behind or on both sides; elsewhere it has no name any more. What is cut stays a piece of it."""
    x = Axes.of("N D", (4, 8))
    token = describing.set(True)
    try:
        padded = combining.pad(x, pad, out=(4, out))
        assert (padded.names, padded.sizes) == (("N", name), (4, out))
    finally:
        describing.reset(token)
    assert combining.pad(x, pad, out=(4, out)).names == ("N", "D" if name == "D" else "?")
    assert combining.pad(x, (0, 0, *pad), out=(4 + sum(pad), 8)).names[1] == "D"


def test_weights_of_attention_are_named_where_heads_were_averaged() -> None:
    """(N, L, S) with both names; of several heads, of a plain key and where none come back nothing is said."""
    query, key = Axes.of("T N E", (5, 2, 8)), Axes.of("S N E", (7, 2, 8))
    _, weights = combining.multi_head(query, key, out=[(5, 2, 8), (2, 5, 7)]) or ()
    assert weights == Axes.of("N T S", (2, 5, 7))
    shapes: Sequence[tuple[int, ...]]
    for plain, shapes in ((False, [(2, 3, 5, 7)]), (True, [(2, 5, 7)]), (False, [])):
        sizes = [(5, 2, 8), *shapes]
        result, weights = combining.multi_head(query, (7, 2, 8) if plain else key, out=sizes) or ()
        assert weights is None
        assert result == Axes.of("T N ?", (5, 2, 8))


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_windows_leave_an_axis_that_keeps_its_size(spatial: int) -> None:
    """Over one, two and three axes; another size is another axis, and a convolution makes its own channels."""
    x = Axes.of(["N", "C", *"ABC"[:spatial]], (2, 6, 9, 8, 7)[: 2 + spatial])
    out = (*x.sizes[:2], 4, *x.sizes[3:])
    for kind in ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool"):
        pooled = RULES[f"{kind}{spatial}d"].function(x, out=out)
        assert (pooled.names, pooled.sizes) == (("N", "C", "?", *x.names[3:]), out)
    convolved = RULES[f"conv{spatial}d"].function(x, Plain((6, 6, 3, 3, 3)[: 2 + spatial]), out=(2, 6, *out[2:]))
    assert convolved.names == ("N", "?", "?", *x.names[3:])


def test_halves_that_gate_each_other_keep_the_steps_apart_no_more_than_before() -> None:
    """One of glu for each step, stacked, is L again: what a weight has made is on nobody's record."""
    features = combining.product("...k,jk->...j", Axes.of("N L D", (2, 5, 3)), Plain((6, 3)))

    def gated(t: int) -> Axes:
        step = positions.select(features, 1, t)
        rule = RULES["glu"]
        return rule.function(step) if rule.own_record else forget(rule.function(step), [step])

    assert joining.stack([gated(t) for t in range(5)], 1).names == ("N", "L", "?")
