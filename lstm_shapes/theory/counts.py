"""Counts: parameters, multiply-accumulates and bytes, each with the formula it came from.

One direction of one layer that reads I features holds

    G·(I·D + H·D + 2D)      input weights, recurrent weights, two bias vectors, for each of G gates
    + P·D                   the projection, if there is one

with I = Q in the first layer and R·H above. A multiply-accumulate (MAC) is one product-and-add of a matrix
product: biases and elementwise work are not counted; FLOPs = 2 × MACs.

What a forward pass keeps until backward are the floating-point tensors that autograd saves while an unfused layer
trains, as float64 does on every CPU (what `torch.autograd.graph.saved_tensors_hooks` sees): each block of memory once,
no weights, X as the first layer's input. Fused kernels keep the same facts in a form whose size follows no published
formula: a float32 LSTM(28, 256, 3) on (64, 28, 28) keeps 93,859,840 bytes with oneDNN (torch 2.13, x86) and
42,405,888 unfused. Under `torch.no_grad()` nothing is kept.

In those formulas T is the steps of all sequences together. A packed batch shrinks as rows end, and the state
that enters a step is then kept with the rows it still had one step earlier: T + N - n of them in all, n being
the rows that reach the last step. Read backward the batch grows, and a state is joined with the start of the new
rows: m rows in all, which matters to the RNN alone, as the others keep no state after a step.

What other tools print is an `OtherTool` each, measured on the version that it names: torchinfo and FlopCounterMode are
held against it in each test run, thop, ptflops and Keras against numbers recorded in `tests/data/other_tools.json`.

Source: `RNNBase.__init__` in `torch/nn/modules/rnn.py`; Hochreiter and Schmidhuber (1997) for the LSTM,
Sak, Senior and Beaufays (2014) for the projection; `aten/src/ATen/native/RNN.cpp`, the operators of LSTMCell, GRUCell
and SimpleCell there; `torchinfo/layer_info.py` (calculate_macs), `thop/rnn_hooks.py`, `ptflops/pytorch_ops.py`,
`keras/src/layers/rnn/`.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.language import has, language, say

from ._arithmetic import value_of
from .call import DTYPES, Call
from .spec import Spec, with_directions


@dataclass(frozen=True, slots=True)
class Term:
    """A named number with its formula: in symbols, with the sizes substituted, and its value.

    >>> print(Term("recurrent", "4·D·D", "4·256·256", 262144))
    recurrent: 4·D·D = 4·256·256 = 262,144
    """

    name: str
    formula: str
    substituted: str
    value: int

    @classmethod
    def of(cls, name: str, template: str, symbols: Mapping[str, tuple[str, int]]) -> Term:
        """What a template says of these sizes: of each letter how it is written, and its size.

        >>> print(Term.of("bias", "4·2D", {"D": ("D", 256)}))
        bias: 4·2D = 4·2·256 = 2,048
        """
        formula = re.sub("[A-Za-z]", lambda match: symbols[match[0]][0], template)
        apart = re.sub(r"(?<=\d)(?=[A-Z])", "·", template)
        substituted = re.sub("[A-Za-z]", lambda match: str(symbols[match[0]][1]), apart)
        value = value_of(_tree(apart), {letter: size for letter, (_, size) in symbols.items()})
        assert value is not None  # every letter has a size
        return cls(name, formula, substituted, value)

    def __str__(self) -> str:
        return f"{self.name}: {self.formula} = {self.substituted} = {self.value:,}"

    def to_dict(self) -> dict[str, str | int]:
        return asdict(self)


@lru_cache(maxsize=256)
def _tree(template: str) -> ast.expr:
    return ast.parse(template.replace("·", "*"), mode="eval").body


# What autograd keeps: one row a tensor, its name and its template. T: one row a step; E: the state that enters each
# step; A: the state after each step and before the first. `h'` and `c'` are before the step.
_KEPT: dict[str, tuple[tuple[str, str], ...]] = {
    "LSTM": (("gates i, f, g, o", "T·4·D"), ("tanh(c)", "T·D"), ("c'", "E·D"), ("h'", "E·H")),
    # r and z are computed in place, in the product W_h·h', whose third block stays with them.
    "GRU": (
        ("gates r, z in W_h·h'", "T·3·D"),
        ("W_hn·h' + b_hn", "T·D"),
        ("n", "T·D"),
        ("h' - n", "T·D"),
        ("h'", "E·D"),
    ),
    "RNN": (("h, and h0", "A·D"),),
}


def kept_elements(spec: Spec, call: Call) -> int:
    """Elements kept for backward: for an LSTM T·(4D + 2D + H) in each layer and direction, and each layer's input.

    >>> kept_elements(Spec(3, 7), Call(N=2, L=5))
    520
    """
    return sum(term.value for term in kept_for_backward(spec, call))


def kept_for_backward(spec: Spec, call: Call) -> tuple[Term, ...]:
    """What is kept, whose sum `kept_elements` is.

    >>> for term in kept_for_backward(Spec(3, 7), Call(N=2, L=5)):
    ...     print(term)
    inputs of the layers: T·Q = 10·3 = 30
    gates i, f, g, o: T·4·D = 10·4·7 = 280
    tanh(c): T·D = 10·7 = 70
    c': T·D = 10·7 = 70
    h': T·D = 10·7 = 70
    """
    T, N, K, R = call.T, call.N or 1, spec.K, spec.R
    symbols = {letter: (letter, size) for letter, size in {"T": T, "K": K, "R": R, "Q": spec.Q, "D": spec.D}.items()}
    symbols |= {
        "H": (spec.width, spec.H),
        "W": (with_directions(spec, spec.width), R * spec.H),
        "J": ("(K-1)", K - 1),
        "Z": ("K-1", K - 1),
        "A": ("(T + N)" if call.batched else "(T + 1)", T + N),
        "E": ("T", T),
    }
    if call.lengths is not None:
        # The rows that a state has when it enters a step, summed over steps; see the module's text on packing.
        symbols["E"] = ("(T + N - n)", T + N - call.lengths.count(max(call.lengths)))
    # With batch_first each direction makes its own time-major copy of X; else both keep X itself.
    first = "R·Q" if R > 1 and spec.batch_first and call.lengths is None and N > 1 and call.L > 1 else "Q"
    rows = [(say("kept inputs"), f"T·({first} + J·W)" if K > 1 else f"T·{first}")]
    if spec.dropout and K > 1:
        # Dropout between layers keeps the mask that it multiplied with; at 1 it multiplies with a single zero.
        one = spec.dropout == 1
        rows.append((say("kept zeros of dropout" if one else "kept masks of dropout"), "Z" if one else "J·T·W"))
    times = "K·" * (K > 1) + "R·" * (R > 1)
    for name, template in _KEPT[spec.kind.layer] + ((("h before the projection", "T·D"),) if spec.P else ()):
        told = say(f"kept {name}") if has(f"kept {name}") else name  # the others are code
        rows.append((told, times + template))
    lengths = sorted(call.lengths or ())
    if R > 1 and spec.kind.layer == "RNN" and lengths[:1] != lengths[-1:]:
        # At the last step of a row that is not among the longest, the batch has every row that is as long.
        ends = set(lengths) - {lengths[-1]}
        symbols["m"] = ("m", sum(len(lengths) - bisect_left(lengths, end) for end in ends))
        rows.append((say("kept joined"), "K·m·D"))
    return tuple(Term.of(name, template, symbols) for name, template in rows)


@dataclass(frozen=True, slots=True)
class LayerCount:
    """The parameters of one layer, all directions together.

    >>> layer = LayerCount(Spec(28, 256, 3), 0)
    >>> print(layer.formula, "=", layer.substituted, "=", layer.total)
    4·(Q·D + D·D + 2D) = 4·(28·256 + 256·256 + 2·256) = 292864
    """

    spec: Spec
    index: int

    def _term(self, name: str, template: str) -> Term:
        """A template in which I is the width that this layer reads."""
        spec = self.spec
        read = ("2" if spec.bidirectional else "") + spec.width if self.index else "Q"
        widths = {"I": (read, spec.input_width(self.index)), "H": (spec.width, spec.H)}
        return Term.of(name, template, {**widths, "D": ("D", spec.D), "P": ("P", spec.P)})

    @property
    def _parts(self) -> dict[str, str]:
        """One gate of one direction: the template of each part."""
        return {"input": "I·D", "recurrent": "H·D"} | ({"bias": "2D"} if self.spec.bias else {})

    @property
    def terms(self) -> tuple[Term, ...]:
        """One direction by purpose: input, recurrent and bias of all gates, then the projection."""
        by = "" if self.spec.G == 1 else f"{self.spec.G}·"
        parts = {name: by + template for name, template in self._parts.items()}
        return tuple(self._term(*part) for part in (parts | ({"projection": "P·D"} if self.spec.P else {})).items())

    @property
    def gates(self) -> tuple[Term, ...]:
        """One direction by gate, in torch's order; a projection belongs to no gate."""
        return tuple(self._term(gate, " + ".join(self._parts.values())) for gate in self.spec.kind.gates)

    @property
    def _whole(self) -> Term:
        """R times one direction, written as a person would."""
        G, R, P = self.spec.G, self.spec.R, self.spec.P
        template = " + ".join(self._parts.values())
        template = (f"{G}·({template})" if G > 1 else template) + (" + P·D" if P else "")
        if R > 1:
            template = f"{R}·({template})" if P or G == 1 else f"{R}·{template}"
        return self._term("layer", template)

    @property
    def direction(self) -> int:
        """Parameters of one direction of this layer."""
        return sum(term.value for term in self.terms)

    @property
    def total(self) -> int:
        """Parameters of this layer: R × one direction."""
        return self.spec.R * self.direction

    @property
    def recurrent(self) -> int:
        """Parameters in the recurrent matrices G·H·D of all directions: what D costs."""
        return self.spec.R * self.spec.G * self.spec.H * self.spec.D

    @property
    def macs_per_step(self) -> int:
        """MACs of one step of one sequence: every weight matrix is applied once, biases are free."""
        return self.spec.R * sum(term.value for term in self.terms if term.name != "bias")

    @property
    def formula(self) -> str:
        return self._whole.formula

    @property
    def substituted(self) -> str:
        return self._whole.substituted

    def to_dict(self) -> dict[str, Any]:
        return {
            "layer": self.index,
            "formula": self.formula,
            "substituted": self.substituted,
            "total": self.total,
            "directions": self.spec.R,
            "terms": [term.to_dict() for term in self.terms],
            "gates": [gate.to_dict() for gate in self.gates],
        }


