"""The two ways a request can be wrong, each of which says what to do next.

`SpecError`   a layer that cannot exist: a field of `Spec` breaks its rule.
`ShapeError`  a tensor, a size or an expression that does not fit the layer at hand.

Both carry their parts as attributes, so a program can act on what a person reads.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

__all__ = ["LstmShapesError", "ScrambledAxesWarning", "ShapeError", "SpecError", "in_one_sentence", "nearest"]

T = TypeVar("T")
_NOTHING = object()


class LstmShapesError(ValueError):
    """The base of every error this library raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # The constructors take keywords, which plain exception pickling loses on its way through multiprocessing.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: the caller's own lines and the sentence, and no frame of ours."""
        shell = sys.modules["IPython"].get_ipython()
        theirs = _without_ours(self.__traceback__)
        return list(shell.InteractiveTB.structured_traceback(type(self), self, theirs, tb_offset=1))


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    if traceback is None:
        return None
    after = _without_ours(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        return after
    return TracebackType(after, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def in_one_sentence(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a public function: an error of this library that leaves it shows none of the library's own lines.

    The cause stays where it was.
    """

    @wraps(function)
    def public(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except LstmShapesError as error:
            raise error.with_traceback(None) from error.__cause__

    return public


class SpecError(LstmShapesError):
    """A field of a `Spec` breaks its rule.

    >>> raise SpecError("Q", "a whole number of at least 1", got=0)
    Traceback (most recent call last):
    lstm_shapes.errors.SpecError: Q must be a whole number of at least 1, got 0.
    """

    def __init__(self, name: str, rule: str, got: object = _NOTHING, hint: str = "") -> None:
        self.name = name
        self.rule = rule
        self.got = None if got is _NOTHING else got
        self.hint = hint
        told = "" if got is _NOTHING else f", got {_show(got)}"
        super().__init__(_sentence(f"{name} must be {rule}{told}", hint))


class ShapeError(LstmShapesError):
    """Something has another shape than the layer's algebra says.

    >>> raise ShapeError("h0", "(K·R, N, H)", expected=(2, 3, 20), got=(3, 2, 20),
    ...                  hint="batch_first never moves the axes of h0")
    Traceback (most recent call last):
    lstm_shapes.errors.ShapeError: h0 must be (K·R, N, H) = (2, 3, 20), got (3, 2, 20). batch_first never ...
    """

    def __init__(self, name: str, formula: str, *, expected: object = None, got: object = None, hint: str = "") -> None:
        self.name = name
        self.formula = formula
        self.expected = expected
        self.got = got
        self.hint = hint
        wanted = formula if expected is None else f"{formula} = {_show(expected)}"
        told = "" if got is None else f", got {_show(got)}"
        super().__init__(_sentence(f"{name} must be {wanted}{told}", hint))


class ScrambledAxesWarning(UserWarning):
    """A reshape cut through an axis: the result mixes elements that belong to different owners."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one; empty where none is like it.

    >>> nearest("num_layer", ["num_layers", "hidden_size"])
    'num_layers'
    """
    from difflib import get_close_matches  # loaded where something is wrong, and not before the first table

    return next(iter(get_close_matches(word, list(known), 1)), "")


def _sentence(first: str, hint: str) -> str:
    hint = hint.strip().rstrip(".")
    return f"{first}. {hint}{'' if hint.endswith('?') else '.'}" if hint else f"{first}."


def _show(value: object) -> str:
    """`repr`, cut where hostile input would make a one-line message a page, and safe where repr raises."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:80]}…"
