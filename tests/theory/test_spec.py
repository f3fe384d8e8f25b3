"""Spec refuses every layer that cannot exist, and says which field, which rule, and what it got."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_shapes.errors import SpecError
from lstm_shapes.theory.cells import CELLS
from lstm_shapes.theory.spec import UNTOLD, Spec, Weights, find_layers, is_whole, printable, whole
from tests.scale import examples
from tests.strategies import dropping_specs, specs

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


def test_replace_changes_and_validates() -> None:
    """The rest stays, the original too, and the rules hold again."""
    spec = Spec(28, 256, 3)
    assert spec.replace(K=1, bias=False) == Spec(28, 256, 1, bias=False)
    assert spec == Spec(28, 256, 3)
    with pytest.raises(SpecError, match=r"^D"):
        spec.replace(D=0)
    with pytest.raises(SpecError, match=r"^a field of Spec must be one of Q, D, K, batch_first, cell, .* got 'N'"):
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


# ---------------------------------------------------------------- read off weights


class Weight:
    """All that a checkpoint's tensor has to have."""

    def __init__(self, *shape: Any) -> None:
        self.shape = shape


def state_of(spec: Spec, prefix: str = "") -> dict[str, Any]:
    """What a checkpoint holds of a layer."""
    return {prefix + name: Weight(*axes.sizes) for name, axes in Weights(spec).items()}


def known(spec: Spec) -> Spec:
    """A Spec without what no checkpoint can tell."""
    defaults: Any = {"batch_first": True, "dropout": 0.0, "nonlinearity": "tanh"}
    assert set(defaults) == set(UNTOLD)
    return spec.replace(**defaults)


@pytest.mark.fuzz
@given(specs(most=12, layers=12), st.sampled_from(["", "rnn.", "module.encoder.0.rnn.", "weight_ih_l0.", ".", "a..b."]))
@settings(max_examples=examples(300))
def test_a_checkpoint_gives_back_its_spec(spec: Spec, prefix: str) -> None:
    """The round trip over names and shapes keeps all that a checkpoint knows, below any prefix."""
    state: dict[Any, Any] = {"head.weight": Weight(10, 5), **state_of(spec, prefix), "epoch": 3, 7: "not a name"}
    assert Spec.of(state, prefix) == known(spec)
    assert [(found.prefix, found.spec) for found in find_layers(state)] == [(prefix.removesuffix("."), known(spec))]


@pytest.mark.fuzz
@given(dropping_specs())
@settings(max_examples=examples(100))
def test_the_round_trip_through_torch(spec: Spec) -> None:
    """`Spec.of(build(spec))` is the spec; of its state_dict, all that a checkpoint knows."""
    pytest.importorskip("torch")
    from lstm_shapes.lab.build import build

    layer = build(spec, device="meta")
    assert Spec.of(layer) == spec
    assert Spec.of(layer.state_dict()) == known(spec)


@pytest.mark.fuzz
@given(specs(layers=4), st.data())
@settings(max_examples=examples(300))
def test_any_single_change_is_noticed_or_is_another_layer(spec: Spec, data: st.DataObject) -> None:
    """Drop, resize or rename one weight: either an error says so, or the result predicts exactly what is there."""
    state = state_of(spec)
    name = data.draw(st.sampled_from(sorted(state)))
    weight = state.pop(name)
    change = data.draw(st.sampled_from(["drop", "resize", "rank", "rename"]))
    if change == "resize":
        axis = data.draw(st.integers(0, len(weight.shape) - 1))
        shape = list(weight.shape)
        shape[axis] += data.draw(st.sampled_from([-1, 1, shape[axis]]))
        state[name] = Weight(*shape)
    elif change == "rank":
        state[name] = Weight(*weight.shape, 1)
    elif change == "rename":
        state[name.replace("_l0", "_l1") if "_l0" in name else f"{name}_l0"] = weight
    try:
        found = Spec.of(state)
    except SpecError:
        return
    assert {key: axes.sizes for key, axes in Weights(found).items()} == {key: w.shape for key, w in state.items()}


