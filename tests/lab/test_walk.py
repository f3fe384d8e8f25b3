"""walk: what a reader sees of models that nobody here wrote."""

from __future__ import annotations

import random
import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.lab.torch_rules import called
from lstm_shapes.lab.walk import Step, Walk, walk
from lstm_shapes.lab.walk.naming import named_inputs, named_weights, recurrent_in
from lstm_shapes.lab.walk.opened import opened
from lstm_shapes.lab.walk.result import Made, made_of
from lstm_shapes.lab.walk.statements import statements_of
from lstm_shapes.theory.axes import Axes
from tests.oracle import base


def step_at(found: Walk, source: str) -> Step:
    """The one line that begins so."""
    (step,) = [step for step in found.steps if step.source.startswith(source)]
    return step


def names(value: object) -> tuple[str, ...] | None:
    return value.axes.names if isinstance(value, AnnotatedTensor) else None


def texts(step: Step) -> list[str]:
    return [f"{made.name} {made.text}" for made in step.made]


class Lesson(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(28, 16, 3, batch_first=True)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(3, x.size(0), 16)
        c0 = torch.zeros(3, x.size(0), 16)
        rnn_out, (hn, cn) = self.rnn(
            x,
            (h0, c0),
        )
        out: Tensor = self.fc(rnn_out[:, -1, :])
        return out


def test_the_lesson_line_by_line() -> None:
    """Inputs by the layer's layout, every line with its tensors, the layer opened, the head's axis called fc."""
    found = walk(Lesson(), torch.randn(4, 7, 28))
    assert texts(step_at(found, "h0 = ")) == ["h0 (3, 4, 16) no names"]
    assert texts(step_at(found, "rnn_out, (hn, cn) = self.rnn( x, (h0, c0), )")) == [
        "rnn_out (N=4, L=7, D=16)",
        "hn (K=3, N=4, D=16)",
        "cn (K=3, N=4, D=16)",
    ]
    assert texts(step_at(found, "rnn = LSTM(Q=28, D=16, K=3, batch_first=True)")) == [
        "X (N=4, L=7, Q=28)",
        "h0 (K=3, N=4, D=16)",
        "c0 (K=3, N=4, D=16)",
        "Y (N=4, L=7, D=16)",
        "hn (K=3, N=4, D=16)",
        "cn (K=3, N=4, D=16)",
    ]
    assert texts(step_at(found, "out: Tensor")) == ["out (N=4, fc=10)"]
    assert texts(step_at(found, "return out")) == ["return (N=4, fc=10)"]
    assert [made.text for made in found.output] == ["(N=4, fc=10)"]
    assert found.ok
    assert found.marks == ()


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Linear(width, width)

    def forward(self, query: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.bmm(self.W(query).unsqueeze(1), keys.transpose(1, 2))
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys).squeeze(1), weights


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.encoder = nn.LSTM(8, 16, batch_first=True)
        self.decoder = nn.LSTMCell(24, 16)
        self.attention = Attention(16)
        self.out = nn.Linear(32, 50)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        keys, (h, c) = self.encoder(self.embed(source))
        h, c = h[-1], c[-1]
        logits = []
        for t in range(target.size(1)):
            e = self.embed(target[:, t])
            context, _ = self.attention(h, keys)
            h, c = self.decoder(torch.cat([e, context], dim=-1), (h, c))
            logits.append(self.out(torch.cat([h, context], -1)))
        return torch.stack(logits, 1)


def test_an_encoder_and_decoder_with_attention() -> None:
    """The loop is folded with its rounds, the submodule is indented, scores run over the source's steps."""
    found = walk(Translator(), torch.randint(0, 50, (4, 9)), torch.randint(0, 50, (4, 7)))
    head = step_at(found, "for t in range")
    assert head.loop
    assert head.count == 7
    assert step_at(found, "e = self.embed").count == 7
    inner = step_at(found, "scores = ")
    assert inner.depth > head.depth
    assert texts(inner) == ["scores (N=4, 1=1, L=9)"]
    assert step_at(found, "attention: ").kind == "call"
    assert texts(step_at(found, "decoder = LSTMCell(Q=24, D=16)"))[0] == "X (N=4, embed+D=24)"
    assert [made.text for made in found.output] == ["(N=4, L=7, out=50)"]


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(16, 4)
        self.trans = nn.Parameter(torch.randn(4, 4))

    def forward(self, tokens: Tensor, lengths: Tensor) -> dict[str, Any]:
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.rnn(packed)
        y, _ = pad_packed_sequence(out, batch_first=True)
        emissions = self.fc(y)
        return {"tags": self.viterbi(emissions), "emissions": emissions}

    def viterbi(self, e: Tensor) -> Tensor:
        score, back = e[:, 0], []
        for t in range(1, e.size(1)):
            best, index = (score.unsqueeze(2) + self.trans).max(1)
            score = best + e[:, t]
            back.append(index)
        return score.argmax(-1)


def test_a_tagger_with_packed_sequences_and_a_viterbi_loop() -> None:
    """Packing and padding keep N and L; torch's own sorting is no mark; the helper is indented."""
    found = walk(Tagger(), torch.randint(0, 20, (4, 9)), torch.tensor([9, 3, 5, 2]))
    assert [made.text for made in found.inputs] == ["(N=4, L=9)", "(N=4,)"]
    packed = step_at(found, "packed = ")
    assert [(made.name, made.text, made.note) for made in packed.made] == [("packed.data", "(T=19, embed=6)", "packed")]
    assert packed.marks == []
    assert texts(step_at(found, "y, _ = pad")) == ["y (N=4, L=9, R·D=16)"]
    assert step_at(found, "for t in range").count == 8
    assert texts(step_at(found, "best, index = "))[0] == "best (N=4, trans=4)"
    assert step_at(found, "best, index = ").marks == []
    assert [(made.name, made.text) for made in found.output] == [
        ("output['tags']", "(N=4,)"),
        ("output['emissions']", "(N=4, L=9, fc=4)"),
    ]


class ConvFront(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.rnn = nn.GRU(8 * 14, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        f = self.conv(x)
        N, C, H, W = f.shape
        f = f.permute(0, 3, 1, 2).reshape(N, W, C * H)
        y, _ = self.rnn(f)
        return y[:, -1]  # type: ignore[no-any-return]


def test_a_convolutional_front_end_reshaped_into_steps() -> None:
    """Windows that shorten H make H′, channels are called after their convolution, and both survive the reshape."""
    found = walk(ConvFront(), torch.randn(3, 1, 28, 40))
    assert texts(step_at(found, "f = self.conv")) == ["f (N=3, conv0=8, H′=14, W=40)"]
    assert texts(step_at(found, "f = f.permute")) == ["f (N=3, W=40, conv0·H′=112)"]


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(30, 16)
        self.rnn = nn.LSTM(16, 16, 2)
        self.decoder = nn.Linear(16, 30)
        self.decoder.weight = self.encoder.weight

    def forward(self, input: Tensor, hidden: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, hidden = self.rnn(self.encoder(input), hidden)
        decoded = self.decoder(output).view(-1, 30)
        return F.log_softmax(decoded, dim=1), hidden


def test_a_word_language_model_with_state_and_tied_weights() -> None:
    """A state given as a tuple is recognised by its rows; one weight makes two axes, one a layer."""
    found = walk(LanguageModel(), torch.randint(0, 30, (9, 4)), (torch.zeros(2, 4, 16), torch.zeros(2, 4, 16)))
    assert [made.text for made in found.inputs] == ["(L=9, N=4)", "(K=2, N=4, D=16)", "(K=2, N=4, D=16)"]
    assert texts(step_at(found, "rnn = "))[0] == "X (L=9, N=4, encoder=16)"
    assert texts(step_at(found, "decoded = ")) == ["decoded (L·N=36, decoder=30)"]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.GRU(6, 6, batch_first=True) for _ in range(3)])
        self.kept: Tensor | None = None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for gru in self.blocks:
            y, self.kept = gru(x)
            x = x + y
        return x if mask is None else (x * mask.unsqueeze(-1)).sum(1)


def test_layers_in_a_list_and_a_sum_of_two_features() -> None:
    """Each layer is opened by its name; what the rounds made differently is shown for the first and the last."""
    found = walk(Residual(), torch.randn(2, 5, 6), mask=torch.ones(2, 5))
    assert [step.source.split(" =")[0] for step in found.steps if step.kind == "layer"] == [
        "blocks.0",
        "blocks.1",
        "blocks.2",
    ]
    assert texts(step_at(found, "x = x + y"))[0] == "x (N=2, L=5, Q|D=6)"
    assert texts(step_at(found, "y, self.kept"))[1] == "self.kept (K=1, N=2, D=6)"
    assert [made.text for made in found.output] == ["(N=2, Q|D=6)"]


class Spelled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 7, batch_first=True)

    def rows(self, y: Tensor) -> Any:
        for t in range(y.size(1)):
            yield y[:, t].relu()

    def forward(self, x: Tensor) -> Tensor:
        try:
            y = self.rnn(x[None, None])
        except ValueError:
            y, _ = self.rnn(x)
        with torch.no_grad():
            for row in self.rows(y):
                last = row
        return (lambda t: t.tanh())(last)  # type: ignore[no-any-return]


def test_generators_lambdas_with_and_try() -> None:
    """A generator is called once and its lines are shown; a with runs once; an exception that is caught is no end."""
    found = walk(Spelled(), torch.randn(4, 6, 5))
    assert found.ok
    assert [step.count for step in found.steps if step.source.startswith("Spelled.rows")] == [1]
    assert step_at(found, "yield y[:, t]").count == 6
    assert step_at(found, "with torch.no_grad").count == 1
    assert step_at(found, "for row in").count == 6
    assert step_at(found, "y = self.rnn(x[None, None])").made == []
    assert step_at(found, "y, _ = self.rnn(x)").raised == ""
    assert texts(step_at(found, "tanh")) == [" (N=4, D=7)"]


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.floors = nn.ModuleList([Residual() for _ in range(4)])
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        for floor in self.floors:
            x = floor(x)
        out: Tensor = self.norm(x.mT).mT
        return out


def test_submodules_of_one_class_at_one_line_are_one_step() -> None:
    """The first and the latest are named, and batch statistics are put back."""
    model = Tower()
    before = model.norm.running_mean
    found = walk(model, torch.randn(2, 5, 6))
    assert step_at(found, "floors.0 … floors.3: Residual.forward").count == 4
    assert step_at(found, "x = x + y").count == 12
    assert before is not None
    assert not before.any()


class Scrambled(Lesson):
    def forward(self, x: Tensor) -> Tensor:
        _, (hn, _) = self.rnn(x)
        out: Tensor = hn.view(x.size(0), -1)
        return out


def test_a_scramble_is_shown_at_its_line_and_warns_nobody() -> None:
    """The mark says what was mixed and which permute was meant; the walk is not ok."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = walk(Scrambled(), torch.randn(4, 7, 28))
    (mark,) = step_at(found, "out: Tensor = hn.view").marks
    assert mark.startswith("reshape of (K=3, N=4, D=16) to (4, 48) mixes elements of K, N and D; probably meant:")
    assert not found.ok
    assert found.marks == (mark,)


class Stops(Lesson):
    def forward(self, x: Tensor) -> Tensor:
        Y, _ = self.rnn(x)
        flat = Y.flatten(1)
        return self.fc(flat)  # type: ignore[no-any-return]


def test_an_exception_is_shown_with_what_check_says_of_it() -> None:
    """The lines up to there, the exception at its line, and the rule that explains it."""
    found = walk(Stops(), torch.randn(4, 7, 28))
    assert texts(step_at(found, "flat = ")) == ["flat (N=4, L·D=112)"]
    assert step_at(found, "return self.fc").raised.startswith("RuntimeError: mat1 and mat2 shapes")
    assert isinstance(found.error, RuntimeError)
    assert found.report is not None
    assert found.report.codes[0] == "LS111"
    assert not found.ok
    assert found.to_dict()["report"]["findings"]


def test_without_source_calls_are_shown_instead_of_lines() -> None:
    """A model typed into a prompt, and one made of torch's own modules alone."""
    space: dict[str, Any] = {"nn": nn}
    exec(
        "class Typed(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.rnn = nn.GRU(4, 8, batch_first=True)\n"
        "    def forward(self, x):\n"
        "        return self.rnn(x)[0][:, -1].tanh().tanh()\n",
        space,
    )
    found = walk(space["Typed"](), torch.randn(2, 5, 4))
    assert [(step.source.split(" =")[0], step.count) for step in found.steps] == [
        ("Typed.forward", 1),
        ("rnn", 1),
        ("indexing", 1),
        ("tanh", 2),
    ]
    assert found.notes == ("no source lines of this model can be read: calls are shown instead",)
    plain = walk(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), torch.randn(3, 4))
    assert "nobody named" in plain.notes[0]
    assert [texts(step) for step in plain.steps] == [[" (N=3, linear0=5)"], [" (N=3, linear0=5)"]]


