"""A recurrent layer opened: its input, states and outputs under the names that its contract gives them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab.torch_rules import axes_of
from lstm_shapes.theory.axes import Axes

from .result import Made

__all__ = ["opened"]


def opened(
    module: nn.RNNBase | nn.RNNCellBase, name: str, args: Any, kwargs: Any, output: Any
) -> tuple[str, list[Made]]:
    """A title and the tensors of one call."""
    given = [*args, *kwargs.values()]
    rows: list[Made] = []
    x = given[0]
    rows += _one("X", x)
    state = given[1] if len(given) > 1 else None
    for symbol, tensor in zip(("h0", "c0"), _states(state), strict=False):
        rows += _one(symbol, tensor, _state_axes(module, symbol, tensor))
    if isinstance(module, nn.RNNBase):
        Y, after = output
        rows += _one("Y", Y)
    else:
        after = output
    for symbol, tensor in zip(("hn", "cn"), _states(after), strict=False):
        rows += _one(symbol, tensor, _state_axes(module, symbol, tensor))
    return f"{name or type(module).__name__} = {_title(module)}", rows


def _title(module: nn.RNNBase | nn.RNNCellBase) -> str:
    numbers = [f"Q={module.input_size}", f"D={module.hidden_size}"]
    if isinstance(module, nn.RNNBase):
        numbers.append(f"K={module.num_layers}")
        numbers += ["R=2"] if module.bidirectional else []
        numbers += [f"P={module.proj_size}"] if module.proj_size else []
        numbers.append(f"batch_first={module.batch_first}")
    return f"{type(module).__name__}({', '.join(numbers)})"


def _states(state: Any) -> tuple[Any, ...]:
    return () if state is None else (state,) if isinstance(state, Tensor) else tuple(state)


def _one(symbol: str, value: Any, axes: Axes | None = None) -> list[Made]:
    tensor = value.data if isinstance(value, PackedSequence) else value
    if not isinstance(tensor, Tensor):
        return []
    note = "packed" if isinstance(value, PackedSequence) else ""
    return [Made(symbol, tuple(tensor.shape), axes_of(tensor) or axes, note)]


def _state_axes(module: nn.RNNBase | nn.RNNCellBase, symbol: str, tensor: Any) -> Axes | None:
    """A plain state that the layer accepted has the axes of its contract."""
    if not isinstance(tensor, Tensor):
        return None
    width = "P" if isinstance(module, nn.RNNBase) and module.proj_size and symbol[0] == "h" else "D"
    rows = [] if isinstance(module, nn.RNNCellBase) else ["K·R" if module.bidirectional else "K"]
    names = [*rows, "N", width]
    if tensor.dim() < len(names):
        names.remove("N")
    known = {"R": 2} if "K·R" in names else {}
    return Axes.of(names, tuple(tensor.shape), **known)
