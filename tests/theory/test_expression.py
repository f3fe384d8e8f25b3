"""highlight: parsed and never evaluated; lit are exactly the cells that a gradient reaches."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lstm_shapes import ShapeError, Spec, predict, run
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.expression import GRAMMAR, Expression
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import Reads, reads_in_words
from tests.reading_oracle import Cells
from tests.scale import examples

N, L, D, P, K = 3, 6, 5, 2, 2
LENGTHS = (4, 6, 1)

EXPRESSIONS = [
    "Y", "X", "hn", "h0", "Y[:, -1]", "Y[:, -1, :]", "Y[:, -1:]", "Y[-1]", "Y[0]", "Y[1:, 2:5:2]", "Y[..., 0]",
    "Y[:, -1, H:]", "Y[:, 0, H:]", "Y[:, -1, :H]", "Y[:, :, 1:3]", "Y[..., -1, :]", "Y[None, :, -1]", "Y[:, None, 1]",
    "Y[:, L // 2]", "Y[:, -(1 + 1)]", "Y[:, 2*1 - 1]", "Y[:, -1].unsqueeze(0)", "Y[0, 0, 0]", "Y[2:2]", "Y[:, 99:]",
    "Y.transpose(0, 1)[-1]", "Y.permute(1, 0, 2)[0, 1]", "Y.permute((2, 0, 1))[0]", "Y.sum(1)", "Y.mean(dim=1)",
    "Y[:, 1:3].mean(dim=1)", "Y.sum()", "Y.sum(dim=(0, 1))", "Y.mean(1, keepdim=True)[:, 0]", "Y[:, -1:].squeeze(1)",
    "Y[:, 1:3].squeeze(1)", "hn[-1]", "hn[0]", "hn[-2]", "hn[:, 0]", "hn[-1, 1]", "hn[1::2]", "hn[1:3]", "hn[..., :1]",
    "hn.transpose(0, 1)[0]", "torch.cat([hn[-2], hn[-1]], dim=-1)", "torch.cat((hn[-2], hn[-1]), 1)",
    "torch.concat([hn[-2], hn[-1]], dim=-1)", "torch.cat([Y[0, 0, :2], Y[0, 0, :1], Y[0, 0, 1:2]])",
    "torch.stack([hn[0], Y[:, 1, :H]])", "hn[-1] + hn[0]", "hn.view(K, R, N, H)[-1]", "hn.view(K, R, N, H)[0, -1, 1]",
    "hn.view(K, R, -1, H).sum(1)", "Y[None][1:]", "Y.unsqueeze(0)[1:]", "Y.sum(dim=None)", "Y[+1]",
    "Y[:, -1:].squeeze()", "Y.sum(None, keepdim=True)", "Y[:, 1:1].sum(1)", "torch.cat([hn[-2], hn[-1]], dim=-1)[0]",
    "torch.cat([Y, X], dim=-1)[:, 1::2, 2:-2:3]", "torch.cat([Y[:, 1:], Y[:, :1]], 1)[:, -1]",
    "(hn[-1] + hn[0]).mean(1)", "(Y + Y[:, -1:])[:, 1]", "(Y[:1] + Y[:, :1])[1, 2]", "torch.stack([Y, Y], -1)[..., 0]",
    "(Y[0:0] + Y[:1])", "torch.cat([hn, h0], 1).view(K, R, 2 * N, H)[-1, 0, N:]", "X[:, 0]", "X[0, -1]",
    "h0[-1]", "(Y[:, 0])", "(Y + Y[0, 0])[:, 1]", "(Y[0] + Y)[1, :, 1]", "Y[0, 0, 0].flatten()", "Y.flatten(0, 1)[7]",
    "Y.flatten(1, 1)[:, 2]", "Y.flatten(-2)[0, 4]", "Y[:, :, :2].flatten(1)[1, 3]", "Y.flip(2)[..., 1:3]",
    "Y.flip(1)[:, ::4]", "torch.cat([Y[:, 4:], Y, Y[:, :1]], 1)[:, 1::3]", "torch.cat([X, Y], -1)[0, :, 4]",
]  # fmt: skip
WITH_C = ["cn", "cn[-1]", "cn[0, 1]", "c0[-1]", "torch.cat([hn[-1], cn[-1, :, :H]], -1)"]
SPECS = [
    Spec(3, D, K, bidirectional=two, proj_size=proj, cell=cell)
    for two in (False, True)
    for cell, proj in (("LSTM", 0), ("LSTM", P), ("GRU", 0))
]


def read(expression: str, spec: Spec, call: Call) -> Reads:
    """What an expression reads."""
    return Expression.of(expression).reads(Prediction(spec, call))


def is_read(reading: Reads, name: str, k: int, r: int, t: int, n: int) -> bool:
    """Whether X, h0 or c0 is read in row n, of layer k and direction r, at step t."""
    return any(n in rows for rows in reading.rows(name, k, r, t, reading.prediction.call.length(n)))


def check(expression: str, spec: Spec, call: Call) -> int:
    """Hold what is lit against the gradient of the evaluated expression; how many cells there were."""
    cells = Cells(spec, call)
    shape = cells.evaluate(expression)
    assert Expression.of(expression).axes(Prediction(spec, call)).sizes == shape
    reading = read(expression, spec, call)
    count = 0
    for n in range(call.N or 1):
        for t in range(call.L):
            assert is_read(reading, "X", 0, 0, t, n) == cells.reached(cells.x, t, n), ("X", t, n)
            for k in range(spec.K):
                for r in range(spec.R):
                    want = cells.states(k, r, t, n)
                    assert list(reading.states(k, r, t, n)) == want, (k, r, t, n)
                    count += len(want)
        for k in range(spec.K):
            for r in range(spec.R):
                assert [name for name in ("h0", "c0") if is_read(reading, name, k, r, 0, n)] == cells.initial(k, r, n)
    return count


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_lit_cells_are_those_a_gradient_reaches(spec: Spec, lengths: tuple[int, ...] | None) -> None:
    """Every expression of the list, on layers with and without directions, projection, cell state and short rows."""
    call = Call(N, L, lengths)
    expressions = EXPRESSIONS + (WITH_C if spec.cell == "LSTM" else [])
    if lengths:
        expressions += [
            "Y[torch.arange(N), lengths - 1]", "Y[torch.arange(N), lengths - 1, :H][0]",
            "(Y + Y)[torch.arange(N), lengths - 1]", "Y[:, :, None, 1][torch.arange(N), lengths - 1]",
        ]  # fmt: skip
    assert sum(check(expression, spec, call) for expression in expressions) > 100


def test_layout_moves_the_axes() -> None:
    """The same expressions without batch_first, and of one unbatched sequence."""
    spec = Spec(3, D, K, batch_first=False, bidirectional=True)
    for expression in ("Y[-1]", "Y[:, -1]", "Y[0, :, H:]", "hn[-1]", "X[0]"):
        check(expression, spec, Call(N, L))
    check("Y[lengths - 1, torch.arange(N)]", spec, Call(N, L, LENGTHS))
    for expression in ("Y[-1]", "Y[-1, H:]", "hn[-1]", "hn", "X[2]", "h0[0]"):
        check(expression, spec, Call(None, L))


def test_pairs_count_from_what_is_left() -> None:
    """After Y[:, 1:] step length - 1 is a step later: padding for a short row, none at all without room for it."""
    spec, call, own = Spec(3, D), Call(3, 7, (4, 5, 1)), "[torch.arange(N), lengths - 1]"
    assert check(f"Y[:, 1:]{own}", spec, call) == 0
    assert [read(f"Y[:, 1:]{own}", spec, call).padding(n) for n in range(3)] == [True, True, True]
    assert check(f"Y[:, :5]{own}", spec, call) == 3
    with pytest.raises(ShapeError, match=r"an axis of at least 5: lengths - 1, got \(3, 4, 5\)"):
        read(f"Y[:, ::2]{own}", spec, call)
    with pytest.raises(ShapeError, match=r"an axis of at least 3: torch.arange\(N\), got \(1, 7, 5\)"):
        read(f"Y[:1]{own}", spec, call)
    assert [part.own for part in read(f"Y{own}", spec, call).parts] == [True]


@pytest.mark.parametrize(
    "expression",
    ["hn.reshape(N, -1)[0]", "hn.reshape(5, -1)[1::2]", "Y.reshape(-1)[7:60:3]", "Y.reshape(-1)[5:50:10]",
     "Y.flatten(1)[1, 3:17]", "Y.flatten()[::7]", "Y.reshape(9, 10)[2:8:3, 1::4]", "Y.reshape(5, 2, 9)[1:4, 1]",
     "X.reshape(6, 9)[4, ::2]",
     "Y.flip(1)[:, 0]",
     "hn.flip(0)[0]", "Y.flip((0, 1))[1, :2]", "hn.view(N, -1)[1]", "hn.transpose(0, 1).flatten(1)[1]",
     "Y.reshape(N, 2, -1)[:, 0]", "Y[:, 1:].reshape(N, -1)[1, 3]", "Y[torch.arange(N)]", "Y.reshape(-1, 1, 1)[20:40]",
     "Y == hn[-1]", "torch.equal(Y, X)"],
)  # fmt: skip
def test_reshapes_that_cut_axes(expression: str) -> None:
    """A cut through an axis is followed element by element."""
    for lengths in (None, LENGTHS):
        if "=" in expression or "equal" in expression:
            reads = read(expression, SPECS[0], Call(N, L, lengths))
            assert reads.states(K - 1, 0, 1, 0) == ("h",)
        else:
            assert check(expression, SPECS[0], Call(N, L, lengths)) + expression.count("X") > 0


def test_rows_are_told_apart_and_put_together() -> None:
    """Single rows are one part where they are evenly spaced, and only there; a whole reshape is one a direction."""
    call = Call(7, L)
    check("torch.stack([Y[0], Y[1], Y[4]])", SPECS[0], call)
    assert [part.rows for part in read("torch.stack([Y[1], Y[3], Y[5]])", SPECS[0], call).parts] == [range(1, 6, 2)]
    assert len(read("hn.transpose(0, 1).reshape(N, -1)", SPECS[0], call).parts) == 1
    assert len(read("hn.reshape(-1)", SPECS[3], call).parts) == 2


def test_what_is_scattered_is_refused_and_not_truncated() -> None:
    """A reshape that cuts long axes into more pieces than anybody could look at."""
    with pytest.raises(ShapeError, match="whose reshape keeps long axes whole"):
        read("Y.reshape(-1)[3:1000000:5]", Spec(3, 7), Call(N, 10**6))


CLAIMS: list[tuple[str, dict[str, object], bool]] = [
    ("Y[:, -1] == hn[-1]", {}, True), ("Y[:, -1] == hn[-1]", {"bidirectional": True}, False),
    ("Y[:, -1, :H] == hn[-2]", {"bidirectional": True}, True), ("Y[:, 0, H:] == hn[-1]", {"bidirectional": True}, True),
    ("Y[:, -1] == hn[-1]", {"lengths": (4, 2)}, False), ("Y[:, 0] == Y[:, 1]", {"lengths": (1, 1), "L": 3}, False),
    ("Y[:, 1] == Y[:, 2]", {"lengths": (1, 1), "L": 3}, True), ("hn.shape == cn.shape", {}, True),
    ("hn.shape == cn.shape", {"proj_size": 2}, False), ("X.size(0) == N", {}, True), ("X.size(0) == L", {}, False),
    ("Y[0].any()", {}, True), ("Y[:, 2].any()", {"lengths": (1, 1), "L": 3}, False), ("not hn == cn", {}, True),
    ("not X[:, 2].any()", {"lengths": (1, 1), "L": 3}, False), ("hn == hn[None]", {}, False),
    ("hn.view(N, -1) == hn.transpose(0, 1).reshape(N, -1)", {}, False),
    ("hn.transpose(0, 1).flatten(1)[1] == hn[:, 1].flatten()", {}, True),
    ("X.transpose(0, 1)[0] == X[:, 0]", {}, True), ("X.view(L, N, Q)[0] == X[:, 0]", {}, False),
    ("torch.equal(hn.view(K, R, N, H)[-1, 0], Y[:, -1, :H])", {"bidirectional": True}, True),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::lstm_shapes.ScrambledAxesWarning")
@pytest.mark.parametrize(("claim", "options", "holds"), CLAIMS, ids=str)
def test_claims_without_a_number(claim: str, options: dict[str, Any], holds: bool) -> None:
    """Whether both sides are made of the same cells; and torch, on a run, says the same."""
    options = {"L": 4, **({} if "lengths" in options else {"N": 3}), **options}
    assert Expression.of(claim).holds(predict(7, 5, 2, **options)) is holds
    assert Expression.of(claim).value(run(7, 5, 2, **options)) is holds


class Written:
    """Random expressions, of the grammar and a step beyond it: about half of them torch refuses."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def one(self, *options: str) -> str:
        return self.chance.choice(options)

    def dim(self) -> str:
        return self.one("0", "1", "-1", "2", "-2", "(0, 1)", "(0, 0)", "3", "None", "()")

    def number(self) -> str:
        return self.one("0", "1", "-1", "2", "-2", "5", "H", "+1", "L - 1", "-(1 + 1)", "N")

    def item(self) -> str:
        numbers = [self.chance.choice(("", self.number())) for _ in range(2)]
        step = self.one("", "", ":2", ":3")
        return self.one(":", ":", ":".join(numbers) + step, ":".join(numbers), self.number(), "...", "None")

    def index(self) -> str:
        if self.chance.random() < 0.1:
            rows = self.one(
                "torch.arange(N), lengths - 1", "lengths - 1, torch.arange(N)", "lengths - 1", ":, lengths - 1"
            )
            return rows + self.one("", ", 0", ", 1:", ", torch.arange(N)")
        return ", ".join(self.item() for _ in range(self.chance.randint(1, 3)))

    def method(self) -> str:
        return self.one(
            f".sum({self.dim()})", f".mean(dim={self.dim()})", f".sum({self.dim()}, keepdim=True)", ".sum()",
            f".squeeze({self.dim()})", ".squeeze()", f".unsqueeze({self.dim()})", ".transpose(0, 1)",
            ".transpose((0, 1))",
            f".transpose({self.dim()}, 1)", ".permute(1, 0, 2)", ".permute((1, 0))", ".permute(0, 2, 1)", ".permute()",
            ".view(K, R, N, H)", ".view(K, R, -1, H)", ".view(-1, -1, N, H)", ".view(K, R, *Y)", ".sum(keepdim=True)",
            ".sum(1, dim=0)", ".mean(0, True)", ".reshape(N, -1)", ".reshape(-1)", ".reshape(H, -1, 2)",
            ".reshape(9, 10)",
            ".reshape(-1, 4)", ".reshape(2, N, -1)", ".flatten()", ".flatten(1)", ".flatten(0, 1)", ".flatten(1, 0)",
            f".flip({self.dim()})", ".flip(0, 1)", ".view(-1)", ".view(N, -1)", ".view(K * R, -1)", ".view(-1, H, 1)",
        )  # fmt: skip

    def tensor(self, depth: int = 0) -> str:
        kind = self.chance.random()
        if depth > 3 or kind < 0.2:
            return self.one("Y", "X", "hn", "h0", "cn", "c0", "Y", "hn")
        if kind < 0.55:
            return f"{self.tensor(depth + 1)}[{self.index()}]"
        if kind < 0.75:
            return f"{self.tensor(depth + 1)}{self.method()}"
        # Parts of one tensor have a better chance to fit.
        one = self.tensor(depth + 1)
        other = self.one(one, f"{one}[{self.index()}]", f"{one}{self.method()}", self.tensor(depth + 1))
        if kind < 0.85:
            return f"({one} + {other})"
        name = self.one("cat", "stack")
        return f"torch.{name}([{one}, {other}]{self.one('', f', {self.dim()}', f', dim={self.dim()}')})"