def test_compiled_and_scripted_modules_get_a_note() -> None:
    """The module behind torch.compile is walked; a scripted one has no lines to walk."""
    compiled = walk(torch.compile(Lesson(), backend="eager"), torch.randn(2, 5, 28))
    assert "compiled by torch.compile" in compiled.notes[0]
    assert step_at(compiled, "return out").made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.script is deprecated, and models that use it are still about
        scripted = torch.jit.script(nn.Linear(4, 2))
    found = walk(scripted, torch.randn(3, 4))
    assert "scripted by torch.jit" in found.notes[0]
    assert [made.sizes for made in found.output] == [(3, 2)]


def test_what_has_no_rule_is_said_and_not_guessed() -> None:
    """Names end where the table does."""

    def model(x: Tensor) -> Tensor:
        y = torch.fft.fft(x)
        z = torch.zeros_like(x)
        out: Tensor = y.real + z
        return out

    found = walk(model, torch.randn(2, 5), axes="N L")
    assert step_at(found, "y = ").marks == ["names end here: there is no rule for fft_fft"]
    assert step_at(found, "z = ").marks == []
    assert texts(step_at(found, "y = ")) == ["y (2, 5) no names"]


def test_the_model_is_left_as_it_was() -> None:
    """Parameters, kept values, hooks, random state, trace function, names: nothing stays behind."""
    model, x = Residual(), torch.randn(2, 5, 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch_state, python_state, trace = torch.get_rng_state(), random.getstate(), sys.gettrace()
    walk(model, x)
    assert model.kept is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.__dict__ == {} for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    assert sys.gettrace() is trace
    assert len(called) == 0
    assert type(x) is Tensor
    assert not torch.nn.modules.module._global_forward_hooks


def test_axes_can_be_given_for_each_input() -> None:
    """One string for the first input, a list for several, errors for too many."""

    def model(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    assert walk(model, torch.zeros(2, 3), torch.zeros(3), axes=["A B", "B"]).output[0].text == "(A=2, B=3)"
    with pytest.raises(ShapeError, match="given for at most 1 inputs"):
        walk(lambda x: x, torch.zeros(2), axes=["A", "B"])
    with pytest.raises(ShapeError, match="1 more needed"):
        walk(lambda x: x, torch.zeros(2, 3), axes="N")


# ---------------------------------------------------------------- the parts by themselves


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        (nn.LSTM(4, 8), torch.zeros(5, 2, 4), "L N Q"),
        (nn.LSTM(4, 8), torch.zeros(5, 4), "L Q"),
        (nn.LSTM(4, 8), torch.zeros(4), "Q"),
        (nn.LSTM(4, 8), torch.zeros(2, 16), "N ?"),
        (nn.LSTM(4, 8, batch_first=True), torch.zeros(2, 5).long(), "N L"),
        (nn.LSTM(4, 8, 2, bidirectional=True), torch.zeros(4, 3, 8), "K·R N D"),
        (nn.LSTM(4, 8, proj_size=3), torch.zeros(1, 2, 3), "K N P"),
        (nn.LSTMCell(4, 8), torch.zeros(2, 4), "N Q"),
        (nn.LSTMCell(4, 8), torch.zeros(2, 5, 4), "N L Q"),
        (nn.Linear(4, 8), torch.zeros(2, 4), "N ?"),
        (nn.Linear(4, 8), torch.zeros(()), ""),
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.GRU(4, 5)), torch.zeros(2, 3, 9), "N C L"),
        (nn.GRU(4, 5), torch.zeros(2, 3, 9, 9), "N C H W"),
        (nn.GRU(4, 5), torch.zeros(2, 3, 9, 9, 9), "N ? ? ? ?"),
    ],
)
def test_inputs_are_named_by_what_the_first_layer_reads(layer: nn.Module, given: Tensor, expected: str) -> None:
    """Layout, rank and dtype say what an input is, as far as they can."""
    (value,), _ = named_inputs(layer, [given], {}, None)
    assert value.axes.names == tuple(expected.split())


