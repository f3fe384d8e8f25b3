"""Samples replaced one at a time: what is found at its line, what is on purpose, what cannot be tested and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstm_shapes.lab.check import Report, check
from lstm_shapes.lab.check._experiments import Experiments
from lstm_shapes.lab.check._samples import chosen, other_rows, samples_of, tracks_of
from tests.lab.check.right_programs import Program

N, L, Q, D = 5, 7, 4, 6


def lab(model: Callable[..., Any], *inputs: Any, batch_dim: int | None = 0) -> Experiments:
    return Experiments(model, inputs, {}, batch_dim)


def line(report: Report) -> str:
    """The source of the line that is accused."""
    where = report.errors[0].where
    assert where is not None, str(report)
    return where.source


# ---------------------------------------------------------------------- which samples, which runs
@pytest.mark.parametrize(("count", "samples"), [(2, (0, 1)), (4, (0, 1, 2, 3)), (5, (0, 1, 4)), (40, (0, 1, 39))])
def test_which_samples_are_replaced(count: int, samples: tuple[int, ...]) -> None:
    """All of a small batch, else the first two and the last."""
    assert chosen(count) == samples


def test_a_right_program_takes_few_runs() -> None:
    """One baseline and one run for each sample that is replaced, then nothing more is asked."""
    rnn = nn.LSTM(Q, D, batch_first=True)
    experiments = lab(lambda x: rnn(x)[0], torch.randn(N, L, Q))
    samples = experiments.ask(samples_of)
    assert samples.kind == "apart"
    assert experiments.runs == 4
    assert experiments.ask(samples_of) is samples
    assert experiments.runs == 4


def test_tracks_of_every_tensor() -> None:
    """Where each sample lies between input and result, also in a program that is right."""
    rnn = nn.LSTM(Q, D)
    experiments = lab(lambda x: rnn(x.transpose(0, 1))[0].transpose(0, 1), torch.randn(N, L, Q))
    tracks = experiments.ask(tracks_of)
    kernel = next(call for call in experiments.baseline.calls if call.name == "lstm")
    layout = tracks.layout(kernel.outputs[0])
    assert layout is not None
    assert layout.axis == 1
    assert tracks.track(experiments.results[0][1]).in_place()


@pytest.mark.parametrize(
    ("model", "x", "batch_dim", "why"),
    [
        (lambda x: x * 2, torch.randn(1, Q), 0, "N = 1"),
        (lambda x: x * 2, torch.randn(N, Q), None, "no batch axis"),
        (lambda x: 3, torch.randn(N, Q), 0, "nothing that came back is a tensor"),
        (lambda x: x * 2, torch.randn(N, Q) > 0, 0, "no input has a batch axis whose samples could be replaced"),
        (lambda x: x + torch.rand(1).item() * id(object()), torch.randn(N, Q), 0, ""),
    ],
)
def test_what_cannot_be_tested_is_said(model: Any, x: Tensor, batch_dim: int | None, why: str) -> None:
    """No accusation without evidence, and the reason."""
    report = check(model, x, batch_dim=batch_dim)
    assert report.ok, str(report)
    if why:
        assert any(why in item for item in report.not_tested), str(report)


# ---------------------------------------------------------------------- bugs at their line
WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "softmax": (lambda m, h: torch.softmax(h, dim=0), "softmax"),
    "softmax of a module": (lambda m, h: nn.Softmax(0)(h), "Softmax"),
    "mean": (lambda m, h: h - h.mean(0), ".mean(0)"),
    "maximum": (lambda m, h: h / h.amax(0, keepdim=True), ".amax(0"),
    "norm": (lambda m, h: F.normalize(h, dim=0), "normalize"),
    "cumsum": (lambda m, h: h.cumsum(0), ".cumsum(0)"),
    "product of rows": (lambda m, h: torch.matmul(h @ h.transpose(0, 1), h), "@"),
    "index": (lambda m, h: h * h[0], "h[0]"),
    "roll": (lambda m, h: h + h.roll(1, 0), ".roll(1, 0)"),
    "flip": (lambda m, h: h.flip(0), ".flip(0)"),
    "cat and view": (lambda m, h: torch.cat((h, h * 2), 0).view(h.size(0), -1), ".view("),
    "stack and view": (lambda m, h: torch.stack((h, h * 2)).view(h.size(0), -1), ".view("),
    "gates for chunk": (lambda m, h: m.gates(h).view(4, h.size(0), -1)[0], ".view(4"),
    "instance norm": (lambda m, h: F.instance_norm(h.t().unsqueeze(0)).squeeze(0).t(), "instance_norm"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", [1, 9])
def test_samples_that_meet_in_a_head_are_found_at_the_line(name: str, seed: int) -> None:
    """Whatever works along the batch behind a right layer: an error at that line, and not at the layer's."""
    torch.manual_seed(seed)
    wrong, source = WRONG[name]

    def run(m: Any, x: Tensor) -> Any:
        h = m.rnn(x)[0][:, -1]
        return m.head(wrong(m, h)) if name not in ("cat and view", "stack and view") else wrong(m, h)

    parts = {"rnn": nn.LSTM(Q, 8, batch_first=True), "gates": nn.Linear(8, 32), "head": nn.Linear(8, 3)}
    report = check(Program(run, **parts), torch.randn(N, L, Q))
    assert not report.ok
    assert source in line(report), str(report)
    assert report.errors[0].code in ("LS201", "LS202", "LS214")