SITUATIONS = [
    (SPECS[0], Call(N, L)), (SPECS[3], Call(N, L, LENGTHS)), (SPECS[4], Call(N, 7, (4, 5, 1))),
    (Spec(3, D, K, batch_first=False, bidirectional=True), Call(N, L, LENGTHS)), (Spec(3, D, 1), Call(1, 1)),
    (Spec(3, D, K), Call(None, L)),
]  # fmt: skip


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("situation", range(len(SITUATIONS)))
def test_what_torch_refuses_is_refused(situation: int) -> None:
    """Random expressions: torch raises and so do we, or the light is on exactly what a gradient reaches."""
    spec, call = SITUATIONS[situation]
    written, drawn, seen = Written(random.Random(situation)), 0, 0
    cells = Cells(spec, call)
    while drawn < examples(400):
        expression = written.tensor()
        drawn += 1
        try:
            eval(expression, {}, cells.names())
        except (RuntimeError, IndexError, TypeError, ValueError, SyntaxError, AttributeError):
            with pytest.raises(ShapeError):
                print(expression, read(expression, spec, call))
            continue
        try:
            read(expression, spec, call)
        except ShapeError:
            continue  # torch knows more than the grammar
        check(expression, spec, call)
        seen += 1
    assert seen > drawn / 8


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("torch.stack([X, Y])", r"torch.stack, got \(\(3, 6, 3\), \(3, 6, 5\)\)"),
        ("Y + hn", r"sum of tensors that broadcast.*got \(\(3, 6, 5\), \(2, 3, 5\)\)"),
        ("torch.cat([hn[-1], Y], dim=1)", r"the same axes.*got \(\(3, 5\), \(3, 6, 5\)\)"),
        ("torch.cat([X, Y], dim=1)", r"only along dim=1 .*got \(\(3, 6, 3\), \(3, 6, 5\)\)"),
        ("torch.cat([hn[-2], hn[-1]], dim=9)", "an axis from -2 to 1, got 9"),
        ("torch.stack([hn[-2], hn[-1]], dim=-4)", "an axis from -3 to 2, got -4"),
        ("torch.cat([Y[0, 0, 0], Y[0, 0, 0]])", "at least one"),
        ("Y.sum((0, 0))", "each named once"),
        ("Y.squeeze((0, 0))", "each named once"),
        ("hn.view(-1, -1, N, H)", "one size of -1 at most"),
        ("hn[:, 0:0].view(0, -1)", "no -1 beside a 0"),
        ("Y[2:2][0]", "no index: size 0, got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_shown(expression: str, says: str) -> None:
    """What torch would refuse to join, sum or reshape: the error has the sizes."""
    with pytest.raises(ShapeError, match=says):
        read(expression, Spec(3, D, K), Call(N, L))


@pytest.mark.parametrize(
    "expression",
    ["Y # <script>alert(1)</script>", "Y\x0c[0]", "Y # \x1b[31m", "Y\ufffe", "Y\x07", "Y[\n0]", "Y\t[0]", "Y\\\n[0]",
     "\uff39", "Y[1if 1else 0]", "Y[0x1]", "Y[\u0660]", "Y\ud800"],
)  # fmt: skip
def test_only_plain_characters(expression: str) -> None:
    """A comment or a control character would reach the picture: it is outside the grammar."""
    with pytest.raises(ShapeError, match="of this grammar"):
        read(expression, Spec(3, D, K), Call(N, L))


def test_expression_is_kept_as_python_writes_it() -> None:
    """Blanks and brackets that mean nothing are gone."""
    assert read(" (Y[ :,-1 ])\n", Spec(3, D, K), Call(N, L)).expression == "Y[:, -1]"


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("cat(hn[-2], hn[-1], -1)", "torch.cat([hn[-2], hn[-1]], -1)"),
        ("cat(hn[-2], hn[-1], dim=1)", "torch.cat([hn[-2], hn[-1]], dim=1)"),
        ("stack(hn[0], hn[1])", "torch.stack([hn[0], hn[1]])"),
    ],
)
def test_what_is_joined_may_be_written_without_brackets(short: str, whole: str) -> None:
    """Without `torch.`, for torch itself wants a list."""
    made = run(3, 5, 2, N=2, L=4)
    assert Expression.of(f"{short} == {whole}").holds(made.prediction)
    assert Expression.of(short).axes(made.prediction) == Expression.of(whole).axes(made.prediction)
    assert Expression.of(f"{short} == {whole}").value(made)
    with pytest.raises(ShapeError, match="of this grammar"):
        Expression.of(f"torch.{short}").axes(made.prediction)


