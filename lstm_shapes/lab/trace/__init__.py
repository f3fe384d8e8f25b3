"""What a program did, in terms anybody can check: its calls of torch functions, with what went in and what came out."""

from __future__ import annotations

from ._bounded import Bounded
from ._families import CELLS, KERNELS
from ._layers import LayerCall, layer_calls
from ._nested import leaves, parts, rebuild
from ._snapshot import Reached, Snapshot, reach
from ._still import Still
from ._where import Where, here, raised_at, theirs
from .recorder import (
    DRAWS,
    ENTERS,
    LEAVES_TORCH,
    Call,
    Follower,
    Plain,
    Recorder,
    Trace,
    Value,
    aside,
    is_loss,
    substituted,
    tensors_of,
)

__all__ = [
    "CELLS", "DRAWS", "ENTERS", "KERNELS", "LEAVES_TORCH", "Bounded", "Call", "Follower", "LayerCall", "Plain",
    "Reached", "Recorder", "Snapshot", "Still", "Trace", "Value", "Where", "aside", "here", "is_loss", "layer_calls",
    "leaves", "parts", "raised_at", "reach", "rebuild", "substituted", "tensors_of", "theirs",
]  # fmt: skip
