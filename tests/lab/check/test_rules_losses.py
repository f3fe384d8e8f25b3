"""The rules on losses: what broadcasts, which axis holds the classes, what a target gives away; and right programs."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn as packing

from lstm_shapes.lab.check._rules_losses import seen_losses
from lstm_shapes.lab.check.check import check
from lstm_shapes.lab.check.report import RULES, Finding, Report
from lstm_shapes.lab.trace import Recorder

N, L, Q, D, C, V = 4, 7, 5, 12, 6, 20
PREAMBLE = f"""\
emb, head, more = nn.Embedding({V}, 8), nn.Linear({D}, {V}), nn.Linear({D}, {C})
lm, rnn, one = nn.LSTM(8, {D}, batch_first=True), nn.GRU({Q}, {D}, batch_first=True), nn.Linear({D}, 1)
steps_first = nn.GRU(8, {D})
x, ids, other = torch.randn({N}, {L}, {Q}), torch.randint({V}, ({N}, 10)), torch.randint({V}, ({N}, 10))
y, classes = torch.randn({N}), torch.randint({C}, ({N},))
"""


def space(text: str) -> dict[str, Any]:
    """A program's names; its source lines can be read."""
    text = PREAMBLE + text
    file = f"<program {hash(text)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, **{n: getattr(packing, n) for n in packing.__all__}}
    torch.manual_seed(5)
    exec(compile(text, file, "exec"), names)
    return names


def checked(text: str) -> Report:
    names = space(text)
    options = {name: names[name] for name in ("batch_dim", "lengths", "target", "loss") if name in names}
    return check(names["model"], *names["inputs"], **options)


def watched(text: str) -> list[Finding]:
    """What one run of the program, loss included, shows without an experiment."""
    names = space(text)
    with warnings.catch_warnings(), Recorder() as recorder:
        warnings.simplefilter("ignore")  # torch's own words on sizes that differ
        output = names["model"](*names["inputs"])
        if "loss" in names:
            names["loss"](output, names["target"])
    return seen_losses(recorder.trace)


def the(code: str, findings: Iterable[Finding]) -> Finding:
    """The one finding of a code."""
    some = [finding for finding in findings if finding.code == code]
    assert len(some) == 1, [str(finding) for finding in findings]
    return some[0]


@pytest.mark.parametrize("code", ["LS212", "LS216", "LS217"])
def test_documented_programs(code: str) -> None:
    """A rule finds its wrong program, also without experiments, and is silent on its right one."""
    assert code in checked(RULES[code].wrong).codes
    assert code in {finding.code for finding in watched(RULES[code].wrong)}
    assert checked(RULES[code].right).codes == ()
    assert watched(RULES[code].right) == []


