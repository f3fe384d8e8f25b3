"""A tensor that knows its axes: `annotate(t, "N L Q")`, and what becomes of the names in torch functions.

torch 2.13 has removed its own named tensors, so the names are ours. An AnnotatedTensor is a torch.Tensor in
every respect; each torch function runs as it is, and what it returns is annotated where the table has a rule.
"""

from __future__ import annotations

# mypy: disable-error-code="override"
# What torch declares for its methods returns a Tensor; what they return here is one with names.
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from html import escape
from types import EllipsisType
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

import torch
from torch import Tensor

from lstm_shapes.display import encodable
from lstm_shapes.errors import ShapeError, SpecError, in_one_sentence
from lstm_shapes.lab._private import without_subclasses
from lstm_shapes.lab._torch_rules import answer, axes_of, rule_of, tensors_in
from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis, Origin, Span

_set_data: object = Tensor.data.__set__  # type: ignore[attr-defined]

strict = False
"""For tests: a rule that fails or answers with another shape raises, instead of leaving a plain tensor."""


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

    if TYPE_CHECKING:  # what the rules of lab/_torch_rules name; tests/lab/test_typed_tensors.py calls each
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
        found = axes_of(self)
        if found is None or found.sizes != tuple(self.shape):
            found = self._axes = _unknown(self)
        return found

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
        found = axes_of(source)
        self._axes = found if found is not None and found.sizes == tuple(self.shape) else _unknown(self)
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        """One line: axes, dtype, device, range and a few values; `.plain()` shows the numbers as torch prints them.

        >>> annotate(torch.arange(6.0).view(2, 3), "N D")
        (N=2, D=3) float32 cpu, 0 to 5: 0, 1, 2, 3, 4, 5
        """
        grad = " grad" if self.requires_grad else ""
        plain = self.plain().detach()
        kind = f"{self.axes} {str(plain.dtype).removeprefix('torch.')} {plain.device}{grad}"
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
        ShapeError: the names are too many or too few, or a size is not the tensor's.
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
        known = {part for axis in axes for atom in axis.atoms for part in atom.name.split("·")}
        for name, size in sizes.items():
            if name not in known:
                raise SpecError(name, f"one of the axes in {axes.formula}", got=size)
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
        found = tensor.as_subclass(AnnotatedTensor)
    found._axes = axes
    return found


_VALUES = 6
"""So many values are written out; of more, the first ones."""


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


# What torch.save wrote, torch.load reads back with weights_only=True, its default.
torch.serialization.add_safe_globals([AnnotatedTensor, Axes, Axis, Atom, Origin, Span, range, object])
