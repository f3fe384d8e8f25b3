"""The words of findings: shapes with their symbols, constructors with one thing changed, names from the user's line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .calls import LayerCall
from .where import Where

__all__ = ["axes_of", "built", "named", "result_names", "shape"]

_ASSIGNED = re.compile(r"^([\w\s,()\[\]*.]+?)=(?!=)\s*(.+)$")


def shape(value: Any) -> str:
    """A tensor's shape as Python writes it."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def axes_of(call: LayerCall) -> str:
    """How the layer reads the axes of its input, in symbols."""
    return {
        "batch_first": "(N, L, Q)",
        "time_major": "(L, N, Q)",
        "unbatched": "(L, Q)",
        "cell": "(N, Q)",
        "one": "(Q)",
        "packed": "packed (steps of all rows, Q)",
    }[call.layout]


def named(symbols: Sequence[str], sizes: Sequence[int]) -> str:
    """Sizes with their names: (N=5, L=7, Q=4)."""
    return "(" + ", ".join(f"{s}={n}" for s, n in zip(symbols, sizes, strict=False)) + ")"


def built(call: LayerCall, **changes: Any) -> str:
    """The constructor of a layer, with changes: nn.LSTM(4, 16, batch_first=True)."""
    module: Any = call.module
    words = [str(changes.pop("input_size", call.Q)), str(changes.pop("hidden_size", call.D))]
    layers = changes.pop("num_layers", call.K)
    if layers != 1:
        words.append(str(layers))
    flags = {
        "batch_first": call.batch_first,
        "bidirectional": call.R == 2,
        "dropout": getattr(module, "dropout", 0.0),
        "proj_size": call.P,
    }
    flags.update(changes)
    words += [f"{name}={value}" for name, value in flags.items() if value]
    return f"nn.{call.label}({', '.join(words)})"


def result_names(where: Where | None) -> tuple[str, ...]:
    """The names on the left of the user's line: `out, (hn, cn) = self.rnn(x)` gives out, hn, cn."""
    if where is None or not where.source:
        return ()
    match = _ASSIGNED.match(where.source)
    if match is None or where.source.startswith("return") or re.search(r"\w\(", match.group(1)):
        return ()  # the equals sign belongs to an argument
    if match.group(2).startswith("lambda"):
        return ()
    return tuple(re.findall(r"[A-Za-z_]\w*", match.group(1)))


def input_name(call: LayerCall, default: str = "x") -> str:
    """What the user calls the layer's input, as far as the line shows it."""
    if call.where is None or not call.where.source:
        return default
    match = re.search(rf"{re.escape(call.name.split('.')[-1] or 'rnn')}\((\w+)\s*[,)]", call.where.source)
    return match.group(1) if match else default


def state_names(call: LayerCall) -> tuple[str, str]:
    """hn and cn as the user calls them."""
    names = [name for name in result_names(call.where) if name != "self"]
    if call.step:
        return (names[0], names[1]) if len(names) > 1 else ("h", "c")
    hidden = names[1] if len(names) > 1 and names[1] != "_" else "hn"
    cell = names[2] if len(names) > 2 and names[2] != "_" else "cn"
    return hidden, cell


def output_name(call: LayerCall) -> str:
    """Y as the user calls it."""
    names = result_names(call.where)
    return names[0] if names and names[0] not in ("_", "self") else "out"
