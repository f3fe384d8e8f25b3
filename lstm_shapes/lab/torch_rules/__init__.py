"""What a torch function does to names: its pure rule, found by its name, asked with axes instead of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from lstm_shapes.lab.private import pointwise_operators
from lstm_shapes.theory.axes import Axes, forget
from lstm_shapes.theory.axis_rules.reshaping import Scramble
from lstm_shapes.theory.axis_rules.table import RULES, Answer, Rule

from .operands import axes_of, called, flat, key_of, operand, sizes_in, weight_axes
from .scrambles import tell

__all__ = ["answer", "axes_of", "called", "rule_of", "tensors_in", "weight_axes"]

# Names that torch's tag `pointwise` does not know: a function that is another one by a different name.
_POINTWISE = """
absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh divide expit fix floor_divide greater greater_equal
isclose isreal less less_equal multiply multigammaln ndtr negative not_equal psi real subtract hardswish tanhshrink
softsign logsigmoid log_sigmoid true_divide special_expit special_expm1 special_log1p special_psi and or xor invert
rpow pow neg pos abs add sub mul div truediv floordiv mod lshift rshift eq ne lt le gt ge
"""

# Read as positions: which argument of a function is an index.
_KEYS = {"__getitem__": (1, ""), "__setitem__": (1, ""), "masked_select": (1, "mask"), "index_select": (2, "index")}


@cache
def _pointwise() -> frozenset[str]:
    """The names of elementwise functions: those that torch itself tags so, and a few more."""
    return pointwise_operators() | frozenset(_POINTWISE.split())


def rule_of(function: object) -> Rule | None:
    """The rule of a torch function, method or in-place method, None where there is none.

    >>> rule_of(torch.transpose) is rule_of(torch.Tensor.transpose_)
    True
    >>> rule_of(torch.histc) is None
    True
    """
    name = _name(function)
    spellings = _spellings(name, bool(name) and getattr(Tensor, name, None) is function)
    return next((RULES[spelling] for spelling in spellings if spelling in RULES), None)


@cache
def _spellings(name: str, method: bool) -> tuple[str, ...]:
    """The names under which a rule may stand; `__iadd__` and `__radd__` are add."""
    bare = name if name.endswith("__") else name.removesuffix("_")
    words = name.strip("_")
    elementwise = words in _pointwise() or (name.startswith("__") and words[:1] in "ir" and words[1:] in _pointwise())
    more = ([f"Tensor.{bare}"] if method else []) + (["pointwise"] if elementwise else [])
    return (name, bare, bare.removeprefix("special_"), *more)


def _name(function: Any) -> str:
    """A torch function's name; of x.T, which is a property, its getter is what is dispatched."""
    name = getattr(function, "__name__", "")
    if name in ("__get__", "__set__"):
        name = getattr(function.__self__, "__name__", "") if name == "__get__" else ""
    return name if isinstance(name, str) else ""


def answer(
    function: object,
    out: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    axes: Callable[[object], Axes | None] = axes_of,
    strict: bool = False,
) -> Answer:
    """The axes of what a function returned: one for all its tensors, one for each, or none.

    `axes` says which axes a tensor has; a recorder that keeps them elsewhere brings its own.
    """
    rule = rule_of(function)
    if rule is None:
        return None
    sources = [named for value in flat(args, kwargs) if (named := axes(value)) is not None]
    if not sources and not rule.needs_none:
        return None
    # torch.embedding takes the table first, F.embedding the tokens.
    values = [*args[1::-1], *args[2:]] if function is torch.embedding else args
    keys = _KEYS.get(_name(function), ())
    try:
        given = [(key_of if at in keys else operand)(value, axes) for at, value in enumerate(values)]
        keywords = {
            name: (key_of if name in keys else operand)(value, axes) for name, value in kwargs.items() if name != "out"
        }
        if rule.needs_axes and not isinstance(next(iter([*given, *keywords.values()])), Axes):
            return None
        if rule.wants_out:
            keywords["out"] = sizes_in(out)
        said: Any = rule.function(*given, **keywords)
    except Exception:
        # A call that a rule does not foresee leaves a plain tensor: a name is never worth a crash.
        if strict:
            raise
        return None
    if isinstance(said, tuple) and isinstance(said[1], Scramble | None):
        said, scramble = said
        if scramble is not None:
            tell(scramble)
    if rule.own_record or said is None:
        return cast(Answer, said)
    return forget(said, sources) if isinstance(said, Axes) else [one and forget(one, sources) for one in said]


def tensors_in(out: object) -> list[Tensor]:
    """The tensors that a function returned, one level deep.

    >>> len(tensors_in((torch.zeros(1), [torch.zeros(2)], 3)))
    1
    """
    if isinstance(out, Tensor):
        return [out]
    return [value for value in out if isinstance(value, Tensor)] if isinstance(out, tuple | list) else []
