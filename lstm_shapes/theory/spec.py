"""Spec: which recurrent layer is meant. Every rule about its fields is checked here, once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lstm_shapes.errors import SpecError

from .cells import CELLS, CellKind

__all__ = ["Spec", "is_whole", "whole"]


@dataclass(frozen=True, slots=True)
class Spec:
    """A recurrent layer in the field's symbols: Q inputs, D hidden, K layers, R directions, P projected.

    Q        torch's `input_size`, at least 1
    D        torch's `hidden_size`, at least 1
    K        torch's `num_layers`, at least 1
    batch_first   True: X is (N, L, Q). False, torch's own default: X is (L, N, Q)
    cell     `"LSTM"`, `"GRU"`, `"RNN"`, or a single step: `"LSTMCell"`, `"GRUCell"`, `"RNNCell"`
    bidirectional   R = 2 reading directions in place of 1
    proj_size       P, only for LSTM: 0 for none, else below D
    bias, dropout   as torch has them; dropout acts between layers, so K = 1 has none
    nonlinearity    `"tanh"` or `"relu"`, only for RNN

    >>> spec = Spec(28, 256, 3)
    >>> spec.R, spec.H, spec.G
    (1, 256, 4)
    >>> Spec(28, 256, 3, bidirectional=True, proj_size=64)
    Spec(Q=28, D=256, K=3, batch_first=True, bidirectional=True, proj_size=64)
    >>> Spec(28, 0, 3)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: D (hidden_size) must be a whole number of at least 1, got 0.

    Raises: SpecError, which names the field, its rule and what was given.
    Source: the constructors of RNNBase and RNNCellBase in `torch/nn/modules/rnn.py`.
    """

    Q: int
    D: int
    K: int = 1
    batch_first: bool = True
    _: dataclasses.KW_ONLY
    cell: str = "LSTM"
    bidirectional: bool = False
    proj_size: int = 0
    bias: bool = True
    dropout: float = 0.0
    nonlinearity: str = "tanh"

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise SpecError("cell", f"one of {', '.join(CELLS)}", self.cell)
        for name, label in (("Q", "Q (input_size)"), ("D", "D (hidden_size)"), ("K", "K (num_layers)")):
            self._set(name, whole(label, getattr(self, name), most=_ROWS if name == "D" else ""))
        for name in ("batch_first", "bidirectional", "bias"):
            if not isinstance(getattr(self, name), bool):
                raise SpecError(name, "True or False", getattr(self, name), _SWAPPED.get(name, ""))
        self._set("proj_size", whole("P (proj_size)", self.proj_size, at_least=0))
        if self.proj_size >= self.D:
            rule = f"below D = {self.D} (0 for no projection)"
            raise SpecError("P (proj_size)", rule, self.proj_size, "A projection makes h narrower than c")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)):
            raise SpecError("dropout", "a number from 0 to 1", self.dropout)
        if not 0 <= self.dropout <= 1:  # also false for nan
            raise SpecError("dropout", "a probability from 0 to 1", self.dropout)
        self._set("dropout", float(self.dropout))
        self._check_against_kind()

    def _check_against_kind(self) -> None:
        """What the row of CELLS allows this layer to have."""
        kind = self.kind
        if self.proj_size and not kind.projects:
            raise SpecError("P (proj_size)", f"0 for {self.cell}", self.proj_size, "Only LSTM projects")
        allowed = kind.nonlinearities or ("tanh",)
        if not isinstance(self.nonlinearity, str) or self.nonlinearity not in allowed:
            rule = " or ".join(repr(name) for name in allowed)
            raise SpecError("nonlinearity", f"{rule} for {self.cell}", self.nonlinearity)
        if kind.step:
            for name, only in (("K", 1), ("bidirectional", False), ("dropout", 0.0)):
                if getattr(self, name) != only:
                    hint = f"A cell is one step of one layer; use cell={kind.layer!r} for more"
                    raise SpecError(name, f"{only} for {self.cell}", getattr(self, name), hint)
            # A cell has no time axis for batch_first to move; one spelling keeps equality meaningful.
            self._set("batch_first", True)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def kind(self) -> CellKind:
        """The row of the table of cell kinds."""
        return CELLS[self.cell]

    @property
    def R(self) -> int:
        """Reading directions: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def P(self) -> int:
        """Width of the projected hidden state, 0 = none (torch's `proj_size`)."""
        return self.proj_size

    @property
    def H(self) -> int:
        """Width of one direction's hidden state: P if projected, else D."""
        return self.proj_size or self.D

    @property
    def width(self) -> str:
        """The symbol of H: P if projected, else D."""
        return "P" if self.proj_size else "D"

    @property
    def has_c(self) -> bool:
        """Whether there is a cell state: (hn, cn) where other kinds have hn."""
        return "c" in self.kind.states

    def states(self, when: str) -> str:
        """The states as torch takes them (`when` is "0") or returns them ("n").

        >>> Spec(28, 256).states("n"), Spec(28, 256, cell="GRU").states("0")
        ('(hn, cn)', 'h0')
        """
        names = [f"{state}{when}" for state in self.kind.states]
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    @property
    def G(self) -> int:
        """Gates, the blocks stacked in each weight: LSTM 4, GRU 3, RNN 1."""
        return len(self.kind.gates)

    @property
    def constructor(self) -> str:
        """The call that builds this layer in torch, its sizes first and every switch by name.

        >>> Spec(28, 256, 3, bidirectional=True).constructor
        'nn.LSTM(28, 256, num_layers=3, batch_first=True, bidirectional=True)'
        """
        words = [str(self.Q), str(self.D)]
        switches: dict[str, tuple[object, object]] = {
            "num_layers": (self.K, 1),
            "nonlinearity": (self.nonlinearity, "tanh"),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first and not self.kind.step, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            "proj_size": (self.P, 0),
        }
        words += [f"{name}={value!r}" for name, (value, default) in switches.items() if value != default]
        return f"nn.{self.cell}({', '.join(words)})"

    def input_width(self, layer: int) -> int:
        """Features that one direction of a layer reads: Q at the bottom, R·H above."""
        return self.Q if layer == 0 else self.R * self.H

    def replace(self, **changes: Any) -> Spec:
        """The same layer with some fields changed, validated again.

        >>> Spec(28, 256, 3).replace(K=1)
        Spec(Q=28, D=256, K=1, batch_first=True)

        Raises: SpecError for a value that breaks a rule or a field that does not exist.
        """
        unknown = sorted(set(changes) - {field.name for field in dataclasses.fields(self)})
        if unknown:
            fields = ", ".join(field.name for field in dataclasses.fields(self))
            raise SpecError("a field of Spec", f"one of {fields}", unknown[0])
        return dataclasses.replace(self, **changes)

    @classmethod
    def of(cls, source: Any, prefix: str = "") -> Spec:
        """The Spec of a live torch layer, or of a checkpoint's state_dict below `prefix`.

        A state_dict knows Q, D, K, R, P, the cell and the bias; it cannot tell batch_first, dropout, nor
        tanh from relu, which get their defaults.

        >>> import torch
        >>> Spec.of(torch.nn.GRU(28, 64, 2, bidirectional=True))
        Spec(Q=28, D=64, K=2, batch_first=False, cell='GRU', bidirectional=True)

        Raises: SpecError for anything else, or for weights that fit no recurrent layer.
        """
        from .sources import spec_of

        return spec_of(source, prefix)

    def to_dict(self) -> dict[str, int | float | bool | str]:
        """Every field as plain data, ready for JSON; `Spec(**spec.to_dict())` is the way back."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        # The four lesson arguments always, the rest only where it differs from its default.
        shown = [f"{name}={getattr(self, name)!r}" for name in ("Q", "D", "K", "batch_first")]
        for field in dataclasses.fields(self)[4:]:
            if getattr(self, field.name) != field.default:
                shown.append(f"{field.name}={getattr(self, field.name)!r}")
        return f"Spec({', '.join(shown)})"


# torch keeps sizes in 64 bits, and the rows of a weight are up to four times a size; nobody needs as much of the rest.
_MOST = 2**60
_ROWS = ", so that G·D fits torch's 64 bits"

_SWAPPED = {"batch_first": "The fourth argument is batch_first; N and L go by name: N=2, L=20"}


def is_whole(value: object) -> bool:
    """An int that is no bool: what torch takes as a size."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole(name: str, value: object, at_least: int = 1, *, most: str = "") -> int:
    """`value` as a plain int, or a SpecError that names it; `most` is why it may not be any larger, if that is special.

    >>> whole("N", 2.0)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: N must be a whole number of at least 1, got 2.0.
    """
    rule = f"a whole number of at least {at_least}"
    if not is_whole(value):
        raise SpecError(name, rule, value, "Use int(...)" if hasattr(value, "__index__") else "")
    number = int(value)  # type: ignore[call-overload]
    if number < at_least:
        raise SpecError(name, rule, value)
    if number > _MOST:
        raise SpecError(name, f"{rule} and at most 2**60{most}", value)
    return int(number)
