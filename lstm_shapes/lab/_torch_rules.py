"""What a torch function does to names: its pure rule, found by its name, asked with axes instead of tensors.

Tensors are made into what the rules understand once, here: named axes, or plain sizes, which claim nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lstm_shapes.errors import ScrambledAxesWarning
from lstm_shapes.lab._private import pointwise_operators
from lstm_shapes.language import speaking
from lstm_shapes.theory._axis_rules.joining import Key, Picks
from lstm_shapes.theory._axis_rules.positions import Scramble
from lstm_shapes.theory._axis_rules.table import RULES, Plain, Rule
from lstm_shapes.theory.axes import Atom, Axes, Axis, forget, made, whole

_MOST = 1 << 16
"""How many positions of an index tensor are read; a longer one is not asked whether it repeats itself."""

called: Any = WeakIdKeyDictionary()
"""Weight -> axis of it -> what that axis is called for as long as a walk lasts: fc, after the layer."""

# Tensors are compared by identity here, and forgotten when nobody else holds them.
_MADE: Any = WeakIdKeyDictionary()

_AxesOf = Callable[[object], Axes | None]


class _Weight(Plain):
    """A plain tensor that makes the same axes each time that it is used."""

    tensor: Tensor

    @classmethod
    def of(cls, tensor: Tensor) -> _Weight:
        weight = cls(tensor.shape)
        weight.tensor = tensor
        return weight

    def made(self, at: int) -> Axis:
        """What axis `at` of a weight makes; of `W.t()`, what that axis of W makes."""
        at %= len(self)
        base = self.tensor if self.tensor._base is None else self.tensor._base
        if base is not self.tensor:
            strides = [(base.stride(dim), size) for dim, size in enumerate(base.shape)]
            here = (self.tensor.stride(at), self[at])
            if here not in strides:
                return made(self[at])
            at = strides.index(here)
        names = called.get(base, {})
        size, own = base.shape[at], names.get("own", "")
        name = names.get(str(at), f"{own}.{at}" if own and base.dim() > 1 else own)
        return _remembered(base, (at, name, size), lambda: made(size, name))

    def atom(self, symbol: str, size: int) -> Atom:
        return _remembered(self.tensor, (symbol, size), lambda: Axis((whole(symbol, size),))).atoms[0]


def _remembered(weight: Tensor, key: object, make: Callable[[], Axis]) -> Axis:
    axes: dict[object, Axis] = _MADE.setdefault(weight, {})
    return axes[key] if key in axes else axes.setdefault(key, make())


def axes_of(value: object) -> Axes | None:
    """The axes that a tensor carries, None where it is plain or no tensor."""
    axes = getattr(value, "__dict__", {}).get("_axes") if isinstance(value, Tensor) else None
    return axes if isinstance(axes, Axes) else None


def weight_axes(tensor: Tensor) -> Axes:
    """The axes of a weight that nothing with names has met yet: those that it would make."""
    return Axes(tuple(map(_Weight.of(tensor).made, range(tensor.dim()))))


def _operand(value: Any, axes: _AxesOf) -> Any:
    """An argument as a rule takes it: axes for a named tensor, sizes for a plain one, lists of them in lists."""
    if isinstance(value, Tensor):
        named = axes(value)
        return _Weight.of(value) if named is None else named
    if isinstance(value, list | tuple) and any(isinstance(one, Tensor | list | tuple) for one in value):
        return [_operand(one, axes) for one in value]
    return value


def _key(key: Any, axes: _AxesOf) -> tuple[Key, ...] | None:
    """What stands in `t[key]`, with tensors read out; None where there is no rule for it."""
    parts = [_positions(one, axes) for one in (key if isinstance(key, tuple) else (key,))]
    return None if None in parts else tuple(one for part in parts for one in part or ())


def _positions(one: Any, axes: _AxesOf) -> list[Key] | None:
    if one is None or isinstance(one, EllipsisType):
        return [one]
    if isinstance(one, slice):
        return [slice(*(None if end is None else int(end) for end in (one.start, one.stop, one.step)))]
    if hasattr(one, "__index__") and not isinstance(one, Tensor) and getattr(one, "ndim", 0) == 0:
        return None if isinstance(one, bool) else [int(one)]
    if isinstance(one, list) and not all(isinstance(part, int) for part in one):
        return None
    index = torch.as_tensor(one)
    mask = index.dtype in (torch.bool, torch.uint8)
    if index.is_floating_point() or (index.is_meta and (mask or index.dim() == 0)) or (mask and index.dim() == 0):
        return None
    if mask:
        # A mask takes positions in order, so its own name would be that of the axis it masks, or a lie.
        return [Picks(tuple(where.shape), _values(where)) for where in index.nonzero(as_tuple=True)]
    return [Picks(tuple(index.shape), _values(index), axes(one))] if index.dim() else [int(index.item())]


def _values(index: Tensor) -> tuple[int, ...] | None:
    """The positions in an index tensor, None where they can not be read or are too many to keep."""
    if index.is_meta or index.numel() > _MOST:
        return None
    return tuple(map(int, index.flatten().tolist()))


# Names that torch's tag `pointwise` does not know: a function that is another one by a different name.
_POINTWISE = """
absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh divide expit fix floor_divide greater greater_equal
isclose isreal less less_equal multiply multigammaln ndtr negative not_equal psi real subtract hardswish tanhshrink
softsign logsigmoid log_sigmoid true_divide special_expit special_expm1 special_log1p special_psi and or xor invert
rpow pow neg pos abs add sub mul div truediv floordiv mod lshift rshift eq ne lt le gt ge
"""

# Read as positions: which argument of a function is an index.
_KEYS = {"__getitem__": (1, ""), "__setitem__": (1, ""), "index_select": (2, "index")}


@cache
def _pointwise() -> frozenset[str]:
    """The names of elementwise functions: those that torch itself tags so, and a few more."""
    return pointwise_operators() | frozenset(_POINTWISE.split())


def rule_of(function: object) -> Rule | None:
    """The rule of a torch function, method or in-place method, None where there is none.

    >>> rule_of(torch.transpose) is rule_of(torch.Tensor.transpose_), rule_of(torch.histc)
    (True, None)
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
    axes: _AxesOf = axes_of,
    strict: bool = False,
) -> list[Axes | None]:
    """The axes of each tensor that a function returned, None where nothing is claimed.

    `axes` says which axes a tensor has; a recorder that keeps them elsewhere brings its own.
    """
    rule = rule_of(function)
    nothing: list[Axes | None] = [None] * len(tensors_in(out))
    if rule is None:
        return nothing
    everything = (*args, *kwargs.values())
    each = [one for value in everything for one in (value if isinstance(value, tuple | list) else [value])]
    sources = [named for value in each if (named := axes(value)) is not None]
    if not sources and not rule.needs_none:
        return nothing
    # torch.embedding takes the table first, F.embedding the tokens.
    values = [*args[1::-1], *args[2:]] if function is torch.embedding else args
    keys = _KEYS.get(_name(function), ())
    try:
        given = [(_key if at in keys else _operand)(value, axes) for at, value in enumerate(values)]
        more = {name: (_key if name in keys else _operand)(one, axes) for name, one in kwargs.items() if name != "out"}
        if not given and "input" in more:  # torch's word for the first operand, which rules call by its place
            given.append(more.pop("input"))
        given, more = rule.bound(given, more)
        if rule.needs_axes and not isinstance(given[0], Axes):
            return nothing
        if rule.wants_out:
            more["out"] = tuple(out.shape) if isinstance(out, Tensor) else [tuple(one.shape) for one in tensors_in(out)]
        said: Any = rule.function(*given, **more)
    except Exception:
        # A call that a rule does not foresee leaves a plain tensor: a name is never worth a crash.
        if strict:
            raise
        return nothing
    if isinstance(said, tuple) and isinstance(said[1], Scramble | None):
        said, scramble = said
        if scramble is not None:
            _tell(scramble)
    each = [said] * len(nothing) if said is None or isinstance(said, Axes) else [*said, *nothing][: len(nothing)]
    return each if rule.own_record else [None if one is None else forget(one, sources) for one in each]


def tensors_in(out: object) -> list[Tensor]:
    """The tensors that a function returned, one level deep."""
    each = out if isinstance(out, tuple | list) else [out]
    return [value for value in each if isinstance(value, Tensor)]


on_scramble: ContextVar[Callable[[Scramble], None] | None] = ContextVar("on_scramble", default=None)
"""Who is told instead of a warning."""

_INNER = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def _tell(scramble: Scramble) -> None:
    """Report a scramble to whoever listens; else warn where the caller's own line is, above torch and us."""
    listener = on_scramble.get()
    if listener is not None:
        listener(scramble)
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INNER):
        frame, level = frame.f_back, level + 1
    with speaking("en"):  # as all warnings
        text = str(scramble)
    warnings.warn(text, ScrambledAxesWarning, stacklevel=level)
