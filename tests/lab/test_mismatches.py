"""Checkpoints beside models: both in numbers, and an expression that loads, tried on real state_dicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_shapes.lab.checkpoint import Mismatch, compare, loaded
from lstm_shapes.theory.spec import Spec, Weights, find_layers
from tests.scale import examples
from tests.strategies import specs


def state_of(spec: Spec, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """What a checkpoint holds of a layer: bare shapes suffice."""
    return {prefix + name: axes.sizes for name, axes in Weights(spec).items()}


def one(file: Mapping[str, Any], model: Mapping[str, Any]) -> Mismatch:
    """The only mismatch."""
    found = compare(file, model)
    assert len(found) == 1, [mismatch.message for mismatch in found]
    return found[0]


LAYER = Spec(32, 64, 2, bidirectional=True)


def test_what_fits_has_no_mismatch() -> None:
    """Other weights beside the recurrent ones do not matter here."""
    assert compare(state_of(LAYER, "rnn.") | {"head.weight": (3, 4)}, state_of(LAYER, "rnn.")) == ()
    assert loaded(state_of(LAYER, "rnn."), state_of(LAYER, "rnn.")) == (16, 16)


@pytest.mark.parametrize(
    ("file", "model", "says", "fix"),
    [
        (LAYER.replace(D=128), LAYER, "D (hidden_size) is 128 in the file and 64 in the model", "nn.LSTM(32, 128, num"),
        (LAYER.replace(Q=7), LAYER, "Q (input_size) is 7 in the file and 32 in", "nn.LSTM(7, 64, num_layers=2, bidir"),
        (LAYER.replace(K=3), LAYER, "K (num_layers) is 3 in the file and 2", "nn.LSTM(32, 64, num_layers=3"),
        (LAYER.replace(bidirectional=False), LAYER, "bidirectional is False", "nn.LSTM(32, 64, num_layers=2)"),
        (LAYER.replace(cell="GRU"), LAYER, "the kind is GRU in the file and LSTM in the model", "nn.GRU(32, 64, num_"),
        (LAYER.replace(proj_size=9), LAYER, "P (proj_size) is 9 in the file and 0 in the model", "nn.LSTM(32, 64, num"),
        (LAYER.replace(bias=False), LAYER, "bias is False in the file", "nn.LSTM(32, 64, num_layers=2, bias=False, "),
        (Spec(4, 5), Spec(4, 5, cell="LSTMCell"), "the kind is LSTM in the file and LSTMCell", "nn.LSTM(4, 5)"),
    ],
)  # fmt: skip
def test_another_layer_is_told_in_numbers_on_both_sides(file: Spec, model: Spec, says: str, fix: str) -> None:
    """And the constructor that fits the file."""
    mismatch = one(state_of(file, "rnn."), state_of(model, "rnn."))
    assert mismatch.kind == "sizes"
    assert says in mismatch.message
    assert mismatch.fix.startswith(fix)
    assert mismatch.fix in mismatch.message


def test_both_sides_are_in_the_words_of_the_field() -> None:
    """As the symbols table has them."""
    message = one(state_of(LAYER.replace(D=128), "lstm."), state_of(LAYER, "lstm.")).message
    assert message.startswith(
        "the file: lstm = LSTM(Q=32, D=128, K=2, bidirectional); "
        "the model: lstm = LSTM(Q=32, D=64, K=2, bidirectional). 0 of 16 of the model's weights"
    )


def wrapped(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Another prefix in front of every key."""
    return lambda state: {prefix + key: value for key, value in state.items()}


RENAMED: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "module": (wrapped("module."), "{k.removeprefix('module.'): v for k, v in saved.items()}"),
    "compiled": (wrapped("_orig_mod."), "{k.removeprefix('_orig_mod.'): v for k, v in saved.items()}"),
    "both": (wrapped("module._orig_mod."), "{k.removeprefix('module._orig_mod.'): v for k, v in saved.items()}"),
    "lightning": (wrapped("model."), "{k.removeprefix('model.'): v for k, v in saved.items()}"),
    "part of another": (
        lambda state: wrapped("encoder.")(state) | {"classifier.weight": (3, 4)},
        "{k.removeprefix('encoder.'): v for k, v in saved.items() if k.startswith('encoder.')}",
    ),
    "braces and quotes": (wrapped("a{}'\"."), "{k.removeprefix('a{}\\'\".'): v for k, v in saved.items()}"),
    "added": (
        lambda state: {key.removeprefix("net."): value for key, value in state.items()},
        "{'net.' + k: v for k, v in saved.items()}",
    ),
    "attribute": (
        lambda state: {key.replace("net.rnn.", "net.lstm."): value for key, value in state.items()},
        "{k.replace('net.lstm.', 'net.rnn.', 1): v for k, v in saved.items()}",
    ),
    "raw": (
        lambda state: {f"{key}_raw" if "weight_hh" in key else key: value for key, value in state.items()},
        "{k.removesuffix('_raw'): v for k, v in saved.items()}",
    ),
    "raw behind a wrapper": (
        lambda state: {f"module.{key}_raw" if "weight_hh" in key else f"module.{key}": v for key, v in state.items()},
        "{k.removesuffix('_raw').removeprefix('module.'): v for k, v in saved.items()}",
    ),
    "weight drop's wrapper": (
        lambda state: {
            (f"{key}_raw" if "weight_hh" in key else key.replace("rnn.", "rnn.module.")): value
            for key, value in state.items()
        },
        "{k.replace('net.rnn.module.', 'net.rnn.', 1).removesuffix('_raw'): v for k, v in saved.items()}",
    ),
}


