"""MACs as torch's flop counter sees them equal the formula; the short cuts equal a whole pass on meta."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_shapes.lab._macs import _count, _layer, measured_macs
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.spec import Spec
from tests.scale import examples
from tests.strategies import cases


@pytest.mark.fuzz
@given(cases(layers=3))
@settings(max_examples=examples(300))
def test_macs_are_those_of_flopcountermode_on_meta(case: tuple[Spec, Call]) -> None:
    """The prediction equals FlopCounterMode over the whole forward pass, exactly, for every kind of call."""
    spec, call = case
    assert Counts(spec, call).macs == _count(_layer(spec, "meta"), spec, call, "meta")


@pytest.mark.fuzz
@given(cases(layers=5), st.sampled_from(["cpu", "meta"]))
@settings(max_examples=examples(150))
def test_scaling_changes_nothing(case: tuple[Spec, Call], device: str) -> None:
    """Counting two steps and two layers and following the line gives what the whole pass gives."""
    spec, call = case
    assert measured_macs(spec, call, device)[0] == _count(_layer(spec, "cpu"), spec, call, "cpu")


@pytest.mark.parametrize(
    ("spec", "call", "how"),
    [
        (Spec(28, 256, 3), Call(2, 20), "flop_registry on CPU, scaled from 2 steps of 2 layers"),
        (Spec(28, 256, 2), Call(None, 2), "flop_registry on CPU"),
        (Spec(28, 256, 3), Call(2, 9, (9, 3)), "flop_registry on CPU, scaled from 2 steps of 2 layers"),
        (Spec(28, 256, 3), Call(2, 5000), "flop_registry on CPU, scaled from 2 steps of 2 layers"),
        (Spec(28, 256, 1000), Call(2, 2), "flop_registry on CPU, scaled from 2 layers"),
        (Spec(65536, 65536, 8), Call(2, 20),
         "FlopCounterMode on meta, scaled from 2 steps of 2 layers"),
        (Spec(28, 256), Call(10**7, 1), "FlopCounterMode on meta"),
        (Spec(28, 256, cell="GRUCell"), Call(6, 1), "flop_registry on CPU"),
    ],
    ids=str,
)  # fmt: skip
def test_how_it_was_counted_is_said(spec: Spec, call: Call, how: str) -> None:
    """Large layers and calls on meta, small ones on the CPU, neither with all the steps or layers they have."""
    assert measured_macs(spec, call) == (Counts(spec, call).macs, how)


def test_a_wrong_prediction_would_show() -> None:
    """The measurement follows the layer that is built: one unit more is another number."""
    assert measured_macs(Spec(28, 256), Call(2, 3))[0] != Counts(Spec(28, 257), Call(2, 3)).macs


def test_counting_on_the_cpu_loads_no_compiler() -> None:
    """Importing torch's compiler, or sympy for it, would take longer than everything else together.

    Before torch 2.9 a layer on meta loads sympy, whoever makes it.
    """
    code = (
        "import sys, torch; torch.nn.LSTM(2, 3, device='meta'); before = set(sys.modules);"
        "from lstm_shapes.lab._macs import measured_macs; from lstm_shapes.theory.spec import Spec;"
        "from lstm_shapes.theory.call import Call; from lstm_shapes import build;"
        "build(28, 256); measured_macs(Spec(28, 256, 3), Call(2, 20));"
        "print({'rich', 'torch._dynamo', 'sympy', 'torchinfo'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
