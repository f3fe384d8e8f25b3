"""A recorded call of a recurrent kernel, read as the layer it is: which value is X, h0, c0, Y, hn, cn; which axes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import Tensor

from ._families import CELLS, KERNELS
from .recorder import Call, Trace, Value


class LayerCall:
    """One call of a recurrent layer or cell.

    The kernel's own axes: X and Y are (N, L, ·) or (L, N, ·), a packed X and Y (steps, ·), states (K·R, N, ·);
    a cell's X and states are (N, ·). torch adds a batch axis to what is unbatched before the kernel runs.
    `name`: what the layer is called in the user's program, as far as is known.
    """

    def __init__(self, call: Call, name: str) -> None:
        args = (*call.args, *[None] * 10)
        self.call, self.name, self.module, self.unbatched = call, name, call.module, call.unbatched
        self.cell = call.name in CELLS
        self.packed = not self.cell and isinstance(args[3], tuple)
        self.kind = "LSTM" if "lstm" in call.name else "GRU" if "gru" in call.name else "RNN"
        self.label = self.kind + ("Cell" if self.cell else "")  # torch's name
        self.called = name or f"the {self.label}"
        self.X: Value = args[0]
        hx, weights, *flags = args[2 if self.packed else 1 :]
        self.states = dict(zip(("h0", "c0"), hx if isinstance(hx, tuple) else (hx,), strict=False))
        self.states = {role: value for role, value in self.states.items() if isinstance(value, Value)}
        self.outputs = dict(zip(("hn", "cn") if self.cell else ("Y", "hn", "cn"), call.outputs, strict=False))
        held = call.args[2:] if self.cell else weights if isinstance(weights, tuple) else ()
        self.weights = tuple(value for value in held if isinstance(value, Value))
        self.K = 1 if self.cell else int(flags[1] or 1)
        self.R = 2 if not self.cell and flags[4] else 1
        self.batch_first = not self.cell and not self.packed and bool(flags[5])
        # The axes of X that the kernel reads as batch and time, None where there is none.
        self.batch_axis = None if self.packed else 0 if self.cell or self.batch_first else 1
        self.time_axis = None if self.cell or self.packed else 1 - (self.batch_axis or 0)

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

    @property
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
        if call.name in KERNELS and call.error is None and call.args and isinstance(call.args[0], Value)
    ]
