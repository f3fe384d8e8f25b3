"""other_tools: why another tool prints another number, as facts about a version and by its own formula.

This library counts a multiply-accumulate (MAC) for each product of a matrix product, and nothing else. Every
formula here was measured on the version named: torchinfo and FlopCounterMode are held against it in each test
run, thop, ptflops and Keras against numbers recorded in `tests/data/conventions.json`.

Source: `torchinfo/layer_info.py` (calculate_macs), `thop/rnn_hooks.py`, `ptflops/pytorch_ops.py`,
`keras/src/layers/rnn/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_shapes.language import say

from .call import Call
from .counts import Counts
from .spec import Spec

__all__ = ["Convention", "conventions"]

# What one step of one sequence costs beside the matrix products and the biases, in units of D.
_THOP = {"LSTM": 8, "GRU": 7, "RNN": 1}
_PTFLOPS = {"LSTM": 10, "GRU": 7, "RNN": 1}


@dataclass(frozen=True, slots=True)
class Convention:
    """What one tool says about a layer: `value` in `unit` by `formula`, None where it says nothing, and why."""

    tool: str
    version: str
    unit: str
    formula: str
    value: int | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {name: getattr(self, name) for name in ("tool", "version", "unit", "formula", "value", "why")}


def conventions(spec: Spec, call: Call) -> tuple[Convention, ...]:
    """What other tools print for this layer and call.

    >>> for c in conventions(Spec(28, 256, 2), Call(N=2, L=20)):
    ...     print(f"{c.tool:16} {c.value:12,} {c.unit}")
    FlopCounterMode             0 FLOPs
    torchinfo          32,768,000 mult-adds
    thop               32,931,840 MACs
    ptflops            32,972,800 MACs
    Keras                 817,152 parameters
    >>> Counts(Spec(28, 256, 2), Call(N=2, L=20)).macs
    32604160
    """
    return (_flop_counter(spec, call), _torchinfo(spec, call), _thop(spec, call), _ptflops(spec, call), _keras(spec))


def _flop_counter(spec: Spec, call: Call) -> Convention:
    # Packed rows of one length are a padded batch without padding, and torch's kernel treats them so.
    even = call.lengths is None or len(set(call.lengths)) == 1
    fused = spec.cell == "LSTM" and not spec.P and even
    value = 0 if fused else Counts(spec, call).flops
    formula = "" if fused else "2·MACs"
    why = say("tool fused" if fused else "tool doubles")
    return Convention("FlopCounterMode", "torch 2.13.0, CPU", "FLOPs", formula, value, why)


def _torchinfo(spec: Spec, call: Call) -> Convention:
    """All parameters times the first two sizes of the output, whatever those are."""
    total = Counts(spec).total
    parameters = say("parameters")
    width, wide = (spec.D, "D") if spec.kind.step else (spec.R * spec.H, "R·H" if spec.R > 1 else "H")
    why = say("tool counts biases")
    if call.lengths is not None:
        return Convention("torchinfo", "1.8.0", "mult-adds", "", None, say("tool crashes"))
    if spec.kind.step:
        rows, formula = (call.N or 1) * width, f"N·D·{parameters}" if call.batched else f"D·{parameters}"
        why += f"; {say('tool takes D')}"
    elif not call.batched:
        rows, formula = call.L * width, f"L·{wide}·{parameters}"
        why += f"; {say('tool takes features', width=width)}"
    else:
        rows, formula = (call.N or 1) * call.L, f"N·L·{parameters}"
    return Convention("torchinfo", "1.8.0", "mult-adds", formula, rows * total, why)


def _thop(spec: Spec, call: Call) -> Convention:
    extra = _THOP[spec.kind.layer]
    rows, steps, why = _sequence_steps(spec, call)
    if call.lengths is not None:
        rows, steps = len(call.lengths) * max(call.lengths), "N·max(lengths)"
        why += f"; {say('tool counts padding')}"
    if spec.P:
        why += f"; {say('tool ignores projection')}"

    def one(layer: int) -> int:
        """One step of one direction: as if there were no projection."""
        inputs = spec.Q if layer == 0 else spec.R * spec.D
        return spec.G * spec.D * (inputs + spec.D) + _elementwise(spec, extra)

    formula = f"{steps}·{_each(spec)}({_products(spec, 'D')}{_written(spec, extra)})"
    return Convention("thop", "0.1.1", "MACs", formula, rows * _all_layers(spec, one), why)


def _ptflops(spec: Spec, call: Call) -> Convention:
    extra = _PTFLOPS[spec.kind.layer]
    if call.lengths is not None or (spec.kind.step and not call.batched):
        why = say("tool fails on packed" if call.lengths is not None else "tool fails on a step")
        return Convention("ptflops", "0.7.5", "MACs", "", None, why)
    rows, steps, why = _sequence_steps(spec, call)
    if spec.P:
        why += f"; {say('tool leaves out projection')}"

    def one(layer: int) -> int:
        return spec.G * spec.D * (spec.input_width(layer) + spec.H) + _elementwise(spec, extra)

    formula = f"{steps}·{_each(spec)}({_products(spec, 'H' if spec.P else 'D')}{_written(spec, extra)})"
    return Convention("ptflops", "0.7.5", "MACs", formula, rows * _all_layers(spec, one), why)


def _sequence_steps(spec: Spec, call: Call) -> tuple[int, str, str]:
    """Steps as the tools with hooks see them: the first two sizes of X, also where the second is Q."""
    why = say("tool counts more" if spec.bias else "tool counts elementwise")
    if call.batched:
        rows = (call.N or 1) * (1 if spec.kind.step else call.L)
        return rows, "N" if spec.kind.step else "N·L", why
    why += f"; {say('tool takes Q')}"
    return (spec.Q, "Q", why) if spec.kind.step else (call.L * spec.Q, "L·Q", why)


def _elementwise(spec: Spec, extra: int) -> int:
    return (extra + (2 * spec.G if spec.bias else 0)) * spec.D


def _all_layers(spec: Spec, one: Any) -> int:
    """The sum over layers and directions; layers above the first are all alike."""
    total: int = spec.R * (one(0) + (spec.K - 1) * one(1))
    return total


def _each(spec: Spec) -> str:
    """The sum that a formula is under, I being the width that a layer reads."""
    return "Σ" if spec.K * spec.R > 1 else ""


def _products(spec: Spec, hidden: str) -> str:
    gates = f"{spec.G}·" if spec.G > 1 else ""
    return f"{gates}D·({'I' if spec.K > 1 else 'Q'} + {hidden})"


def _written(spec: Spec, extra: int) -> str:
    """`_elementwise` in symbols."""
    bias = f" + {2 * spec.G}D" if spec.bias else ""
    return f"{bias} + {extra}D" if extra > 1 else f"{bias} + D"


def _keras(spec: Spec) -> Convention:
    """Parameters: Keras keeps one bias vector a gate, but two in a GRU with its default reset_after=True."""
    total, fewer = Counts(spec).total, spec.K * spec.R * spec.G * spec.D
    version, parameters = "3.15.1", say("parameters")
    if spec.P:
        return Convention("Keras", version, parameters, "", None, say("tool has no projection"))
    if not spec.bias or spec.kind.keras_biases == 2:
        why = say("tool has two biases" if spec.bias else "tool has no biases")
        return Convention("Keras", version, parameters, parameters, total, why)
    factors = (("K", spec.K), ("R", spec.R), (str(spec.G), spec.G))
    formula = f"{parameters} - {''.join(f'{symbol}·' for symbol, value in factors if value > 1)}D"
    return Convention("Keras", version, parameters, formula, total - fewer, say("tool has one bias"))