@dataclass(frozen=True, slots=True, repr=False)
class Counts(Shown):
    """Everything countable about a layer: parameters always, MACs once the size of the call is known.

    Computed in constant time: layers above the first are all alike.

    >>> counts = Counts(Spec(28, 256, 3), Call(N=2, L=20))
    >>> counts.total, counts.bytes, counts.macs
    (1345536, 5382144, 53575680)
    >>> Counts(Spec(28, 256, 3)).macs is None
    True
    """

    spec: Spec
    call: Call | None = None
    dtype: str = "float32"
    lang: str = field(default_factory=language, compare=False)

    @property
    def first(self) -> LayerCount:
        """Layer 0, which reads X."""
        return LayerCount(self.spec, 0)

    @property
    def upper(self) -> LayerCount | None:
        """Any layer above the first, which reads the layer below it; None when K = 1."""
        return LayerCount(self.spec, 1) if self.spec.K > 1 else None

    @property
    def layers(self) -> tuple[LayerCount, ...]:
        """One entry a layer, bottom first."""
        return tuple(LayerCount(self.spec, index) for index in range(self.spec.K))

    def _sum(self, what: str) -> int:
        first: int = getattr(self.first, what)
        return first if self.upper is None else first + (self.spec.K - 1) * int(getattr(self.upper, what))

    @property
    def total(self) -> int:
        """Parameters of the whole layer, in elements."""
        return self._sum("total")

    @property
    def formula(self) -> str:
        """The total in symbols.

        >>> Counts(Spec(28, 256, 3)).formula
        '4·(Q·D + D·D + 2D) + (K-1)·4·(D·D + D·D + 2D)'
        """
        return self._write("formula", "(K-1)")

    @property
    def substituted(self) -> str:
        """The total with the sizes put in."""
        return self._write("substituted", str(self.spec.K - 1))

    def _write(self, form: str, times: str) -> str:
        text: str = getattr(self.first, form)
        if self.upper:
            above: str = getattr(self.upper, form)
            product = self.spec.R > 1 or (self.spec.G > 1 and not self.spec.P)  # takes a factor without brackets
            text += f" + {times}·{above}" if product else f" + {times}·({above})"
        return text

    @property
    def bytes(self) -> int:
        """Bytes of the parameters in `dtype`."""
        return self.total * DTYPES[self.dtype]

    @property
    def recurrent(self) -> int:
        """Parameters in the recurrent matrices of all layers."""
        return self._sum("recurrent")

    @property
    def recurrent_share(self) -> float:
        """The part of the parameters that sits in the recurrent H·D matrices, 0 to 1."""
        return self.recurrent / self.total

    @property
    def D_costs(self) -> bool:
        """Whether so much of it is recurrent, at least 30 %, that a smaller D is the way to fewer parameters."""
        return self.recurrent_share >= 0.3

    @property
    def macs_per_step(self) -> int:
        """MACs of one step of one sequence through all layers and directions."""
        return self._sum("macs_per_step")

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the whole call; None without N and L or lengths."""
        return None if self.call is None else self.call.T * self.macs_per_step

    @property
    def flops(self) -> int | None:
        """2 × MACs, as FlopCounterMode counts; None without N and L or lengths."""
        return None if self.macs is None else 2 * self.macs

    @property
    def state_bytes(self) -> int | None:
        """Bytes of the final states hn (and cn) together; None without N or lengths."""
        if self.call is None:
            return None
        widths = self.spec.H + (self.spec.D if self.spec.has_c else 0)
        return self.spec.K * self.spec.R * (self.call.N or 1) * widths * DTYPES[self.dtype]

    @property
    def activation_bytes(self) -> int | None:
        """Bytes kept until backward on the unfused path, weights not counted (the module says what is).

        >>> Counts(Spec(28, 256, 3), Call(N=2, L=20)).activation_bytes
        946560
        """
        return None if self.call is None else kept_elements(self.spec, self.call) * DTYPES[self.dtype]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: totals, and each layer with its terms; of more than 1,000 layers the first two."""
        names = (
            "total formula substituted dtype bytes recurrent recurrent_share macs flops state_bytes activation_bytes"
        )
        layers = [LayerCount(self.spec, index).to_dict() for index in range(listed_layers(self.spec))]
        return {**{name: getattr(self, name) for name in names.split()}, "layers": layers}


