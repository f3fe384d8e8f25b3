"""theory/laws.py without torch: which laws there are for a layer, and what they say. tests/lab measures them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.language._english import SENTENCES
from lstm_shapes.testing import cases
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.laws import RULES, Law, laws
from lstm_shapes.theory.slices import last_step
from lstm_shapes.theory.spec import Spec


def law(name: str, *args: Any, **options: Any) -> Law:
    (found,) = [law for law in laws(*args, **options) if law.name == name]
    return found


@given(cases())
def test_every_law_says_what_when_and_why(case: tuple[Spec, Call]) -> None:
    """Expression, condition and reason are there, no law twice, and its kind follows from `holds`."""
    found = laws(case[0], call=case[1])
    assert len({law.name for law in found}) == len({law.expression for law in found}) == len(found)
    for law in found:
        assert law.condition
        assert law.why.endswith(".")
        assert "==" in law.expression
        assert law.kind == ("identity" if law.holds else "false friend")
        assert set(law.to_dict()) == {"name", "expression", "holds", "kind", "condition", "why", "exact"}


def test_rules_are_named_once() -> None:
    """The table is keyed by name; a rule that always holds needs no reason for failing, any other has one."""
    assert [rule.name for rule in RULES.values()] == list(RULES)
    assert all({f"law {name}: why", f"law {name}: why not"} & set(SENTENCES) for name in RULES)


@pytest.mark.parametrize(
    ("name", "options", "expression", "holds"),
    [
        ("last step", {}, "Y[:, -1] == hn[-1]", True),
        ("last step", {"batch_first": False}, "Y[-1] == hn[-1]", True),
        ("last step", {"N": None}, "Y[-1] == hn[-1]", True),
        ("last step", {"bidirectional": True}, "Y[:, -1] == hn[-1]", False),
        ("last step", {"lengths": (20, 3)}, "Y[:, -1] == hn[-1]", False),
        ("last step", {"lengths": (20, 20)}, "Y[:, -1] == hn[-1]", True),
        ("last step", {"lengths": (20, 20), "L": 21}, "Y[:, -1] == hn[-1]", False),
        ("wrong axis", {}, "Y[-1] == hn[-1]", False),
        ("wrong axis", {"batch_first": False}, "Y[:, -1] == hn[-1]", False),
        ("wrong axis", {"N": 1, "L": 1}, "Y[-1] == hn[-1]", True),
        ("forward half", {"bidirectional": True}, "Y[:, -1, :D] == hn[-2]", True),
        ("forward half", {"bidirectional": True, "batch_first": False}, "Y[-1, :, :D] == hn[-2]", True),
        ("forward half", {"bidirectional": True, "N": None}, "Y[-1, :D] == hn[-2]", True),
        ("forward half", {"bidirectional": True, "proj_size": 5}, "Y[:, -1, :P] == hn[-2]", True),
        ("forward half", {"bidirectional": True, "lengths": (4, 3)}, "Y[:, -1, :D] == hn[-2]", False),
        ("backward half", {"bidirectional": True}, "Y[:, 0, D:] == hn[-1]", True),
        ("backward half", {"bidirectional": True, "lengths": (4, 3)}, "Y[:, 0, D:] == hn[-1]", True),
        ("backward half", {"bidirectional": True, "batch_first": False}, "Y[0, :, D:] == hn[-1]", True),
        ("backward half at the end", {"bidirectional": True}, "Y[:, -1, D:] == hn[-1]", False),
        ("backward half at the end", {"bidirectional": True, "L": 1}, "Y[:, -1, D:] == hn[-1]", True),
        ("gathered step", {"lengths": (4, 3)}, "Y[torch.arange(N), lengths - 1] == hn[-1]", True),
        (
            "gathered step",
            {"lengths": (4, 3), "bidirectional": True, "batch_first": False},
            "Y[lengths - 1, torch.arange(N), :D] == hn[-2]",
            True,
        ),
        ("unflattened", {"bidirectional": True}, "hn.view(K, R, N, D)[-1, 0] == Y[:, -1, :D]", True),
        ("unflattened", {"bidirectional": True, "N": None}, "hn.view(K, R, D)[-1, 0] == Y[-1, :D]", True),
        ("unflattened wrongly", {"bidirectional": True}, "hn.view(R, K, N, D)[0, -1] == Y[:, -1, :D]", False),
        ("unflattened wrongly", {"bidirectional": True, "K": 1}, "hn.view(R, K, N, D)[0, -1] == Y[:, -1, :D]", True),
        ("flattened to rows", {}, "hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)", False),
        ("flattened to rows", {"K": 1}, "hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)", True),
        ("output is cell state", {}, "Y[:, -1] == cn[-1]", False),
        ("output is cell state", {"cell": "LSTMCell", "K": 1}, "hn == cn", False),
        ("equal widths", {}, "hn.shape == cn.shape", True),
        ("equal widths", {"proj_size": 5}, "hn.shape == cn.shape", False),
        ("zero start", {"cell": "GRU"}, "layer(X) == layer(X, zeros)", True),
        ("zero start", {"dropout": 0.5}, "layer(X) == layer(X, (zeros, zeros))", False),
        ("zero start", {"dropout": 0.5, "K": 1}, "layer(X) == layer(X, (zeros, zeros))", True),
        ("cell loop", {"cell": "GRUCell", "K": 1}, "a loop over GRUCell == GRU with the same weights", True),
    ],
)
def test_law_of_a_layer(name: str, options: dict[str, Any], expression: str, holds: bool) -> None:
    """Written as this layer's user writes it, and true or false for this layer and call."""
    found = law(name, 28, 256, **{"K": 3, **options})
    assert (found.expression, found.holds) == (expression, holds)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("backward half", {}),
        ("gathered step", {}),
        ("padding read", {}),
        ("chain", {"K": 1}),
        ("wrong axis", {"N": None}),
        ("rows alone", {"N": None}),
        ("layout", {"N": None}),
        ("output is cell state", {"cell": "GRU"}),
        ("last step", {"cell": "LSTMCell", "K": 1}),
        ("cell loop", {}),
    ],
)
def test_laws_that_do_not_concern_a_layer_are_left_out(name: str, options: dict[str, Any]) -> None:
    """A law about directions, packing, batches or cells is not there where those are not."""
    assert name not in {law.name for law in laws(28, 256, **{"K": 2, **options})}