def test_inputs_after_the_first_are_named_by_its_sizes() -> None:
    """Masks, lengths and dicts follow the first input; N is one N; what is no tensor stays as it is."""
    values, more = named_inputs(
        nn.GRU(4, 5, batch_first=True),
        [torch.zeros(2, 3, 4), {"mask": torch.ones(2, 3)}, [torch.zeros(2)], 7, annotate(torch.zeros(9), "T")],
        {"lengths": torch.tensor([3, 1])},
        None,
    )
    x, mask, extra = values[0], values[1]["mask"], values[2][0]
    assert (mask.axes.names, extra.axes.names, more["lengths"].axes.names) == (("N", "L"), ("N",), ("N",))
    assert mask.axes[0].same(x.axes[0])
    assert (values[3], values[4].axes.names) == (7, ("T",))
    assert recurrent_in(len) is None


def test_new_axes_are_called_after_their_layers_for_as_long_as_it_lasts() -> None:
    """fc, conv′s channels, sums and rows side by side; two of one name are told apart by their paths."""
    model = nn.ModuleDict(
        {
            "a": nn.ModuleDict({"fc": nn.Linear(4, 3)}),
            "b": nn.ModuleDict({"fc": nn.Linear(4, 3)}),
            "one": nn.Linear(4, 4),
        }
    )
    x = annotate(torch.zeros(2, 4), "N Q")
    steps = annotate(torch.zeros(2, 4, 9), "N C L")
    conv = nn.Conv1d(4, 5, 3)
    with named_weights([*model.named_modules(), ("conv", conv), ("", nn.Linear(1, 1))]):
        a, b, one = model["a"]["fc"](x), model["b"]["fc"](x), model["one"](x)  # type: ignore[index]
        assert (names(a), names(b)) == (("N", "a_fc"), ("N", "b_fc"))
        assert names(torch.cat([a, one], 1)) == ("N", "a_fc+one")
        assert names(torch.cat([x[:, None], torch.zeros(2, 1, 4)], 1)) == ("N", "1+?", "Q")
        assert names(torch.stack([a, b], 1)) == ("N", "stacked", "?")
        assert names(x + one) == ("N", "Q")
        assert names(x[:, :1].expand(-1, 3)) == ("N", "copies")
        assert names(x.repeat(3, 1, 1)) == ("copies", "N", "Q")
        assert names(conv(steps)) == ("N", "conv", "L′")
        assert names(F.max_pool1d(conv(steps), 2)) == ("N", "conv", "L′")
    assert names(model["one"](x)) == ("N", "?")
    assert names(conv(steps)) == ("N", "?", "?")