@pytest.mark.parametrize(("K", "count"), [(2, 6), (2, 4), (4, 8), (3, 3)])
def test_a_state_viewed_as_rows_is_found_at_any_sizes(K: int, count: int) -> None:
    """hn.view(N, -1): also where K divides N, and where the two are equal."""
    rnn = nn.GRU(Q, D, K, batch_first=True)

    def model(x: Tensor) -> Any:
        _, hn = rnn(x)
        return hn.view(x.size(0), -1)

    report = check(model, torch.randn(count, L, Q))
    assert not report.ok
    assert ".view(" in line(report)


@pytest.mark.parametrize("count", [3, 7])
def test_an_axis_that_is_as_long_as_the_batch_by_chance(count: int) -> None:
    """Steps with all samples side by side are no rows, also where L == N: one sample more leaves that axis alone."""
    rnn = nn.GRU(Q, D)

    def model(x: Tensor) -> Any:
        out, _ = rnn(x.transpose(0, 1))
        return out.reshape(out.size(0), -1)

    assert check(model, torch.randn(count, 3, Q)).ok
    assert check(lambda x: nn.functional.linear(x.reshape(-1, Q), torch.ones(count, Q)), torch.randn(count, 4, Q)).ok


def test_beams_in_two_orders() -> None:
    """States repeated beam by beam beside rows repeated sample by sample."""

    def run(m: Any, x: Tensor, tiled: bool) -> Any:
        _, h = m.encode(x)
        h = h.repeat(1, 3, 1) if tiled else h.repeat_interleave(3, 1)
        rows = x[:, -1].repeat_interleave(3, 0).unsqueeze(1)
        return m.decode(rows, h)[0].view(x.size(0), 3, -1)

    model = Program(run, encode=nn.GRU(Q, D, batch_first=True), decode=nn.GRU(Q, D, batch_first=True))
    assert check(model, torch.randn(N, L, Q), False).ok
    assert not check(model, torch.randn(N, L, Q), True).ok


@pytest.mark.parametrize("batch_dim", [0, 1])
def test_the_layer_that_reads_the_batch_as_time(batch_dim: int) -> None:
    """LS201 with the batch on either axis, and right where the layer agrees."""
    for batch_first in (True, False):
        rnn = nn.LSTM(Q, D, batch_first=batch_first)
        x = torch.randn(N, L, Q) if batch_dim == 0 else torch.randn(L, N, Q)
        report = check(lambda x, rnn=rnn: rnn(x)[0], x, batch_dim=batch_dim)
        assert report.ok is (batch_first == (batch_dim == 0))
        assert report.ok or report.codes == ("LS201",)


@pytest.mark.parametrize("fixed", [False, True], ids=["any batch", "a fixed batch"])
def test_a_view_whose_axis_of_n_holds_no_samples(fixed: bool) -> None:
    """N divides L, so the view cuts no sample: one sample more shows it, or one step more where no other N runs."""
    rnn, h0 = nn.GRU(Q, D, batch_first=True), torch.zeros(1, N, D) if fixed else None

    def model(x: Tensor) -> Tensor:
        y: Tensor = rnn(x, h0)[0]
        return y.reshape(y.size(1), y.size(0), D)

    assert check(model, torch.randn(N, 2 * N, Q)).codes == ("LS202",)


# ---------------------------------------------------------------------- on purpose, or not proved
def test_an_order_that_is_returned_is_no_fault() -> None:
    """Rows sorted by length are an error alone, and none with the order beside them."""
    lengths = torch.tensor([3, 7, 2, 5, 4])
    x = torch.randn(N, L, Q)

    def alone(x: Tensor, n: Tensor) -> Any:
        order = n.argsort(descending=True)
        return x[order] * 2

    def beside(x: Tensor, n: Tensor) -> Any:
        order = n.argsort(descending=True)
        return x[order] * 2, order

    assert check(alone, x, lengths).codes == ("LS214",)
    assert check(beside, x, lengths).ok


