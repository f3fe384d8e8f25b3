"""The named axes of a recorded run: the table of rules for named tensors, played over the calls of a trace.

An axis of what comes from outside begins without a name. The recurrent layers that read it, and the batch axis that
the caller gives, say what it is; a name on which they differ is none. A second time through the calls carries the
names on. What a rule does not foresee has no names: `?` is printed as its size alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from torch import Tensor

from lstm_shapes.lab.tensors import AnnotatedTensor, annotated
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, substituted
from lstm_shapes.theory.axes import Axes, Axis, unknown
from lstm_shapes.theory.origins import UNKNOWN

from .words import named_shape

__all__ = ["AxisNames", "axes_of", "disagree"]

_OUTSIDE = "from_outside_"


class AxisNames:
    """What the axes of each value of a trace are called, as far as it is certain."""

    def __init__(self, trace: Trace, layers: Iterable[LayerCall], batch: Mapping[int, int]) -> None:
        """`batch` gives the batch axis of inputs, by the index of their value, where the caller has said it."""
        self._trace = trace
        self._layers = {id(layer.call): layer for layer in layers}
        self._known: dict[int, Axes] = {}
        self._names: dict[str, str] = {f"{_OUTSIDE}{value}_{axis}": "N" for value, axis in batch.items()}
        self._read: dict[str, set[str]] = {}
        self._play()
        for name, meanings in self._read.items():
            if name not in self._names and len(meanings) == 1:
                self._names[name] = meanings.pop()
        self._known = {}
        self._play()

    # ------------------------------------------------------------------ answers
    def axes(self, value: Value) -> Axes | None:
        """The named axes of a value."""
        found = self._known.get(value.index)
        return found if found is not None and found.sizes == tuple(value.shape) else None

    def names(self, value: Value) -> tuple[str, ...]:
        """One name an axis, "" where there is none."""
        axes = self.axes(value)
        return tuple(map(_shown, axes)) if axes is not None else ("",) * len(value.shape)

    def tensor(self, value: Value) -> Tensor:
        """The value's tensor with its axes, for trying what becomes of them."""
        return _annotated(value, self._known.get(value.index))

    def shape(self, value: Value) -> str:
        """(N=4, L=7, R·D=24)."""
        return named_shape(value.shape, self.names(value))

    def product(self, value: Value, axis: int) -> str:
        """`24 = R·D = 2·12` where an axis is a product of named ones, else ""."""
        axes = self.axes(value)
        if axes is None or axis >= len(axes):
            return ""
        atoms = [atom for atom in axes[axis].atoms if atom.size != 1]
        names = [atom.name for atom in atoms]
        if len(atoms) < 2 or any(name == UNKNOWN or "·" in name or name.startswith(_OUTSIDE) for name in names):
            return ""
        sizes = "·".join(str(atom.size) for atom in atoms)
        return f"{value.shape[axis]} = {'·'.join(names)} = {sizes}"

    def atoms(self, value: Value, axis: int) -> tuple[str, ...]:
        """The names of the factors of an axis that are longer than one, () where not all are known."""
        axes = self.axes(value)
        atoms = [atom for atom in axes[axis].atoms if atom.size != 1] if axes is not None else []
        return tuple(atom.name for atom in atoms) if atoms and all(atom.name != UNKNOWN for atom in atoms) else ()

    def count(self, value: Value) -> str:
        """`224 = N·L·D = 4·7·8`: the elements of a value by its axes."""
        names = self.names(value)
        if not all(names) or len(names) < 2:
            return f"{prod(value.shape)} = {'·'.join(map(str, value.shape))}" if len(value.shape) > 1 else ""
        return f"{prod(value.shape)} = {'·'.join(names)} = {'·'.join(map(str, value.shape))}"

    # ------------------------------------------------------------------ playing the calls
    def _play(self) -> None:
        for value in self._trace.values:
            if value.maker is None and not value.parameter and not value.bases:
                names = [f"{_OUTSIDE}{value.index}_{axis}" for axis in range(len(value.shape))]
                words = [self._names.get(name, name) for name in names]
                self._known[value.index] = Axes.of(words, tuple(value.shape))
        for call in self._trace.calls:
            if call.error is not None or not call.outputs:
                continue
            layer = self._layers.get(id(call))
            if layer is not None and not layer.packed:
                self._reads(layer)
            self._call(call)

    def _call(self, call: Call) -> None:
        inputs = {value.index: _annotated(value, self._known.get(value.index)) for value in call.inputs}
        try:
            given = substituted((call.args, call.kwargs), lambda value: inputs[value.index])
            results = tuple(value.tensor for value in call.outputs)
            out = annotated(call.func, results if isinstance(call.result, tuple) else results[0], *given)
            if call.name == "__setitem__":
                out = given[0][0]
        except Exception:  # a call that no rule foresees has no names
            return
        made = out if isinstance(out, (tuple, list)) else (out,)
        joins = call.name in ("cat", "concat", "concatenate", "repeat", "tile", "repeat_interleave")
        for value, one in zip(call.outputs, made, strict=False):
            if isinstance(one, AnnotatedTensor) and one.axes.sizes == tuple(value.shape):
                longest = max(
                    (axis.size for each in call.inputs for axis in self._known.get(each.index, ())), default=0
                )
                axes = [
                    unknown(axis.size) if joins and axis.name == "N" and axis.size > longest else axis
                    for axis in one.axes  # several batches in a row are no batch
                ]
                self._known[value.index] = Axes(tuple(axes), one.axes.fixed)

    def _reads(self, layer: LayerCall) -> None:
        """What a layer that ran takes the axes of its input for."""
        axes = self._known.get(layer.X.index)
        if axes is None or layer.unbatched:
            return
        batch = {axis.name for axis in axes if self._names.get(axis.name) == "N" or axis.name == "N"}
        for at, meaning in ((layer.batch_axis, "N"), (layer.time_axis, "L"), (len(axes) - 1, "Q")):
            if meaning == "N" and batch:
                continue  # the caller has said which axis is the batch
            if at is not None and len(axes[at].atoms) == 1:
                self._read.setdefault(axes[at].atoms[0].name, set()).add(meaning)


def _annotated(value: Value, axes: Axes | None) -> Tensor:
    """The value's tensor with names where there are any; a parameter stays what it is, its rules know it."""
    tensor = value.tensor
    if axes is None or axes.sizes != tuple(tensor.shape):
        return tensor
    return AnnotatedTensor(tensor.detach() if isinstance(tensor, AnnotatedTensor) else tensor, axes)


def axes_of(tensor: Tensor) -> Axes:
    """The axes that a tensor carries, all of them unknown where it carries none."""
    carried = getattr(tensor, "axes", None)
    return carried if isinstance(carried, Axes) else Axes.of(["?"] * tensor.dim(), tuple(tensor.shape))


def disagree(one: Axis, other: Axis) -> bool:
    """Whether two axes of one size are known to be different: another name, or factors in another order."""
    left, right = ([atom for atom in axis.atoms if atom.size != 1] for axis in (one, other))
    if len(left) != len(right):
        return False
    if [atom.size for atom in left] != [atom.size for atom in right]:
        return len(left) > 1
    return any(a.name != b.name for a, b in zip(left, right, strict=True) if _certain(a.name) and _certain(b.name))


def _certain(name: str) -> bool:
    return name not in (UNKNOWN, "1") and not name.startswith(_OUTSIDE)


def _shown(axis: Axis) -> str:
    name = axis.name
    return "" if name in (UNKNOWN, "1") or _OUTSIDE in name else name
