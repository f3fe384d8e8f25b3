"""A tensor that knows its axes: `annotate(t, "N L Q")`, and what becomes of the names in torch functions.

torch 2.13 has removed its own named tensors, so the names are ours. An AnnotatedTensor is a torch.Tensor in
every respect; each torch function runs as it is, and what it returns is annotated where the table has a rule. Rules
are pure: what they understand of tensors, named axes or plain sizes, which claim nothing, is made once, here.
"""

from __future__ import annotations

# mypy: disable-error-code="override"
# What torch declares for its methods returns a Tensor; what they return here is one with names.
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from copy import deepcopy
from functools import cache
from html import escape
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lstm_shapes.display import encodable
from lstm_shapes.errors import ScrambledAxesWarning, ShapeError, SpecError, in_one_sentence
from lstm_shapes.lab._private import pointwise_operators, without_subclasses
from lstm_shapes.language import speaking
from lstm_shapes.theory._axis_rules.joining import Key, Picks
from lstm_shapes.theory._axis_rules.positions import Scramble
from lstm_shapes.theory._axis_rules.table import RULES, Plain, Rule
from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis, Origin, Span, forget, made, whole
from lstm_shapes.theory.call import kind_of

_set_data: object = Tensor.data.__set__  # type: ignore[attr-defined]

strict = False
"""Set by tests: a rule that fails or gives another shape than torch then raises, where a plain tensor came back."""

_Index = SupportsIndex | slice | EllipsisType | Tensor | Sequence[int] | Sequence[bool] | None
_Int = int  # by another name, for a tensor has methods called float and int
_Bool = bool
_Number = Tensor | float
_Dims = int | Sequence[int] | None


