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

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate, called
from lstm_shapes.lab.walk import Step, Walk, named_weights, walk
from lstm_shapes.lab.walk._lines import LineRecorder, statements_of
from lstm_shapes.lab.walk.comments import judged, read
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
    assert texts(step_at(found, "h0 = ")) == ["h0 (K=3, N=4, D=16)"]
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
    assert texts(inner) == ["scores (N=4, 1, L=9)"]
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
    assert texts(step_at(found, "best, index = "))[0] == "best (N=4, trans.1=4)"
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
    """Windows that shorten the height make height′, channels are the convolution's, and both survive the reshape."""
    found = walk(ConvFront(), torch.randn(3, 1, 28, 40))
    assert texts(step_at(found, "f = self.conv")) == ["f (N=3, conv0=8, height′=14, L=40)"]
    assert texts(step_at(found, "f = f.permute")) == ["f (N=3, L=40, conv0·height′=112)"]


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
    """A generator is called once and its lines are shown; an exception that is caught is no end."""
    found = walk(Spelled(), torch.randn(4, 6, 5))
    assert found.ok
    assert [step.count for step in found.steps if step.source.startswith("Spelled.rows")] == [1]
    assert step_at(found, "yield y[:, t]").count == 6
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
    plain = walk(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), torch.randn(3, 2, 4))
    assert "without a name" in plain.notes[0]
    assert [texts(step) for step in plain.steps] == [[" (?=3, ?=2, linear0=5)"]] * 2


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        found = walk(layer, torch.zeros(5, 4), (torch.zeros(4, 3), torch.zeros(4, 8)))
    (step,) = [step for step in found.steps if step.kind == "layer"]
    assert step.source == "LSTM = LSTM(Q=4, D=8, K=2, R=2, P=3, batch_first=False)"
    assert texts(step) == [
        "X (L=5, Q=4)",
        "h0 (K·R=4, P=3)",
        "c0 (K·R=4, D=8)",
        "Y (L=5, R·P=6)",
        "hn (K·R=4, P=3)",
        "cn (K·R=4, D=8)",
    ]
    packed = pack_padded_sequence(torch.zeros(5, 2, 4), torch.tensor([5, 2]))
    (step,) = [step for step in walk(nn.GRU(4, 8), packed).steps if step.kind == "layer"]
    assert [(row.name, row.note) for row in step.made] == [("X", "packed"), ("Y", "packed"), ("hn", "")]
    (step,) = walk(nn.GRUCell(4, 8), torch.zeros(2, 4), torch.zeros(2, 8)).steps
    assert texts(step) == ["X (N=2, Q=4)", "h0 (N=2, D=8)", "hn (N=2, D=8)"]


@pytest.mark.parametrize(
    ("layer", "sizes", "expected"),
    [
        (nn.LSTM(4, 8), (5, 2, 4), "(L=5, N=2, Q=4)"),
        (nn.LSTM(4, 8), (5, 4), "(L=5, Q=4)"),
        (nn.LSTM(4, 8, batch_first=True), (2, 5, 4), "(N=2, L=5, Q=4)"),
        (nn.LSTMCell(4, 8), (2, 4), "(N=2, Q=4)"),
        (nn.LSTMCell(4, 8), (4,), "(Q=4,)"),
        (nn.Conv2d(3, 4, 3), (2, 3, 9, 8), "(N=2, C=3, height=9, width=8)"),
        (nn.Linear(4, 8), (2, 4), "(N=2, Q=4)"),
        (nn.Linear(4, 8), (2, 3, 4), "(?=2, ?=3, Q=4)"),
        (nn.ReLU(), (2, 4), "(?=2, ?=4)"),
    ],
)
def test_inputs_are_named_by_what_reads_them(layer: nn.Module, sizes: tuple[int, ...], expected: str) -> None:
    """Layout and rank are the layer's; what nothing reads has no name."""
    assert walk(layer, torch.zeros(sizes)).inputs[0].text == expected


