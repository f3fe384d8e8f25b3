"""walk(model, x): a model's forward line by line, with the named axes of every tensor that it makes."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.errors import ShapeError
from lstm_shapes.lab._alone import alone
from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab._private import compiled_from
from lstm_shapes.lab._torch_rules import axes_of, called
from lstm_shapes.lab.tensors import AnnotatedTensor
from lstm_shapes.lab.trace import CELLS, LayerCall, Value, layer_calls, reach
from lstm_shapes.lab.trace._snapshot import Snapshot
from lstm_shapes.lab.trace._where import theirs
from lstm_shapes.language import say, speaking
from lstm_shapes.theory._axis_rules.table import describing
from lstm_shapes.theory.axes import Axes

from ._lines import Lines, Node, Row, rows_of
from .comments import Verdict, judged
from .result import Made, Mixed, Step, Walk

__all__ = ["Made", "Step", "Walk", "walk"]


def walk(
    model: Callable[..., Any],
    *inputs: Any,
    axes: str | Sequence[str | None] | None = None,
    batch_dim: int | None = None,
    depth: int | None = None,
    lang: str | None = None,
    **kwargs: Any,
) -> Walk:
    """Run the model once and show its forward: each line, and the axes of what it made.

    The axes of the inputs are named last, unless `axes` names those of the first input, or of each, or `batch_dim` says
    which axis of the first one is the batch. Recurrent layers and packing say what N, L, Q and the states are, and
    where two of them differ, a mark says so at the line where it shows. What no layer reads is named by what the
    program does with it: L is an axis along which a state goes on, S one that attention is normalised over, Q one that
    a weight sums over; N is the one axis of an input that arrives in the result while nothing is computed along it; C,
    height, width and depth are a convolution's. An axis that is added to, or laid beside, a named one is called so.

    Features that a layer makes are called after it: `fc=10`, `conv1=32`; those of a parameter after the parameter and
    its axis: `W.1=40`. `fc/5=2` are the two blocks of five in fc; `a+b` is two axes one after the other, `a|b` one that
    two tensors with other names have in common, `stacked` what a list holds, `copies` what repeats, `L′` windows over
    L, `1` an axis of size one, and `?` an axis that no name is true of.

    Functions that are called more than `depth` calls inside the model are left out; a notebook folds submodules.

    Lines are those that call a torch function, themselves or further in; of others, only a `return` of names and the
    heads of loops are seen. Comments that give a shape are held against what is so.

    The model is left as it was. An exception is not raised but shown at its line, with what `check` says of it.
    `lang` is "en" or "ko", the language of what is said of the lines; what `check` says is in English.

    >>> model = torch.nn.LSTM(4, 8, batch_first=True)
    >>> found = walk(model, torch.randn(2, 5, 4))
    >>> [made.text for made in found.output]
    ['(N=2, L=5, D=8)', '(K=1, N=2, D=8)', '(K=1, N=2, D=8)']

    Raises:
        ShapeError, SpecError: `axes` do not fit the inputs.
    """
    if lang is not None:
        with speaking(lang):
            return walk(model, *inputs, axes=axes, batch_dim=batch_dim, depth=depth, **kwargs)
    model, notes = _followable(model)
    reached = reach(model)
    paths = {key: reached.names.get(key, "") for key in reached.modules}
    modules = [(paths[key], module) for key, module in reached.modules.items()]
    lines = Lines(paths, _own(model))
    handed = _Inputs(model, inputs, kwargs, axes, batch_dim, lines)
    error: Exception | None = None
    output: Any = None
    results: list[Row] = []
    with alone():
        snapshot = Snapshot(reached)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    with lines:
                        output = model(*handed.args, **handed.kwargs)
                except Exception as raised:
                    error = raised
                    lines.stopped(raised)
            results = [Row(name, lines.value(tensor), note) for name, tensor, note in rows_of("output", output)]
        finally:
            snapshot.restore()
    report = None
    if error is not None:
        from lstm_shapes.lab.check import check

        report = check(model, *inputs, **kwargs)
    weights = {id(buffer) for _, module in modules for buffer in module.buffers(recurse=False)}
    with alone(), named_weights(modules):
        names = AxisNames(lines.trace, given=handed.axes, weights=weights, results=[row.value for row in results])
        view = _View(lines, names, paths)
        steps = view.steps(depth)
    shown = tuple(map(view.made, handed.rows))
    if any(made.axes is not None and not made.axes.known for made in shown):
        notes.append(say("axes nobody named"))
    if not any(step.kind == "line" for step in steps):
        notes.append(say("no source"))
    return Walk(_title(model), shown, steps, tuple(map(view.made, results)), tuple(notes), error, report)


def _own(model: Any) -> str:
    """The folder of the model's own package, followed even where it is installed as a library."""
    place = getattr(sys.modules.get(type(model).__module__), "__file__", None)
    return "" if place is None or not theirs(place) else str(Path(place).parent)


