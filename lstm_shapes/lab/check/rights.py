"""Code that looks like a known mistake and is right: the identity that makes it so."""

from __future__ import annotations

from collections.abc import Iterator

from .study import Study

__all__ = ["rights"]


def rights(study: Study) -> Iterator[str]:
    """One sentence for each suspicious-looking thing that the experiments acquitted."""
    yield from ()
