"""theory/given.py: whatever stands for a layer is read once, and what is misspelt is answered with what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from torch import nn

import lstm_shapes as ls
from lstm_shapes.errors import LstmShapesError, ShapeError, SpecError
from lstm_shapes.lab._build import build
from lstm_shapes.theory._given import Given
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import SYMBOLS
from tests.strategies import dropping_specs

SPEC = Spec(28, 256, 3)
ABOUT_A_LAYER: dict[str, Callable[..., Any]] = {
    name: getattr(ls, name) for name in ("explain", "predict", "count", "laws", "prove", "build", "run", "picture")
}
FAST = [ls.predict, ls.count, ls.laws, ls.picture]


def layer_of(result: Any) -> Spec:
    """The Spec that a result is about."""
    if isinstance(result, nn.Module):
        return Spec.of(result)
    spec: Spec = getattr(result, "spec", None) or result.prediction.spec
    return spec


class Encoder(nn.Module):
    """A model with one recurrent layer, which reads tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 7)
        self.norm = nn.BatchNorm1d(7)
        self.rnn = nn.GRU(7, 5, 2, batch_first=True)
        self.calls = 0

    def forward(self, tokens: torch.Tensor, state: Any = None) -> torch.Tensor:
        self.calls += 1
        embedded = self.norm(self.table(tokens).transpose(1, 2)).transpose(1, 2)
        Y: torch.Tensor = self.rnn(input=embedded, hx=state)[0]
        return Y[:, -1]


class Pair(nn.Module):
    """A model with two."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), nn.LSTM(5, 5)


WRONG: Any = ls  # for calls that no type checker would let through
ONE = Spec(7, 5, 2, cell="GRU")


@given(dropping_specs())
def test_a_layer_stands_for_its_spec(spec: Spec) -> None:
    """Read off torch's own attributes."""
    assert ls.predict(build(spec, device="meta")).spec == spec


@pytest.mark.parametrize("name", ABOUT_A_LAYER)
def test_every_call_takes_all_that_stands_for_a_layer(name: str) -> None:
    """Numbers, torch's words, a Spec, a layer, a model with one, and weights by torch's names."""
    call = ABOUT_A_LAYER[name]
    if name in ("count", "laws"):  # what they return does not say of which layer it is
        results = [
            call(7, 5, 2, cell="GRU"),
            call(input_size=7, hidden_size=5, num_layers=2, cell="GRU"),
            call(7, hidden_size=5, K=2, cell="GRU"),
            call(ONE),
            call(nn.GRU(7, 5, 2, batch_first=True)),
            call(Encoder()),
            call(Encoder().state_dict()),
            call(Pair(), layer="encoder.rnn"),
        ]
        assert all(result == results[0] for result in results)
        return
    assert layer_of(call(7, 5, 2, cell="GRU")) == ONE
    assert layer_of(call(input_size=7, hidden_size=5, num_layers=2, batch_first=True, cell="GRU")) == ONE
    assert layer_of(call(Q=7, D=5, K=2, cell="GRU")) == ONE
    assert layer_of(call(ONE)) == ONE
    assert layer_of(call(nn.GRU(7, 5, 2, batch_first=True))) == ONE
    assert layer_of(call(Encoder())) == ONE
    assert layer_of(call(Encoder().state_dict())) == ONE
    assert layer_of(call(Pair(), layer="encoder.rnn")) == ONE


@pytest.mark.parametrize("name", ["run", "gates", "explain", "prove"])
def test_a_model_is_called_with_its_own_x(name: str) -> None:
    """As far as its recurrent layer, on what arrives there; nothing of the model is another than before."""
    model, tokens = Encoder(), torch.randint(50, (4, 6))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = getattr(ls, name)(model, tokens)
    assert found.spec == ONE
    assert (found.call.N, found.call.L) == (4, 6)
    assert model.calls == 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.rnn._forward_pre_hooks


def test_what_arrives_is_what_the_layer_reads() -> None:
    """X and the state are those of the layer's own call; an x of the model's need not be one of the layer's."""
    model, tokens, h0 = Encoder().eval(), torch.randint(50, (4, 6)), torch.randn(2, 4, 5)
    made = ls.run(model, tokens, h0)
    assert made.Y is not None
    assert torch.equal(made.Y.plain()[:, -1], model(tokens, h0))
    assert torch.equal(made.h0.plain(), h0)
    assert ls.run(model.rnn, made.X).call == made.call


