"""walk(model, x): a model's forward line by line, with the named axes of every tensor that it makes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from inspect import Parameter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError, in_one_sentence
from lstm_shapes.lab._alone import alone
from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab._private import compiled_from
from lstm_shapes.lab._words import not_taken, refuse_call, signature_of
from lstm_shapes.lab.tensors import AnnotatedTensor, axes_of, called
from lstm_shapes.lab.trace import CELLS, LayerCall, Snapshot, Value, layer_calls, theirs
from lstm_shapes.language import language, say, speaking
from lstm_shapes.theory._axis_rules.table import describing
from lstm_shapes.theory.axes import Axes

from ._lines import LineRecorder, Made, Mixed, Node, Row, Step
from .comments import Verdict, judged

if TYPE_CHECKING:
    from lstm_shapes.lab.check.report import Report

__all__ = ["Made", "Step", "Walk", "walk"]

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, repr=False)
class Walk(Shown):
    """A model's forward, line by line. Shows itself; `.steps`, `.output`, `.marks`, `.to_dict()`."""

    model: str
    inputs: tuple[Made, ...]
    steps: tuple[Step, ...]
    output: tuple[Made, ...] = ()
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    report: Report | None = None
    """What `check` says of the exception, where there was one."""
    lang: str = field(default_factory=language, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the model came to its end and no axes were mixed on the way."""
        return self.error is None and not self.mixed

    @property
    def mixed(self) -> tuple[str, ...]:
        """The marks of reshapes that mixed axes, in order."""
        return tuple(mark for step in self.steps for mark in step.mixed)

    @property
    def marks(self) -> tuple[str, ...]:
        """Everything that broke off a name, in order."""
        return tuple(mark for step in self.steps for mark in step.marks)

    @property
    def comments(self) -> tuple[Verdict, ...]:
        """Every comment that gives a shape, and whether it is so, in order."""
        return tuple(one for step in self.steps for one in step.comments)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "model": self.model,
            "ok": self.ok,
            "inputs": [made.to_dict() for made in self.inputs],
            "steps": [step.to_dict() for step in self.steps],
            "output": [made.to_dict() for made in self.output],
            "notes": list(self.notes),
            "error": None if self.error is None else f"{type(self.error).__name__}: {self.error}",
            "report": None if self.report is None else self.report.to_dict(),
        }


@in_one_sentence
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
    refuse_call(walk, model, inputs, kwargs)
    notes = list[str]()
    if (compiled := compiled_from(model)) is not None:
        model = compiled
        notes.append(say("compiled"))
    elif isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        notes.append(say("scripted"))
    said = _said(inputs, axes, batch_dim)
    named = [one.name for one in signature_of(model).parameters.values() if one.kind in _BY_PLACE]
    words = [*named, *(f"input {at}" for at in range(len(inputs)))][: len(inputs)]
    given: dict[int, Axes] = {}
    handed: list[Row] = []

    def plain(value: Any, axes: Axes | None = None) -> Any:
        """The inputs as the model gets them, tensors without names."""
        if isinstance(value, Tensor):
            axes = axes or axes_of(value)
            tensor = value.plain() if isinstance(value, AnnotatedTensor) else value
            if axes is not None:
                given[lines.value(tensor).index] = axes
            return tensor
        if type(value) in (tuple, list):
            return type(value)(map(plain, value))
        return {key: plain(item) for key, item in value.items()} if type(value) is dict else value

    def hand(name: str, value: Any, axes: Axes | None = None) -> Any:
        value = plain(value, axes)
        handed.extend(lines.rows(name, value))
        return value

    error: Exception | None = None
    results: list[Row] = []
    with alone():
        reached = Snapshot(model)
        lines = LineRecorder(reached.names, _own(model))
        arguments = [hand(*one) for one in zip(words, inputs, said, strict=True)]
        keywords = {name: hand(name, value) for name, value in kwargs.items()}
        try:
            with warnings.catch_warnings(), lines:
                warnings.simplefilter("ignore")
                output = model(*arguments, **keywords)
        except Exception as raised:
            error = raised
            lines.stopped(raised)
        else:
            results = lines.rows("output", output)
        finally:
            reached.restore()
    report = None
    if error is not None:
        from lstm_shapes.lab.check import check

        # A word that forward does not take is what it raised of, though check may have an option of that name.
        foreign = {word: kwargs[word] for word in not_taken(model, kwargs)}
        known = {word: value for word, value in kwargs.items() if word not in foreign}
        report = check(partial(model, **foreign) if foreign else model, *inputs, **known)
    modules = [(reached.names[key], module) for key, module in reached.modules.items()]
    weights = {id(buffer) for _, module in modules for buffer in module.buffers(recurse=False)}
    with alone(), named_weights(modules):
        names = AxisNames(lines.trace, given=given, weights=weights, results=[row.value for row in results])
        view = _View(lines, names, reached.names)
        steps = view.steps(depth)
    shown = tuple(map(view.made, handed))
    if any(made.axes is not None and not made.axes.known for made in shown):
        notes.append(say("axes nobody named"))
    if not any(step.kind == "line" for step in steps):
        notes.append(say("no source"))
    title = type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
    return Walk(title, shown, steps, tuple(map(view.made, results)), tuple(notes), error, report)


def _own(model: Any) -> str:
    """The folder of the model's own package, followed even where it is installed as a library."""
    place = getattr(sys.modules.get(type(model).__module__), "__file__", None)
    return "" if place is None or not theirs(place) else str(Path(place).parent)


# ---------------------------------------------------------------- names that are given
def _said(inputs: Sequence[Any], axes: str | Sequence[str | None] | None, batch_dim: int | None) -> list[Axes | None]:
    """What the caller says of the axes of each input."""
    given = [axes] if isinstance(axes, str) else list(axes or ())
    if len(given) > len(inputs):
        raise ShapeError("axes", f"given for at most {len(inputs)} inputs", got=len(given))
    rank = inputs[0].dim() if inputs and isinstance(inputs[0], Tensor) else None
    if batch_dim is not None and rank is not None and given[:1] in ([], [None]):
        if not -rank <= batch_dim < rank:
            raise ShapeError("batch_dim", f"an axis of the first input, below {rank}", got=batch_dim)
        given[:1] = [" ".join("N" if axis == batch_dim % rank else "?" for axis in range(rank))]
    return [
        Axes.of(names, tuple(value.shape)) if names is not None and isinstance(value, Tensor) else None
        for value, names in zip(inputs, [*given, *[None] * len(inputs)], strict=False)
    ]


@contextmanager
def named_weights(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[None]:
    """While this lasts, the axis that a Linear, Embedding or convolution makes is called after it: fc."""
    layers: dict[str, list[tuple[str, Any, str]]] = {}
    weights: list[Any] = []
    for path, module in modules:
        for name, tensor in chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False)):
            # One that is used as it is, as the transitions of a CRF are.
            weights.append(tensor)
            called.setdefault(tensor, {"own": name})
        weight, kind = getattr(module, "weight", None), type(module).__name__
        if isinstance(weight, Tensor) and (isinstance(module, nn.Linear | nn.Embedding) or kind.startswith("Conv")):
            parts = [part for part in path.split(".") if part] or [kind.lower()]
            # A place in a list or a Sequential says little by itself: net.0 is net0.
            short = parts[-1] if not parts[-1].isdigit() else (parts[-2:-1] or [kind.lower()])[0] + parts[-1]
            axis = "1" if isinstance(module, nn.Embedding) or "Transpose" in kind else "0"
            layers.setdefault(short, []).append(("_".join(parts), weight, axis))
    for short, places in layers.items():
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

    def __init__(self, lines: LineRecorder, names: AxisNames, paths: dict[int, str]) -> None:
        self._lines = lines
        self._names = names
        self._layers = {layer.call.index: layer for layer in layer_calls(lines.trace, paths)}
        mixed = {call.index for call, _ in names.scrambles}
        marks: list[tuple[int, str]] = [(call.index, Mixed(scramble)) for call, scramble in names.scrambles]
        marks += [(call.index, text) for call, text in names.lost if call.index not in lines.inside | mixed]
        marks += [(call.index, text) for call, text in names.clashes]
        for call in lines.trace.calls:
            if call.name == "script":
                marks.append((call.index, say("not followed", name=paths.get(id(call.module), "") or say("a module"))))
        for index, text in marks:
            if text not in lines.at[index].marks:
                lines.at[index].marks.append(text)
        self._judge()

    def _judge(self) -> None:
        """What comments say, in the order in which the lines ran."""
        for node, claim, rows, known, numbers in self._lines.readings:
            told: list[Verdict] = []
            for made in map(self.made, rows):
                true = judged(claim, made.sizes, known, None if self._names.clashes else made.axes, numbers)
                whose = claim.subject or made.name
                so = say("in truth" if whose else "in truth, unnamed", name=whose, shape=made.plain)
                told.append(Verdict(claim.text, true, "" if true else so))
                if true:
                    break
            before = node.verdicts.get(claim.text)
            if told and (before is None or before.true):
                node.verdicts[claim.text] = told[-1] if told[-1].true else told[0]

    def made(self, row: Row) -> Made:
        return Made(row.name, row.value.shape, self._names.axes(row.value), row.note)

    def steps(self, depth: int | None) -> tuple[Step, ...]:
        """Everything in order, with its depth."""
        out: list[Step] = []

        def visit(node: Node, level: int, calls: int) -> None:
            for inner in node.inner.values():
                deeper = calls + (inner.kind == "call" and bool(inner.file))
                if depth is not None and deeper > depth + 1 and out:
                    # What is left out is said where it was called.
                    for hidden in inner.all():
                        out[-1].marks += [mark for mark in hidden.marks if mark not in out[-1].marks]
                        out[-1].raised = out[-1].raised or hidden.raised
                    continue
                inner.depth = level
                self._fill(inner, node)
                out.append(Step(**{one.name: getattr(inner, one.name) for one in fields(Step)}))
                visit(inner, level + 1, deeper)

        visit(self._lines.root, 0, 0)
        return tuple(out)

    def _fill(self, node: Node, parent: Node) -> None:
        """Say of a step what it made, how often, and whether its comments are true."""
        if node.kind == "layer":
            node.source, node.made = self._opened(node)
            return
        if not node.file:
            node.made = [self.made(Row("", value)) for value in node.calls[0].outputs[:1]]
            return
        if node.statement is not None and node.statement.head:
            inside = [
                one.count
                for one in parent.inner.values()
                if one.statement is not None and not one.statement.head and one.statement.loops[-1:] == (node.line,)
            ]
            # A generator runs one statement of its own each round, at the head.
            calls = [inner for inner in node.inner.values() if inner.kind == "call"]
            rounds = inside or [one.count for inner in calls for one in inner.inner.values()]
            node.count, node.loop = max(rounds, default=1), bool(rounds)
        node.made = [self.made(row) for row in node.rows]
        if node.count > 1:
            first = {one.name: one.text for one in node.made}
            late = [self.made(Row(row.name, row.value, say("in the last round"))) for row in node.last]
            node.made += [one for one in late if first.get(one.name) != one.text]
        node.comments = list(node.verdicts.values())

    def _opened(self, node: Node) -> tuple[str, list[Made]]:
        """A recurrent layer under the names that its contract gives to its input, states and outputs."""
        layer = self._layers.get(node.calls[0].index)
        if layer is None:
            return node.calls[0].name, []
        zeros = {call.index for call in self._lines.trace.calls if call.name == "zeros"} & self._lines.inside
        given = {role: v for role, v in layer.states.items() if v.maker is None or v.maker.index not in zeros}
        rows = [self._role(layer, *one) for one in {"X": layer.X, **given, **layer.outputs}.items()]
        # An X whose axes are called otherwise than the layer reads them is never shown without a mark.
        axes = self._names.axes(layer.X)
        for at, symbol in ((layer.batch_axis, "N"), (layer.time_axis, "L")):
            name = axes[at].name if axes is not None and at is not None and not layer.unbatched else ""
            if name in ("N", "L") and name != symbol and not node.marks and not self._lines.at[layer.call.index].marks:
                node.marks.append(say("read as", at=str(at), symbol=symbol, name=name))
        return _spelled(layer), rows

    def _role(self, layer: LayerCall, symbol: str, value: Value) -> Made:
        axes, sizes = self._names.axes(value), value.shape
        if layer.unbatched and len(sizes) > 1:
            # torch adds a batch of one before the kernel runs.
            at = (layer.batch_axis or 0) if symbol in ("X", "Y") else len(sizes) - 2
            sizes = (*sizes[:at], *sizes[at + 1 :])
            axes = axes and Axes(axes.put(at), axes.fixed)
        return Made(symbol, sizes, axes, say("is packed") if layer.packed and symbol in ("X", "Y") else "")


def _spelled(layer: LayerCall) -> str:
    """`rnn = LSTM(Q=28, D=16, K=3, batch_first=True)`."""
    module: Any = layer.module
    P = getattr(module, "proj_size", 0)
    numbers = [f"Q={layer.Q}", f"D={getattr(module, 'hidden_size', layer.H)}"]
    if layer.call.name not in CELLS:
        numbers += [f"K={layer.K}", *(["R=2"] if layer.R == 2 else []), *([f"P={P}"] if P else [])]
        numbers.append(f"batch_first={getattr(module, 'batch_first', layer.batch_first)}")
    return f"{layer.name or layer.label} = {layer.label}({', '.join(numbers)})"
