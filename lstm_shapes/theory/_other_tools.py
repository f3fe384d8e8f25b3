"""other_tools: why another tool prints another number, as facts about a version and by its own formula.

This library counts a multiply-accumulate (MAC) for each product of a matrix product, and nothing else. Every
formula here was measured on the version named: torchinfo and FlopCounterMode are held against it in each test
run, thop, ptflops and Keras against numbers recorded in `tests/data/conventions.json`.

Source: `torchinfo/layer_info.py` (calculate_macs), `thop/rnn_hooks.py`, `ptflops/pytorch_ops.py`,
`keras/src/layers/rnn/`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lstm_shapes.language import say

from .call import Call
from .counts import Counts
from .spec import Spec


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
        return asdict(self)


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
    tools = [_flop_counter(spec, call), _torchinfo(spec, call)]
    tools += [_by_hooks("thop", "0.1.1", spec, call), _by_hooks("ptflops", "0.7.5", spec, call)]
    return (*tools, _keras(spec))


def _flop_counter(spec: Spec, call: Call) -> Convention:
    # Packed rows of one length are a padded batch without padding, and torch's kernel treats them so.
    even = call.lengths is None or len(set(call.lengths)) == 1
    fused = spec.cell == "LSTM" and not spec.P and even
    value, formula = (0, "") if fused else (Counts(spec, call).flops, "2·MACs")
    why = say("tool fused" if fused else "tool doubles")
    return Convention("FlopCounterMode", "torch 2.13.0, CPU", "FLOPs", formula, value, why)


def _torchinfo(spec: Spec, call: Call) -> Convention:
    """All parameters times the first two sizes of the output, whatever those are."""
    if call.lengths is not None:
        return Convention("torchinfo", "1.8.0", "mult-adds", "", None, say("tool crashes"))
    why, N = say("tool counts biases"), call.N or 1
    if spec.kind.step:
        rows, formula = N * spec.D, "N·D" if call.batched else "D"
        why += f"; {say('tool takes D')}"
    elif call.batched:
        rows, formula = N * call.L, "N·L"
    else:
        width = spec.R * spec.H
        rows, formula = call.L * width, "L·R·H" if spec.R > 1 else "L·H"
        why += f"; {say('tool takes features', width=width)}"
    value = rows * Counts(spec).total
    return Convention("torchinfo", "1.8.0", "mult-adds", f"{formula}·{say('parameters')}", value, why)


# What a tool with hooks adds for one step of one sequence, in units of D, beside the matrix products and the biases.
_ELEMENTWISE = {"thop": {"LSTM": 8, "GRU": 7, "RNN": 1}, "ptflops": {"LSTM": 10, "GRU": 7, "RNN": 1}}


def _by_hooks(tool: str, version: str, spec: Spec, call: Call) -> Convention:
    """Products and elementwise work of every layer, times the first two sizes of X, also where the second is Q."""
    thop, step = tool == "thop", spec.kind.step
    if not thop and (call.lengths is not None or (step and not call.batched)):
        why = say("tool fails on packed" if call.lengths is not None else "tool fails on a step")
        return Convention(tool, version, "MACs", "", None, why)
    reasons = [say("tool counts more" if spec.bias else "tool counts elementwise")]
    if call.batched:
        rows, steps = (call.N or 1) * (1 if step else call.L), "N" if step else "N·L"
    else:
        rows, steps = (spec.Q, "Q") if step else (call.L * spec.Q, "L·Q")
        reasons.append(say("tool takes Q"))
    if call.lengths is not None:
        rows, steps = len(call.lengths) * max(call.lengths), "N·max(lengths)"
        reasons.append(say("tool counts padding"))
    if spec.P:
        reasons.append(say("tool ignores projection" if thop else "tool leaves out projection"))
    # thop counts as if there were no projection.
    hidden, H = ("D", spec.D) if thop or not spec.P else ("H", spec.H)
    extra = _ELEMENTWISE[tool][spec.kind.layer]
    elementwise = (extra + (2 * spec.G if spec.bias else 0)) * spec.D
    first, upper = (spec.G * spec.D * (width + H) + elementwise for width in (spec.Q, spec.R * H))
    total = spec.R * (first + (spec.K - 1) * upper)  # layers above the first are all alike
    gates, bias = f"{spec.G}·" if spec.G > 1 else "", f" + {2 * spec.G}D" if spec.bias else ""
    # I is the width that a layer reads.
    each = f"{gates}D·({'I' if spec.K > 1 else 'Q'} + {hidden}){bias} + {extra if extra > 1 else ''}D"
    formula = f"{steps}·{'Σ' if spec.K * spec.R > 1 else ''}({each})"
    return Convention(tool, version, "MACs", formula, rows * total, "; ".join(reasons))


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