def test_a_model_that_never_calls_its_layer_says_so() -> None:
    """Pair has no forward that would; a model may also hold a layer for later."""

    class Idle(Encoder):
        def forward(self, tokens: torch.Tensor, state: Any = None) -> torch.Tensor:
            return tokens

    with pytest.raises(ShapeError, match=r"^model\(x\) must be a call of rnn. It never calls it; give the"):
        ls.run(Idle(), torch.randint(50, (4, 6)))


@pytest.mark.parametrize("name", [*ABOUT_A_LAYER, "gates"])
def test_of_several_layers_the_error_says_how_to_pick_one(name: str) -> None:
    """The names, and the very call."""
    call = getattr(ls, name)
    x = (torch.zeros(3, 2, 5),) if name == "gates" else ()
    with pytest.raises(
        SpecError, match=r"It holds 2: 'encoder.rnn', 'decoder'\. Pick one: (\w+)\(model, layer='enc"
    ) as e:
        call(Pair(), *x)
    assert f"Pick one: {name}(model, layer='encoder.rnn')." in str(e.value)
    with pytest.raises(SpecError, match=r"^layer must be the name of a recurrent layer in it, got 'rnn'"):
        call(Pair(), *x, layer="rnn")
    with pytest.raises(SpecError, match=r"^layer must be the name of a layer inside the model, .* got 1"):
        call(Pair(), *x, layer=1)
    if name == "picture":
        with pytest.raises(SpecError, match=r"Did you mean k=1\?$"):
            call(7, 5, 3, kind="cell", layer=1)
    with pytest.raises(SpecError, match=r"^the model must be one that holds a recurrent layer, got 'Linear'\.$"):
        call(nn.Linear(3, 4), *x)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("num_layer", "num_layers (K)"),
        ("numLayers", "num_layers (K)"),
        ("hidden_sizes", "hidden_size (D)"),
        ("P", "proj_size (P)"),
        ("units", "hidden_size (D)"),
        ("Units", "hidden_size (D)"),
        ("hidden_dim", "hidden_size (D)"),
        ("batch_size", "N"),
        ("seq_len", "L"),
        ("seqlen", "L"),
        ("timesteps", "L"),
        ("time_major", "batch_first=False"),
        ("batchfirst", "batch_first"),
        ("directions", "bidirectional=True"),
        ("bidirectionnal", "bidirectional"),
        ("dropot", "dropout"),
        ("lenghts", "lengths"),
        ("d", "D"),
    ],
)
@pytest.mark.parametrize("call", FAST)
def test_a_misspelt_keyword_is_answered_with_what_was_meant(call: Any, word: str, meant: str) -> None:
    """By its spelling, or because other tools call it so; only what the call has is offered."""
    with pytest.raises(SpecError) as caught:
        call(28, 256, **{word: 2})
    assert str(caught.value) == (f"a keyword must be one that {call.__name__} has, got {word!r}. Did you mean {meant}?")


@pytest.mark.parametrize(
    ("word", "says"), [("return_sequences", "Y always holds every step"), ("return_state", "hn and cn")]
)
@pytest.mark.parametrize("call", FAST)
def test_what_keras_asks_for_is_always_there(call: Any, word: str, says: str) -> None:
    """There is nothing to switch on."""
    with pytest.raises(SpecError, match=rf"got '{word}'\. {says}"):
        call(28, 256, **{word: True})


@pytest.mark.parametrize("word", ["batch_size", "seq_len"])
def test_only_what_the_call_has_is_offered(word: str) -> None:
    """build has no sizes of a call."""
    with pytest.raises(SpecError, match=rf"a keyword must be one of D, K, .*, got '{word}'\.$"):
        ls.build(28, 256, **{word: 3})  # type: ignore[call-overload]


def test_what_is_like_nothing_gets_the_list() -> None:
    """Of the keywords that this call has, its own among them."""
    with pytest.raises(SpecError, match=r"a keyword must be one of D, K, .*highlight.*, got 'colour'"):
        ls.picture(28, 256, colour="red")  # type: ignore[call-overload]
    with pytest.raises(SpecError, match=r"Did you mean highlight\?$"):
        ls.picture(28, 256, highlights="Y")  # type: ignore[call-overload]
    with pytest.raises(SpecError, match=r"Did you mean proof\?$"):
        ls.explain(28, 256, proofs=False)  # type: ignore[call-overload]