BROADCAST = {
    "output (N, 1)": ("F.mse_loss(one(rnn(x)[0][:, -1]), y)", "(x, y)", ".squeeze(-1), which is (4,)"),
    "target (N, 1)": (
        "F.l1_loss(one(rnn(x)[0][:, -1])[:, 0], y)",
        "(x, y.unsqueeze(1))",
        "y.squeeze(-1), which is (4,)",
    ),
    "by hand": ("((one(rnn(x)[0][:, -1]) - y) ** 2).mean()", "(x, y)", "output.squeeze(-1)"),
    "target first": ("(y - one(rnn(x)[0][:, -1])).abs().mean()", "(x, y)", "output.squeeze(-1)"),
    "steps": (
        "F.huber_loss(one(rnn(x)[0]), y)",
        "(torch.randn(7, 7, 5), torch.randn(7, 7))",
        ".squeeze(-1), which is (7, 7)",
    ),
    "one sample": (
        "F.mse_loss(one(rnn(x)[0]), y)",
        "(torch.randn(1, 7, 5), torch.randn(1, 7))",
        ".squeeze(-1), which is (1, 7)",
    ),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_broadcast(name: str) -> None:
    """Output and target of different rank: an error that counts the pairs; check and watch give the same fix."""
    body, inputs, fix = BROADCAST[name]
    text = f"model = lambda x, y: {body}\ninputs = {inputs}\n"
    finding = the("LS212", checked(text))
    assert finding.level == "error"
    assert fix in finding.fix
    assert the("LS212", watched(text)).fix == finding.fix
    assert "every output with every target" in finding.detail
    if name == "output (N, 1)":
        assert "(4, 4): 16 pairs" in finding.detail


@pytest.mark.parametrize(
    ("output", "target", "fix"), [("", "y", "output.squeeze(-1)"), (".view(-1)", "y.view(-1, 1)", "target.squeeze(-1)")]
)
@pytest.mark.parametrize("loss", ["", "; loss = nn.MSELoss()"])
def test_broadcast_with_a_target(output: str, target: str, fix: str, loss: str) -> None:
    """The side that has an axis of size one too many is squeezed, with target= alone and with loss=."""
    text = f"model = lambda x: one(rnn(x)[0][:, -1]){output}\ninputs, target = (x,), {target}{loss}"
    assert the("LS212", checked(text)).fix.startswith(fix)


def test_a_batch_of_one_squeezed_away() -> None:
    """With one sample a bare squeeze takes the batch axis too: nothing broadcasts, and still the ranks differ."""
    text = "model = lambda x: one(rnn(x)[1].squeeze())\ninputs, target = (torch.randn(1, 7, 5),), torch.ones(1, 1)"
    finding = the("LS212", checked(text))
    assert finding.level == "warning"
    assert "lost an axis" in finding.title


@pytest.mark.parametrize(
    "text",
    [
        "model = lambda i, t: F.cross_entropy(more(lm(emb(i))[0]), t)\ninputs = (ids[:, :6], other[:, :6] % 6)",
        "model = lambda i: more(lm(emb(i))[0])\ninputs, target = (ids[:, :6],), other[:, :6] % 6",
        "model = lambda x, t: F.cross_entropy(more(rnn(x)[0]), t.softmax(-1))\ninputs = (x, torch.randn(4, 7, 6))",
    ],
)
def test_classes_on_the_last_axis(text: str) -> None:
    """cross_entropy runs where L == C, or with soft targets; the head's features lie on another axis than it wants."""
    finding = the("LS216", checked(text))
    assert finding.level == "error"
    assert "the classes are on axis 2" in finding.title
    assert ".transpose(1, 2)" in finding.fix


@pytest.mark.parametrize(
    "loss",
    [
        "F.nll_loss(logp.transpose(1, 2), torch.zeros(4, 7, dtype=torch.long))",
        "F.nll_loss(logp.view(-1, logp.size(-1)), torch.zeros(28, dtype=torch.long))",
        "F.ctc_loss(logp.transpose(0, 1), classes[:, None].clamp(1), torch.full((4,), 7), torch.full((4,), 1))",
        "logp",
    ],
)
def test_probabilities_over_time(loss: str) -> None:
    """log_softmax over the steps: the line of the softmax, and its dim."""
    text = f"def model(x):\n    logp = F.log_softmax(more(rnn(x)[0]), dim=1)\n    return {loss}\ninputs = (x,)"
    finding = the("LS216", checked(text))
    assert finding.fix.startswith("F.log_softmax(more(rnn(x)[0]), dim=-1)")
    assert "log_softmax" in finding.where.source if finding.where is not None else False
    assert "LS216" not in checked(text.replace("dim=1", "dim=-1")).codes


def test_softmax_over_one_score() -> None:
    """Attention over the only feature of a head: a warning, and the steps as the axis that was meant."""
    text = """
def model(x):
    h = rnn(x)[0]
    weights = torch.softmax(one(h), dim=-1)
    return more((weights * h).sum(1))
inputs = (x,)"""
    finding = the("LS216", checked(text))
    assert finding.level == "warning"
    assert "always 1.0" in finding.title
    assert finding.fix == "torch.softmax(one(h), dim=1): the steps, axis 1"
    assert checked(text.replace("dim=-1", "dim=1")).codes == ()


def test_softmax_over_a_batch_of_one() -> None:
    """One sample more, and the axis of size one grows: it is the batch. One that grows with the steps is left alone."""
    text = """
def model(i):
    h = lm(emb(i))[0]
    scores = (h @ h[:, -1].unsqueeze(2)).squeeze(2)
    weights = torch.softmax(scores, dim=0)
    return more((weights.unsqueeze(2) * h).sum(1))
inputs = (ids[:1],)"""
    assert "the batch" in the("LS216", checked(text)).detail
    assert "LS216" not in checked(text.replace("dim=0", "dim=1")).codes
    assert "LS216" not in checked(text.replace("dim=0", "dim=1").replace("ids[:1]", "ids[:, :1]")).codes


def test_one_class() -> None:
    """cross_entropy of one class is always zero."""
    text = (
        "model = lambda x, t: F.cross_entropy(one(rnn(x)[0][:, -1]), t)\ninputs = (x, torch.zeros(4, dtype=torch.long))"
    )
    assert "always 0.0" in the("LS216", checked(text)).title


FLATTENED = {
    "logits of (L, N)": """
def model(i, t):
    return F.cross_entropy(head(steps_first(emb(i.t()))[0]).view(-1, 20), t.reshape(-1){})""",
    "targets turned": """
def model(i, t):
    return F.cross_entropy(head(lm(emb(i))[0]).view(-1, 20), t.t().reshape(-1){})""",
}


@pytest.mark.parametrize("reduction", ["", ", reduction='none'"])
@pytest.mark.parametrize("name", FLATTENED)
def test_two_orders(name: str, reduction: str) -> None:
    """Predictions and targets flattened in different orders, for check and for one recorded run."""
    text = FLATTENED[name].format(reduction) + "\ninputs = (ids, other)"
    for findings in (checked(text), watched(text)):
        assert "flattened in different orders" in the("LS214", findings).title


def test_two_orders_with_a_target() -> None:
    """Rows of (L, N) and targets of (N, L)."""
    text = "model = lambda i: head(steps_first(emb(i.t()))[0]).view(-1, 20)\ninputs, target = (ids,), other"
    assert "transpose(0, 1)" in the("LS214", checked(text)).fix


def test_two_orders_with_a_loss() -> None:
    """loss= is part of the program: its lines are judged as the model's are."""
    text = """model = lambda i: head(steps_first(emb(i.t()))[0])
def loss(output, target):
    return F.cross_entropy(output.view(-1, 20), target.view(-1))
inputs, target = (ids,), other"""
    finding = the("LS214", checked(text))
    assert "F.cross_entropy" in finding.where.source if finding.where is not None else False


def test_predictions_cut_across_batch_and_steps() -> None:
    """A reshape to (L, N, C) where a transpose was needed: the shapes fit, the steps stand beside other targets."""
    text = """
def model(i, t):
    logits = head(lm(emb(i))[0])
    turned = logits.{}
    return F.cross_entropy(turned.permute(1, 2, 0), t)
inputs = (ids, other)"""
    finding = the("LS202", checked(text.format("reshape(10, 4, 20)")))
    assert finding.where is not None
    assert "turned = logits" in finding.where.source
    assert "transpose(0, 1)" in finding.fix
    assert checked(text.format("transpose(0, 1)")).codes == ()
    assert checked(text.format("reshape(-1, 20).view(4, 10, 20).transpose(0, 1)")).codes == ()


def test_ctc_that_runs_on_the_wrong_layout() -> None:
    """(N, T, C) with as many lengths as there are steps."""
    text = """
def model(x, t, n, m):
    return F.ctc_loss(more(rnn(x)[0]).log_softmax(-1){}, t, n, m, zero_infinity=True)
inputs = (torch.randn(3, 9, 5), torch.randint(1, 6, ({S}, 2)), torch.full(({S},), {T}), torch.full(({S},), 2))"""
    wrong = text.format("", S=9, T=3)
    for findings in (checked(wrong), watched(wrong)):
        finding = the("LS201", findings)
        assert "ctc_loss gets (N, T, C)" in finding.title
        assert ".transpose(0, 1)" in finding.fix
    assert checked(text.format(".transpose(0, 1)", S=3, T=9)).codes == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model = lambda i: F.cross_entropy(head(lm(emb(i))[0]).transpose(1, 2), i)\ninputs = (ids,)", "model"),
        ("model = lambda i: head(lm(emb(i))[0]).transpose(1, 2)\ninputs, target = (ids,), ids.clone()", "model"),
        (
            "def model(i):\n    source = i[:, 1:]\n    wanted = i[:, 1:]\n"
            "    logp = head(lm(emb(source))[0]).log_softmax(-1)\n"
            "    return -logp.gather(2, wanted.unsqueeze(2)).mean()\ninputs = (ids,)",
            "source =",
        ),
    ],
)
def test_targets_equal_to_the_inputs(text: str, line: str) -> None:
    """The id of the same step as the target; the slice that is not one step apart."""
    finding = the("LS217", checked(text))
    assert finding.level == "error"
    assert "x[:, 1:]" in finding.fix
    assert finding.where is not None
    assert line in finding.where.source


