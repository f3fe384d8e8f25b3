"""problems_of: the contract of a recurrent call, asked about real tensors.

Only shapes, dtypes, devices and names are read, so a call that raised can be judged as well as one to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.theory.contract import problems
from lstm_shapes.theory.operands import Group, Operand, Other, Packed, Problem, Value, Words
from lstm_shapes.theory.spec import Spec

from .tensors import AnnotatedTensor

__all__ = ["as_value", "problems_of", "weights_of"]


def problems_of(
    layer: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    spec: Spec | None = None,
    maker: Spec | None = None,
    words: Words | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with the arguments of `layer(*args, **kwargs)`, in the order in which torch looks.

    `spec` is the layer's, where it is no layer of torch's; `maker` is the Spec of the layer that made the state.

    >>> [problem.name for problem in problems_of(nn.GRU(4, 5), (torch.zeros(7, 3, 4), torch.zeros(2, 3, 5)))]
    ['h0']

    Raises: SpecError for a module that is no recurrent layer.
    """
    given, by_name = list(args), dict(kwargs or {})
    x = given.pop(0) if given else by_name.get("input")
    state: Value = as_value(given[0] if given else by_name.get("hx"))
    if len(given) > 1:
        state = Group(tuple(map(as_value, given)), "arguments")
    weights = weights_of(layer)
    place = torch.device(weights.device).type
    autocast = torch.amp.is_autocast_available(place) and torch.is_autocast_enabled(place)
    known = spec or Spec.of(layer)
    return problems(known, as_value(x), state, weights=weights, autocast=autocast, maker=maker, words=words)


def weights_of(layer: nn.Module) -> Operand:
    """The dtype and the place of a layer's weights; a quantised layer, which keeps them elsewhere, takes float32."""
    found = as_value(next(layer.parameters(), None))
    return found if isinstance(found, Operand) else Operand(())


def as_value(thing: Any) -> Value:
    """A tensor, a PackedSequence or a nest of them, as the plain data that theory reads."""
    if thing is None:
        return None
    if isinstance(thing, PackedSequence):
        data = as_value(thing.data)
        return Packed(data, tuple(thing.batch_sizes.tolist())) if isinstance(data, Operand) else data
    if isinstance(thing, Tensor):
        if thing.is_nested:
            return Other("nested tensor")
        names = thing.axes.names if isinstance(thing, AnnotatedTensor) else ()
        dtype, layout = (str(word).removeprefix("torch.") for word in (thing.dtype, thing.layout))
        return Operand(tuple(map(int, thing.shape)), dtype, str(thing.device), layout, names)
    if isinstance(thing, (tuple, list)):
        return Group(tuple(map(as_value, thing)), "list" if isinstance(thing, list) else "tuple")
    return Other(type(thing).__name__)