def _followable(model: Any) -> tuple[Any, list[str]]:
    """The model itself where it was compiled; a note where it cannot be followed."""
    if (compiled := compiled_from(model)) is not None:
        return compiled, [say("compiled")]
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return model, [say("scripted")]
    return model, []


def _title(model: Any) -> str:
    return type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)


# ---------------------------------------------------------------- what goes in


class _Inputs:
    """The inputs as the model gets them, tensors without names; and what is said of their axes."""

    def __init__(
        self,
        model: Any,
        inputs: Sequence[Any],
        kwargs: dict[str, Any],
        axes: str | Sequence[str | None] | None,
        batch_dim: int | None,
        lines: Lines,
    ) -> None:
        given = [axes] if isinstance(axes, str) else list(axes or ())
        if len(given) > len(inputs):
            raise ShapeError("axes", f"given for at most {len(inputs)} inputs", got=len(given))
        self.axes: dict[int, Axes] = {}
        self.rows: list[Row] = []
        self._lines = lines
        said = [_said(value, given[at] if at < len(given) else None) for at, value in enumerate(inputs)]
        if batch_dim is not None and said and said[0] is None and isinstance(inputs[0], Tensor):
            rank = inputs[0].dim()
            if not -rank <= batch_dim < rank:
                raise ShapeError("batch_dim", f"an axis of the first input, below {rank}", got=batch_dim)
            names = ["N" if axis == batch_dim % rank else "?" for axis in range(rank)]
            said[0] = Axes.of(names, inputs[0].shape)
        words = _parameters(model)
        names = [words[at] if at < len(words) else f"input {at}" for at in range(len(inputs))]
        self.args = [self._hand(*one) for one in zip(names, inputs, said, strict=True)]
        self.kwargs = {name: self._hand(name, value) for name, value in kwargs.items()}

    def _hand(self, name: str, value: Any, axes: Axes | None = None) -> Any:
        plain = self._plain(value, axes)
        self.rows += [Row(word, self._lines.value(tensor), note) for word, tensor, note in rows_of(name, plain)]
        return plain

    def _plain(self, value: Any, axes: Axes | None = None) -> Any:
        if isinstance(value, Tensor):
            axes = axes or axes_of(value)
            plain = value.as_subclass(Tensor) if isinstance(value, AnnotatedTensor) else value
            recorded = self._lines.value(plain)
            if axes is not None:
                self.axes[recorded.index] = axes
            return plain
        if type(value) in (tuple, list):
            return type(value)(map(self._plain, value))
        return {key: self._plain(item) for key, item in value.items()} if type(value) is dict else value


def _said(value: Any, names: str | None) -> Axes | None:
    return Axes.of(names, tuple(value.shape)) if names is not None and isinstance(value, Tensor) else None


def _parameters(model: Any) -> list[str]:
    """The names of a forward's parameters."""
    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.kind.name in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]


@contextmanager
def named_weights(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[None]:
    """While this lasts, the axis that a Linear, Embedding or convolution makes is called after it: fc."""
    found: dict[str, list[tuple[str, Any, str]]] = {}
    weights: list[Any] = []
    for path, module in modules:
        weight = getattr(module, "weight", None)
        for name, tensor in chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False)):
            # One that is used as it is, as the transitions of a CRF are.
            weights.append(tensor)
            called.setdefault(tensor, {"own": name})
        made = isinstance(module, nn.Linear | nn.Embedding) or type(module).__name__.startswith("Conv")
        if made and isinstance(weight, Tensor):
            kind = type(module).__name__.lower()
            parts = [part for part in path.split(".") if part] or [kind]
            # A place in a list or a Sequential says little by itself: net.0 is net0.
            short = parts[-1] if not parts[-1].isdigit() else (parts[-2:-1] or [kind])[0] + parts[-1]
            axis = "1" if isinstance(module, nn.Embedding) or "Transpose" in type(module).__name__ else "0"
            found.setdefault(short, []).append(("_".join(parts), weight, axis))
    for short, places in found.items():
        for path, weight, axis in places:
            # Two layers of one name in two submodules are told apart by their paths; a weight that an Embedding and
            # a Linear share makes two axes, one of each.
            name = short if len(places) == 1 else path
            called.setdefault(weight, {}).setdefault(axis, name)
            called[weight]["own"] = name
    described = describing.set(True)
    try:
        yield
    finally:
        describing.reset(described)
        for weight in weights:
            called.pop(weight, None)


