"""Spec.of: recovered from names and shapes alone, or from a live layer's class and attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_shapes.errors import SpecError
from lstm_shapes.theory.spec import UNTOLD, Spec, Weights, find_layers, printable
from tests.scale import examples
from tests.strategies import dropping_specs, specs


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
    from lstm_shapes.lab._build import build

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