@pytest.mark.parametrize("name", RENAMED)
def test_keys_of_another_name_come_with_the_line_that_renames_them(name: str) -> None:
    """0 of 16 weights were found, or those that kept their names; after the line all are."""
    change, fix = RENAMED[name]
    model = state_of(LAYER, "net.rnn.")
    saved = change(dict(model))
    mismatch = one(saved, model)
    assert mismatch.kind == ("names" if name in ("raw", "weight drop's wrapper") else "prefix")
    assert mismatch.fix == fix
    assert mismatch.fix in mismatch.message
    assert mismatch.found < mismatch.total == 16
    assert ("nothing of it is loaded" in mismatch.message) == (mismatch.found == 0)
    assert compare(eval(mismatch.fix, {"saved": saved}), model) == ()


def test_every_layer_of_a_wrapped_model_is_paired_with_its_own() -> None:
    """By how their prefixes end, not by their order or sizes."""
    model = state_of(Spec(4, 5), "encoder.rnn.") | state_of(Spec(4, 5), "decoder.rnn.")
    saved = {f"module.{key}": value for key, value in reversed(model.items())}
    found = compare(saved, model)
    assert [(one.file and one.file.prefix, one.model and one.model.prefix) for one in found] == [
        ("module.encoder.rnn", "encoder.rnn"), ("module.decoder.rnn", "decoder.rnn"),
    ]  # fmt: skip
    assert {one.fix for one in found} == {"{k.removeprefix('module.'): v for k, v in saved.items()}"}


def test_what_has_no_partner_is_said_on_the_side_where_it_is() -> None:
    """A layer that only the model has, one that only the file has, one whose weights contradict each other."""
    both = state_of(Spec(4, 5), "encoder.") | state_of(Spec(6, 7, cell="GRU"), "decoder.")
    assert one(state_of(Spec(4, 5), "encoder."), both).kind == "missing"
    assert (
        "the file: no such layer; the model: decoder = GRU(Q=6, D=7, K=1). 0 of 4"
        in one(state_of(Spec(4, 5), "encoder."), both).message
    )
    assert "The model has no recurrent layer for it" in one(both, state_of(Spec(4, 5), "encoder.")).message
    broken = one(state_of(Spec(4, 5), "rnn.") | {"rnn.bias_ih_l0": (3,)}, state_of(Spec(4, 5), "rnn."))
    assert (broken.kind, broken.found) == ("broken", 3)
    assert "rnn.bias_ih_l0 must be (G·D) = (20,)" in broken.message


def test_sizes_and_keys_may_both_differ() -> None:
    """Both are said; the constructor comes first."""
    mismatch = one(
        {f"module.rnn.{name}": axes.sizes for name, axes in Weights(Spec(4, 6)).items()}, state_of(Spec(4, 5), "rnn.")
    )
    assert (mismatch.kind, mismatch.fix) == ("sizes", "nn.LSTM(4, 6)")


def test_hostile_names_are_written_out() -> None:
    """Nothing of a file reaches a terminal as it is, and nothing of it runs."""
    mismatch = one(state_of(Spec(4, 5), "a\x1b[2J'+print(1)+'."), state_of(Spec(4, 5)))
    assert mismatch.message.isprintable()
    made = eval(mismatch.fix, {"saved": state_of(Spec(4, 5), "a\x1b[2J'+print(1)+'."), "__builtins__": {}})
    assert made == state_of(Spec(4, 5))


