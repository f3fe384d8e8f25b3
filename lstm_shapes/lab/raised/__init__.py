"""raised: what a program raised, explained by the operand at fault, with a fix that was tried on the operands.

An exception has one first cause, so there is one explanation: a layer that cannot be built, a backward through a graph
that is gone, packing, the contract of a recurrent layer, a tuple in the place of a tensor, any function of torch, and
what a library or the program itself refused.
"""

from __future__ import annotations

from torch import Size, Tensor

from lstm_shapes.lab._private import CALL_OF_MODULE

from . import _layers as layers
from ._contracts import function
from ._layers import packing
from ._raised import Raised, Reason, arguments_of

__all__ = ["Raised", "Reason", "explained"]

strict = False
"""For tests: an explanation that fails raises, instead of leaving the program's own message."""


def explained(raised: Raised) -> Reason:
    """What an exception came from; its own message, and the tensors at hand, where nothing more is known."""
    looks = (layers.configuration, layers.kept_graph, packing, layers.contract, layers.output_kind, function, refused)
    for look in looks:
        try:
            reason = look(raised)
        except Exception:  # a program of an unforeseen kind keeps its own message
            if strict:
                raise
            continue
        if reason is not None:
            return reason
    return Reason("LS113", f"the program raises {_first(raised)}", "no tensor was at hand at this line")


def refused(raised: Raised) -> Reason | None:
    """What a library or the program itself refused: the tensors that it was given."""
    given, spelling = _tensors(raised), raised.spelling
    if not given:
        return None
    who, last = spelling.function, spelling.beyond[-1].f_code if spelling.beyond else None
    if not who and last is not None:  # where torch's call of a module raised, its forward did not take the arguments
        called = raised.module if last.co_filename == CALL_OF_MODULE.co_filename else None
        who = last.co_name if called is None else called.kind
    values = [value for tensor in given.values() if (value := raised.value(tensor)) is not None]
    measured = "it was given " + ", ".join(f"{name} {raised.shape(tensor)}" for name, tensor in given.items())
    products = raised.products(*values)
    measured += f"; {products}" if products else ""
    code = "LS111" if values and raised.from_layer(*values) is not None else "LS113"
    return Reason(code, f"{who or 'the program'} raises {_first(raised)}", measured, operands=values)


def _first(raised: Raised) -> str:
    """The kind of the exception and the first line of its message."""
    return f"{type(raised.error).__name__}: {raised.message.splitlines()[0] if raised.message else 'no message'}"


def _tensors(raised: Raised) -> dict[str, Tensor]:
    """The tensors that the failing line handled, by name: what it passed on, what its expression names."""
    spelling, tensors = raised.spelling, dict[str, Tensor]()
    named = list(spelling.mentioned())
    if spelling.frame is None or spelling.beyond:
        named += [(f"argument {k}", v) for k, v in enumerate(raised.module.args)] if raised.module is not None else []
    elif spelling.frame.f_code.co_name != "<module>":
        named += arguments_of(spelling.frame).items()
    for name, value in named:
        nested = isinstance(value, (tuple, list)) and not isinstance(value, Size)
        for word, one in [(f"{name}[{k}]", one) for k, one in enumerate(value)] if nested else [(name, value)]:
            if isinstance(one, Tensor) and not any(one is other for other in tensors.values()) and len(tensors) < 6:
                tensors[spelling.text(one) or word] = one
    return tensors
