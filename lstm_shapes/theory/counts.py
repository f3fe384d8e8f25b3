"""Counts: parameters, multiply-accumulates and bytes, each with the formula it came from.

One direction of one layer that reads I features holds

    G·(I·D + H·D + 2D)      input weights, recurrent weights, two bias vectors, for each of G gates
    + P·D                   the projection, if there is one

with I = Q in the first layer and R·H above. A multiply-accumulate (MAC) is one product-and-add of a matrix
product: biases and elementwise work are not counted; FLOPs = 2 × MACs.

Source: `RNNBase.__init__` in `torch/nn/modules/rnn.py`; Hochreiter and Schmidhuber (1997) for the LSTM,
Sak, Senior and Beaufays (2014) for the projection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.language import language

from .call import DTYPES, Call
from .memory import kept_elements
from .spec import Spec
from .terms import Term

__all__ = ["Counts", "LayerCount", "Term", "listed_layers"]


@dataclass(frozen=True, slots=True)
class LayerCount:
    """The parameters of one layer, all directions together.

    >>> layer = LayerCount(Spec(28, 256, 3), 0)
    >>> print(layer.formula, "=", layer.substituted, "=", layer.total)
    4·(Q·D + D·D + 2D) = 4·(28·256 + 256·256 + 2·256) = 292864
    """

    spec: Spec
    index: int

    @property
    def _input(self) -> tuple[str, int]:
        """The width this layer reads, as a symbol and as a number."""
        if self.index == 0:
            return "Q", self.spec.Q
        return ("2" if self.spec.bidirectional else "") + self.spec.width, self.spec.input_width(self.index)

    def _gate_parts(self) -> tuple[tuple[str, str, str, int], ...]:
        """One gate of one direction: (name, formula, substituted, value) of each part."""
        D, H = self.spec.D, self.spec.H
        symbol, width = self._input
        parts = [
            ("input", f"{symbol}·D", f"{width}·{D}", width * D),
            ("recurrent", f"{self.spec.width}·D", f"{H}·{D}", H * D),
        ]
        if self.spec.bias:
            parts.append(("bias", "2D", f"2·{D}", 2 * D))
        return tuple(parts)

    @property
    def terms(self) -> tuple[Term, ...]:
        """One direction by purpose: input, recurrent and bias of all gates, then the projection."""
        G = self.spec.G
        by = f"{G}·" if G > 1 else ""
        terms = [Term(name, by + f, by + s, G * value) for name, f, s, value in self._gate_parts()]
        if self.spec.P:
            P, D = self.spec.P, self.spec.D
            terms.append(Term("projection", "P·D", f"{P}·{D}", P * D))
        return tuple(terms)

    @property
    def gates(self) -> tuple[Term, ...]:
        """One direction by gate, in torch's order; a projection belongs to no gate."""
        parts = self._gate_parts()
        formula, substituted = " + ".join(part[1] for part in parts), " + ".join(part[2] for part in parts)
        value = sum(part[3] for part in parts)
        return tuple(Term(gate, formula, substituted, value) for gate in self.spec.kind.gates)

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
        return self._write(1, "P·D")

    @property
    def substituted(self) -> str:
        return self._write(2, f"{self.spec.P}·{self.spec.D}")

    @property
    def is_product(self) -> bool:
        """Whether the formula is one product, which can take another factor without brackets."""
        return self.spec.R > 1 or (self.spec.G > 1 and not self.spec.P)

    def _write(self, form: int, projection: str) -> str:
        G, R = self.spec.G, self.spec.R
        text = " + ".join(str(part[form]) for part in self._gate_parts())
        if G > 1:
            text = f"{G}·({text})"
        if self.spec.P:
            text = f"{text} + {projection}"
        if R > 1:
            text = f"{R}·({text})" if self.spec.P or G == 1 else f"{R}·{text}"
        return text

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
        above: int = getattr(self.upper, what) if self.upper else 0
        first: int = getattr(self.first, what)
        return first + (self.spec.K - 1) * above

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
            if not self.upper.is_product:
                above = f"({above})"
            text = f"{text} + {times}·{above}"
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
        """Bytes kept until backward on the unfused path, weights not counted (`memory.py` says what is).

        >>> Counts(Spec(28, 256, 3), Call(N=2, L=20)).activation_bytes
        946560
        """
        return None if self.call is None else kept_elements(self.spec, self.call) * DTYPES[self.dtype]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: totals, and each layer with its terms; of more than 1,000 layers the first two."""
        return {
            "total": self.total,
            "formula": self.formula,
            "substituted": self.substituted,
            "dtype": self.dtype,
            "bytes": self.bytes,
            "recurrent": self.recurrent,
            "recurrent_share": self.recurrent_share,
            "macs": self.macs,
            "flops": self.flops,
            "state_bytes": self.state_bytes,
            "activation_bytes": self.activation_bytes,
            "layers": [LayerCount(self.spec, index).to_dict() for index in range(listed_layers(self.spec))],
        }


def listed_layers(spec: Spec) -> int:
    """How many layers plain data lists: all, or the first two where the rest, all alike, would be a flood.

    >>> listed_layers(Spec(28, 256, 3)), listed_layers(Spec(28, 256, 1_000_000))
    (3, 2)
    """
    return spec.K if spec.K <= 1_000 else 2
