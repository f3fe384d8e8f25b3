"""Spec refuses every layer that cannot exist, and says which field, which rule, and what it got."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.errors import SpecError
from lstm_shapes.theory.spec import Spec, is_whole, whole
from lstm_shapes.theory.symbols import CELLS
from tests.strategies import dropping_specs

PLAIN: dict[str, Any] = {"Q": 28, "D": 256, "K": 3}
SEQUENCES = [name for name, kind in CELLS.items() if not kind.step]
STEPS = [name for name, kind in CELLS.items() if kind.step]


class Countable:
    """Converts to a whole number, as numpy's integers do, and is none."""

    def __index__(self) -> int:
        return 5


NO_SIZE = [
    True,
    False,
    2.0,
    2.5,
    float("nan"),
    float("inf"),
    "28",
    b"28",
    None,
    [28],
    (28,),
    {28},
    {},
    28j,
    Fraction(28),
]


@pytest.mark.parametrize("value", NO_SIZE, ids=repr)
@pytest.mark.parametrize("field", ["Q", "D", "K"])
def test_a_size_is_an_int(field: str, value: object) -> None:
    """A bool, float, string, None or container is no size, even where it equals one."""
    with pytest.raises(SpecError, match=rf"^{field} \(\w+\) must be a whole number of at least 1, got ") as caught:
        Spec(**{**PLAIN, field: value})
    assert caught.value.name.startswith(field)
    assert caught.value.rule == "a whole number of at least 1"
    assert caught.value.got is value


@pytest.mark.parametrize("value", [0, -1, -(10**30)])
@pytest.mark.parametrize("field", ["Q", "D", "K"])
def test_a_size_is_at_least_one(field: str, value: int) -> None:
    """Zero and negative sizes are refused with the number that was given."""
    with pytest.raises(SpecError, match=rf"of at least 1, got {value}") as caught:
        Spec(**{**PLAIN, field: value})
    assert caught.value.got == value


@pytest.mark.parametrize("field", ["Q", "D", "K"])
def test_a_size_fits_into_64_bits(field: str) -> None:
    """The largest size leaves room for four gates in torch's 64 bits; the next one is refused."""
    assert getattr(Spec(**{**PLAIN, field: 2**60}), field) == 2**60
    why = ", so that G·D fits torch's 64 bits" if field == "D" else ""
    with pytest.raises(SpecError, match=rf"at most 2\*\*60{why}, got 1152921504606846977"):
        Spec(**{**PLAIN, field: 2**60 + 1})


@pytest.mark.parametrize(
    ("field", "says"), [("Q", "input_size"), ("D", "hidden_size"), ("K", "num_layers"), ("proj_size", "P ")]
)
def test_the_message_has_torchs_name_as_well(field: str, says: str) -> None:
    """Who knows only torch's argument finds it in the message."""
    with pytest.raises(SpecError, match=says):
        Spec(**{**PLAIN, field: -1})


def test_a_number_like_value_gets_the_next_step() -> None:
    """What converts to an int, such as numpy's integers, is told how."""
    with pytest.raises(SpecError, match=r"Use int\(...\)") as caught:
        Spec(Countable(), 256)  # type: ignore[arg-type]
    assert caught.value.hint == "Use int(...)"
    with pytest.raises(SpecError, match=r"got 28.0.$"):
        Spec(28.0, 256)  # type: ignore[arg-type]


def test_a_subclass_of_int_is_stored_as_int() -> None:
    """An IntEnum or the like is a size; what is kept is the plain number."""

    class Size(int):
        pass

    spec = Spec(Size(28), Size(256), proj_size=Size(5))
    assert {type(value) for value in (spec.Q, spec.D, spec.K, spec.proj_size)} == {int}


@pytest.mark.parametrize("value", [0, 1, None, "True", 2.0], ids=repr)
@pytest.mark.parametrize("field", ["batch_first", "bidirectional", "bias"])
def test_a_flag_is_a_bool(field: str, value: object) -> None:
    """Numbers and strings are no flags: `Spec(28, 256, 3, 2)` meant something else."""
    with pytest.raises(SpecError, match=rf"^{field} must be True or False, got {value!r}"):
        Spec(**{**PLAIN, field: value})


def test_a_batch_size_in_fourth_place_is_recognised() -> None:
    """Who counts on with N and L is told that these go by name."""
    with pytest.raises(SpecError, match="N and L go by name: N=2, L=20"):
        Spec(28, 256, 3, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["lstm", "Transformer", "", None, 3, ["LSTM"], {}], ids=repr)
def test_a_cell_is_one_of_the_table(value: object) -> None:
    """The message lists what there is."""
    with pytest.raises(SpecError, match=r"^cell must be one of LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell, got"):
        Spec(28, 256, cell=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, 2.0, "2", None, -1], ids=repr)