def test_a_layer_is_opened_under_its_contracts_names() -> None:
    """Plain states that were accepted have the contract's axes; packed input says so; a cell has no Y."""
    layer = nn.LSTM(4, 8, 2, bidirectional=True, proj_size=3)
    x, state = torch.zeros(5, 4), (torch.zeros(4, 3), torch.zeros(4, 8))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        title, rows = opened(layer, "", (x, state), {}, layer(x, state))
    assert title == "LSTM = LSTM(Q=4, D=8, K=2, R=2, P=3, batch_first=False)"
    assert [(row.name, row.text) for row in rows[1:3]] == [("h0", "(K·R=4, P=3)"), ("c0", "(K·R=4, D=8)")]
    packed = pack_padded_sequence(annotate(torch.zeros(5, 2, 4), "L N Q"), torch.tensor([5, 2]))
    gru = nn.GRU(4, 8)
    _, rows = opened(gru, "g", (packed, None), {}, gru(packed))
    assert [(row.name, row.note) for row in rows] == [("X", "packed"), ("Y", "packed"), ("hn", "")]
    cell = nn.GRUCell(4, 8)
    _, rows = opened(cell, "c", (torch.zeros(2, 4), torch.zeros(2, 8)), {}, cell(torch.zeros(2, 4)))
    assert [(row.name, row.text) for row in rows[1:]] == [("h0", "(N=2, D=8)"), ("hn", "(N=2, D=8)")]
    assert opened(cell, "c", (torch.zeros(2, 4), (None,)), {}, torch.zeros(2, 8))[1][-1].name == "hn"


