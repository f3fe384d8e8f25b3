"""What a running frame says: whether it is the user's, and which of its names hold tensors."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules import axes_of
from lstm_shapes.lab.trace.where import theirs

__all__ = ["blanks", "followed", "packing", "tensors_of"]

_FRAMES_OF_A_LINE = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
_LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def packing() -> bool:  # pragma: no cover
    """Whether torch's own packing is at work: it sorts and counts in ways that are nobody's concern."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not theirs(frame.f_code.co_filename):
        if frame.f_code.co_filename.replace("\\", "/").endswith("nn/utils/rnn.py"):
            return True
        frame = frame.f_back
    return False


def blanks(args: Sequence[Any]) -> int:  # pragma: no cover
    flat = [one for value in args for one in (value if isinstance(value, tuple | list) else [value])]
    return max((axes.names.count("?") for one in flat if (axes := axes_of(one)) is not None), default=0)


def tensors_of(frame: FrameType) -> dict[str, Any]:  # pragma: no cover
    """The local names that hold tensors, alone or in containers."""
    return {
        name: value
        for name, value in frame.f_locals.items()
        if isinstance(value, Tensor | tuple | list | dict) and not name.startswith(".")
    }


def followed(code: CodeType, own: str) -> bool:  # pragma: no cover
    """Whether a function's lines are shown: the user's own, not torch's, Python's or an installed library's."""
    file = code.co_filename
    if code.co_name in _FRAMES_OF_A_LINE or not theirs(file) or (code.co_name, file) == ("<lambda>", "<string>"):
        return False
    if "__create_fn__" in getattr(code, "co_qualname", ""):
        return False
    return not file.startswith(_LIBRARIES) or bool(own and file.startswith(own))
