"""The table itself: how a row gets in, how it is found, and how a rule reads its operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.broadcasting import Operand
from lstm_shapes.theory.axis_rules.moving import NEW_AXIS
from lstm_shapes.theory.axis_tracks import fresh

__all__ = [
    "Answer",
    "Rule",
    "axes_of",
    "called",
    "dims_of",
    "features",
    "named",
    "operand",
    "operands",
    "rule",
    "rule_for",
    "rule_keeps_record",
    "rule_of",
    "tensors_in",
]

Answer = Axes | None | Sequence[Axes | None]
"""The axes of what a function returned: one for all its tensors, one for each, or none."""

Rule = Callable[..., Answer]

_RULES: dict[object, Rule] = {}
_OWN: set[Rule] = set()

called: Any = WeakIdKeyDictionary()
"""Weight -> axis of it -> what that axis is called for as long as a walk lasts: fc, after the layer."""

# Tensors are compared by identity here, and forgotten when nobody else holds them.
_MADE: Any = WeakIdKeyDictionary()

# Where torch keeps the functions that a name may stand for.
_HOMES = (torch, torch.Tensor, torch.nn.functional, torch._C._nn, torch.special, torch.linalg)

_R = TypeVar("_R", bound=Rule)


def rule(*names: str, own_record: bool = False) -> Callable[[_R], _R]:
    """Enter a rule for every torch function, method and in-place method of these names.

    With `own_record` the rule itself says which coordinates its result stands at; else all operands count.
    """

    def enter(found: _R) -> _R:
        if own_record:
            _OWN.add(found)
        for name in names:
            for home in _HOMES:
                for spelling in (name, f"{name}_"):
                    function = getattr(home, spelling, None)
                    if callable(function):
                        _RULES[function] = found
                    elif function is not None and hasattr(function, "__get__"):
                        # A property, as x.T is: its getter is what __torch_function__ is handed.
                        _RULES[function.__get__] = found
        return found

    return enter


def rule_for(function: object) -> Callable[[_R], _R]:
    """Enter a rule for one torch function that shares its name, but not its defaults, with another.

    >>> rule_of(torch.linalg.diagonal) is rule_of(torch.diagonal)
    False
    """

    def enter(found: _R) -> _R:
        _RULES[function] = found
        return found

    return enter


def rule_of(function: object) -> Rule | None:
    """The rule of a torch function, None where there is none.

    >>> rule_of(torch.transpose) is rule_of(torch.Tensor.transpose)
    True
    >>> rule_of(torch.histc) is None
    True
    """
    try:
        return _RULES.get(function)
    except TypeError:  # unhashable: nothing of torch's own
        return None


def rule_keeps_record(found: Rule) -> bool:
    """Whether coordinates of the operands that the rule does not mention count as lost.

    >>> rule_keeps_record(lambda out: None)
    True
    """
    return found not in _OWN


def features(weight: object, name: str, size: int, part: str = "") -> Axis:
    """The axis that a weight makes: the same coordinate every time that this weight makes it.

    >>> W = torch.zeros(10, 5)
    >>> features(W, "?", 10).atoms[0].track == features(W, "?", 10).atoms[0].track
    True
    """
    if name == UNKNOWN:
        name = called.get(weight, {}).get(part, name)
    made: dict[tuple[str, str, int], Axis] = _MADE.setdefault(weight, {})
    key = (part, name, size)
    if key not in made:
        atom = fresh("feature", size)
        track = atom.track and replace(atom.track, label=name)
        made[key] = NEW_AXIS if size == 1 and name == UNKNOWN else Axis((Atom(name, size, track),))
    return made[key]


def axes_of(value: object) -> Axes | None:
    """The axes that a tensor carries, None where it is plain or no tensor.

    >>> axes_of(torch.zeros(2)) is None
    True
    """
    found = getattr(value, "__dict__", {}).get("_axes") if isinstance(value, Tensor) else None
    return found if isinstance(found, Axes) else None


def operand(value: object) -> Operand:
    """A tensor's axes, a plain tensor's sizes, and no axes at all for a number.

    >>> operand(torch.zeros(2, 3)), operand(1.5)
    ((2, 3), ())
    """
    if not isinstance(value, Tensor):
        return ()
    return axes_of(value) or tuple(value.shape)


def operands(values: Iterable[object]) -> list[Operand]:
    """The operands among some arguments: every tensor, in order.

    >>> operands([torch.zeros(2), 3])
    [(2,)]
    """
    return [operand(value) for value in values if isinstance(value, Tensor)]


def named(value: object) -> Axes:
    """The axes of an argument that a rule starts from; a plain tensor there ends the rule.

    Raises:
        LookupError: the tensor has no axes to begin with.
    """
    found = axes_of(value)
    if found is None:
        raise LookupError("a plain tensor")
    return found


def dims_of(dims: Sequence[Any]) -> tuple[int, ...]:
    """Dimensions given one by one or as one sequence, as `permute(1, 0)` and `permute((1, 0))`.

    >>> dims_of((1, 0)), dims_of(((1, 0),))
    ((1, 0), (1, 0))
    """
    if len(dims) == 1 and isinstance(dims[0], Sequence):
        dims = dims[0]
    return tuple(int(dim) for dim in dims)


def tensors_in(out: object) -> list[Tensor]:
    """The tensors that a function returned, one level deep.

    >>> len(tensors_in((torch.zeros(1), [torch.zeros(2)], 3)))
    1
    """
    if isinstance(out, Tensor):
        return [out]
    return [value for value in out if isinstance(value, Tensor)] if isinstance(out, tuple | list) else []