def test_an_embedding_before_a_permute() -> None:
    """Tokens are named by the layer further on, whatever was turned before."""

    class Turned(Tagger):
        def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
            y, _ = nn.GRU(6, 5)(self.embed(tokens).permute(1, 0, 2))
            return y.sum(2).t() * mask  # type: ignore[no-any-return]

    found = walk(Turned(), torch.randint(0, 20, (4, 9)), torch.ones(4, 9))
    assert [made.text for made in found.inputs] == ["(N=4, L=9)", "(N=4, L=9)"]
    assert found.marks == ()


class Crossed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 5, batch_first=True)
        self.next = nn.GRU(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        y, _ = self.next(y, torch.zeros(1, 3, 6))
        return y  # type: ignore[no-any-return]


def test_layers_that_read_an_axis_differently_are_marked() -> None:
    """X (N=7, L=3) beside h0 (N=3) is never shown without a mark, whoever said N first."""
    found = walk(Crossed(), torch.zeros(7, 3, 5))
    line = step_at(found, "y, _ = self.rnn").line
    assert step_at(found, "y, _ = self.next").marks == [
        f"this layer reads an axis as {one} that is {other} since line {line}" for one, other in ("NL", "LN")
    ]
    for given in ({"axes": "N L Q"}, {"batch_dim": 0}):
        said = walk(nn.LSTM(5, 6), torch.zeros(7, 3, 5), **given)
        assert said.inputs[0].text.startswith("(N=7, ")
        assert "this layer reads an axis as L that is N as it was given" in said.marks
    assert walk(nn.LSTM(5, 6), torch.zeros(7, 3, 5), axes="T B F").marks == ()
    with pytest.raises(ShapeError, match="batch_dim"):
        walk(nn.LSTM(5, 6), torch.zeros(7, 3, 5), batch_dim=3)


def test_depth_leaves_out_what_is_further_inside() -> None:
    """The model's own lines stay, and the marks of what is left out."""
    found = walk(Translator(), torch.randint(0, 50, (4, 9)), torch.randint(0, 50, (4, 7)), depth=0)
    assert not [step for step in found.steps if step.source.startswith("scores")]
    assert step_at(found, "e = self.embed").count == 7

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Scrambled()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x).relu()  # type: ignore[no-any-return]

    assert not walk(Outer(), torch.randn(4, 7, 28), depth=0).ok


def test_models_get_plain_tensors() -> None:
    """A test of the type is passed, and names of an input that has some are kept."""

    def model(x: Tensor) -> Tensor:
        assert type(x) == Tensor  # noqa: E721
        return x.relu()

    assert walk(model, annotate(torch.zeros(2, 3), "A B")).output[0].text == "(A=2, B=3)"


