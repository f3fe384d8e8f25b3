"""Named axes never lie: random chains of operations, held against coordinates."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_shapes.lab import tensors
from lstm_shapes.theory._axis_rules import table
from lstm_shapes.theory.axes import Axes
from tests.oracle import BASES, Tally, base, lies
from tests.oracle_operations import OPERATIONS, run_chain
from tests.scale import examples

STEPS = st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 2**32 - 1)), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that fails is a bug here, not a plain tensor."""
    monkeypatch.setattr(tensors, "strict", True)


@pytest.fixture(scope="module", autouse=True)
def strict_for_examples() -> Any:
    """hypothesis runs all examples of a test inside one function's fixtures; the switch holds for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "strict", True)
        yield


@pytest.mark.fuzz
@settings(max_examples=examples(2_000))
@given(steps=STEPS, start=st.sampled_from(BASES))
@example(  # twice the same L in a product: the copy remembers that it visits coordinates twice
    steps=[
        ("in_place", 1600468992),
        ("repeat", 3081664344),
        ("squeeze", 1678549516),
        ("squeeze", 4252121143),
        ("product", 3633525164),
        ("together_again", 289151030),
    ],
    start=BASES[2],
)
@example(  # pieces along an axis without a name, written over each other: nobody knows where they stood
    steps=[("windows", 0), ("written", 740)],
    start=Axes.of("N L D", (3, 5, 4)),
)
@example(  # a sum of sums: what one of them loses at a step the other must not make good
    steps=[("windows", 0), ("add", 0), ("flip", 8), ("add", 0)],
    start=Axes.of("N L", (6, 4)),
)
@example(  # what is written in part moves along the axis, and holds another value of it besides
    steps=[
        ("gather", 3490170012),
        ("gated", 3808165140),
        ("permute", 3623781297),
        ("last_valid", 3050786087),
        ("integer", 772942932),
        ("add", 973468626),
        ("written", 173945546),
        ("gather", 3415219173),
    ],
    start=Axes.of("N L D", (3, 5, 4)),
)
def test_every_name_that_survives_is_true(steps: list[tuple[str, int]], start: Axes) -> None:
    """After up to eight operations, a step along an axis changes the coordinate it is named after, alone."""
    log, found = run_chain(steps, start)
    assert not found, "\n".join([*log, *found])


def _chains(count: int, length: int = 8, seed: int = 0) -> tuple[Tally, int]:
    rng, tally, liars = random.Random(seed), Tally(), 0
    for _ in range(count):
        steps = [(rng.choice(sorted(OPERATIONS)), rng.getrandbits(32)) for _ in range(length)]
        liars += bool(run_chain(steps, rng.choice(BASES), tally)[1])
    return tally, liars


def test_nine_of_ten_steps_keep_every_name_that_is_true() -> None:
    """Honesty by forgetting would be cheap: names are lost only where no single coordinate is left, nearly."""
    tally, liars = _chains(300)
    assert liars == 0
    assert set(tally.seen) == set(OPERATIONS), "every operation was drawn"
    assert tally.share > 0.9, tally


def test_longer_chains_are_as_honest() -> None:
    """Thirty operations in a row lie no more than eight."""
    assert _chains(60, length=30, seed=1)[1] == 0


def _same(input: Axes, *_: Any, **__: Any) -> Axes:
    return input


def _by_size(input: Axes, *_: Any, out: tuple[int, ...], **__: Any) -> Axes:
    """The tempting rule for reshape: an axis of the same size keeps its name."""
    axes = {axis.size: axis for axis in input}
    return Axes(tuple(axes.get(size) or Axes.of("?", (size,))[0] for size in out))


def _first_name(given: list[Axes], dim: int = 0, *, out: tuple[int, ...], **_: Any) -> Axes:
    """The tempting rule for cat: the axis keeps the name that the first piece has."""
    axes = list(given[0])
    axes[dim] = Axes.of(axes[dim].name if axes[dim].name.isidentifier() else "?", (out[dim],))[0]
    return Axes(tuple(axes))


def _in_order(input: Axes, *_: Any, out: tuple[int, ...], **__: Any) -> Axes:
    return Axes.of(" ".join("NLDQRKHC"[: len(out)]), out)


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (("transpose", "swapaxes", "rot90"), _same),
        (("reshape", "view"), _by_size),
        (("cat",), _first_name),
        (("sum", "mean", "amax"), _in_order),
    ],
    ids=["transpose", "reshape", "cat", "reduce"],
)
def test_the_oracle_sees_a_wrong_rule(
    names: tuple[str, ...], wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one rule broken on purpose, chains are found that lie."""
    monkeypatch.setattr(tensors, "strict", False)
    for name in names:
        monkeypatch.setitem(table.RULES, name, table.Rule(wrong))
    assert _chains(400, seed=2)[1] > 0


def test_the_oracle_knows_a_lie_when_it_is_told_one() -> None:
    """Coordinates under another's name are found out, both the one that moves and the one that does not."""
    coded = base(Axes.of("N L", (3, 4)))
    for channel in coded.channels.values():
        channel._axes = Axes.of("L N", (3, 4))  # type: ignore[attr-defined]
    found = lies(coded)
    assert "a step along L=3 changes N" in found
    assert "a step along L=3 does not always change L" in found
