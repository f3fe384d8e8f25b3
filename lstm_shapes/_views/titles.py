"""How a call, a shape, a number of bytes and a path are written, in every table alike."""

from __future__ import annotations

from pathlib import Path

from lstm_shapes.language import say
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec


def subtitle(spec: Spec, call: Call) -> str:
    """How much data, in which layout."""
    said = {"unbatched": not call.batched, "packed": call.lengths is not None, "cell": spec.kind.step}
    key = " ".join(["call", *(word for word, holds in said.items() if holds)])
    return say(key, N=call.N or 0, L=call.L, T=call.T, batch_first=str(spec.batch_first))


def place(spec: Spec, layer: int, direction: int) -> str:
    """`layer 2`, of two directions `layer 2 reverse`."""
    key = "layer" if spec.R == 1 else "layer reverse" if direction else "layer forward"
    return say(key, k=layer)


def sizes(axes: Axes) -> str:
    """The sizes as torch prints a shape."""
    return str(tuple(axes.sizes))


def number_of_bytes(number: int) -> str:
    """Bytes in the largest binary unit that leaves at least 1.

    >>> number_of_bytes(5382144)
    '5.13 MiB'
    """
    value, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return say("bytes", number=number) if units[0] == "bytes" else f"{value:,.2f} {units[0]}"


def near(file: str) -> str:
    """A path as short as it can be said from here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