NEXT = """
both, wide = nn.LSTM(8, 12, batch_first=True, bidirectional=True), nn.Linear(24, 20)
def model(i):
    out = {}
    return F.cross_entropy(out.transpose(1, 2), i[:, 1:])
inputs = (ids,)"""


@pytest.mark.parametrize(
    ("out", "leaks"),
    [
        ("wide(both(emb(i[:, :-1]))[0])", True),
        ("head(lm(emb(i[:, :-1]))[0])", False),
        ("head(both(emb(i[:, :-1]))[0].chunk(2, -1)[0])", False),
        ("head(both(emb(i[:, :-1]))[0].chunk(2, -1)[1])", True),
        ("(lambda e: head(lm(e[:, :-1], tuple(s[:1] for s in both(e)[1]))[0]))(emb(i))", False),
    ],
)
def test_the_next_id(out: str, leaks: bool) -> None:
    """A step that reads the id that it is to predict, shown by replacing it; not the state that an encoder hands on."""
    report = checked(NEXT.format(out))
    assert ("LS217" in report.codes) is leaks
    if leaks:
        assert "reads backward" in the("LS217", report).title


@pytest.mark.parametrize("cut", ["h = rnn(x)[0][:, -1].detach()", "with torch.no_grad(): h = rnn(x)[0][:, -1]"])
def test_a_layer_cut_from_the_loss(cut: str) -> None:
    """A head that trains on what detach or no_grad has cut off; a layer frozen on purpose says so."""
    text = f"def model(x, t):\n    {cut}\n    return F.cross_entropy(more(h), t)\ninputs = (x, classes)\n"
    for findings in (checked(text), watched(text)):
        finding = the("LS213", findings)
        assert finding.level == "warning"
        assert finding.where is not None
        assert finding.where.source == cut
    for quiet in ("rnn.requires_grad_(False)", "rnn.eval()"):
        assert checked(text + quiet).codes == ()


