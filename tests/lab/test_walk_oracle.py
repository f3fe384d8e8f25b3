"""Names in whole models are true, by two oracles that know nothing of the rules.

Coordinates: where calls only move elements, tensors that hold coordinates are sent through them, and a step along a
named axis must change that coordinate alone. Samples: another sample is put in the place of one, and in every tensor of
the run with an axis N, only the row of that sample may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab.trace import Call, Follower, Recorder, Still, Trace, Value, leaves, substituted
from lstm_shapes.lab.walk import named_weights, walk
from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Origin, Span
from tests.lab.whole_models import MODELS, Made

_MOVES = """
__getitem__ view reshape flatten unflatten permute transpose t T mT contiguous clone detach data squeeze
unsqueeze flip chunk split unbind __iter__ narrow select index_select cat stack expand expand_as repeat roll
movedim
"""
MOVES = frozenset(_MOVES.split())
SAME = ["relu", "tanh", "sigmoid", "dropout", "exp", "log", "softplus", "float", "to"]
"""Functions of one element, which leave it where it is."""


@dataclass
class Run:
    """A recorded run and its names."""

    model: nn.Module
    inputs: tuple[Any, ...]
    trace: Trace
    names: AxisNames


def run(made: Made) -> Run:
    model, inputs = made()
    model.eval()
    recorder = Recorder(Still())
    for _, tensor in leaves(inputs):
        recorder.value(tensor)
    torch.manual_seed(0)
    with torch.no_grad(), recorder:
        out = model(*inputs)
    results = [(path, tensor) for path, tensor in leaves(out)]
    recorder.finish(results)
    buffers = {id(buffer) for buffer in model.buffers()}
    with named_weights(model.named_modules()):
        names = AxisNames(recorder.trace, weights=buffers, results=[value for _, value in recorder.trace.results])
    return Run(model, inputs, recorder.trace, names)


# ---------------------------------------------------------------- coordinates


Channels = dict[Origin, Tensor]


def coded(axes: Axes) -> Channels:
    """For each coordinate of a tensor one tensor that holds it, from 1 on; of those that are gone, where they stood."""
    atoms = [atom for axis in axes for atom in axis.atoms] or [Atom(Origin(), range(1))]
    sizes = [atom.size for atom in atoms]
    found: Channels = {}
    for at, atom in enumerate(atoms):
        view = [1] * len(sizes)
        view[at] = atom.size
        steps = torch.tensor([step + 1.0 for step in atom.at], dtype=torch.float64)
        found[atom.origin.root] = steps.view(view).expand(sizes).reshape(axes.sizes).clone()
    for origin, where in axes.fixed:
        stood = where.high if isinstance(where, Span) and where.along is None else where
        if isinstance(stood, int):
            found[origin.root] = torch.full(axes.sizes, stood + 1.0, dtype=torch.float64)
    several = [atom.origin.root for atom in atoms] + [origin.root for origin, _ in axes.fixed]
    empty = {atom.origin.root for atom in atoms if atom.origin.blank}  # nothing is in it yet
    return {root: channel for root, channel in found.items() if several.count(root) == 1 and root not in empty}


def moved(call: Call, channels: dict[int, Channels], roots: set[Origin]) -> Iterator[tuple[Value, Origin, Tensor]]:
    """What a call that only moves elements makes of each coordinate of what it is given."""
    for root in roots:

        def put(value: Value, root: Origin = root) -> Tensor:
            known = channels.get(value.index, {}).get(root)
            if value.tensor.dtype in (torch.int64, torch.bool) and value is not call.inputs[0]:
                return value.tensor  # an index
            return torch.full(value.shape, torch.nan, dtype=torch.float64) if known is None else known.clone()

        args, kwargs = substituted(call.args, put), substituted(call.kwargs, put)
        if call.name == "__setitem__":
            call.func(*args, **kwargs)
            yield call.outputs[0], root, args[0]
            continue
        if call.name in ("cat", "stack"):
            args = ([one.double() for one in args[0]], *args[1:])
        made = args[0] if call.name in SAME else call.func(*args, **kwargs)
        for value, (_, tensor) in zip(call.outputs, leaves(made), strict=True):
            yield value, root, tensor


def lies(axes: Axes, channels: Channels) -> list[str]:
    """Steps along a named axis that change another coordinate, or not its own."""
    found = []
    free = {origin.root for origin, where in axes.fixed if not isinstance(where, int | Span)}
    for at, axis in enumerate(axes):
        sizes = [atom.size for atom in axis.atoms]
        for k, atom in enumerate(axis.atoms):
            # `a+b` and what was stacked say what lies side by side there: no coordinate.
            if atom.size == 1 or atom.origin.blank or set(atom.name) & {*UNKNOWN, *"+|"} or atom.name == "stacked":
                continue
            for root, channel in channels.items():
                steps = channel.unflatten(at, sizes).movedim(at + k, 0).diff(dim=0)
                steps = steps[~steps.isnan()]
                digit = root.factor is not None and root.factor[0].root is atom.origin.root  # 2 and 4 of 8 = 2 · 4
                if root is not atom.origin.root and root not in free and not digit and bool((steps != 0).any()):
                    found.append(f"a step along {axis} of {axes} changes {root.name}")
                if root is atom.origin.root and not bool((steps != 0).all()):
                    found.append(f"a step along {axis} of {axes} does not always change {root.name}")
    return found


def told_lies(done: Run) -> tuple[list[str], int]:
    """The lies of a run, and how many named axes were looked at."""
    channels: dict[int, Channels] = {}
    found: list[str] = []
    looked = 0
    for value in done.trace.values:
        axes = done.names.axes(value) if value.maker is None else None
        if axes is not None:
            channels[value.index] = coded(axes)
    for call in done.trace.calls:
        given = [channels[value.index] for value in call.inputs if value.index in channels]
        roots = {root for one in given for root in one}
        if call.name in (*MOVES, *SAME, "__setitem__") and roots:
            for value, root, tensor in moved(call, channels, roots):
                channels.setdefault(value.index, {})[root] = tensor
            for value in call.outputs:
                axes = done.names.axes(value)
                if axes is not None:
                    looked += sum(axis.known and axis.size > 1 for axis in axes)
                    found += [f"{call.where}: {lie}" for lie in lies(axes, channels[value.index])]
            continue
        for value in call.outputs:
            axes = done.names.axes(value)
            if axes is not None:
                channels[value.index] = coded(axes)
    return found, looked


@pytest.mark.parametrize("made", MODELS, ids=lambda made: made.__name__)
def test_where_elements_only_move_names_are_true(made: Made) -> None:
    """In every call of the model, for every axis with a name."""
    found, looked = told_lies(run(made))
    assert not found, "\n".join(found)
    assert looked > 8


@pytest.mark.parametrize("made", MODELS, ids=lambda made: made.__name__)
def test_most_lines_of_whole_models_are_named(made: Made) -> None:
    """Honesty by forgetting would be cheap: every axis on 8 of 10 lines."""
    model, inputs = made()
    lines = [step for step in walk(model, *inputs).steps if step.kind == "line" and any(one.sizes for one in step.made)]
    named = [all(one.axes is not None and one.axes.known for one in step.made if one.sizes) for step in lines]
    assert sum(named) >= 0.8 * len(named), [step.source for step, known in zip(lines, named, strict=True) if not known]


# ---------------------------------------------------------------- samples


def another(tensor: Tensor, axes: Axes) -> Tensor:
    """The same tensor with other values of the first sample; lengths and what has no samples stay."""
    places = [at for at, axis in enumerate(axes) if axis.name == "N"]
    if len(places) != 1 or tensor.dim() == 1:
        return tensor
    changed = tensor.clone()
    row = changed.select(places[0], 0)
    row.copy_((row + 1) % (int(tensor.max()) + 1) if tensor.dtype == torch.int64 else row * 1.5 + 0.25)
    return changed


def mixing(done: Run) -> tuple[list[str], int]:
    """Tensors with an axis N in which another sample than the first changed with it, and how many were looked at."""
    found: list[str] = []
    looked = 0

    def compare(value: Value, tensor: Tensor) -> None:
        nonlocal looked
        axes, before = done.names.axes(value), value.elements
        if axes is None or before is None or value.parameter or before.shape != tensor.shape:
            return
        for at, axis in enumerate(axes):
            sizes = [atom.size for atom in axis.atoms]
            for k, atom in enumerate(axis.atoms):
                if atom.name == "N" and atom.size > 1 and not atom.origin.blank and atom.at == range(atom.size):
                    looked += 1
                    apart = (before != tensor).unflatten(at, sizes).movedim(at + k, 0)
                    if bool(apart[1:].any()):
                        found.append(f"{axes} made by {value.maker and value.maker.where}: other samples changed")

    inputs = []
    values = {id(value.tensor): value for value in done.trace.values}
    for one in done.inputs:
        axes = done.names.axes(values[id(one)]) if isinstance(one, Tensor) else None
        inputs.append(one if axes is None else another(one, axes))
    torch.manual_seed(0)
    with torch.no_grad(), Follower(done.trace, compare, Still()):
        done.model(*inputs)
    return found, looked


@pytest.mark.parametrize("made", MODELS, ids=lambda made: made.__name__)
def test_what_is_called_samples_keeps_samples_apart(made: Made) -> None:
    """Also behind layers, products and sums, where no element is only moved."""
    found, looked = mixing(run(made))
    assert not found, "\n".join(found)
    assert looked > 5


# ---------------------------------------------------------------- the oracles see what is wrong


class Swapped(nn.Module):
    """Reads samples as steps, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rnn(x.transpose(0, 1).flip(0))[0]
        return y


def test_the_oracles_know_a_wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are exchanged after the run are found by both."""

    def made() -> tuple[nn.Module, tuple[Any, ...]]:
        return Swapped(), (torch.randn(4, 4, 5),)

    done = run(made)
    assert told_lies(done)[0] == mixing(done)[0] == []
    of: Callable[[Value], Axes | None] = done.names.axes

    def exchanged(value: Value) -> Axes | None:
        axes = of(value)
        if axes is None or value.maker is None or axes.names[:2] != ("L", "N"):
            return axes
        return Axes((axes[1], axes[0], axes[2]))

    monkeypatch.setattr(done.names, "axes", exchanged)
    assert told_lies(done)[0]
    assert mixing(done)[0]