def listed_layers(spec: Spec) -> int:
    """How many layers plain data lists: all, or the first two where the rest, all alike, would be a flood."""
    return spec.K if spec.K <= 1_000 else 2


@dataclass(frozen=True, slots=True)
class OtherTool:
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


def other_tools(spec: Spec, call: Call) -> tuple[OtherTool, ...]:
    """What other tools print for this layer and call.

    >>> for c in other_tools(Spec(28, 256, 2), Call(N=2, L=20)):
    ...     print(f"{c.tool:16} {c.value:12,} {c.unit}")
    FlopCounterMode             0 FLOPs
    torchinfo          32,768,000 mult-adds
    thop               32,931,840 MACs
    ptflops            32,972,800 MACs
    Keras                 817,152 parameters
    >>> Counts(Spec(28, 256, 2), Call(N=2, L=20)).macs
    32604160
    """
    return (
        OtherTool("FlopCounterMode", "torch 2.13.0, CPU", "FLOPs", *_flop_counter(spec, call)),
        OtherTool("torchinfo", "1.8.0", "mult-adds", *_torchinfo(spec, call)),
        OtherTool("thop", "0.1.1", "MACs", *_by_hooks(spec, call, thop=True)),
        OtherTool("ptflops", "0.7.5", "MACs", *_by_hooks(spec, call, thop=False)),
        OtherTool("Keras", "3.15.1", say("parameters"), *_keras(spec)),
    )