# ---------------------------------------------------------------- what is shown


class _View:
    """The steps of a recorded run, with names."""

    def __init__(self, lines: Lines, names: AxisNames, paths: dict[int, str]) -> None:
        self._lines = lines
        self._names = names
        self._layers = {layer.call.index: layer for layer in layer_calls(lines.trace, paths)}
        self._comments: dict[int, dict[str, Verdict]] = {}
        for call, scramble in names.scrambles:
            self._mark(call.index, Mixed(scramble))
        mixed = {call.index for call, _ in names.scrambles}
        for call, text in names.lost:
            if call.index not in lines.inside and call.index not in mixed:
                self._mark(call.index, text)
        for clash in names.clashes:
            self._mark(clash.call.index, str(clash))
        for call in lines.trace.calls:
            if call.name == "script":
                self._mark(call.index, say("not followed", name=paths.get(id(call.module), "") or say("a module")))
        self._judge()

    def _mark(self, index: int, text: str) -> None:
        marks = self._lines.at[index].marks
        if text not in marks:
            marks.append(text)

    def _judge(self) -> None:
        """What comments say, in the order in which the lines ran."""
        known: dict[int, dict[str, int]] = {}
        for reading in self._lines.readings:
            scope, verdicts = known.setdefault(reading.scope, {}), self._comments.setdefault(id(reading.node), {})
            for claim, meant in reading.meant:
                told: list[Verdict] = []
                for row in meant:
                    made = self.made(row)
                    axes = None if self._names.clashes else made.axes
                    whose = claim.subject or made.name
                    true = judged(claim, made.sizes, scope, axes, reading.numbers)
                    so = say("in truth" if whose else "in truth, unnamed", name=whose, shape=made.plain)
                    told.append(Verdict(claim.text, true, "" if true else so))
                    if true:
                        break
                if told:
                    best = told[-1] if told[-1].true else told[0]
                    before = verdicts.get(claim.text)
                    if before is None or before.true:
                        verdicts[claim.text] = best

    # ------------------------------------------------------------------ tensors
    def made(self, row: Row) -> Made:
        return Made(row.name, row.value.shape, self._axes(row.value), row.note)

    def _axes(self, value: Value) -> Axes | None:
        return self._names.axes(value)

    # ------------------------------------------------------------------ steps
    def steps(self, depth: int | None) -> tuple[Step, ...]:
        """Everything in order, with its depth."""
        out: list[Step] = []

        def visit(node: Node, level: int, calls: int) -> None:
            for inner in node.inner.values():
                deeper = calls + (inner.kind == "call" and bool(inner.file))
                if depth is not None and deeper > depth + 1 and out:
                    # What is left out is said where it was called.
                    out[-1].marks += [mark for mark in _marks(inner) if mark not in out[-1].marks]
                    out[-1].raised = out[-1].raised or next(_raised(inner), "")
                    continue
                out.append(self._step(inner, node, level))
                visit(inner, level + 1, deeper)

        visit(self._lines.root, 0, 0)
        return tuple(out)

    def _step(self, node: Node, parent: Node, level: int) -> Step:
        if node.kind == "layer":
            return self._opened(node, level)
        if not node.file:
            made = [self.made(Row("", value)) for value in node.calls[0].outputs[:1]]
            return Step(level, "", 0, node.source, node.count, made, node.marks, kind="call", raised=node.raised)
        made = [self.made(row) for row in node.rows]
        count, loop = node.count, node.statement is not None and node.statement.head
        if loop:
            inside = [
                one.count
                for one in parent.inner.values()
                if one.statement is not None and not one.statement.head and one.statement.loops[-1:] == (node.line,)
            ]
            # A generator runs one statement of its own each round, at the head.
            rounds = [
                one.count for inner in node.inner.values() for one in inner.inner.values() if inner.kind == "call"
            ]
            count = max(inside or rounds, default=1)
            loop = bool(inside or rounds)
        if node.count > 1:
            first = {one.name: one.text for one in made}
            made += [
                Made(late.name, late.sizes, late.axes, say("in the last round"))
                for late in map(self.made, node.last)
                if first.get(late.name) != late.text
            ]
        comments = list(self._comments.get(id(node), {}).values())
        return Step(
            level, node.file, node.line, node.source, count, made, node.marks, comments, node.raised, loop, node.kind
        )

    def _opened(self, node: Node, level: int) -> Step:
        """A recurrent layer under the names that its contract gives to its input, states and outputs."""
        layer = self._layers.get(node.calls[0].index)
        if layer is None:
            return Step(level, "", 0, node.calls[0].name, node.count, kind="layer", raised=node.raised)
        note = say("is packed") if layer.packed else ""
        rows = [self._row("X", layer.X, layer, note)]
        for symbol, value in layer.states.items():
            own = value.maker is not None and value.maker.index in self._lines.inside and value.maker.name == "zeros"
            rows += [] if own else [self._row(symbol, value, layer)]
        rows += [self._row(name, value, layer, note * (name == "Y")) for name, value in layer.outputs.items()]
        self._beside(node, layer)
        return Step(level, "", 0, _spelled(layer), node.count, rows, node.marks, kind="layer")

    def _row(self, symbol: str, value: Value, layer: LayerCall, note: str = "") -> Made:
        axes = self._axes(value)
        sizes = value.shape
        if axes is None and symbol not in ("X", "Y"):
            axes = _contract(layer, symbol, sizes)
        if layer.unbatched and len(sizes) > 1:
            # torch adds a batch of one before the kernel runs.
            at = (layer.batch_axis or 0) if symbol in ("X", "Y") else len(sizes) - 2
            sizes = (*sizes[:at], *sizes[at + 1 :])
            axes = axes and Axes((*axes[:at], *axes[at + 1 :]), axes.fixed)
        return Made(symbol, sizes, axes, note)

    def _beside(self, node: Node, layer: LayerCall) -> None:
        """An X whose axes are called otherwise than the layer reads them is never shown without a mark."""
        axes = self._axes(layer.X)
        for at, symbol in ((layer.batch_axis, "N"), (layer.time_axis, "L")):
            name = axes[at].name if axes is not None and at is not None and not layer.unbatched else ""
            if name in ("N", "L") and name != symbol and not node.marks and not self._lines.at[layer.call.index].marks:
                node.marks.append(say("read as", at=str(at), symbol=symbol, name=name))