def test_tensors_are_named_as_a_program_would_write_them() -> None:
    """Lists of alike tensors are one entry, parts of a cut axis say of what, numbers are none."""
    x = annotate(torch.zeros(2, 8), "N D")
    rows = made_of("outputs", [x[:, 0]] * 5)
    assert rows == [Made("outputs[…]", (2,), Axes.of("N", (2,)), "5 tensors")]
    assert made_of("pair", ([torch.zeros(1)], {"a": 1}))[0].name == "pair[0][0]"
    assert made_of("n", 3) == []
    assert made_of("deep", [[[torch.zeros(1)]]]) == []
    assert made_of("x", x.reshape(2, 2, 4))[0].text == "(N=2, part of D=2, part of D=4)"
    assert made_of("x", x.reshape(16).reshape(4, 4))[0].text == "(?=4, part of D=4)"


def test_statements_of_a_file() -> None:
    """An expression over three lines is one statement; heads of loops know their bodies; no source, none."""
    statements = statements_of(Translator.forward.__code__, {})
    heads = [one for one in set(statements.values()) if one.body is not None]
    assert heads
    assert all(head.source.startswith(("for ", "while ")) for head in heads)
    assert statements_of(compile("x = 1", "<nowhere>", "exec"), {}) == {}
    others = statements_of(base.__code__, {})
    assert any(one.returns for one in others.values())
    assert statements_of(test_the_lesson_line_by_line.__code__, {}) is statements_of(Lesson.forward.__code__, {})
    spread = [one for one in statements.values() if one.source.startswith("rnn_out, (hn, cn)")]
    assert len(spread) == 4
    assert len(set(spread)) == 1