def test_reason_follows_the_case() -> None:
    """The same law has one reason where it holds and another where it does not."""
    two_way = law("last step", 28, 256, bidirectional=True).why
    assert "both halves" in two_way
    assert two_way != law("last step", 28, 256).why


def test_arguments_are_those_of_predict() -> None:
    """Wrong ones raise what predict raises."""
    with pytest.raises(SpecError, match="D \\(hidden_size\\) must be given with Q"):
        laws(28)
    with pytest.raises(ShapeError, match="lengths must be at most L each"):
        laws(28, 256, L=3, lengths=(4,))


@pytest.mark.parametrize(
    ("options", "lengths", "expression"),
    [
        ({}, None, "Y[:, -1]"),
        ({"batch_first": False}, None, "Y[-1]"),
        ({"proj_size": 9}, None, "Y[:, -1]"),
        ({}, (4, 3), "hn[-1]"),
        ({"bidirectional": True}, None, "torch.cat([hn[-2], hn[-1]], dim=-1)"),
        ({"cell": "GRUCell", "K": 1}, None, "hn"),
    ],
)
def test_what_a_classifier_wants(options: dict[str, Any], lengths: tuple[int, ...] | None, expression: str) -> None:
    """The state after the whole sequence."""
    spec = Spec(28, 256, **{"K": 2, **options})
    assert last_step(spec, None if lengths is None else Call.of(spec, lengths=lengths)) == expression


def test_laws_that_compute_with_torchs_own_layers_are_marked() -> None:
    """A layer of one's own, whose weights have other names, is not asked for them."""
    marked = {"cell loop", "layout", "layout, one sequence", "chain", "one step seen"}
    assert {name for name, rule in RULES.items() if rule.with_torchs} == marked
