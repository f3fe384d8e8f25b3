"""walk(model, x): a model's forward line by line, with the named axes of every tensor that it makes."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lstm_shapes.lab.trace.reachable import reach
from lstm_shapes.lab.trace.snapshot import Snapshot
from lstm_shapes.lab.trace.where import theirs

from .naming import named_inputs, named_weights
from .result import Made, Step, Walk, made_of
from .tracer import Tracer

__all__ = ["Made", "Step", "Walk", "walk"]


def walk(
    model: Callable[..., Any], *inputs: Any, axes: str | Sequence[str | None] | None = None, **kwargs: Any
) -> Walk:
    """Run the model once and show its forward: each line, and the axes of what it made.

    `axes` names the axes of the first input, or of each; without it they follow the first recurrent layer's layout.
    The model is left as it was. An exception is not raised but shown at its line, with what `check` says of it.

    >>> model = torch.nn.LSTM(4, 8, batch_first=True)
    >>> found = walk(model, torch.randn(2, 5, 4))
    >>> [made.text for made in found.output]
    ['(N=2, L=5, D=8)', '(K=1, N=2, D=8)', '(K=1, N=2, D=8)']

    Raises:
        ShapeError, SpecError: `axes` do not fit the inputs.
    """
    model, notes = _followable(model)
    given, keywords = named_inputs(model, inputs, kwargs, axes)
    reached = reach(model)
    snapshot = Snapshot(reached)
    names = {key: reached.names.get(key, "") for key in reached.modules}
    modules = [(names[key], module) for key, module in reached.modules.items()]
    error: Exception | None = None
    output: Any = None
    try:
        with named_weights(modules), warnings.catch_warnings(), Tracer(names, _own(model)) as tracer:
            warnings.simplefilter("ignore")
            try:
                output = model(*given, **keywords)
            except Exception as raised:
                error = raised
    finally:
        snapshot.restore()
    report = None
    if error is not None:
        from lstm_shapes.lab.check import check

        report = check(model, *inputs, **kwargs)
        if not report.findings:
            notes.append("the model runs with plain tensors: it does not accept a subclass of torch.Tensor")
    shown = _inputs(model, given, keywords)
    steps = tracer.steps()
    if any(made.axes is not None and not made.axes.known for made in shown):
        notes.append('an input has axes that nobody named: walk(model, x, axes="N L Q") names them')
    if not any(step.kind == "line" for step in steps):
        notes.append("no source lines of this model can be read: calls are shown instead")
    return Walk(_title(model), shown, steps, tuple(made_of("output", output)), tuple(notes), error, report)


def _own(model: Any) -> str:
    """The folder of the model's own package, followed even where it is installed as a library."""
    place = getattr(sys.modules.get(type(model).__module__), "__file__", None)
    return "" if place is None or not theirs(place) else str(Path(place).parent)


def _followable(model: Any) -> tuple[Any, list[str]]:
    """The model itself where it was compiled; a note where it cannot be followed."""
    if hasattr(model, "_orig_mod"):
        return model._orig_mod, ["compiled by torch.compile: the walk shows the module that was compiled"]
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return model, ["scripted by torch.jit: its lines do not run in Python, so only what goes in and out is shown"]
    return model, []


def _inputs(model: Any, given: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Made, ...]:
    function = getattr(model, "forward", model)
    try:
        words = [name for name, p in inspect.signature(function).parameters.items() if p.kind.name != "VAR_KEYWORD"]
    except (TypeError, ValueError):
        words = []
    made: list[Made] = []
    for at, value in enumerate(given):
        made += made_of(words[at] if at < len(words) else f"input {at}", value)
    for name, value in kwargs.items():
        made += made_of(name, value)
    return tuple(made)


def _title(model: Any) -> str:
    return type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
