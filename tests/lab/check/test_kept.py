"""What a program keeps from call to call, what it never reads, and layers that never recur."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.lab.check import Report, check
from lstm_shapes.lab.check._experiments import Experiments
from lstm_shapes.lab.check._rules_states import second_call_of

N, L, Q, D = 5, 7, 4, 6


class Keeps(nn.Module):
    """Keeps its state, in the way that is asked for."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.rnn = nn.GRU(Q, D, batch_first=True)
        self.state: Any = None
        self.how = how

    def forward(self, x: Tensor) -> Any:
        out, state = self.rnn(x, self.state)
        if self.how != "nothing":
            self.state = state if self.how == "graph" else state.detach()
        return out[:, -1]


class Resets(Keeps):
    def reset(self) -> None:
        self.state = None


@pytest.mark.parametrize(("how", "kind"), [("nothing", "nothing"), ("graph", "graph"), ("state", "state")])
def test_a_second_call(how: str, kind: str) -> None:
    """Nothing kept, a state kept, a state kept with its graph; the model is as it was in the end."""
    model = Keeps(how)
    lab = Experiments(model, (torch.randn(N, L, Q),), {})
    try:
        assert lab.ask(second_call_of).kind == kind
    finally:
        lab.close()
    assert model.state is None


def levels(report: Report) -> dict[str, str]:
    return {finding.code: finding.level for finding in report.findings}


def test_what_a_kept_state_is_called() -> None:
    """With its graph an error, detached without a reset a warning, with a reset nothing that counts."""
    x = torch.randn(N, L, Q)
    assert levels(check(Keeps("graph"), x)) == {"LS109": "error"}
    assert levels(check(Keeps("state"), x)).get("LS211") == "warning"
    assert check(Resets("state"), x).ok
    assert not check(Resets("state"), x).warnings
    assert not check(Keeps("nothing"), x).findings


# ---------------------------------------------------------------------- what is never read
def test_an_argument_that_is_never_read() -> None:
    """Named, as a warning; an argument that is asked for its size, or decides, is read."""

    def unread(x: Tensor, mask: Tensor) -> Any:
        return x * 2

    def asked(x: Tensor, mask: Tensor) -> Any:
        return x * mask.size(1)

    def decides(x: Tensor, mask: Tensor) -> Any:
        return x * 2 if bool(mask.any()) else x

    def batch(given: dict[str, Tensor]) -> Any:
        return given["x"] * 2

    x, mask = torch.randn(N, Q), torch.ones(N, Q)
    report = check(unread, x, mask)
    assert levels(report) == {"LS213": "warning"}
    assert "mask is never read" in report.warnings[0].title
    assert not check(asked, x, mask).warnings
    assert not check(decides, x, mask).warnings
    assert not check(batch, {"x": x, "target": mask}).warnings, "the loss outside may read the rest of a batch"


@pytest.mark.parametrize("axis", [0, 1])
def test_a_loop_over_the_batchs_size(axis: int) -> None:
    """range(x.size(0)) for the steps takes N of L; range(x.size(1)) takes all."""
    cell = nn.GRUCell(Q, D)

    def model(x: Tensor) -> Any:
        h = torch.zeros(x.size(0), D)
        for t in range(x.size(axis)):
            h = cell(x[:, t], h)
        return h

    report = check(model, torch.randn(N, L, Q))
    assert report.ok is (axis == 1), str(report)
    assert axis == 1 or report.codes == ("LS213",)


def test_only_the_first_step() -> None:
    """Nothing but step 0 of the input moves the result."""
    head = nn.Linear(Q, 3)
    report = check(lambda x: head(x[:, 0]), torch.randn(N, L, Q))
    assert "LS213" in report.codes
    assert check(lambda x: head(x[:, -1]), torch.randn(N, L, Q)).ok


# ---------------------------------------------------------------------- recurrence
def test_a_state_that_is_never_passed_on() -> None:
    """A loop of one-step calls, each from zero; with the state passed on it is right."""
    rnn, cell = nn.GRU(Q, D, batch_first=True), nn.GRUCell(Q, D)

    def forgets(x: Tensor) -> Any:
        return torch.cat([rnn(x[:, t : t + 1])[0] for t in range(x.size(1))], 1)

    def goes_on(x: Tensor) -> Any:
        h, out = None, []
        for t in range(x.size(1)):
            y, h = rnn(x[:, t : t + 1], h)
            out.append(y)
        return torch.cat(out, 1)

    def cells_forget(x: Tensor) -> Any:
        return torch.stack([cell(step) for step in x.unbind(1)], 1)

    x = torch.randn(N, L, Q)
    assert "LS210" in check(forgets, x).codes
    assert "LS210" in check(cells_forget, x).codes
    assert not check(goes_on, x).findings


def test_a_window_given_as_features() -> None:
    """(N, L) as one step of L features: the recurrence never happens."""
    rnn = nn.LSTM(L, D, batch_first=True)
    report = check(lambda x: rnn(x.unsqueeze(1))[0][:, -1], torch.randn(N, L))
    assert "LS210" in report.codes


def test_a_decoder_that_is_fed_all_steps_but_the_last_is_right() -> None:
    """With N + 1 steps it takes N of them, by chance."""
    table, cell = nn.Embedding(17, 4), nn.GRUCell(4, 5)

    def model(target: Tensor) -> Tensor:
        h, steps = torch.zeros(target.size(0), 5), []
        word = torch.zeros(target.size(0), dtype=torch.long)
        for t in range(target.size(1)):
            h = cell(table(word), h)
            steps.append(h)
            word = target[:, t]
        return torch.stack(steps, dim=1)

    assert check(model, torch.randint(0, 17, (6, 7))).ok