def without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


LSTM = state_of(Spec(3, 4, 2))
BROKEN: list[tuple[dict[Any, Any], str]] = [
    (LSTM | {"weight_ih_l99999999999": Weight(16, 4)}, r"weight_ih_l99999999999 must be a weight of the LSTM"),
    (LSTM | {"weight_ih_l" + "9" * 9999: Weight(16, 4)}, r"weight_ih_l9{49}…"),
    (LSTM | {"weight_ih_l00": Weight(16, 3)}, r"weight_ih_l00 must be a weight of"),
    (LSTM | {"weight_ih": Weight(16, 3)}, r"weight_ih must be a weight of.*a cell's weights have no number"),
    (LSTM | {"weight_hr_l1": Weight(2, 4)}, r"weight_hr_l1 must be a weight of the LSTM of 2 layers around it"),
    (LSTM | {"weight_hr_l0": Weight(4, 4)}, r"P \(proj_size\) of the layer at '' must be below D = 4"),
    (LSTM | {"weight_hh_l1": Weight(16, 5)}, r"weight_hh_l1 must be \(G·D, D\) = \(16, 4\).*got \(16, 5\)"),
    (LSTM | {"bias_ih_l0": Weight(16, 1)}, r"bias_ih_l0 must be \(G·D\) = \(16,\)"),
    (LSTM | {"weight_ih_l0": Weight(16)}, r"weight_ih_l0 must be a matrix \(G·D, Q\), got \(16,\)"),
    (LSTM | {"weight_ih_l0": Weight(16, 0)}, r"weight_ih_l0 must be a matrix \(G·D, Q\), got \(16, 0\)"),
    (LSTM | {"weight_ih_l0": Weight(16, 2.5)}, r"the shape of weight_ih_l0 must be whole numbers"),
    (LSTM | {"weight_ih_l0": Weight(16, -3)}, r"the shape of weight_ih_l0 must be whole numbers"),
    (LSTM | {"weight_ih_l0": "text"}, r"weight_ih_l0 must be a tensor, or anything with a .shape, got 'str'"),
    (without(LSTM, "bias_hh_l1"), r"bias_hh_l1 must be there, as a weight of the LSTM of 2 layers"),
    (without(LSTM, "weight_hh_l0"), r"weight_hh_l0 must be there beside weight_ih_l0"),
    ({name: w for name, w in LSTM.items() if "_l0" not in name}, r"weight_ih_l0 must be there beside weight_ih_l1"),
    ({"weight_ih": Weight(7, 3), "weight_hh": Weight(7, 9)}, r"weight_hh must be .* D = 9 rows each, got \(7, 9\)"),
    (state_of(Spec(3, 4, cell="GRU")) | {"weight_hr_l0": Weight(2, 4)}, r"weight_hh_l0 must be .*\(G·D, |P \("),
]  # fmt: skip


@pytest.mark.parametrize(("state", "message"), BROKEN, ids=range(len(BROKEN)))
def test_what_contradicts_itself_is_an_error(state: dict[Any, Any], message: str) -> None:
    """One line that names the weight, the rule and what was found."""
    with pytest.raises(SpecError, match=message) as caught:
        Spec.of(state)
    assert "\n" not in str(caught.value)
    (found,) = find_layers(state)
    assert found.spec is None
    assert str(found.problem) == str(caught.value)


@pytest.mark.parametrize(
    "name", ["weight_ih_lx", "weight_ih_l-1", "weight_ih_l0_reversed", "xweight_ih_l0", "weight_ih_l٣", "weight_ihl0"]
)
def test_names_that_torch_never_gives_are_not_weights(name: str) -> None:
    """What only looks like a weight is left alone, as any other entry."""
    assert find_layers({name: Weight(16, 3)}) == ()


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("prefix", ["", "rnn", "rnn."])
def test_wrappers_names_may_be_left_out(wrapper: str, prefix: str) -> None:
    """DataParallel and torch.compile put their name in front; the prefix is the model's own, or all of it."""
    spec = Spec(3, 4, 2)
    inner = f"{prefix.removesuffix('.')}." if prefix else ""
    state = state_of(spec, wrapper + inner)
    assert Spec.of(state, prefix) == spec
    assert Spec.of(state, wrapper + inner) == spec


