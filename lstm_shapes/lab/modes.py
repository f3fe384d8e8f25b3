"""What a proof asks of torch while it runs: the layer as it is, and one thread where it is small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

__all__ = ["one_thread_below", "plain_mode"]

# About a hundredth of a second on one core.
_SMALL_MACS = 10**9


@contextmanager
def one_thread_below(macs: int, most: int = _SMALL_MACS) -> Iterator[None]:
    """One thread of torch's inside, as many as before afterwards; nothing changes above `most` MACs.

    A small layer is a thousand tiny kernels. Threads meet after each, and where another program has one of the
    cores, they wait there for most of the time.

    >>> before = torch.get_num_threads()
    >>> with one_thread_below(53_575_680):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if macs > most or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def plain_mode() -> Iterator[None]:
    """No gradients, no autocast, no inference mode: under those a layer, or torch's counter, answers otherwise.

    >>> with torch.inference_mode(), plain_mode():
    ...     torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    (False, False)
    """
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.no_grad())
        for device in ("cpu", "cuda"):
            modes.enter_context(torch.autocast(device, enabled=False))
        yield