def test_a_cells_state_is_its_only_output() -> None:
    """LSTMCell has no Y; its hn is (N, D)."""
    spec = Spec(3, D, cell="LSTMCell")
    assert read("hn[0]", spec, Call(N, 1)).states(0, 0, 0, 0) == ("h",)
    assert read("hn[0]", spec, Call(N, 1)).states(0, 0, 0, 1) == ()
    assert is_read(read("X[1]", spec, Call(N, 1)), "X", 0, 0, 0, 1)
    with pytest.raises(ShapeError, match="a tensor of LSTMCell: X, h0, c0, hn, cn"):
        read("Y[:, -1]", spec, Call(N, 1))
    with pytest.raises(ShapeError, match="a tensor of GRU: X, h0, Y, hn"):
        read("cn[-1]", Spec(3, D, cell="GRU"), Call(N, L))


def test_reading_costs_nothing_however_long() -> None:
    """Ranges, not elements: a billion steps are as quick as six."""
    reading = read("Y[:, 1::2]", Spec(3, D, 4), Call(2, 10**9))
    assert reading.states(3, 0, 10**9 - 1, 1) == ("h",)
    assert reading.states(3, 0, 10**9 - 2, 1) == ()


def test_a_reshape_that_keeps_long_axes_whole_costs_nothing_either() -> None:
    """Axes that hold the same elements before and after are looked at by themselves."""
    spec, call = Spec(3, D), Call(2, 10**6)
    for expression in ("Y.reshape(N, L // 2, 2, D)[..., 0]", "Y.reshape(N, 1, L // 4, 4, 1, D)[..., :2]"):
        assert read(expression, spec, call).states(0, 0, 10**6 - 1, 1) == ("h",)