def test_an_exact_prefix_wins_over_a_wrapped_one() -> None:
    """A model may call a part of itself `module`."""
    state = {**state_of(Spec(3, 4), "module."), **state_of(Spec(5, 6, cell="GRU"))}
    assert Spec.of(state).cell == "GRU"
    assert Spec.of(state, "module").cell == "LSTM"


def test_a_missing_prefix_lists_where_layers_are() -> None:
    """Eight of them at most; hostile names are written out."""
    state = {**state_of(Spec(3, 4), "encoder."), **state_of(Spec(5, 6), "a\x1b[2J.")}
    with pytest.raises(
        SpecError,
        match=r"got 'decoder'\. There are: 'encoder', 'a.*x1b\[2J'\. Write Spec.of\(state_dict, prefix='encoder'\)\.$",
    ):
        Spec.of(state, "decoder")
    many = {name: w for i in range(12) for name, w in state_of(Spec(3, 4), f"r{i}.").items()}
    with pytest.raises(
        SpecError, match=r"It holds 12: 'r0', .*'r7', …\. Pick one: Spec.of\(state_dict, prefix='r0'\)\.$"
    ):
        Spec.of(many)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "the state_dict must be one that holds a recurrent layer, got 'dict'"),
        ({"a.weight_ih": 3}, "a.weight_ih must be a tensor"),
        ({"a.weight_ih": 3, "b.weight_ih": 4}, "holds a recurrent layer, got 'dict'. Nearest: a.weight_ih must be"),
        (3, "source must be a torch LSTM"),
        (None, "source must be a torch LSTM"),
        ("model.pt", "lstm-shapes inspect reads a file"),
    ],
    ids=repr,
)
def test_what_holds_no_layer_is_an_error(source: Any, message: str) -> None:
    """Each of them says what was expected."""
    with pytest.raises(SpecError, match=message):
        Spec.of(source)


def test_a_prefix_is_text() -> None:
    """And nothing that merely prints like it."""
    with pytest.raises(SpecError, match="prefix must be the text in front of weight_ih_l0"):
        Spec.of(LSTM, prefix=3)  # type: ignore[arg-type]


def test_a_spec_is_its_own_source() -> None:
    """So that every call can take either."""
    spec = Spec(3, 4, batch_first=False)
    assert Spec.of(spec) is spec


