"""Each tool's number by its own formula: torchinfo and FlopCounterMode live, the others as measured and recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings

from lstm_shapes._views.predicted import other_tools_sheet
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page
from lstm_shapes.language import say
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts, OtherTool, other_tools
from lstm_shapes.theory.predict import predict
from lstm_shapes.theory.spec import Spec
from tests.scale import examples
from tests.strategies import cases

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "other_tools.json").read_text(encoding="utf-8"))
TOOLS = ["thop", "ptflops", "torchinfo", "FlopCounterMode"]


def call_of(spec: Spec, kind: str) -> Call:
    """The call that was measured."""
    if kind == "packed":
        return Call.of(spec, lengths=RECORDED["lengths"])
    return Call.of(spec, N=RECORDED["N"] if kind == "padded" else None, L=RECORDED["L"])


def one(tool: str, spec: Spec, call: Call) -> OtherTool:
    (found,) = [row for row in other_tools(spec, call) if row.tool == tool]
    return found


@pytest.mark.parametrize("row", RECORDED["mult_adds"], ids=lambda row: f"{row['layer']} {row['call']}")
@pytest.mark.parametrize("tool", TOOLS)
def test_numbers_are_those_measured(tool: str, row: dict[str, Any]) -> None:
    """46 layers and calls of every kind; a recorded error or nothing is a None here."""
    spec = Spec(**row["layer"])
    measured = row[tool] if isinstance(row[tool], int) else None
    assert one(tool, spec, call_of(spec, row["call"])).value == measured


# Keras' own default for a GRU; the other variant is there to show what the default changes.
KERAS = [row for row in RECORDED["keras"] if "reset_after" not in row]


@pytest.mark.parametrize("row", KERAS, ids=lambda row: str(row["layer"]))
def test_parameters_are_those_of_keras(row: dict[str, Any]) -> None:
    """LSTM, GRU and SimpleRNN, in one and two directions, with and without bias."""
    assert one("Keras", Spec(**row["layer"]), Call()).value == row["parameters"]


def test_the_recorded_versions_are_the_ones_stated() -> None:
    """A renewed record without a renewed text, or the other way round, shows."""
    stated = {row.tool.lower(): row.version for row in other_tools(Spec(3, 4), Call())}
    versions = RECORDED["versions"]
    assert stated["flopcountermode"] == f"torch {versions['torch'].partition('+')[0]}, CPU"
    for tool in ("torchinfo", "thop", "ptflops", "keras"):
        assert stated[tool] == versions[tool].partition("-")[0]


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch says that it is not fused
@pytest.mark.fuzz
@given(cases(kinds=("batched", "unbatched"), layers=3))
@settings(max_examples=examples(150))
def test_mult_adds_are_torchinfos(case: tuple[Spec, Call]) -> None:
    """torchinfo, which is installed here, says what the formula says."""
    torchinfo = pytest.importorskip("torchinfo")
    import torch

    from lstm_shapes.lab._build import build

    spec, call = case
    X = torch.zeros(predict(spec, N=call.N, L=call.L).X.sizes)
    found = torchinfo.summary(build(spec), input_data=[X], verbose=0)
    assert one("torchinfo", spec, call).value == found.total_mult_adds


def test_packed_input_crashes_torchinfo() -> None:
    """Should it learn to count it, this test asks for the formula."""
    torchinfo = pytest.importorskip("torchinfo")
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    packed = pack_padded_sequence(torch.zeros(2, 5, 3), torch.tensor([5, 2]), batch_first=True)
    with pytest.raises(AttributeError, match="device"):
        torchinfo.summary(torch.nn.LSTM(3, 4, batch_first=True), input_data=[packed], verbose=0)


@pytest.mark.fuzz
@given(cases(layers=3))
@example((Spec(3, 2, 2), Call(2, 4, (3, 3))))
@example((Spec(3, 2, 2), Call(2, 4, (3, 2))))
@settings(max_examples=examples(150))
def test_flops_on_the_cpu_are_flopcountermodes(case: tuple[Spec, Call]) -> None:
    """0 where oneDNN fuses a float32 LSTM, else twice the MACs."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from lstm_shapes.lab.run import run

    assume(torch.backends.mkldnn.is_available())
    spec, call = case
    # The table speaks of torch 2.13; older releases do not fuse packed rows of one length.
    assume(call.lengths is None or [int(part) for part in torch.__version__.split(".")[:2]] >= [2, 13])
    with FlopCounterMode(display=False) as counter:
        run(spec, N=call.N, L=call.L, lengths=call.lengths)
    assert one("FlopCounterMode", spec, call).value == counter.get_total_flops()


def test_formulas_read_as_they_compute() -> None:
    """The formula of a one-layer LSTM, by hand."""
    spec, call = Spec(28, 256), Call(2, 20)
    thop, ptflops, keras = (one(tool, spec, call) for tool in ("thop", "ptflops", "Keras"))
    assert (thop.formula, thop.value) == ("N·L·(4·D·(Q + D) + 8D + 8D)", 40 * (4 * 256 * (28 + 256) + 16 * 256))
    assert (ptflops.formula, ptflops.value) == ("N·L·(4·D·(Q + D) + 8D + 10D)", 40 * (4 * 256 * 284 + 18 * 256))
    assert (keras.formula, keras.value) == ("parameters - 4·D", Counts(spec).total - 1024)


def test_why_flopcountermode_sees_nothing_or_twice_as_much() -> None:
    """The kernel of a whole LSTM is hidden from it; of others it counts products and sums."""
    fused, doubled = (one("FlopCounterMode", Spec(3, 5, cell=cell), Call(2, 4)) for cell in ("LSTM", "GRU"))
    assert (fused.value, fused.why) == (0, say("tool fused"))
    assert (doubled.formula, doubled.why) == ("2·MACs", say("tool doubles"))


def test_torchinfo_takes_the_width_of_one_sequence_for_its_batch() -> None:
    """Both directions of it."""
    for two_way, formula in ((False, "L·H"), (True, "L·R·H")):
        found = one("torchinfo", Spec(3, 5, bidirectional=two_way), Call(None, 4))
        assert found.formula == f"{formula}·parameters"
        assert found.value == 20 * (1 + two_way) * Counts(Spec(3, 5, bidirectional=two_way)).total


def test_the_table_fits_80_columns() -> None:
    """Number and formula in each row, our own number below; a tool that says nothing says why."""
    spec = Spec(28, 256, 2, bidirectional=True, proj_size=9)
    text = as_text(Page("", "", (other_tools_sheet(spec, Call.of(spec, lengths=(5, 3))),)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "packed input crashes it" in text
    assert "1,122,304 MACs" in " ".join(text.split())
    assert len(other_tools_sheet(spec, Call()).rows) == 5


def test_as_plain_data() -> None:
    """For JSON."""
    assert one("Keras", Spec(3, 4, cell="GRU"), Call()).to_dict() == {
        "tool": "Keras", "version": "3.15.1", "unit": "parameters", "formula": "parameters", "value": 108,
        "why": "two bias vectors a gate as in torch (reset_after=True)",
    }  # fmt: skip