_Said = tuple[str, int | None, str]
"""Formula, value and why."""


def _flop_counter(spec: Spec, call: Call) -> _Said:
    # Packed rows of one length are a padded batch without padding, and torch's kernel treats them so.
    even = call.lengths is None or len(set(call.lengths)) == 1
    if spec.cell == "LSTM" and not spec.P and even:
        return "", 0, say("tool fused")
    return "2·MACs", Counts(spec, call).flops, say("tool doubles")


def _torchinfo(spec: Spec, call: Call) -> _Said:
    """All parameters times the first two sizes of the output, whatever those are."""
    if call.lengths is not None:
        return "", None, say("tool crashes")
    rows, formula, reasons = call.padded, "N·L", [say("tool counts biases")]
    if spec.kind.step:
        rows, formula = rows * spec.D, "N·D" if call.batched else "D"
        reasons.append(say("tool takes D"))
    elif not call.batched:
        width = spec.R * spec.H
        rows, formula = rows * width, "L·R·H" if spec.R > 1 else "L·H"
        reasons.append(say("tool takes features", width=width))
    return f"{formula}·{say('parameters')}", rows * Counts(spec).total, "; ".join(reasons)


def _by_hooks(spec: Spec, call: Call, *, thop: bool) -> _Said:
    """Products and elementwise work of every layer, times the first two sizes of X, also where the second is Q."""
    step = spec.kind.step
    if not thop and (call.lengths is not None or (step and not call.batched)):
        return "", None, say("tool fails on packed" if call.lengths is not None else "tool fails on a step")
    rows, steps = call.padded, "N" if step else "N·L"
    reasons = [say("tool counts more" if spec.bias else "tool counts elementwise")]
    if not call.batched:
        rows, steps = rows * spec.Q, "Q" if step else "L·Q"
        reasons.append(say("tool takes Q"))
    if call.lengths is not None:
        rows, steps = len(call.lengths) * max(call.lengths), "N·max(lengths)"
        reasons.append(say("tool counts padding"))
    if spec.P:
        reasons.append(say("tool ignores projection" if thop else "tool leaves out projection"))
    # thop counts as if there were no projection; I is the width that a layer reads.
    hidden = ("D", spec.D) if thop or not spec.P else ("H", spec.H)
    gates, bias = f"{spec.G}·" if spec.G > 1 else "", f" + {2 * spec.G}D" if spec.bias else ""
    # What is counted for one step of one sequence in units of D, beside the matrix products and the biases.
    elementwise = {"LSTM": "8D" if thop else "10D", "GRU": "7D", "RNN": "D"}[spec.kind.layer]
    first, upper = (
        Term.of(
            "each", f"{gates}D·(I + H){bias} + {elementwise}", {"I": (letter, width), "H": hidden, "D": ("D", spec.D)}
        )
        for letter, width in (("Q", spec.Q), ("I", spec.R * hidden[1]))
    )
    total = spec.R * (first.value + (spec.K - 1) * upper.value)  # layers above the first are all alike
    formula = f"{steps}·{'Σ' if spec.K * spec.R > 1 else ''}({(upper if spec.K > 1 else first).formula})"
    return formula, rows * total, "; ".join(reasons)


def _keras(spec: Spec) -> _Said:
    """Parameters: Keras keeps one bias vector a gate, but two in a GRU with its default reset_after=True."""
    total, parameters = Counts(spec).total, say("parameters")
    if spec.P:
        return "", None, say("tool has no projection")
    if not spec.bias or spec.kind.keras_biases == 2:
        return parameters, total, say("tool has two biases" if spec.bias else "tool has no biases")
    factors = {"K": spec.K, "R": spec.R, str(spec.G): spec.G}
    formula = f"{parameters} - {''.join(f'{symbol}·' for symbol, value in factors.items() if value > 1)}D"
    return formula, total - prod(factors.values()) * spec.D, say("tool has one bias")
