"""What a program did, in terms anybody can check: its calls of torch functions, with what went in and what came out."""

from __future__ import annotations

from ._families import CELLS, DRAWS, ENTERS, KERNELS, LEAVES_TORCH, is_loss
from ._record import (
    Call,
    LayerCall,
    Trace,
    Value,
    Where,
    here,
    layer_calls,
    leaves,
    parts,
    raised_at,
    rebuild,
    substituted,
    tensors_of,
    theirs,
)
from ._start import Snapshot, Still
from .recorder import Bounded, Follower, Plain, Recorder, aside

__all__ = [
    "CELLS", "DRAWS", "ENTERS", "KERNELS", "LEAVES_TORCH", "Bounded", "Call", "Follower", "LayerCall", "Plain",
    "Recorder", "Snapshot", "Still", "Trace", "Value", "Where", "aside", "here", "is_loss", "layer_calls", "leaves",
    "parts", "raised_at", "rebuild", "substituted", "tensors_of", "theirs",
]  # fmt: skip