def test_a_projection_is_a_whole_number(value: object) -> None:
    """proj_size is 0 or a size."""
    with pytest.raises(SpecError, match=r"^P \(proj_size\) must be a whole number of at least 0, got"):
        Spec(28, 256, proj_size=value)  # type: ignore[arg-type]


def test_a_projection_is_narrower_than_D() -> None:
    """torch takes P < D, and so do we: the bound itself is refused."""
    assert Spec(28, 256, proj_size=255).H == 255
    for P in (256, 257):
        with pytest.raises(SpecError, match=rf"must be below D = 256 \(0 for no projection\), got {P}"):
            Spec(28, 256, proj_size=P)


@pytest.mark.parametrize("cell", [name for name, kind in CELLS.items() if not kind.projects])
def test_only_an_lstm_projects(cell: str) -> None:
    """As in torch, which has proj_size for LSTM alone."""
    with pytest.raises(SpecError, match=rf"must be 0 for {cell}, got 8. Only LSTM projects"):
        Spec(28, 256, cell=cell, proj_size=8)


@pytest.mark.parametrize("value", [True, "0.5", None, [0.5], 1j], ids=repr)
def test_dropout_is_a_number(value: object) -> None:
    """A bool is no probability, although torch's own check lets strings fall further."""
    with pytest.raises(SpecError, match=r"^dropout must be a number from 0 to 1, got"):
        Spec(28, 256, 2, dropout=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 1.1, 2, float("nan"), float("inf"), -float("inf")], ids=repr)
def test_dropout_is_a_probability(value: float) -> None:
    """nan and everything outside 0 to 1 is refused."""
    with pytest.raises(SpecError, match=r"^dropout must be a probability from 0 to 1, got"):
        Spec(28, 256, 2, dropout=value)


@pytest.mark.parametrize("value", [0, 1, 0.0, 0.5, 1.0])
def test_dropout_is_kept_as_float(value: float) -> None:
    """0 and 0.0 are the same layer, also when printed."""
    assert type(Spec(28, 256, 2, dropout=value).dropout) is float
    assert repr(Spec(28, 256, 2, dropout=0)) == repr(Spec(28, 256, 2))


def test_relu_is_for_rnn() -> None:
    """RNN and RNNCell choose their nonlinearity; the gates of the others have theirs."""
    for cell, kind in CELLS.items():
        if kind.nonlinearities:
            assert Spec(28, 256, cell=cell, nonlinearity="relu").nonlinearity == "relu"
            with pytest.raises(SpecError, match=rf"^nonlinearity must be 'tanh' or 'relu' for {cell}, got 'elu'"):
                Spec(28, 256, cell=cell, nonlinearity="elu")
        else:
            with pytest.raises(SpecError, match=rf"^nonlinearity must be 'tanh' for {cell}, got 'relu'"):
                Spec(28, 256, cell=cell, nonlinearity="relu")


@pytest.mark.parametrize("value", [None, 3, ["tanh"]], ids=repr)
def test_a_nonlinearity_is_a_string(value: object) -> None:
    """Unhashable or odd values get the same message."""
    with pytest.raises(SpecError, match=r"^nonlinearity must be"):
        Spec(28, 256, cell="RNN", nonlinearity=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize(("field", "value"), [("K", 2), ("bidirectional", True), ("dropout", 0.5)])
def test_a_cell_is_one_step_of_one_layer(cell: str, field: str, value: object) -> None:
    """What only sequence layers have is refused, with the layer that has it."""
    with pytest.raises(SpecError, match=rf"^{field} must be .* for {cell}, got .*use cell='{CELLS[cell].layer}'"):
        Spec(**{**PLAIN, "K": 1, "cell": cell, field: value})


def test_a_cell_has_one_layout() -> None:
    """Without a time axis batch_first means nothing: both spellings are equal."""
    assert Spec(28, 256, 1, False, cell="GRUCell") == Spec(28, 256, cell="GRUCell")


def test_options_go_by_name() -> None:
    """Only the lesson's four arguments go by place."""
    with pytest.raises(TypeError, match="positional"):
        Spec(28, 256, 3, True, "LSTM")  # type: ignore[call-arg]


def test_derived_symbols() -> None:
    """R, P, H and G follow from the fields."""
    spec = Spec(28, 256, 3, bidirectional=True, proj_size=64)
    assert (spec.R, spec.P, spec.H, spec.G) == (2, 64, 64, 4)
    plain = Spec(28, 256, cell="GRU")
    assert (plain.R, plain.P, plain.H, plain.G) == (1, 0, 256, 3)
    assert Spec(28, 256, cell="RNN").G == 1
    assert plain.kind is CELLS["GRU"]


def test_input_width_of_each_layer() -> None:
    """The bottom layer reads Q features; the others what both directions below write."""
    spec = Spec(28, 256, 3, bidirectional=True, proj_size=64)
    assert [spec.input_width(layer) for layer in range(3)] == [28, 128, 128]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("input_size", r"Q \(input_size\)"),
        ("units", r"D \(hidden_size\)"),
        ("num_layer", r"K \(num_layers\)"),
        ("P", r"proj_size \(P\)"),
        ("bach_first", "batch_first"),
    ],
)
def test_an_unknown_keyword_is_answered_with_what_was_meant(word: str, meant: str) -> None:
    """As in every call: torch's words, other tools' and misspelt ones, by the names that a Spec has."""
    with pytest.raises(SpecError, match=rf"must be one that Spec has, got '{word}'. Did you mean {meant}\?$"):
        Spec(3, 4, **{word: 2})  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=rf"Did you mean {meant}\?$"):
        Spec(3, 4).replace(**{word: 2})  # type: ignore[arg-type]


