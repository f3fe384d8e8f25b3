"""One call of a recurrent layer as it was seen at its entry and exit, and its axes in one canonical layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .where import Where

__all__ = ["KINDS", "LayerCall", "recurrent"]

KINDS: tuple[type[nn.Module], ...] = (nn.RNNBase, nn.RNNCellBase)


def recurrent(module: nn.Module) -> bool:
    """Whether a module is one of torch's recurrent layers or cells (or derived from one)."""
    return isinstance(module, KINDS)


@dataclass(eq=False, slots=True)
class LayerCall:
    """A call: the raw arguments, what came back, and the layer's own numbers.

    Canonical layouts, used by every rule: X is (N, L, Q), Y is (N, L, R·H), a state is (K·R, N, width).
    """

    index: int
    module: nn.Module
    name: str
    where: Where | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any = None
    done: bool = False
    grad_enabled: bool = True
    autocast: bool = False
    taps: dict[str, Tensor] = field(default_factory=dict)

    # ------------------------------------------------------------------ the layer's numbers
    @property
    def step(self) -> bool:
        """Whether this is a cell: one step, no sequence axis."""
        return isinstance(self.module, nn.RNNCellBase)

    @property
    def kind(self) -> str:
        """LSTM, GRU or RNN, without the word Cell."""
        for kind in ("LSTM", "GRU", "RNN"):
            if isinstance(self.module, (getattr(nn, kind), getattr(nn, f"{kind}Cell"))):
                return kind
        return str(getattr(self.module, "mode", "RNN")).split("_")[0]

    @property
    def label(self) -> str:
        """The torch name: LSTM, GRUCell …"""
        return self.kind + ("Cell" if self.step else "")

    @property
    def Q(self) -> int:
        return int(self.module.input_size)  # type: ignore[arg-type]

    @property
    def D(self) -> int:
        return int(self.module.hidden_size)  # type: ignore[arg-type]

    @property
    def K(self) -> int:
        return 1 if self.step else int(self.module.num_layers)  # type: ignore[arg-type]

    @property
    def R(self) -> int:
        return 2 if getattr(self.module, "bidirectional", False) else 1

    @property
    def P(self) -> int:
        return int(getattr(self.module, "proj_size", 0))

    @property
    def H(self) -> int:
        return self.P or self.D

    @property
    def batch_first(self) -> bool:
        return bool(getattr(self.module, "batch_first", False))

    # ------------------------------------------------------------------ arguments
    @property
    def input(self) -> Any:
        """The first argument, whatever it is."""
        return self.args[0] if self.args else self.kwargs.get("input")

    @property
    def hx(self) -> Any:
        """The state argument, whatever it is."""
        return self.args[1] if len(self.args) > 1 else self.kwargs.get("hx")

    @property
    def X(self) -> Tensor | None:
        """The input's tensor (the data of a packed one)."""
        if "X" in self.taps:
            return self.taps["X"]
        value = self.input.data if isinstance(self.input, PackedSequence) else self.input
        return value if isinstance(value, Tensor) else None

    @property
    def states(self) -> dict[str, Tensor]:
        """h0 and c0 as far as they were given."""
        given = self.hx
        if isinstance(given, Tensor):
            return {"h0": given}
        if isinstance(given, (tuple, list)):
            return {name: s for name, s in zip(("h0", "c0"), given, strict=False) if isinstance(s, Tensor)}
        return {}

    @property
    def packed(self) -> PackedSequence | None:
        return self.input if isinstance(self.input, PackedSequence) else None

    @property
    def layout(self) -> str:
        """How X's axes are read: packed, batch_first, time_major, unbatched, cell or one (a cell's single vector)."""
        if self.packed is not None:
            return "packed"
        rank = 0 if self.X is None else self.X.dim()
        if self.step:
            return "one" if rank == 1 else "cell"
        if rank == 2:
            return "unbatched"
        return "batch_first" if self.batch_first else "time_major"

    @property
    def N(self) -> int:
        """Samples as this layer reads them."""
        if self.packed is not None:
            return int(self.packed.batch_sizes[0])
        X = self.X
        if X is None:
            return 0
        axis = {"batch_first": 0, "time_major": 1, "cell": 0}.get(self.layout)
        return 1 if axis is None or X.dim() <= axis else X.size(axis)

    @property
    def L(self) -> int:
        """Steps as this layer reads them."""
        if self.packed is not None:
            return len(self.packed.batch_sizes)
        X = self.X
        if X is None or self.step:
            return 1
        return X.size(1 if self.layout == "batch_first" else 0)

    @property
    def lengths(self) -> list[int]:
        """Steps of each row, in the order of the samples."""
        packed = self.packed
        if packed is None:
            return [self.L] * self.N
        counts = [int((packed.batch_sizes > row).sum()) for row in range(self.N)]
        if packed.unsorted_indices is None:
            return counts
        return [counts[int(place)] for place in packed.unsorted_indices]

    # ------------------------------------------------------------------ canonical layouts
    def canon_sequence(self, value: Tensor) -> Tensor:
        """X or Y (or a gradient or a difference of it) as (N, L, width); cells past a row's length are zero."""
        layout = self.layout
        if layout == "packed":
            assert self.packed is not None
            out = value.new_zeros((self.N, self.L, *value.shape[1:]))
            order = self.packed.sorted_indices
            rows = torch.arange(self.N, device=value.device) if order is None else order.to(value.device)
            start = 0
            for t, size in enumerate(self.packed.batch_sizes.tolist()):
                out[rows[:size], t] = value[start : start + size]
                start += size
            return out
        if layout == "time_major":
            return value.transpose(0, 1)
        if layout == "unbatched":
            return value.unsqueeze(0)
        if layout == "cell":
            return value.unsqueeze(1)
        return value[None, None] if layout == "one" else value

    def canon_state(self, value: Tensor) -> Tensor:
        """h0, c0, hn or cn as (K·R, N, width)."""
        if self.step:
            return value.unsqueeze(0) if value.dim() == 2 else value[None, None]
        return value.unsqueeze(1) if value.dim() == 2 else value

    def canon(self, role: str, value: Tensor) -> Tensor:
        return self.canon_sequence(value) if role in ("X", "Y") else self.canon_state(value)

    # ------------------------------------------------------------------ words
    @property
    def call_name(self) -> str:
        """What the layer is probably called in the user's code: self.rnn for a submodule rnn."""
        return self.name or self.label.lower()


def parts_of(call: LayerCall, output: Any) -> dict[str, Tensor]:
    """Y, hn and cn out of what a layer returned."""
    found: dict[str, Any] = {}
    if call.step:
        found = {"hn": output[0], "cn": output[1]} if isinstance(output, tuple) else {"hn": output}
    elif isinstance(output, tuple) and len(output) == 2:
        sequence, state = output
        found["Y"] = sequence.data if isinstance(sequence, PackedSequence) else sequence
        found.update({"hn": state[0], "cn": state[1]} if isinstance(state, tuple) else {"hn": state})
    return {role: value for role, value in found.items() if isinstance(value, Tensor)}
