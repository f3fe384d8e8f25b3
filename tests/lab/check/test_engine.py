"""The parts of check by themselves: what a reshape can mean, where samples lie, what comes back as data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.lab.check_old import Evidence, Finding, Report, Where, check, explain_exception
from lstm_shapes.lab.check_old.record import Recorder
from lstm_shapes.lab.check_old.regroup import cuts, out_of_order
from lstm_shapes.lab.check_old.samples import of_layer, of_result
from lstm_shapes.lab.check_old.values import broadcast, differs, leaves


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ((4, 10, 6), (10, 4, 6), True),
        ((2, 4, 5), (4, 10), True),
        ((4, 3, 8, 11), (4, 11, 24), True),
        ((4, 10, 6), (40, 6), False),
        ((40, 6), (4, 10, 6), False),
        ((4, 1, 6), (4, 6), False),
        ((4, 10, 6), (4, 5, 12), False),
    ],
)
def test_out_of_order(before: tuple[int, ...], after: tuple[int, ...], wrong: bool) -> None:
    """A new shape that is the old axes in another order is no reshape; merging and splitting neighbours is."""
    assert out_of_order(before, after) is wrong


def test_cuts() -> None:
    """A boundary inside an axis at a place that does not divide it."""
    assert cuts((5, 2, 4), (2, 5, 4))
    assert not cuts((4, 10, 6), (40, 6))


def flags(shape: tuple[int, ...], *cells: tuple[int | slice, ...]) -> Tensor:
    """True at the given cells."""
    found = torch.zeros(shape, dtype=torch.bool)
    for cell in cells:
        found[cell] = True
    return found


EVERY = slice(None)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([(0,), (1,)], "right"),
        ([(1,), (0,)], "permuted"),
        ([(EVERY, 0), (EVERY, 1)], "swapped"),
        ([(slice(0, 2), slice(0, 2)), (slice(1, 3), slice(2, 4))], "scrambled"),
        ([(slice(0, 2),), (slice(1, 3),)], "blended"),
    ],
)
def test_samples_in_a_layer(cells: list[tuple[int | slice, ...]], kind: str) -> None:
    """How two samples share the rows (N=3, L=4) that a layer reads."""
    assert of_layer({i: flags((3, 4, 2), cell) for i, cell in enumerate(cells)}).kind == kind


@pytest.mark.parametrize(
    ("shape", "cells", "kind", "axis"),
    [
        ((3, 5), [[(0,)], [(1,)]], "right", 0),
        ((5, 3), [[(EVERY, 0)], [(EVERY, 1)]], "right", 1),
        ((3, 5), [[(2,)], [(0,)]], "permuted", 0),
        ((3, 3), [[(0,), (EVERY, 0)], [(1,), (EVERY, 1)]], "right", None),
        ((3, 5), [[(EVERY,)], [(EVERY,)]], "blended", None),
        ((2, 5), [[], [(EVERY,)]], "ignored", None),
        ((3, 5), [[(0,)], []], "ignored", 0),
        ((12, 2), [[(slice(0, 4),)], [(slice(4, 8),)]], "right", 0),
    ],
)
def test_samples_in_a_result(
    shape: tuple[int, ...], cells: list[list[tuple[int | slice, ...]]], kind: str, axis: int | None
) -> None:
    """The batch axis of a result (N=3) is where sample i moves index i alone; a matrix of pairs is right."""
    found = of_result({i: flags(shape, *where) for i, where in enumerate(cells)}, 3)
    assert (found.kind, found.axis) == (kind, axis)


def test_differs() -> None:
    """Noise is no difference, NaN equals NaN, other shapes cannot be compared."""
    a = torch.tensor([1.0, float("nan"), float("inf"), 2.0])
    b = torch.tensor([1.0, float("nan"), float("inf"), 2.5])
    moved = differs(a, b)
    assert moved is not None
    assert moved.tolist() == [False, False, False, True]
    assert differs(a, a[:2]) is None
    assert differs(a.to("meta"), a.to("meta")) is None
    assert broadcast((4, 1), (4,)) == (4, 4)
    assert broadcast((4, 3), (4,)) is None


def test_leaves_of_anything() -> None:
    """Paths of the tensors in nested values."""
    value = {"a": [torch.zeros(1), (torch.ones(2),)], "b": 3}
    assert [path for path, _ in leaves(value)] == ["['a'][0]", "['a'][1][0]"]


def test_report_as_data() -> None:
    """A report becomes JSON, with the exception as text."""
    rnn = nn.LSTM(5, 8)
    report = check(lambda x: rnn(x)[0], torch.randn(4, 6, 3))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False
    assert data["findings"][0]["code"] == "LS101"
    assert data["findings"][0]["cause"].startswith("RuntimeError: ")
    assert Path(data["findings"][0]["where"]["file"]).name == "test_engine.py"
    silent = check(lambda x: rnn(x)[0][:, -1], torch.randn(4, 6, 5))
    assert json.loads(json.dumps(silent.to_dict()))["findings"][0]["evidence"][0]["matrix"]


def test_report_groups() -> None:
    """Errors, warnings and notes; ok means no error."""
    where = Where("a.py", 3, "rnn(x)")
    note = Finding("LS302", "equal-sizes", "note", "t", "d", "f", "rnn", where, (Evidence("did", "saw"),))
    report = Report((note,))
    assert report.ok
    assert (report.errors, report.warnings, report.notes) == ((), (), (note,))
    assert list(report) == [note]
    assert len(report) == 1
    assert str(note.evidence[0]) == "did: saw"
    assert "a.py:3: rnn(x)" in str(note)


def test_explained_without_a_second_run() -> None:
    """What a recorder saw while the exception was raised is enough to explain it."""
    rnn = nn.GRU(5, 8, batch_first=True)
    with Recorder(trace=True) as seen:
        try:
            rnn(torch.randn(4, 6, 5), torch.zeros(4, 1, 8))
        except RuntimeError as error:
            finding = explain_exception(error, seen)
    assert finding is not None
    assert finding.code == "LS103"
    assert re.search(r"\(K·R=1, N=4, H=8\)|\(1, 4, 8\)", finding.detail + finding.fix)


def test_what_cannot_be_put_back() -> None:
    """A result that changes from run to run for reasons outside torch is a note, not a mix-up of samples."""
    rnn = nn.GRU(5, 8, batch_first=True)
    counter = iter(range(1000))

    def model(x: Tensor) -> Tensor:
        out: Tensor = rnn(x)[1][-1] + next(counter)
        return out

    report = check(model, torch.randn(4, 6, 5))
    assert report.ok
    assert report.codes == ("LS303",)