class Commented(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(28, 16, 3, batch_first=True)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        # x: [N x L x Q]
        h0 = torch.zeros(3, x.size(0), 16)  # (K, N, D)
        rnn_out, _ = self.rnn(x, (h0, h0))  # x: [N x L x Q] => rnn_out: [N x L x D]
        last = rnn_out[:, -1, :]  # (seq_len, hidden)
        # out.shape = (4, 11)
        out: Tensor = self.fc(last)
        return out.relu()  # see the paper (or its appendix)


def test_comments_on_shapes_are_judged() -> None:
    """True ones are marked so, a wrong one says what is so, and prose is left alone."""
    found = walk(Commented(), torch.randn(4, 7, 28))
    assert [(one.text, one.true) for one in found.comments] == [
        ("x: [N x L x Q]", True),
        ("(K, N, D)", True),
        ("x: [N x L x Q] => rnn_out: [N x L x D]", True),
        ("(seq_len, hidden)", False),
        ("out.shape = (4, 11)", False),
    ]
    assert str(found.comments[-1]) == "# out.shape = (4, 11): out is (N=4, fc=10)"
    assert found.to_dict()["steps"][-2]["comments"][0]["true"] is False


@pytest.mark.parametrize(
    ("comment", "shapes"),
    [
        ("# (batch, seq, 2*hidden)", [("", "batch seq 2*hidden")]),
        ("# out.shape = (3, 10, 8)", [("out", "3 10 8")]),
        ("# x is [T × B × 2D]", [("x", "T B 2*D")]),
        ("# (batch size, sequence length)", [("", "batch_size sequence_length")]),
        ("# (batch, l) -> (2, batch, l)", [("", "2 batch l")]),
        ("# h: (-1, N), c: (?, N)", [("h", "? N"), ("c", "? N")]),
        ("# (batch, l) * (batch, l, d)", []),
        ("# call f(x, y) (tiled)", []),
        ("# for each pair (left, right)", []),
        ("# type: ignore[union-attr]", []),
    ],
)
def test_shapes_are_read_from_comments(comment: str, shapes: list[tuple[str, str]]) -> None:
    """Brackets or parentheses, commas or crosses, products; a shape before an arrow is not the result's."""
    assert [(one.subject, " ".join(one.dims)) for one in read(comment)] == shapes


def test_a_name_stands_for_the_size_it_had_first() -> None:
    """Products are solved for one name, and a claim that is wrong teaches nothing."""
    known: dict[str, int] = {}
    assert judged(read("# (N, 2*D)")[0], (4, 16), known)
    assert not judged(read("# (N, D, Q)")[0], (4, 7, 5), known)
    assert known == {"N": 4, "D": 8}
    assert not judged(read("# (N, D)")[0], (4, 7, 5), known)
    assert not judged(read("# (N, 2*E)")[0], (4, 7), known)
    assert judged(read("# (N, E*F)")[0], (4, 7), known)
    assert not judged(read("# (L, Q)")[0], (9, 5), {}, Axes.of("N Q", (9, 5)))


def test_tensors_are_named_as_a_program_would_write_them() -> None:
    """Lists of alike tensors are one entry, parts of a cut axis say of what, numbers are none."""
    rows_of = LineRecorder({}).rows
    (row,) = rows_of("outputs", [torch.zeros(2)] * 5)
    assert (row.name, row.value.shape, row.note) == ("outputs[…]", (2,), "5 tensors")
    assert [row.name for row in rows_of("state", (torch.zeros(1), torch.zeros(2)))] == ["state[0]", "state[1]"]
    assert rows_of("pair", ([torch.zeros(1)], {"a": 1}))[0].name == "pair[0][0]"
    assert rows_of("n", 3) == []
    assert rows_of("deep", [[[torch.zeros(1)]]]) == []

    def cut(x: Tensor) -> Tensor:
        a = x.reshape(2, 2, 4)
        b = a.reshape(16).reshape(4, 4)
        return b.relu()

    found = walk(cut, torch.zeros(2, 8), axes="N D")
    assert texts(step_at(found, "a = ")) == ["a (N=2, part of D=2, part of D=4)"]
    assert texts(step_at(found, "b = ")) == ["b (?=4, part of D=4)"]


def test_statements_of_a_file() -> None:
    """An expression over three lines is one statement; lines know the loops around them; no source, none."""
    statements = statements_of(Translator.forward.__code__, {})
    heads = [one for one in set(statements.values()) if one.head]
    assert heads
    assert all(head.source.startswith(("for ", "while ")) and head.loops[-1] == head.line for head in heads)
    assert statements_of(compile("x = 1", "<nowhere>", "exec"), {}) == {}
    others = statements_of(base.__code__, {})
    assert any(one.returned is not None for one in others.values())
    assert statements_of(test_the_lesson_line_by_line.__code__, {}) is statements_of(Lesson.forward.__code__, {})
    spread = [one for one in statements.values() if one.source.startswith("rnn_out, (hn, cn)")]
    assert len(spread) == 4
    assert len(set(spread)) == 1
    assert spread[0].targets == ("rnn_out", "hn", "cn")


def test_a_loop_of_one_line_has_its_rounds() -> None:
    """Each round makes the same call at the same place of the same line."""
    cell = nn.GRUCell(6, 6)

    def model(h: Tensor) -> Tensor:
        for _ in range(4):
            h = cell(h, h)
        return h

    found = walk(model, torch.zeros(2, 6))
    assert step_at(found, "h = cell(h, h)").count == step_at(found, "for _ in").count == 4


class Spread(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        output = self.fc(x)

        # output = [batch size, hid dim]

        # (batch size, hid dim) -> (batch size, 1, hid dim)
        # (batch size, 1, hid dim)
        output = output.unsqueeze(1)
        for width in (2, 3):
            part = output[..., :width]  # (batch size, 1, width)
        return part  # type: ignore[no-any-return]


def test_comments_above_lines_and_in_loops() -> None:
    """A comment between two lines may speak of either; a number of the program stands for what it is now."""
    found = walk(Spread(), torch.randn(3, 4))
    assert [one.true for one in found.comments] == [True, True, True]
    assert [one.text for one in found.comments][1] == "(batch size, 1, hid dim)"


def test_a_comment_inside_a_statement_is_left_alone() -> None:
    """It may speak of a part of the line, which nobody measures."""

    def model(x: Tensor) -> Tensor:
        return torch.cat(
            # (batch, 7)
            [x, x],
            1,
        )

    assert walk(model, torch.zeros(3, 4)).comments == ()


def test_a_comment_that_is_wrong_in_one_round_is_wrong() -> None:
    """What later rounds make does not put it right."""

    def model(x: Tensor) -> Tensor:
        for width in (2, 3):
            part = x[:, :width]  # (batch, 3)
        return part

    (one,) = walk(model, torch.zeros(4, 5)).comments
    assert not one.true


class StepsWeighed(nn.Module):
    """Attention over features, as in DA-RNN: one weight sums over the steps of x, and the cell reads its features."""

    def __init__(self) -> None:
        super().__init__()
        self.over_steps = nn.Linear(9, 9)
        self.cell = nn.LSTMCell(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.over_steps(x.transpose(1, 2)).sum(2), dim=1)
        h, c = x.new_zeros(x.size(0), 5), x.new_zeros(x.size(0), 5)
        for t in range(x.size(1)):
            h, c = self.cell(weights * x[:, t], (h, c))
        return h


def test_an_input_has_no_two_axes_of_one_name() -> None:
    """A weight sums over the steps too, which makes them no features: what the cell reads is Q, and the other waits."""
    found = walk(StepsWeighed(), torch.randn(4, 9, 6))
    assert [made.text for made in found.inputs] == ["(N=4, ?=9, Q=6)"]


def test_a_call_that_is_none_is_refused_in_the_words_of_walk() -> None:
    """Nothing for the model, and an option that is misspelt; a word like no option is torch's to refuse."""
    layer = nn.LSTM(4, 8)
    with pytest.raises(SpecError, match="model must be a module, or a function of tensors, got <class 'NoneType'>"):
        walk(None)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="model must be an instance"):
        walk(nn.LSTM, torch.randn(5, 3, 4))
    with pytest.raises(SpecError, match=r"what the model is called with: input, got None\. walk\(model, x\)"):
        walk(layer)
    with pytest.raises(SpecError, match=r"one that walk or the model's forward has, got 'axis'\. Did you mean axes\?"):
        walk(layer, torch.randn(5, 3, 4), axis="L N Q")
    assert walk(layer, torch.randn(5, 3, 4), colour=1).error is not None


@pytest.mark.parametrize("words", [{"lengths": [3, 2, 1]}, {"loss": 1}, {"lenghts": [3, 2, 1]}, {"colour": 1}])
def test_a_word_that_forward_does_not_take_is_explained_as_what_was_raised(words: dict[str, Any]) -> None:
    """An option of check is none of walk's: check neither takes such a word, nor refuses one that is like it."""
    found = walk(nn.LSTM(4, 8), torch.randn(5, 3, 4), **words)
    assert isinstance(found.error, TypeError)
    assert found.report is not None
    assert found.report.codes == ("LS113",)
    assert f"unexpected keyword argument '{next(iter(words))}'" in str(found.report)