def test_a_sum_of_all_rows_at_the_end_is_no_fault() -> None:
    """A loss, a mean of a loss, a norm of everything."""
    head = nn.Linear(Q, 3)
    x = torch.randn(N, Q)
    for end in (torch.sum, torch.mean, torch.linalg.vector_norm, lambda y: y.pow(2).sum(1).mean()):
        assert check(lambda x, end=end: end(head(x)), x).ok


def test_statistics_by_hand_are_a_warning() -> None:
    """Advantages standardised over the batch: said, and no error."""
    report = check(lambda x: (x - x.mean(0)) / (x.std(0) + 1e-5), torch.randn(N, Q))
    assert report.ok
    assert report.warnings
    assert "standardises over the batch" in report.warnings[0].title


def test_noise_accuses_nobody() -> None:
    """Draws that cannot be repeated: samples are not tested, and no row is accused."""
    secret = iter(range(1, 10**6))
    report = check(lambda x: x + next(secret), torch.randn(N, Q))
    assert report.ok


# ---------------------------------------------------------------------- runs with other sizes
@pytest.mark.parametrize(
    ("model", "own"),
    [
        (lambda x: x.cumsum(1), True),
        (lambda x: x.transpose(0, 1).flip(0), True),
        (lambda x: x * len(x), False),
        (lambda x: x + torch.arange(len(x))[:, None, None], False),
    ],
)
def test_rows_of_a_larger_batch(model: Callable[[Tensor], Tensor], own: bool) -> None:
    """With one sample more in front a row is what it was, unless it depends on its place or on how many there are."""
    experiments = lab(model, torch.randn(N, L, Q))
    places = {k: [k + 1] for k in range(N)}
    given = experiments.inputs.wider(1, front=True)
    rows = other_rows(experiments, given, experiments.ask(tracks_of), None, places, N + 1)
    result = experiments.results[0][1].index
    assert (result in rows.differing) is not own
    assert rows.error is None


@pytest.mark.parametrize(("model", "own"), [(lambda x: x.cumsum(1), True), (lambda x: x.sum(1), False)])
def test_rows_of_a_batch_with_fewer_steps(model: Callable[[Tensor], Tensor], own: bool) -> None:
    """Of a cut batch a row is compared as far as it goes."""
    experiments = lab(model, torch.randn(N, L, Q))
    given = experiments.inputs.cut({0: (1,)}, 3, {})
    rows = other_rows(experiments, given, experiments.ask(tracks_of), None, {1: [1]}, N, cut=True)
    assert (experiments.results[0][1].index in rows.differing) is not own


def test_what_does_not_run_with_other_sizes_is_said() -> None:
    """The exception comes back; nothing is accused."""
    experiments = lab(lambda x: x.view(N, L * Q), torch.randn(N, L, Q))
    samples = experiments.ask(tracks_of)
    rows = other_rows(experiments, experiments.inputs.wider(1), samples, None, {0: [0]}, N + 1)
    assert isinstance(rows.error, RuntimeError)
    assert not rows.differing


@pytest.mark.parametrize(
    ("read", "code", "says"),
    [
        (lambda rnn, x: rnn(x)[1][:, 0], "LS205", "works on axis 1 of hn, which is the batch"),
        (lambda rnn, x: torch.softmax(rnn(x)[0], 0), "LS201", "softmax(dim=0) runs along the batch"),
        (lambda rnn, x: rnn(x)[1].view(N, -1), "LS202", "view cuts across the samples"),
        (lambda rnn, x: rnn(x)[0].flip(0) + x.mean(2, keepdim=True), "LS214", "rows that were sorted"),
    ],
)
def test_what_a_call_does_to_the_samples_is_said_with_its_evidence(
    read: Callable[[nn.GRU, Tensor], Tensor], code: str, says: str
) -> None:
    """One finding for each thing that a call may do, with the matrix of what moved."""
    rnn = nn.GRU(Q, D, 2, batch_first=True)
    errors = [finding for finding in check(lambda x: read(rnn, x), torch.randn(N, L, Q)).errors if finding.code == code]
    assert len(errors) == 1
    assert says in errors[0].title
    assert errors[0].evidence[0].did == "replaced one sample at a time"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("rows", [range(N - 1), range(1, N)])
def test_a_loop_over_samples_that_forgets_one_is_accused(rows: range, first: bool) -> None:
    """Rows that each hold one sample are right only if together they hold all, and none of them holds two."""
    rnn = nn.LSTM(Q, D, batch_first=first)

    def model(x: Tensor) -> list[Tensor]:
        out = rnn(x)[0]
        return [out[j] for j in (rows if first else range(N))]

    assert check(model, torch.randn(N, L, Q)).codes == ("LS201",)