@pytest.mark.parametrize("cell", ["lstm", "Gru", "lstm_cell", nn.GRU, nn.LSTMCell], ids=str)
def test_a_cell_in_other_letters_or_as_a_class(cell: Any) -> None:
    """The name as it is written here is offered."""
    name = cell if isinstance(cell, str) else cell.__name__
    meant = next(kind for kind in ("LSTM", "GRU", "LSTMCell") if kind.lower() == name.lower().replace("_", ""))
    with pytest.raises(SpecError, match=rf"^cell must be one of LSTM, .*Did you mean '{meant}'\?$"):
        ls.predict(28, 256, cell=cell)


@pytest.mark.parametrize("first", [nn.GRU, "gru", "GRU"], ids=str)
def test_a_kind_of_layer_in_first_place(first: Any) -> None:
    """The call that was meant, with the sizes that were given."""
    with pytest.raises(SpecError, match=r"^the first argument must be Q.*Did you mean explain\(5, 7, cell='GRU'\)\?$"):
        ls.explain(first, 5, 7)
    with pytest.raises(SpecError, match=r"Did you mean explain\(28, 256, cell='GRU'\)\?$"):
        ls.explain(first)


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ({"D": 256}, "D"), ({"K": 1}, "K"), ({"batch_first": True}, "batch_first"), ({"cell": "GRU"}, "cell"),
        ({"bias": False}, "bias"), ({"num_layers": 2}, "num_layers"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", [SPEC, nn.LSTM(28, 256, 3)], ids=["spec", "layer"])
@pytest.mark.parametrize("call", FAST)
def test_a_layer_takes_no_further_fields(call: Any, source: Any, given_: dict[str, Any], name: str) -> None:
    """What would be ignored is refused, with the way to do it."""
    with pytest.raises(SpecError, match=rf"^{name} must be left out beside a Spec or a layer.*spec.replace"):
        call(source, **given_)


@pytest.mark.parametrize(
    ("places", "words", "says"),
    [
        ((28,), {}, r"^D \(hidden_size\) must be given with Q, as in predict\(28, 256, 3\)\.$"),
        ((), {"input_size": 28}, r"^D \(hidden_size\) must be given with Q, as in predict\(28, 256, 3\)\.$"),
        ((), {"hidden_size": 28}, r"^Q \(input_size\) must be given, as in predict\(28, 256, 3\)\.$"),
        ((28, 256), {"input_size": 28}, r"^input_size must be left out where Q is given, got 28"),
        ((28, 256), {"Q": 28}, r"^Q must be left out where Q is given, got 28"),
        ((28,), {"D": 3, "hidden_size": 3}, r"^hidden_size must be left out where D is given, got 3"),
        ((28, 256, 3, True, 2, 20), {}, r"^predict by place must be given Q, D, K and batch_first, got \(2, 20\)"),
        ((28, 256), {"layer": "rnn"}, r"^layer must be left out beside numbers, got 'rnn'"),
        ((SPEC,), {"layer": "rnn"}, r"^layer must be left out beside a Spec, got 'rnn'"),
        ((SPEC, 3), {}, r"^D must be left out beside a Spec"),
        (([28],), {}, r"^the first argument must be Q, a Spec"),
        ((28, torch.zeros(3)), {}, r"^the first argument must be a layer or a model where the second is a tensor"),
    ],
    ids=range(12),
)  # fmt: skip
def test_no_error_mentions_what_was_not_given(places: tuple[Any, ...], words: dict[str, Any], says: str) -> None:
    """What is missing, double or out of place is named as the caller wrote it."""
    with pytest.raises(SpecError, match=says) as caught:
        ls.predict(*places, **words)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize("Q", [None, "28", 28.0, [28], b"28", {"a": 1}, pytest.param(object(), id="object")], ids=str)
def test_nonsense_in_first_place(Q: Any) -> None:
    """No number, Spec, layer or state_dict."""
    for places in ((Q, 256), (Q,)):
        with pytest.raises(SpecError, match="must be"):
            ls.predict(*places)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ls.run(Encoder().state_dict(), torch.zeros(2, 3, 7)), "where the second is x, got 'OrderedDict'"),
        (lambda: ls.run(ONE, torch.zeros(2, 3, 7)), "a layer or a model where the second is x, got 'Spec'"),
        (lambda: WRONG.gates(ONE, torch.zeros(2, 3, 7)), r"a layer or a model, as in gates\(layer, x\), got 'Spec'"),
        (lambda: WRONG.gates(7, 5), r"a layer or a model, as in gates\(layer, x\), got 7"),
        (lambda: WRONG.gates(), r"^a layer must be a layer or a model, as in gates\(layer, x\)\.$"),
        (lambda: WRONG.gates(nn.LSTM(7, 5)), r"^x must be given, as in gates\(layer, x\)\.$"),
        (lambda: WRONG.run(nn.LSTM(7, 5), torch.zeros(2, 3, 7), x=torch.zeros(2, 3, 7)), "^x must be given once"),
    ],
    ids=range(7),
)  # fmt: skip
def test_x_goes_with_a_layer(call: Callable[[], object], says: str) -> None:
    """Weights alone are no layer, and neither are numbers."""
    with pytest.raises(SpecError, match=says):
        call()