def test_padding_is_noticed() -> None:
    """Y[:, -1] of a short row reads zeros that nobody computed; the row's own last step does not."""
    call = Call(N, L, LENGTHS)
    assert [read("Y[:, -1]", Spec(3, D), call).padding(n) for n in range(N)] == [True, False, True]
    assert not read("Y[torch.arange(N), lengths - 1]", Spec(3, D), call).padding(0)


@pytest.mark.parametrize(
    "expression",
    [
        "", "Z", "Y[", "1", "Y.exp()", "Y @ Y", "Y - Y", "Y[lambda: 0]", "Y['a']", "Y[0.5]", "Y[True]", "Y[x]",
        "__import__('os').system('true')", "Y.__class__", "hn.shape == 3",
        "X.size(0) == Y", "not Y", "not Y.shape", "Y == hn == cn", "Y.any(0)", "(lambda: Y)()", "torch.load('f')",
        "torch.cat(Y)",
        "torch.cat([])", "torch.cat([Y], out=Y)", "Y[1//0]", "Y[2**3]", "Y.sum(0, 1, 2)", "Y.sum(keepdim=N)",
        "Y.transpose(0)", "Y.permute(dims=0)", "[Y for Y in X]", "Y if X else X", "f'{Y}'", "Y; X",
        "Y\x00", "Y" + "[0:]" * 80, "(" * 200 + "Y" + ")" * 200, "Y" * 400,
        " + ".join("Y" * 60), "Y.sum(1)[y]", "Y[:, P_]", "Y.sum(1, keepdim=1)", "Y.sum(1, keepdim=N)", "Y.exp(1, 2)",
        "Y.transpose(0, 1, 2)", "Y.reshape(1, x=2)", "Y.flatten(x=1)", "Y[P // P]", "Y[:, -9223372036854775809:]",
    ],
)  # fmt: skip
def test_what_is_outside_the_grammar_is_refused_with_the_grammar(expression: str) -> None:
    """No call, attribute, name or operator beyond the list; the error shows the list."""
    with pytest.raises(ShapeError, match="of this grammar") as caught:
        read(expression, Spec(3, D, K), Call(N, L))
    assert GRAMMAR in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("Y[3]", "an index from -3 to 2 on axis N"), ("Y[:, :, :, 0]", "at most 3 indices"),
        ("Y[..., ...]", "at most 3 indices"), ("Y[:, ::-1]", "a step of at least 1"), ("Y[:, ::0]", "a step of at"),
        ("Y.permute(0, 0, 1)", "each of the 3 axes once"), ("Y.sum(5)", "an axis from -3 to 2"),
        ("Y.unsqueeze(9)", "an axis from -4 to 3"), ("hn.view(N, 4)", "as many elements as .* has, 30"),
        ("Y.view(N, -1)", "write reshape"), ("hn.transpose(0, 1).view(N, -1)", "write reshape"),
        ("Y[torch.arange(N), lengths - 1]", "without lengths"), ("Y.flatten(2, 1)", "the first axis to join"),
        ("hn[torch.arange(N), 0]", "an axis of at least 3"), ("Y[torch.arange(N), :, torch.arange(N)]", "beside"),
        ("Y.flip(0, 0)", "each named once"), ("Y.sum(3)", "an axis from -3 to 2, got 3"),
        ("Y.reshape(9, 10)[0, 10]", "an index from -10 to 9 on axis 1, got 10"),
        ("Y[None][1]", "from -1 to 0 on axis 0"),
        ("Y.reshape(-2, -45)", "as many elements"), ("Y.reshape(-1, 4)", "as many elements as .* has, 90, with one"),
        ("Y[0, 0, 0].flatten(1)", "an axis from -1 to 0, got 1"), ("Y.flatten(0, 1, 2)", "the first axis to join"),
        ("Y.view(9, 2, 5)", "write reshape"), ("Y.view(3, 12, 5)", "as many elements"), ("Y.view(90)", "write reshape"),
        ("Y[:, :2].view(6, 5)", "write reshape"), ("Y.view(3, 2, 15)", "write reshape"), ("Y.sum(())", "once, got ()"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(expression: str, says: str) -> None:
    """In the grammar, but not of this layer: the error names the rule."""
    with pytest.raises(ShapeError, match=says):
        read(expression, Spec(3, D, K), Call(N, L))


def test_limits_of_an_expression() -> None:
    """300 characters, tensors 40 deep, indices of 63 bits, numbers that this call has."""
    for fits, too_much in [
        (f"Y[{'0 + ' * 74}0]", f"Y[{'0 + ' * 74}10]"),
        (f"Y{'[:]' * 40}", f"Y{'[:]' * 41}"),
        ("Y[:, 9223372036854775807:]", "Y[:, 9223372036854775808:]"),
        ("Y[:, -9223372036854775807:]", "Y[:, -9223372036854775808 - 1:]"),
        ("Y[-L]", "Y[-N]"),
    ]:
        read(fits, ONE, Call(None, L) if "L" in fits else Call(N, L))
        with pytest.raises(ShapeError, match="of this grammar"):
            read(too_much, ONE, Call(None, L))


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ("3, 2, 3, 5", ("N", "?", "?", "D")), ("3, 3, 2, 5", ("N", "?", "?", "D")), ("3, 6, 5", ("N", "L", "D")),
        ("3, 6, 5, 1", ("N", "L", "D", "1")), ("1, 3, 6, 1, 5", ("1", "N", "L", "1", "D")),
        ("N, 3, -1, D", ("N", "?", "?", "D")),
    ],
)  # fmt: skip
def test_views_that_join_no_axes(sizes: str, names: tuple[str, ...]) -> None:
    """Cut or with new axes of size 1, Y may lie in memory as it likes."""
    assert Expression.of(f"Y.view({sizes})").axes(Prediction(ONE, Call(N, L))).names == names
    check(f"Y.view({sizes})[0]", ONE, Call(N, L))


