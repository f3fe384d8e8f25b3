"""Running a layer without moving anybody's random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["untouched_random_state"]


@contextmanager
def untouched_random_state(device: torch.device) -> Iterator[None]:
    """Put the CPU's and the device's random state back afterwards, also after an exception.

    Dropout draws from them; a caller's next random number must not depend on our having looked.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