class AnnotatedTensor(Tensor):
    """A tensor with named axes, which survive indexing, reshaping, products and layers where they stay true.

    >>> Y = annotate(torch.zeros(2, 20, 256), "N L D")
    >>> Y[:, -1].axes, (Y @ torch.zeros(256, 10)).axes
    ((N=2, D=256), (N=2, L=20, ?=10))
    """

    _axes: Axes

    if TYPE_CHECKING:  # what the rules name; tests/lab/test_typed_tensors.py calls each
        # Each by itself: pyright takes an alias for what torch declares of it.
        mT: AnnotatedTensor
        T: AnnotatedTensor

        def __getitem__(self, index: _Index | tuple[_Index, ...]) -> AnnotatedTensor: ...
        def __add__(self, other: _Number) -> AnnotatedTensor: ...
        def __radd__(self, other: _Number) -> AnnotatedTensor: ...
        def __sub__(self, other: _Number) -> AnnotatedTensor: ...
        def __rsub__(self, other: _Number) -> AnnotatedTensor: ...
        def __mul__(self, other: _Number) -> AnnotatedTensor: ...
        def __rmul__(self, other: _Number) -> AnnotatedTensor: ...
        def __truediv__(self, other: _Number) -> AnnotatedTensor: ...
        def __rtruediv__(self, other: _Number) -> AnnotatedTensor: ...
        def __floordiv__(self, other: _Number) -> AnnotatedTensor: ...
        def __pow__(self, other: _Number) -> AnnotatedTensor: ...
        def __rpow__(self, other: _Number) -> AnnotatedTensor: ...
        def __eq__(self, other: _Number) -> AnnotatedTensor: ...
        def __ne__(self, other: _Number) -> AnnotatedTensor: ...
        def __lt__(self, other: _Number) -> AnnotatedTensor: ...
        def __le__(self, other: _Number) -> AnnotatedTensor: ...
        def __gt__(self, other: _Number) -> AnnotatedTensor: ...
        def __ge__(self, other: _Number) -> AnnotatedTensor: ...
        def __neg__(self) -> AnnotatedTensor: ...
        def __abs__(self) -> AnnotatedTensor: ...
        def __invert__(self) -> AnnotatedTensor: ...
        def __matmul__(self, other: Tensor) -> AnnotatedTensor: ...
        def abs(self) -> AnnotatedTensor: ...
        def clone(self) -> AnnotatedTensor: ...
        def contiguous(self) -> AnnotatedTensor: ...
        def cpu(self) -> AnnotatedTensor: ...
        def detach(self) -> AnnotatedTensor: ...
        def double(self) -> AnnotatedTensor: ...
        def exp(self) -> AnnotatedTensor: ...
        def float(self) -> AnnotatedTensor: ...
        def log(self) -> AnnotatedTensor: ...
        def neg(self) -> AnnotatedTensor: ...
        def relu(self) -> AnnotatedTensor: ...
        def sigmoid(self) -> AnnotatedTensor: ...
        def sqrt(self) -> AnnotatedTensor: ...
        def square(self) -> AnnotatedTensor: ...
        def t(self) -> AnnotatedTensor: ...
        def tanh(self) -> AnnotatedTensor: ...
        def amax(self, dim: _Dims = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def amin(self, dim: _Dims = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def sum(self, dim: _Dims = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def mean(self, dim: _Dims = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def std(self, dim: _Dims = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def all(self, dim: _Int | None = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def any(self, dim: _Int | None = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def argmax(self, dim: _Int | None = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def argmin(self, dim: _Int | None = ..., keepdim: _Bool = ...) -> AnnotatedTensor: ...
        def softmax(self, dim: _Int) -> AnnotatedTensor: ...
        def log_softmax(self, dim: _Int) -> AnnotatedTensor: ...
        def cumsum(self, dim: _Int) -> AnnotatedTensor: ...
        def view(self, *shape: _Int | Sequence[_Int] | torch.dtype) -> AnnotatedTensor: ...
        def reshape(self, *shape: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def expand(self, *sizes: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def repeat(self, *repeats: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def permute(self, *dims: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def transpose(self, dim0: _Int, dim1: _Int) -> AnnotatedTensor: ...
        def movedim(self, source: _Int | Sequence[_Int], destination: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def squeeze(self, dim: _Dims = ...) -> AnnotatedTensor: ...
        def unsqueeze(self, dim: _Int) -> AnnotatedTensor: ...
        def flatten(self, start_dim: _Int = ..., end_dim: _Int = ...) -> AnnotatedTensor: ...
        def unflatten(self, dim: _Int, sizes: Sequence[_Int]) -> AnnotatedTensor: ...
        def flip(self, *dims: _Int | Sequence[_Int]) -> AnnotatedTensor: ...
        def select(self, dim: _Int, index: _Int) -> AnnotatedTensor: ...
        def narrow(self, dim: _Int, start: _Int, length: _Int) -> AnnotatedTensor: ...
        def index_select(self, dim: _Int, index: Tensor) -> AnnotatedTensor: ...
        def gather(self, dim: _Int, index: Tensor) -> AnnotatedTensor: ...
        def masked_fill(self, mask: Tensor, value: _Number) -> AnnotatedTensor: ...
        def matmul(self, other: Tensor) -> AnnotatedTensor: ...
        def chunk(self, chunks: _Int, dim: _Int = ...) -> tuple[AnnotatedTensor, ...]: ...
        def split(self, size: _Int | Sequence[_Int], dim: _Int = ...) -> tuple[AnnotatedTensor, ...]: ...
        def unbind(self, dim: _Int = ...) -> tuple[AnnotatedTensor, ...]: ...
        def to(self, where: torch.device | str | torch.dtype | Tensor, dtype: torch.dtype = ...) -> AnnotatedTensor: ...
        def requires_grad_(self, requires_grad: _Bool = ...) -> AnnotatedTensor: ...

    def __new__(cls, data: Tensor, axes: Axes | None = None) -> AnnotatedTensor:
        with without_subclasses():
            self = torch.as_tensor(data).as_subclass(cls)
        # as_subclass returns a tensor that is one already: what it carries stays its own.
        if "_axes" not in self.__dict__ or axes is not None:
            self._axes = axes if axes is not None else _unknown(self)
        return self

    @property
    def axes(self) -> Axes:
        """The axes, in order: names and sizes, `(N=2, L=20, D=256)`."""
        self._axes = every_axis_of(self)
        return self._axes

    def plain(self) -> Tensor:
        """The same tensor without names: the same memory, the same place in the autograd graph.

        >>> type(annotate(torch.zeros(2), "N").plain())
        <class 'torch.Tensor'>
        """
        with without_subclasses():
            return self.as_subclass(Tensor)

    def set_(self, *args: Any, **kwargs: Any) -> AnnotatedTensor:
        """Another tensor's memory, and with it that tensor's axes; torch asks no __torch_function__ about this."""
        source = args[0] if args else kwargs.get("source")
        with without_subclasses():
            super().set_(*args, **kwargs)
        self._axes = axes_of(source) or _unknown(self)
        self._axes = every_axis_of(self)  # which has sizes of its own, where they were given, too
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        """One line: axes, dtype, device, range and a few values; `.plain()` shows the numbers as torch prints them.

        >>> annotate(torch.arange(6.0).view(2, 3), "N D")
        (N=2, D=3) float32 cpu, 0 to 5: 0, 1, 2, 3, 4, 5
        """
        grad = " grad" if self.requires_grad else ""
        plain = self.plain().detach()
        kind = f"{self.axes} {kind_of(plain.dtype)} {plain.device}{grad}"
        try:
            return encodable(f"{kind}{_numbers(plain)}")
        except RuntimeError:
            return encodable(f"{kind}, no numbers")  # a compiler's or a transformation's tensor has none to show

    def _repr_html_(self) -> str:
        line, numbers = escape(repr(self)), escape(repr(self.plain()))
        opened = f'<details><summary style="display:list-item">numbers</summary><pre>{numbers}</pre></details>'
        return f'<div style="text-align:left"><code>{line}</code>{opened}</div>'

    def __format__(self, spec: str) -> str:
        return format(self.plain(), spec) if spec else str(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> AnnotatedTensor:
        if id(self) in memo:
            return cast(AnnotatedTensor, memo[id(self)])
        # A leaf is copied as a leaf; anything else torch refuses to copy, and says why.
        source = self.plain().detach() if self.is_leaf else self.plain()
        copied = _wrap(deepcopy(source, memo), self.axes)
        if self.requires_grad:
            copied.requires_grad_()
        for name, value in self.__dict__.items():
            if name != "_axes":
                setattr(copied, name, deepcopy(value, memo))
        if self.is_leaf and self.grad is not None:
            copied.grad = deepcopy(self.grad, memo)
        memo[id(self)] = copied
        return copied

    def __iter__(self) -> Iterator[AnnotatedTensor]:
        if self.dim() == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if not all(issubclass(cls, kind) or issubclass(kind, cls) for kind in types):
            return NotImplemented
        kwargs = kwargs or {}
        with without_subclasses():
            out = func(*args, **kwargs)
        # A compiler reads these lines instead of running them: names are for people, and stay outside.
        return out if torch.compiler.is_compiling() else annotated(func, out, args, kwargs)


@in_one_sentence
def annotate(tensor: Tensor, names: str | Iterable[str] | Axes, **sizes: int) -> AnnotatedTensor:
    """The tensor with its axes named; shares memory and autograd graph, and leaves the given one as it is.

    >>> annotate(torch.zeros(2, 20, 28), "N L Q").axes
    (N=2, L=20, Q=28)
    >>> annotate(torch.zeros(6, 2, 5), "K·R N H", R=2).axes[0].atoms
    (K=3, R=2)

    Raises:
        ShapeError: the names are too many or too few, a size is not the tensor's, or one name has two sizes.
        SpecError: a name is not a name, a size belongs to no axis, or what is to be named is no tensor.
    """
    if not isinstance(tensor, Tensor):
        raise SpecError("tensor", "a torch.Tensor", got=tensor, hint="torch.as_tensor makes one")
    shape = tuple(tensor.shape)
    if isinstance(names, Axes):
        if names.sizes != shape:
            raise ShapeError(
                "the tensor", names.formula, expected=names.sizes, got=shape, hint="check the order of the axes"
            )
        axes = names
    else:
        axes = Axes.of(names, shape, **sizes)
        # Here, where a person wrote it: a size of no axis is a slip. A table of formulas hands all sizes to each.
        atoms = [atom for axis in axes for atom in axis.atoms if atom.name not in (UNKNOWN, NEW)]
        known = {part for atom in atoms for part in atom.name.split("·")}
        for name, size in sizes.items():
            if name not in known:
                raise SpecError(name, f"one of the axes in {axes.formula}", got=size)
        told: dict[str, int] = {}
        for atom in atoms:  # scores (N, L, L) have two axes of one name, and one size
            if told.setdefault(atom.name, atom.size) != atom.size:
                hint = "The name stands twice; call one of the two axes by another name, or ?"
                raise ShapeError(
                    "axes", f"one size for {atom.name}", expected=told[atom.name], got=atom.size, hint=hint
                )
    with without_subclasses():
        # Even where the tensor is annotated already: the caller's own keeps its names.
        fresh = tensor.as_subclass(Tensor).view_as(tensor) if isinstance(tensor, AnnotatedTensor) else tensor
    return _wrap(fresh, axes)


def annotated(func: object, out: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a torch function returned, with the axes that its rule gives; as it is where there is no rule."""
    target = args[0] if args else None
    given, into = [*args, *kwargs.values()], kwargs.get("out") is not None
    if func is Tensor.__setitem__ and isinstance(target, AnnotatedTensor):
        with without_subclasses():
            target._axes = answer(func, target, args, kwargs, strict=strict)[0] or _unknown(target)
    elif func == _set_data and isinstance(target, AnnotatedTensor):
        target._axes = axes_of(args[1]) or _unknown(target)
    if out is None or not tensors_in(out):
        return out
    with without_subclasses():
        each = iter(answer(func, out, args, kwargs, strict=strict))
    if isinstance(out, Tensor):
        return _give(func, out, next(each), given, into)
    items = [_give(func, one, next(each), given, into) if isinstance(one, Tensor) else one for one in out]
    if all(new is old for new, old in zip(items, out, strict=True)):
        return out
    return type(out)(items) if type(out).__name__ != "PackedSequence" else type(out)(*items)


def _give(func: object, out: Tensor, axes: Axes | None, given: Sequence[Any], into: bool) -> Tensor:
    """One tensor that a function returned, with its axes."""
    if axes is not None and axes.sizes != tuple(out.shape):
        if strict:
            raise AssertionError(f"{func}: the rule says {axes}, the shape is {tuple(out.shape)}")
        axes = None
    if isinstance(out, AnnotatedTensor):
        # In-place work, out=, or a function that hands back what it was given.
        name = getattr(func, "__name__", "")
        if axes is not None:
            out._axes = axes
        elif into or rule_of(func) is not None or (name.endswith("_") and not name.endswith("__")):
            out._axes = _unknown(out)
        return out
    if axes is None or any(out is one for one in given):
        return out
    return _wrap(out, axes)


def _wrap(tensor: Tensor, axes: Axes) -> AnnotatedTensor:
    with without_subclasses():
        result = tensor.as_subclass(AnnotatedTensor)
    result._axes = axes
    return result


_VALUES = 6
"""How many values a tensor shows; of a longer one, the first."""


def _numbers(tensor: Tensor) -> str:
    """What is not finite, the range, and the first values."""
    flat = tensor.reshape(-1)
    if flat.is_floating_point() and flat.dtype.itemsize < 4:
        flat = flat.float()
    odd, finite = "", flat
    if flat.is_floating_point():
        finite = flat[flat.isfinite()]
        counted = {"nan": int(flat.isnan().sum()), "inf": int(flat.isinf().sum())}
        odd = "".join(f", {number:,} {name}" for name, number in counted.items() if number)
    spans = len(finite) > 1 and not flat.is_complex() and flat.dtype != torch.bool
    ends = [_written(end.item()) for end in finite.aminmax()] if spans else []
    first = [_written(value) for value in flat[:_VALUES].tolist()] + ["…"] * (len(flat) > _VALUES)
    return f"{odd}{f', {ends[0]} to {ends[1]}' if ends else ''}: {', '.join(first) or 'empty'}"


def _written(value: complex) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _unknown(tensor: Tensor) -> Axes:
    with without_subclasses():
        return Axes.of([UNKNOWN] * tensor.dim(), tuple(tensor.shape))


# ---------------------------------------------------------------- the rules of torch's functions
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


def every_axis_of(tensor: Tensor) -> Axes:
    """The axes that a tensor carries, all of them unknown where it carries none, or others than it has."""
    axes = axes_of(tensor)
    return axes if axes is not None and axes.sizes == tuple(tensor.shape) else _unknown(tensor)


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


# What torch.save wrote, torch.load reads back with weights_only=True, its default.
torch.serialization.add_safe_globals([AnnotatedTensor, Axes, Axis, Atom, Origin, Span, range, object])