def test_nothing_but_a_string_is_an_expression() -> None:
    """An object with a clever repr is no expression."""
    with pytest.raises(ShapeError, match="of this grammar"):
        read(random, Spec(3, D), Call(N, L))  # type: ignore[arg-type]


ONE, THREE, TWO_WAY, STEP = Spec(3, D, K), Spec(3, D, 3), Spec(3, D, K, bidirectional=True), Spec(3, D, cell="LSTMCell")
ALIKE, SHORT = Call(3, 9), Call(3, 9, (4, 9, 1))
ENDS = "h of layer 1 at t=8, of row n=0 only; h of layer 1 at t=0, of row n=1 only"
OWN = "each row's last step"
ITEMS = "; ".join(f"h of layer 1 at t={t}, of row n={n} only" for t, n in (("0 and 2", 0), ("1 and 4", 1), (7, 2)))


@pytest.mark.parametrize(
    ("expression", "spec", "call", "says"),
    [
        ("Y[:, ::2]", ONE, ALIKE, "h of layer 1 at t=0, 2, …, 8."),
        ("Y[:, ::3]", ONE, ALIKE, "h of layer 1 at t=0, 3, 6."),
        ("Y[:, :2]", ONE, ALIKE, "h of layer 1 at t=0 and 1."),
        ("Y[:, 2:5]", ONE, ALIKE, "h of layer 1 at t=2 to 4."),
        ("Y", ONE, ALIKE, "h of layer 1 at every step."),
        ("Y", ONE, Call(1, 1), "h of layer 1 at t=0."),
        ("Y[1:]", ONE, ALIKE, "h of layer 1 at every step, of rows n=1 and 2 only."),
        ("hn", ONE, ALIKE, "h of every layer at t=8."),
        ("hn[:2]", THREE, ALIKE, "h of layers 0 and 1 at t=8."),
        ("hn[0]", ONE, ALIKE, "h of layer 0 at t=8."),
        ("hn", ONE, SHORT, f"h of every layer at {OWN}."),
        ("hn", TWO_WAY, ALIKE, "h of every layer in both directions at t=8 (forward) and t=0 (reverse)."),
        ("hn[:2]", TWO_WAY, SHORT, f"h of layer 0 in both directions at {OWN} (forward) and t=0 (reverse)."),
        ("hn[-1]", TWO_WAY, ALIKE, "h of layer 1 reverse at t=0."),
        ("hn[-2]", TWO_WAY, ALIKE, "h of layer 1 forward at t=8."),
        ("Y[:, -1]", TWO_WAY, ALIKE, "h of layer 1 in both directions at t=8."),
        ("Y[:, -1, D:]", TWO_WAY, ALIKE, "h of layer 1 reverse at t=8."),
        ("torch.cat([hn, cn])", ONE, ALIKE, "h+c of every layer at t=8."),
        ("torch.cat([Y[0, 8], hn[-1, 0]])", ONE, ALIKE, "h of layer 1 at t=8, of row n=0 only."),
        ("X", ONE, ALIKE, "X at every step."),
        ("X[:, 0]", ONE, ALIKE, "X at t=0."),
        ("h0", ONE, ALIKE, "h0 of every layer."),
        ("h0[0]", TWO_WAY, ALIKE, "h0 of layer 0 forward."),
        ("hn", STEP, Call(3, 1), "h after the step."),
        ("X", STEP, Call(3, 1), "X."),
        ("torch.cat([Y[0, 0], Y[1, 1], Y[0, 2], Y[1, 4], Y[2, 7]])", ONE, ALIKE, f"{ITEMS}."),
        ("Y.reshape(-1)[:45]", ONE, ALIKE, "h of layer 1 at every step, of row n=0 only."),
        ("Y.reshape(-1)[40:50]", ONE, ALIKE, f"{ENDS}."),
        ("Y.reshape(-1)[42:92]", ONE, ALIKE, f"{ENDS[:-6]}2 only; h of layer 1 at every step, of row n=1 only."),
        ("Y.shape == hn.shape", ONE, ALIKE, "no cell, no input and no initial state."),
    ],
)  # fmt: skip
def test_what_is_read_is_said(expression: str, spec: Spec, call: Call, says: str) -> None:
    """Which state of which layers and directions, at which steps, of which rows; and where it is padding."""
    reads = read(expression, spec, call)
    assert "; ".join(reads_in_words(reads)) == f"{reads.expression} reads {says}"


