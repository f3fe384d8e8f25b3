"""The table of rules: under the names of torch's functions, with torch's arguments, tensors replaced by operands.

A rule answers with axes: one Axes for each tensor that the function returns, or None for no claim. It may take
`out`, the sizes of what was returned: one shape, or a list of them. A function without a row has no rule, and what
it returns is a plain tensor: wrong names are worse than none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis, Origin, derived, made, whole


class Plain(tuple[int, ...]):
    """The sizes of a tensor without names, which claims nothing; a weight knows the axes that it makes."""

    def made(self, at: int) -> Axis:
        """The axis that comes of this one, where the tensor is a weight."""
        return made(self[at])

    def atom(self, symbol: str, size: int) -> Atom:
        """What a layer with this weight makes: D, K or R."""
        return whole(symbol, size)


Operand = Axes | tuple[int, ...]
"""The axes of a named tensor, or the sizes of a plain one."""

Answer = Axes | None | Sequence[Axes | None]


_SPELLINGS = {"axis": "dim", "axis0": "dim0", "axis1": "dim1", "keepdims": "keepdim"}
"""Words of numpy that torch takes for its own."""


class Rule:
    """A pure function from axes to axes, called with those of torch's arguments that its signature names."""

    def __init__(self, function: Callable[..., Any], own_record: bool = False) -> None:
        """With `own_record` it says itself where its result stands; else coordinates that it leaves out are lost."""
        self.function, self.own_record = function, own_record
        self._parameters = tuple(inspect.signature(function).parameters.values())
        first = self._parameters[0]
        self.needs_axes = first.annotation == "Axes" or first.name == "x"  # a lambda has no annotations
        """Whether it has nothing to say where the first tensor is plain."""
        self.needs_none = first.name == "_"
        """Whether it needs no named tensor to say something: a new one is made."""
        self.wants_out = any(parameter.name == "out" for parameter in self._parameters)
        """Whether it takes the sizes of the result."""

    def bound(self, given: Sequence[Any], named: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What torch was given, in the order of the rule's own parameters; what those leave out comes after them."""
        left = {_SPELLINGS.get(name, name): value for name, value in named.items()}
        ordered, own = list(given), {}
        places = [one for one in self._parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
        for one in places[len(ordered) :]:
            ordered.append(left.pop(one.name) if one.name in left or one.default is one.empty else one.default)
        for one in self._parameters:
            if one.kind is one.KEYWORD_ONLY and one.name in left:
                own[one.name] = left.pop(one.name)
        return [*ordered, *left.values()], own


RULES: dict[str, Rule] = {}
"""A torch function's name -> its rule."""

describing: ContextVar[bool] = ContextVar("describing", default=False)
"""Whether an axis that no single coordinate runs along gets a description for readers, as in a walk: `embed+D`."""

_R = TypeVar("_R", bound=Callable[..., Any])


def rule(names: str, own_record: bool = False) -> Callable[[_R], _R]:
    """Enter a pure function as the rule of every torch function, method and in-place method of these names."""

    def enter(function: _R) -> _R:
        RULES.update(dict.fromkeys(names.split(), Rule(function, own_record)))
        return function

    return enter


def described(words: str, size: int, of: Sequence[Axis] = ()) -> Axis:
    """An unknown axis, the same one whenever the same axes come together in it; in a walk, one that is called so."""
    words = words if describing.get() else UNKNOWN
    parts = tuple((atom.origin, atom.at) for axis in of for atom in axis.atoms)
    if not parts:
        return Axis((whole(words, size),))
    origin = derived(parts[0][0], (words, size, parts), lambda: Origin(words))
    return Axis((Atom(origin, range(size)),))


def sizes_of(operand: Operand) -> tuple[int, ...]:
    return operand.sizes if isinstance(operand, Axes) else operand


def axis_at(operand: Operand, at: int) -> Axis:
    """One axis of an operand; of a plain one, what a weight makes."""
    if isinstance(operand, Axes):
        return operand[at]
    return operand.made(at) if isinstance(operand, Plain) else made(operand[at])


def operands_in(values: Sequence[object]) -> list[Operand]:
    return [value for value in values if isinstance(value, Axes | tuple)]


def named_in(operands: Sequence[Operand]) -> list[Axes]:
    return [operand for operand in operands if isinstance(operand, Axes)]


def dims_of(*dims: Any) -> tuple[int, ...]:
    """Dimensions given one by one or as one sequence, as `permute(1, 0)` and `permute((1, 0))`."""
    if len(dims) == 1 and isinstance(dims[0], Sequence):
        dims = tuple(dims[0])
    return tuple(int(dim) for dim in dims)