@pytest.mark.parametrize(
    ("rename", "extra"),
    [
        ("weight_hh_l0_orig", "weight_hh_l0_mask"),
        ("weight_hh_l0_v", "weight_hh_l0_g"),
        ("parametrizations.weight_hh_l0.original", "parametrizations.weight_hh_l0.0.base"),
        ("parametrizations.weight_hh_l0.original1", "parametrizations.weight_hh_l0.original0"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "rnn."])
def test_reparametrised_weights_are_found(rename: str, extra: str, prefix: str) -> None:
    """Pruned and normalised layers store a weight under another name, beside what it is made from."""
    spec = Spec(3, 4, 2)
    state = state_of(spec, prefix)
    state[prefix + rename] = state.pop(f"{prefix}weight_hh_l0")
    state[prefix + extra] = Weight(16, 1)
    assert Spec.of(state, prefix) == spec


def test_spectral_norm_keeps_the_matrix_and_not_its_vectors() -> None:
    """It stores `_orig`, the matrix, beside `_u` and `_v`, which are vectors."""
    stored = {"weight_hh_l0_v": Weight(4), "weight_hh_l0_u": Weight(16), "weight_hh_l0_orig": Weight(16, 4)}
    for order in (list(stored), list(reversed(stored))):
        state = without(LSTM, "weight_hh_l0") | {name: stored[name] for name in order}
        assert Spec.of(state) == Spec(3, 4, 2)
        assert "weight_hh_l0_orig" in find_layers(state)[0].names


def test_a_deep_layer_is_read() -> None:
    """A thousand layers are a thousand names, not a special case."""
    spec = Spec(3, 4, 1000, bidirectional=True, proj_size=2)
    assert Spec.of(state_of(spec)) == spec


def test_text_from_a_file_is_safe_to_print() -> None:
    """Control characters, newlines and text direction are written out, long text is cut."""
    assert printable("a\x1b]0;\n\u202e") == "a\\x1b]0;\\n\\u202e"
    assert printable("x" * 100) == "x" * 60 + "…"
    assert printable("Größe·π") == "Größe·π"


# ---------------------------------------------------------------- live layers


def torch_sources(torch: Any) -> Iterable[tuple[Any, Spec]]:
    from torch.nn.utils import parametrizations

    nn = torch.nn

    class MyLSTM(nn.LSTM):  # type: ignore[misc, name-defined]
        """A user's own subclass."""

    yield nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True), Spec(3, 4, 2, cell="RNN", nonlinearity="relu")
    yield nn.RNNCell(3, 4, nonlinearity="relu"), Spec(3, 4, cell="RNNCell", nonlinearity="relu")
    yield nn.RNNBase("LSTM", 3, 4), Spec(3, 4, batch_first=False)
    yield MyLSTM(3, 4, 2, dropout=0.5), Spec(3, 4, 2, False, dropout=0.5)
    yield parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0"), Spec(3, 4, 1, False, cell="GRU")
    yield torch.jit.script(nn.LSTM(3, 4, 2, batch_first=True)), Spec(3, 4, 2)
    yield torch.jit.script(nn.GRUCell(3, 4, bias=False)), Spec(3, 4, cell="GRUCell", bias=False)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch 2.13 deprecates what is tested
def test_live_layers_of_every_make() -> None:
    """Subclasses, scripted and parametrised layers are what they are made from."""
    torch = pytest.importorskip("torch")
    for layer, spec in torch_sources(torch):
        assert Spec.of(layer) == spec


def test_a_layer_inside_a_model_goes_by_its_name() -> None:
    """As for a checkpoint: prefix with or without the dot, and the places listed where it is wrong."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4), torch.nn.Linear(4, 2), torch.nn.GRU(5, 6))
    assert Spec.of(model, "2") == Spec.of(model, "2.") == Spec(5, 6, 1, False, cell="GRU")
    with pytest.raises(SpecError, match=r"It holds 2: '0', '2'. Pick one: Spec.of\(model, prefix='0'\)"):
        Spec.of(model)
    with pytest.raises(SpecError, match="the model must be one that holds a recurrent layer"):
        Spec.of(model[1])


@pytest.mark.parametrize("make", ["own", "upsample"])
def test_other_modules_are_not_taken_for_layers(make: str) -> None:
    """A user's class that is called LSTM, and a layer with another `mode`, are not torch's LSTM."""
    torch = pytest.importorskip("torch")
    modules: dict[str, Callable[[], Any]] = {
        "own": lambda: type("LSTM", (torch.nn.Module,), {"mode": "LSTM", "hidden_size": 4})(),
        "upsample": lambda: torch.nn.Upsample(scale_factor=2, mode="nearest"),
    }
    with pytest.raises(SpecError, match="the model must be one that holds a recurrent layer"):
        Spec.of(modules[make]())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch 2.13 deprecates what is tested
def test_a_scripted_module_of_the_same_name_is_not_torchs() -> None:
    """A scripted module keeps its class's name and nothing else of it; a layer has sizes too."""
    torch = pytest.importorskip("torch")

    class LSTMCell(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return x

    LSTMCell.forward.__annotations__.clear()  # TorchScript looks names up in the module, and torch is not there
    with pytest.raises(SpecError, match="the model must be one that holds a recurrent layer"):
        Spec.of(torch.jit.script(LSTMCell()))