@pytest.mark.parametrize(
    ("step", "lengths", "says"),
    [
        (-1, (4, 9, 1), "Beyond their own length rows 0, 2 hold zeros: "),
        (3, (4, 9, 1), "Beyond its own length row 2 holds zeros: "),
        (4, (1, 2, 3, 4, 5, 6, 7, 9), "Beyond their own length rows 0, 1, 2, 3 hold zeros: "),
        (-1, (1, 2, 3, 4, 5, 9), "Beyond their own length rows 0, 1, 2, 3, 4 hold zeros: "),
        (-1, (1, 2, 3, 4, 5, 6, 9), "Beyond their own length rows 0, 1, 2, 3, 4, … hold zeros: "),
    ],
)
def test_rows_of_which_padding_is_read_are_named(step: int, lengths: tuple[int, ...], says: str) -> None:
    """Five of them at most."""
    _, padded = reads_in_words(read(f"Y[:, {step}]", ONE, Call(len(lengths), 9, lengths)))
    assert padded == f"{says}there the expression reads padding."


def test_of_many_parts_four_are_told_and_the_rest_counted() -> None:
    """Steps of one row that are not evenly spaced are parts of their own."""
    steps = [0, 2, 5, 6, 8]
    (four,) = reads_in_words(read(f"torch.cat([{', '.join(f'Y[0, {t}]' for t in steps[:4])}])", ONE, ALIKE))
    (five,) = reads_in_words(read(f"torch.cat([{', '.join(f'Y[0, {t}]' for t in steps)}])", ONE, ALIKE))
    assert four.endswith("; h of layer 1 at t=6, of row n=0 only.")
    assert five.endswith("; h of layer 1 at t=6, of row n=0 only; and 1 more.")