def test_numbers_and_a_spec_take_a_state() -> None:
    """A fresh layer starts from it."""
    h0 = torch.randn(1, 2, 5)
    for made in (ls.run(7, 5, cell="GRU", state=h0), ls.run(Spec(7, 5, cell="GRU"), state=h0)):
        assert torch.equal(made.h0.plain(), h0)


def test_x_and_the_state_also_go_by_name() -> None:
    """As in torch's own documentation, but for its names."""
    layer, x, h0 = nn.GRU(7, 5), torch.randn(3, 2, 7), torch.randn(1, 2, 5)
    for made in (ls.run(layer, x, h0), ls.run(layer, x, state=h0), ls.run(layer, x=x, state=h0)):
        assert torch.equal(made.h0.plain(), h0)
    with pytest.raises(SpecError, match=r"Did you mean state\?$"):
        ls.run(layer, x, hx=h0)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", [*ABOUT_A_LAYER, "gates", "check"])
def test_the_docstring_defines_every_argument(name: str) -> None:
    """Each argument that the call takes, and no other; those with a symbol in the words of the table of symbols."""
    call = getattr(ls, name)
    block = call.__doc__.partition("Args:\n")[2].partition("\n\n")[0]
    entries = [line.strip().partition(": ") for line in block.splitlines() if line.startswith(" " * 8 + line.strip())]
    said = {word: text for words, _, text in entries for word in words.split(", ")}
    taken = set(inspect.signature(call).parameters)
    assert set(said) == taken
    for symbol in SYMBOLS.values():
        argument = symbol.argument if symbol.letter in "RP" else symbol.letter
        if argument in taken and argument:
            assert symbol.meaning in said[argument]
        if symbol.letter in taken and symbol.argument:
            assert f"({symbol.argument})" in said[symbol.letter]


@pytest.mark.parametrize("name", [*ABOUT_A_LAYER, "gates"])
def test_completion_sees_every_keyword(name: str) -> None:
    """`inspect.signature` has the places, the call's own keywords and those of the layer, with their defaults."""
    found = inspect.signature(getattr(ls, name)).parameters
    assert "layer" in found
    if "Q" in found:
        assert "num_layers" in found
        assert [found[word].default for word in ("K", "batch_first", "cell", "proj_size")] == [1, True, "LSTM", 0]


@pytest.mark.parametrize("name", [*ABOUT_A_LAYER, "gates"])
def test_an_error_shows_one_frame_of_the_library(name: str) -> None:
    """The reader's own line and the sentence: what lies below the call is none of their business."""
    try:
        getattr(ls, name)(0, 256)
    except LstmShapesError as error:
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        assert [frame.f_code.co_name for frame in frames] == [
            "test_an_error_shows_one_frame_of_the_library",
            "public",
        ]
        assert frames[-1].f_locals["__tracebackhide__"]
    else:
        pytest.fail("0 is no size")


def test_lengths_are_read_once() -> None:
    """A generator serves all who ask."""
    given_ = Given(SPEC, lengths=(4, 2))
    assert given_.call.lengths == (4, 2)
    assert ls.predict(28, 256, lengths=(n for n in (4, 2))).Y == ls.predict(28, 256, lengths=[4, 2]).Y