@pytest.mark.fuzz
@given(
    specs(layers=3),
    specs(layers=3),
    st.sampled_from(["", "rnn.", "module.rnn.", "a.b."]),
    st.sampled_from(["", "rnn."]),
)
@settings(max_examples=examples(200))
def test_a_mismatch_is_said_if_and_only_if_there_is_one(file: Spec, model: Spec, old: str, new: str) -> None:
    """Sizes that differ come with the layer of the file; keys that differ with a line that fills the model."""
    for spec in (file, model):
        saved, wanted = state_of(spec, old), state_of(model, new)
        known = Spec.of(saved, old), Spec.of(wanted, new)
        found = compare(saved, wanted)
        if saved == wanted:
            assert found == ()
            continue
        (mismatch,) = found
        assert mismatch.kind == ("sizes" if known[0] != known[1] else "prefix")
        if mismatch.kind == "prefix":
            assert eval(mismatch.fix, {"saved": saved}) == wanted
        else:
            assert mismatch.fix == known[0].replace(batch_first=False).constructor


# ---------------------------------------------------------------- torch's own state_dicts


def reparametrised(torch: Any) -> dict[str, Callable[[Any], Any]]:
    """What torch does to a weight, and how it then calls it."""
    from torch.nn.utils import prune

    old, new = torch.nn.utils, torch.nn.utils.parametrizations
    return {
        "weight_norm": lambda layer: new.weight_norm(layer, "weight_hh_l0"),
        "old weight_norm": lambda layer: old.weight_norm(layer, "weight_ih_l0"),
        "prune": lambda layer: prune.l1_unstructured(layer, "weight_hh_l0", 0.3),
        "spectral_norm": lambda layer: new.spectral_norm(layer, "weight_hh_l0"),
        "old spectral_norm": lambda layer: old.spectral_norm(layer, "weight_hh_l0"),
        "orthogonal": lambda layer: new.orthogonal(layer, "weight_hh_l0"),
    }


@pytest.mark.parametrize(
    "name", ["weight_norm", "old weight_norm", "prune", "spectral_norm", "old spectral_norm", "orthogonal"]
)
def test_reparametrised_layers_are_read_and_told_apart(name: str) -> None:
    """The Spec is the layer's; beside a plain model the message says what stored it so, and offers no rename."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = torch.nn.LSTM(3, 4, 2, bidirectional=True)
        plain = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4, 2, bidirectional=True)}).state_dict()
        saved = torch.nn.ModuleDict({"rnn": reparametrised(torch)[name](layer) or layer}).state_dict()
    assert Spec.of(saved, "rnn") == Spec(3, 4, 2, bidirectional=True)
    mismatch = one(saved, plain)
    assert (mismatch.kind, mismatch.found, mismatch.total) == ("names", 15, 16)
    assert mismatch.fix == ""
    assert "In the file " in mismatch.hint
    assert "In the model " in one(plain, saved).hint


@pytest.mark.parametrize("name", [name for name in RENAMED if name != "part of another"])
def test_the_line_loads_into_torchs_own_model(name: str) -> None:
    """load_state_dict takes what the expression makes, strictly."""
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"net": torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 4, 2, bidirectional=True)})})
    saved = RENAMED[name][0](dict(model.state_dict()))
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict(saved)
    model.load_state_dict(eval(one(saved, model.state_dict()).fix, {"saved": saved}))


def test_a_raw_weight_wins_over_its_dropped_copy() -> None:
    """Some versions of weight drop save both: the copy has zeros where units were dropped."""
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4)})
    plain = dict(model.state_dict())
    raw = {"rnn.weight_hh_l0_raw": plain["rnn.weight_hh_l0"]}
    saved = raw | {key.replace("rnn.", "rnn.module."): torch.zeros_like(value) for key, value in plain.items()}
    assert [(found.prefix, found.spec) for found in find_layers(saved)] == [("rnn", Spec(3, 4))]
    mismatch = one(saved, plain)
    made = eval(mismatch.fix, {"saved": saved, "sorted": sorted})
    assert torch.equal(made["rnn.weight_hh_l0"], plain["rnn.weight_hh_l0"])
    model.load_state_dict(made)


def test_wrapped_names_may_be_left_out_of_the_prefix() -> None:
    """What DataParallel, Lightning and torch.compile put in front."""
    for wrapper in ("module.", "model.", "_orig_mod.", "module.model."):
        assert Spec.of(state_of(LAYER, f"{wrapper}rnn."), "rnn") == LAYER
        assert Spec.of(state_of(LAYER, wrapper)) == LAYER


def test_a_side_that_stores_weights_as_they_are_needs_no_reason() -> None:
    """Pruned in the file, plain in the model: only the file's way is told."""
    pruned = {f"{key}_orig" if "weight" in key else key: value for key, value in state_of(LAYER, "rnn.").items()}
    assert find_layers(pruned)[0].forms == {"", "_orig"}
    told = one(pruned, state_of(LAYER, "rnn.")).message
    assert "In the file pruning keeps" in told
    assert "In the model" not in told
    plain = state_of(LAYER.replace(bias=False), "rnn.")
    told = one({f"{key}_orig": value for key, value in plain.items()}, plain).message
    assert "In the model" not in told