def test_of_the_row_that_is_drawn_it_is_said_if_nothing_is_read() -> None:
    """And only then."""
    reads = read("Y[0]", ONE, ALIKE)
    assert [len(reads_in_words(reads, n)) for n in range(3)] == [1, 2, 2]
    assert reads_in_words(reads, 1)[1] == "Nothing of it is in row n=1, which is drawn."
    assert len(reads_in_words(read("Y.shape == hn.shape", ONE, ALIKE), 1)) == 1


def test_what_a_drawing_leaves_out() -> None:
    """Layers, steps and rows that are read and not among those that are drawn."""
    hn, Y, X = (read(name, THREE, ALIKE) for name in ("hn", "Y", "X"))
    assert hn.hidden((0, 1), (8,), None) == ("layers",)
    assert hn.hidden((0, 1, 2), (8,), (0, 1, 2)) == ()
    assert hn.hidden((0, 1, 2), (0, 1), (0, 1)) == ("steps", "rows")
    assert Y.hidden((0, 1), range(9), (0, 1, 2)) == ("layers",)
    assert Y.hidden((2,), range(8), None) == ("steps",)
    assert Y.hidden((2,), range(9), None) == ()
    assert X.hidden((), range(8), None) == ("steps",)
    assert read("h0", THREE, ALIKE).hidden((0, 1, 2), (), None) == ()
    assert read("Y[1]", THREE, ALIKE).hidden((0,), (), (0,)) == ("rows",)
    short = read("Y", THREE, SHORT)
    assert short.hidden((2,), range(4), (0,)) == ("rows",)
    assert short.hidden((2,), range(3), (0, 1, 2)) == ("steps",)
    assert read("Y[2, 5]", THREE, SHORT).hidden((2,), (), (0,)) == ()


def test_padding_is_asked_of_a_row_and_of_a_step() -> None:
    """Row 0 of length 4 has steps 0 to 3; what is X's is never padding."""
    reads = read("Y[:2]", ONE, SHORT)
    assert [reads.padding(0, t) for t in (0, 3, 4, 8, 9)] == [False, False, True, True, False]
    assert [reads.padding(n) for n in range(3)] == [True, False, False]
    assert not read("X", ONE, SHORT).padding(0)