def test_a_state_drawn_in_each_call() -> None:
    """A random h0 is a note, which names the layer; a state computed from an input is none."""
    text = "model = lambda x: more(rnn(x, torch.randn(1, x.size(0), 12) * 0.1)[0][:, -1])\ninputs = (x,)"
    finding = the("LS211", checked(text))
    assert (finding.level, finding.layer) == ("note", "rnn")
    text = "model = lambda x, h: more(rnn(x, h)[0][:, -1])\ninputs = (x, torch.randn(1, 4, 12))"
    assert checked(text).codes == ()


RIGHT = {
    "several losses": """
def model(x, y, t):
    h = rnn(x)[1][-1]
    return F.mse_loss(one(h)[:, 0], y) + F.cross_entropy(more(h), t)
inputs = (x, y, classes)""",
    "smoothing and weights": """
w = torch.rand(6)
def model(x, t):
    return F.cross_entropy(more(rnn(x)[0]).transpose(1, 2), t, weight=w, label_smoothing=0.1)
inputs = (x, torch.randint(6, (4, 7)))""",
    "several labels": """
model = lambda x, t: F.binary_cross_entropy_with_logits(more(rnn(x)[1][-1]), t)
inputs = (x, torch.randint(2, (4, 6)).float())""",
    "one column": """
model = lambda x, y: F.mse_loss(one(rnn(x)[1][-1]), y)
inputs = (x, torch.randn(4, 1))""",
    "a number as target": """
model = lambda x: F.mse_loss(one(rnn(x)[1][-1]), torch.tensor(0.5))
inputs = (x,)""",
    "centred": """
c = torch.randn(12)
model = lambda x: ((rnn(x)[1][-1] - c) ** 2).sum(1).mean()
inputs = (x,)""",
    "masked": """
def model(i, t, m):
    rows = F.cross_entropy(head(lm(emb(i))[0]).transpose(1, 2), t, reduction='none')
    return (rows * m).sum() / m.sum()
inputs = (ids, other, (torch.rand(4, 10) > 0.3).float())""",
    "contrast": """
def model(a, b):
    s = F.normalize(rnn(a)[1][-1], dim=-1) @ F.normalize(rnn(b)[1][-1], dim=-1).t()
    return F.cross_entropy(s, torch.arange(len(a)))
inputs = (x, torch.randn(4, 7, 5))""",
    "ranking": """
def model(x, y):
    s = one(rnn(x)[1][-1])[:, 0]
    return F.softplus(-(s.unsqueeze(1) - s) * (y.unsqueeze(1) - y).sign()).mean()
inputs = (x, y)""",
    "quantiles": """
q, three = torch.tensor([0.1, 0.5, 0.9]), nn.Linear(12, 3)
def model(x, y):
    e = y.unsqueeze(-1) - three(rnn(x)[1][-1])
    return torch.maximum(q * e, (q - 1) * e).mean()
inputs = (x, y)""",
    "next ids": """
model = lambda i: F.cross_entropy(head(lm(emb(i[:, :-1]))[0]).flatten(0, 1), i[:, 1:].flatten())
inputs = (ids,)""",
    "steps first": """
model = lambda i, t: F.cross_entropy(head(steps_first(emb(i.t()))[0]).view(-1, 20), t.t().reshape(-1))
inputs = (ids, other)""",
    "tags": """
tags = nn.Linear(12, 6)
model = lambda i, t: F.cross_entropy(tags(lm(emb(i))[0]).transpose(1, 2), t)
inputs = (ids[:, :6], other[:, :6] % 6)""",
    "hidden words": """
hide = torch.zeros(4, 10, dtype=torch.bool); hide[:, 3] = hide[:, 7] = True
model = lambda i: F.cross_entropy(head(lm(emb(i.masked_fill(hide, 19)))[0])[hide], i[hide])
inputs = (ids % 19,)""",
    "through a state": """
decoder, inputs = nn.GRU(12, 12, batch_first=True), (ids,)
def model(i):
    code = lm(emb(i))[1][0][-1].unsqueeze(1)
    return F.cross_entropy(head(decoder(code.repeat(1, 10, 1))[0]).reshape(-1, 20), i.reshape(-1))""",
    "a teacher": """
t_rnn, t_head = nn.GRU(5, 12, batch_first=True), nn.Linear(12, 6)
def model(x):
    with torch.no_grad():
        t = t_head(t_rnn(x)[1][-1])
    return F.kl_div(more(rnn(x)[1][-1]).log_softmax(1), t.softmax(1), reduction='batchmean')
inputs = (x,)""",
    "heads": """
three = nn.Linear(12, 3)
def model(x):
    h = rnn(x)[0]
    a = torch.softmax(three(h), dim=1)
    return more((a.transpose(1, 2) @ h).mean(1)), a
inputs = (x,)""",
    "pointers": """
v = nn.Linear(12, 1)
def model(x, t):
    h = rnn(x)[0]
    s = torch.stack([v(torch.tanh(h + h[:, k:k + 1])).squeeze(-1) for k in range(7)], 1)
    return F.cross_entropy(s.transpose(1, 2), t)
inputs = (x, torch.randint(7, (4, 7)))""",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs(name: str) -> None:
    """Losses that are meant as they are."""
    assert checked(RIGHT[name]).codes == ()
    assert watched(RIGHT[name]) == []


def test_what_says_nothing() -> None:
    """Ids that are all equal prove no copy; halves that are read apart may each read their own way."""
    text = "model = lambda i: F.cross_entropy(head(lm(emb(i))[0]).transpose(1, 2), i)\ninputs = (ids * 0,)"
    assert "LS217" not in checked(text).codes
    assert watched(NEXT.format("head(both(emb(i[:, :-1]))[0].chunk(2, -1)[0])")) == []


def test_a_causal_model_with_as_many_classes_as_targets_sees_nothing() -> None:
    """The axis of the classes is known from the trace; that N·L is equal to C decides nothing."""
    table, rnn, head = nn.Embedding(20, 6), nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 20)

    def model(tokens: torch.Tensor) -> torch.Tensor:
        scores = head(rnn(table(tokens[:, :-1]))[0].reshape(-1, 8))
        return F.cross_entropy(scores, tokens[:, 1:].reshape(-1))

    report = check(model, torch.randint(0, 20, (2, 11), generator=torch.Generator().manual_seed(3)))
    assert report.ok, str(report)
