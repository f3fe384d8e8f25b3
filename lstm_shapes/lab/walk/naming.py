"""What the inputs' axes are called where nobody says, and what new axes are called after: the layers that make them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.lab.torch_rules import called
from lstm_shapes.theory.axes import Axes, Axis
from lstm_shapes.theory.axis_rules.table import describing
from lstm_shapes.theory.origins import UNKNOWN, Atom

__all__ = ["named_inputs", "named_weights", "recurrent_in"]

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def recurrent_in(model: Any) -> nn.Module | None:
    """The first recurrent layer or cell of a model, in the order it was defined."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    return next((module for module in modules if isinstance(module, _RECURRENT)), None)


@contextmanager
def named_weights(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[None]:
    """While this lasts, the axis that a Linear, Embedding or convolution makes is called after it: fc."""
    found: dict[str, list[tuple[str, Any, str]]] = {}
    parameters: list[tuple[str, Any]] = []
    for path, module in modules:
        weight = getattr(module, "weight", None)
        if not type(module).__module__.startswith("torch.nn"):
            own = module.named_parameters(recurse=False)
            parameters += [(f"{path}.{name}", parameter) for name, parameter in own]
        made = isinstance(module, nn.Linear | nn.Embedding) or type(module).__name__.startswith("Conv")
        if made and isinstance(weight, Tensor):
            parts = [part for part in path.split(".") if part] or [type(module).__name__.lower()]
            # A place in a list or a Sequential says little by itself: net.0 is net0.
            short = (
                parts[-1]
                if not parts[-1].isdigit()
                else (parts[-2:-1] or [type(module).__name__.lower()])[0] + parts[-1]
            )
            axis = "1" if isinstance(module, nn.Embedding) or "Transpose" in type(module).__name__ else "0"
            found.setdefault(short, []).append(("_".join(parts), weight, axis))
    names: dict[str, Any] = {}
    for path, parameter in parameters:
        # A parameter that is used as it is, as the transitions of a CRF are.
        names[path] = parameter
        called[parameter] = {"own": path.rpartition(".")[2]}
    for short, places in found.items():
        for path, weight, axis in places:
            # Two layers of one name in two submodules are told apart by their paths.
            names[path] = weight
            # A weight that an Embedding and a Linear share makes two axes, one of each.
            name = short if len(places) == 1 else path
            called.setdefault(weight, {}).setdefault(axis, name)
    described = describing.set(True)
    try:
        yield
    finally:
        describing.reset(described)
        for weight in names.values():
            called.pop(weight, None)


def named_inputs(
    model: Any, inputs: Sequence[Any], keywords: dict[str, Any], axes: str | Sequence[str | None] | None
) -> tuple[list[Any], dict[str, Any]]:
    """The inputs with their axes named: as the caller says, else by the layout of the first recurrent layer.

    Raises:
        ShapeError: there are more names than inputs, or names that do not fit.
    """
    given = [axes] if isinstance(axes, str) else list(axes or ())
    if len(given) > len(inputs):
        raise ShapeError("axes", f"given for at most {len(inputs)} inputs", got=len(given))
    names = _Names(model)
    out = [names(value, given[at] if at < len(given) else None) for at, value in enumerate(inputs)]
    more = {key: names(value, None) for key, value in keywords.items()}
    _one_batch([*out, *more.values()])
    return out, more


class _Names:
    """Guesses, each from the layer and from the input before."""

    def __init__(self, model: Any) -> None:
        modules = model.modules() if isinstance(model, nn.Module) else ()
        self.layer = recurrent_in(model)
        self.conv = next((module for module in modules if isinstance(module, nn.Conv1d)), None)
        self.first: Axes | None = None

    def __call__(self, value: Any, names: str | None, inside: bool = False) -> Any:
        if isinstance(value, AnnotatedTensor) and names is None:
            found = annotate(value, value.axes)
        elif isinstance(value, Tensor):
            found = annotate(value, names if names is not None else self._guess(value, inside))
        elif isinstance(value, tuple | list) and not hasattr(value, "_fields") and names is None:
            return type(value)(self(item, None, True) for item in value)
        elif isinstance(value, dict) and names is None:
            return {key: self(item, None) for key, item in value.items()}
        else:
            return value
        self.first = self.first or found.axes
        return found

    def _guess(self, value: Tensor, inside: bool) -> list[str]:
        """The layout that the layer reads: tokens lack Q, lengths are one number a sequence, states begin with K."""
        layer, rank, floating = self.layer, value.dim(), value.is_floating_point()
        last = value.shape[-1] if rank else 0
        if isinstance(layer, nn.RNNBase) and rank == 3 and _is_state(value, layer, inside or self.first is not None):
            return ["K·R" if layer.bidirectional else "K", "N", "D" if last == layer.hidden_size else "P"]
        if self.first is not None and 0 < rank <= 2 and tuple(value.shape) == self.first.sizes[:rank]:
            return list(self.first.names[:rank])  # a mask, targets, lengths
        if rank == 4:
            return ["N", "C", "H", "W"]
        if rank == 3 and self.conv is not None and value.shape[1] == self.conv.in_channels:
            return ["N", "C", "L"]
        if layer is None or (rank == 2 and isinstance(layer, nn.RNNBase) and floating and last != layer.input_size):
            return ["N", *[UNKNOWN] * (rank - 1)] if rank else []
        step = isinstance(layer, nn.RNNCellBase)
        steps = ["N", "L"] if step or getattr(layer, "batch_first", False) else ["L", "N"]
        by_rank = {
            0: [],
            1: ["Q"] if floating else ["N"],
            2: [("N" if step else "L"), "Q"] if floating else steps,
            # Tokens with three axes are sentences of words: L is what an Embedding and a layer over words read.
            3: [*steps, "Q"] if floating else ["N", UNKNOWN, "L"],
        }
        return by_rank.get(rank, ["N", *[UNKNOWN] * (rank - 1)])


def _is_state(value: Tensor, layer: nn.RNNBase, likely: bool) -> bool:
    """A first input is x where both are possible; what comes with it is a state."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    widths = (layer.hidden_size, layer.proj_size or layer.hidden_size)
    fits = value.shape[0] == rows and value.shape[-1] in widths
    return fits and (likely or value.shape[-1] != layer.input_size)


def _one_batch(values: list[Any]) -> None:
    """N of every input is the same N, so that what is computed from two of them is still of one batch."""
    known: dict[int, Atom] = {}

    def share(value: Any) -> None:
        if isinstance(value, AnnotatedTensor):
            axes = value.axes
            rows = [Axis((known.setdefault(axis.size, axis.atoms[0]),)) if axis.name == "N" else axis for axis in axes]
            value._axes = Axes(tuple(rows), axes.fixed)
        elif isinstance(value, tuple | list):
            for item in value:
                share(item)
        elif isinstance(value, dict):
            for item in value.values():
                share(item)

    share(values)