def test_replace_changes_and_validates() -> None:
    """The rest stays, the original too, and the rules hold again."""
    spec = Spec(28, 256, 3)
    assert spec.replace(K=1, bias=False) == Spec(28, 256, 1, bias=False)
    assert spec == Spec(28, 256, 3)
    with pytest.raises(SpecError, match=r"^D"):
        spec.replace(D=0)
    with pytest.raises(SpecError, match=r"^a keyword must be one of D, K, Q, batch_first, bias, .* got 'N'"):
        spec.replace(N=2)  # type: ignore[call-arg]
    with pytest.raises(SpecError, match="below D = 4"):
        Spec(28, 256, proj_size=5).replace(D=4)


@given(dropping_specs())
def test_a_spec_survives_every_way_out_and_back(spec: Spec) -> None:
    """pickle, copy, to_dict through JSON, replace and repr all give an equal spec with an equal hash."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(spec, protocol)) == spec
    ways = (
        copy.deepcopy(spec),
        copy.copy(spec),
        Spec(**json.loads(json.dumps(spec.to_dict()))),
        spec.replace(),
        eval(repr(spec)),
    )
    assert all(again == spec and hash(again) == hash(spec) for again in ways)


@given(dropping_specs(), dropping_specs())
def test_repr_tells_specs_apart(one: Spec, other: Spec) -> None:
    """Two specs print the same exactly when they are equal."""
    assert (repr(one) == repr(other)) == (one == other)


def test_repr_always_has_the_lessons_arguments() -> None:
    """Q, D, K and batch_first always; the rest where it differs from its default."""
    assert repr(Spec(28, 256)) == "Spec(Q=28, D=256, K=1, batch_first=True)"
    everything = Spec(7, 5, 2, False, bidirectional=True, proj_size=3, bias=False, dropout=0.5)
    assert repr(everything).endswith("batch_first=False, bidirectional=True, proj_size=3, bias=False, dropout=0.5)")


def test_a_spec_is_frozen() -> None:
    """Nobody changes a layer behind somebody's back."""
    with pytest.raises(dataclasses.FrozenInstanceError, match="Q"):
        Spec(28, 256).Q = 3  # type: ignore[misc]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.binary(),
    st.sampled_from(list(CELLS)), st.integers(0, 9),
)  # fmt: skip


@given(st.fixed_dictionaries({field.name: JUNK for field in dataclasses.fields(Spec)}))
def test_nonsense_is_a_spec_error_or_a_layer(fields: dict[str, Any]) -> None:
    """Whatever comes in: a SpecError of one line, or a layer; never another exception."""
    made: Spec | SpecError
    try:
        made = Spec(**fields)
    except SpecError as error:
        made = error
    if isinstance(made, SpecError):
        assert "\n" not in str(made)
        assert made.rule
    else:
        assert made.replace() == made


@pytest.mark.parametrize(("value", "answer"), [(1, True), (-1, True), (True, False), (1.0, False), ("1", False)])
def test_is_whole(value: object, answer: bool) -> None:
    """An int that is no bool."""
    assert is_whole(value) is answer


def test_whole_takes_a_least() -> None:
    """The bound belongs to the rule that the message states."""
    assert whole("seed", 0, at_least=0) == 0
    with pytest.raises(SpecError, match=r"^seed must be a whole number of at least 0, got -1"):
        whole("seed", -1, at_least=0)


def test_a_spec_needs_no_torch() -> None:
    """Describing a layer imports nothing heavy."""
    code = "import sys; from lstm_shapes import Spec; Spec(28, 256, 3); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
