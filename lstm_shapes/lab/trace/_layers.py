"""A recorded call of a recurrent kernel, read as the layer it is: which value is X, h0, c0, Y, hn, cn; which axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from .recorder import CELLS, RECURRENT, Call, Trace, Value

__all__ = ["LayerCall", "layer_calls"]


@dataclass(eq=False)
class LayerCall:
    """One call of a recurrent layer or cell.

    The kernel's own axes: X and Y are (N, L, ·) or (L, N, ·), a packed X and Y (steps, ·), states (K·R, N, ·);
    a cell's X and states are (N, ·). torch adds a batch axis to what is unbatched before the kernel runs.
    """

    call: Call
    name: str

    @cached_property
    def cell(self) -> bool:
        """Whether it is one step, without a sequence axis."""
        return self.call.name in CELLS

    @cached_property
    def packed(self) -> bool:
        args = self.call.args
        return not self.cell and isinstance(args[3], tuple)

    @property
    def module(self) -> nn.Module | None:
        return self.call.module

    @cached_property
    def kind(self) -> str:
        """LSTM, GRU or RNN."""
        return "LSTM" if "lstm" in self.call.name else "GRU" if "gru" in self.call.name else "RNN"

    @property
    def label(self) -> str:
        """torch's name: LSTM, GRUCell, …"""
        return self.kind + ("Cell" if self.cell else "")

    @property
    def called(self) -> str:
        """What the layer is called in the user's program, as far as is known."""
        return self.name or f"the {self.label}"

    # ------------------------------------------------------------------ values
    @property
    def X(self) -> Value:
        value: Value = self.call.args[0]
        return value

    @cached_property
    def states(self) -> dict[str, Value]:
        """h0, and c0 of an LSTM."""
        hx = self.call.args[2 if self.packed else 1]
        if isinstance(hx, tuple):
            return dict(zip(("h0", "c0"), hx, strict=False))
        return {"h0": hx} if isinstance(hx, Value) else {}

    @cached_property
    def outputs(self) -> dict[str, Value]:
        """Y, hn, cn; a cell has no Y."""
        roles = ("hn", "cn") if self.cell else ("Y", "hn", "cn")
        return dict(zip(roles, self.call.outputs, strict=False))

    # ------------------------------------------------------------------ numbers
    @cached_property
    def weights(self) -> tuple[Value, ...]:
        if self.cell:
            return tuple(v for v in self.call.args[2:] if isinstance(v, Value))
        weights = self.call.args[3 if self.packed else 2]
        return tuple(v for v in weights if isinstance(v, Value)) if isinstance(weights, tuple) else ()

    def _flag(self, place: int) -> Any:
        """A plain argument counted from the one that holds the weights."""
        start = 3 if self.packed else 2
        return self.call.args[start + place] if len(self.call.args) > start + place else None

    @cached_property
    def K(self) -> int:
        return 1 if self.cell else int(self._flag(2) or 1)

    @cached_property
    def R(self) -> int:
        return 1 if self.cell else 2 if self._flag(5) else 1

    @cached_property
    def batch_first(self) -> bool:
        return not self.cell and not self.packed and bool(self._flag(6))

    @property
    def unbatched(self) -> bool:
        return self.call.unbatched

    @cached_property
    def batch_axis(self) -> int | None:
        """The axis of X that the kernel reads as the batch, None where X is packed."""
        if self.packed:
            return None
        return 0 if self.cell or self.batch_first else 1

    @cached_property
    def time_axis(self) -> int | None:
        """The axis of X that the kernel reads as time, None for a cell and where X is packed."""
        return None if self.cell or self.packed else 1 - (self.batch_axis or 0)

    @cached_property
    def batch_sizes(self) -> Tensor | None:
        """How many rows a packed call reads at each step."""
        return self.call.args[1].elements if self.packed else None

    @cached_property
    def N(self) -> int:
        """Samples, as the kernel reads them."""
        if self.packed:
            return 0 if self.batch_sizes is None or not len(self.batch_sizes) else int(self.batch_sizes[0])
        return self.X.shape[self.batch_axis or 0] if len(self.X.shape) > 1 else 1

    @cached_property
    def L(self) -> int:
        """Steps, as the kernel reads them."""
        if self.packed:
            return 0 if self.batch_sizes is None else len(self.batch_sizes)
        return 1 if self.time_axis is None else self.X.shape[self.time_axis]

    @property
    def Q(self) -> int:
        return self.X.shape[-1]

    @cached_property
    def H(self) -> int:
        """Width of the hidden state."""
        return self.outputs["hn"].shape[-1] if "hn" in self.outputs else 0

    @cached_property
    def lengths(self) -> list[int]:
        """Steps of each row, in the order in which the kernel reads them."""
        if self.batch_sizes is None:
            return [self.L] * self.N
        return [int((self.batch_sizes > row).sum()) for row in range(self.N)]

    def constructor(self, **changes: Any) -> str:
        """The constructor of the layer with changes: nn.LSTM(4, 16, batch_first=True)."""
        module: Any = self.module
        known = {name: getattr(module, name, None) for name in ("input_size", "hidden_size", "num_layers")}
        Q, D, K = (changes.pop(name, value) for name, value in known.items())
        words = [str(Q if Q is not None else self.Q), str(D if D is not None else self.H)]
        if K not in (None, 1):
            words.append(str(K))
        flags = {"batch_first": self.batch_first or getattr(module, "batch_first", False), "bidirectional": self.R == 2}
        flags.update(dropout=getattr(module, "dropout", 0.0), proj_size=getattr(module, "proj_size", 0))
        flags.update(changes)
        return f"nn.{self.label}({', '.join(words + [f'{name}={value}' for name, value in flags.items() if value])})"


def layer_calls(trace: Trace, names: dict[int, str]) -> list[LayerCall]:
    """The recurrent calls of a run that came back, in order."""
    return [
        LayerCall(call, names.get(id(call.module), ""))
        for call in trace.calls
        if call.name in RECURRENT and call.error is None and call.args and isinstance(call.args[0], Value)
    ]