def _marks(node: Node) -> Iterator[str]:
    yield from node.marks
    for inner in node.inner.values():
        yield from _marks(inner)


def _raised(node: Node) -> Iterator[str]:
    if node.raised:
        yield node.raised
    for inner in node.inner.values():
        yield from _raised(inner)


def _spelled(layer: LayerCall) -> str:
    """`rnn = LSTM(Q=28, D=16, K=3, batch_first=True)`."""
    module: Any = layer.module
    P = getattr(module, "proj_size", 0)
    numbers = [f"Q={layer.Q}", f"D={getattr(module, 'hidden_size', layer.H)}"]
    if layer.call.name not in CELLS:
        numbers += [f"K={layer.K}", *(["R=2"] if layer.R == 2 else []), *([f"P={P}"] if P else [])]
        numbers.append(f"batch_first={getattr(module, 'batch_first', layer.batch_first)}")
    return f"{layer.name or layer.label} = {layer.label}({', '.join(numbers)})"


def _contract(layer: LayerCall, symbol: str, sizes: tuple[int, ...]) -> Axes:
    """A plain state that the layer accepted has the axes of its contract."""
    width = "P" if getattr(layer.module, "proj_size", 0) and symbol[0] == "h" else "D"
    rows = [] if layer.cell else ["K·R" if layer.R == 2 else "K"]
    names = [*rows, "N", width]
    return Axes.of(names[-len(sizes) :] if layer.cell else names, sizes, **({"R": 2} if "K·R" in names else {}))
