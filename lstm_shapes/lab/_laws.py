"""The laws that need the layer to run again: step by step, row by row, layer by layer, in the other layout.

Each function takes a `Run` and returns pairs of tensors that its law says are equal; `RERUNS` holds them under the
names of the rows in `theory/law_rules.py`. They call the run's own layer in the mode it is in (dropout at work stays at
work), without gradients, and leave the global random state as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Protocol

import torch
from torch import Tensor, nn

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec, Weights, suffix

from ._build import build
from ._calling import as_state, call_plainly, read_inputs, untouched_random_state
from .tensors import AnnotatedTensor

Pairs = list[tuple[Tensor, Tensor]]


class Called(Protocol):
    """A layer that was called, as a `Run` is."""

    @property
    def layer(self) -> nn.Module: ...
    @property
    def spec(self) -> Spec: ...
    @property
    def call(self) -> Call: ...
    @property
    def X(self) -> AnnotatedTensor: ...
    @property
    def h0(self) -> AnnotatedTensor: ...
    @property
    def c0(self) -> AnnotatedTensor | None: ...
    @property
    def Y(self) -> AnnotatedTensor | None: ...
    @property
    def hn(self) -> AnnotatedTensor: ...
    @property
    def cn(self) -> AnnotatedTensor | None: ...


RERUNS: dict[str, Callable[[Called], Pairs]] = {}


def _law(name: str) -> Callable[[Callable[[Called], Pairs]], Callable[[Called], Pairs]]:
    """Enter a function under its law's name; it leaves no gradients and no used-up random numbers."""

    def enter(function: Callable[[Called], Pairs]) -> Callable[[Called], Pairs]:
        @wraps(function)
        def alone(run: Called) -> Pairs:
            with torch.no_grad(), untouched_random_state(run.X.device):
                return function(run)

        RERUNS[name] = alone
        return alone

    return enter


@_law("zero start")
def zero_start(run: Called) -> Pairs:
    """No state against a state of zeros, on this run's X."""
    zeros = [torch.zeros_like(state) for state in _starts(run)]
    without = _again(run.layer, run.spec, _plain(run.X), None, run.call.lengths)
    return _pairs(without, _again(run.layer, run.spec, _plain(run.X), zeros, run.call.lengths))


@_law("feedback")
def feedback(run: Called) -> Pairs:
    """One call for each step, starting from the state that the call before returned."""
    axis, state, steps = _time_axis(run), _starts(run), []
    for t in range(run.call.L):
        x = _plain(run.X).narrow(axis, t, 1)
        y, *state = _again(run.layer, run.spec, x, state)
        steps.append(y)
    return _pairs(_results(run), [torch.cat(steps, axis), *state])


@_law("cell loop")
def cell_loop(run: Called) -> Pairs:
    """The cell in a loop over five steps made from X, against the layer with its weights."""
    x, state, outputs = _plain(run.X), _starts(run), []
    X = torch.stack([x.roll(t, -1) + 0.1 * t for t in range(5)])
    for step in X:
        state = _again(run.layer, run.spec, step, state)
        outputs.append(state[0])
    layer, spec = as_sequence_layer(run.layer, run.spec)
    whole = _again(layer, spec, X, [start.unsqueeze(0) for start in _starts(run)])
    return _pairs([torch.stack(outputs), *(end.unsqueeze(0) for end in state)], whole)


@_law("layout")
def layout(run: Called) -> Pairs:
    """The same layer with the other batch_first, on X transposed; its Y transposed back."""
    layer, spec = _other_layout(run)
    Y, *ends = _again(layer, spec, _plain(run.X).transpose(0, 1), _starts(run), run.call.lengths)
    return _pairs(_results(run), [Y.transpose(0, 1), *ends])


@_law("layout, one sequence")
def layout_alone(run: Called) -> Pairs:
    """The same layer with the other batch_first, on the same unbatched X."""
    layer, spec = _other_layout(run)
    return _pairs(_results(run), _again(layer, spec, _plain(run.X), _starts(run)))


@_law("chain")
def chain(run: Called) -> Pairs:
    """K·R layers of one layer and one direction each; the backward ones read reversed rows."""
    below, ends = _plain(run.X), []
    for index in range(run.spec.K):
        halves = []
        for direction in range(run.spec.R):
            layer, spec = one_direction(run.layer, run.spec, index, direction)
            row = index * run.spec.R + direction
            state = [start[row : row + 1] for start in _starts(run)]
            X = _reversed(run, below) if direction else below
            Y, *end = _again(layer, spec, X, state, run.call.lengths)
            halves.append(_reversed(run, Y) if direction else Y)
            ends.append(end)
        below = torch.cat(halves, -1)
    return _pairs(_results(run), [below, *(torch.cat(states) for states in zip(*ends, strict=True))])


@_law("one step seen")
def one_step_seen(run: Called) -> Pairs:
    """The top layer alone, on the last step of what the layers below hand to it."""
    X, top = _plain(run.X), run.spec.K - 1
    if top:
        below, spec = some_layers(run.layer, run.spec, 0, top)
        X = _again(below, spec, X, [start[: 2 * top] for start in _starts(run)], run.call.lengths)[0]
    layer, spec = some_layers(run.layer, run.spec, top, top + 1)
    return _backward_ends(run, layer, spec, X, [start[2 * top :] for start in _starts(run)])


@_law("one step seen of X")
def one_step_seen_of_x(run: Called) -> Pairs:
    """The whole layer, on the last step of X."""
    return _backward_ends(run, run.layer, run.spec, _plain(run.X), _starts(run))


@_law("rows alone")
def rows_alone(run: Called) -> Pairs:
    """Each sequence in a batch of its own, cut to its own length."""
    cell = run.spec.kind.step
    batch, of_state = 0 if cell or run.spec.batch_first else 1, 0 if cell else 1
    pairs: Pairs = []
    for n in range(run.call.N or 1):
        x, whole = _plain(run.X).narrow(batch, n, 1), _results(run)
        if not cell:
            length = run.call.L if run.call.lengths is None else run.call.lengths[n]
            x = x.narrow(_time_axis(run), 0, length)
            whole[0] = whole[0].narrow(batch, n, 1).narrow(_time_axis(run), 0, length)
        ends = slice(0 if cell else 1, None)
        whole[ends] = [end.narrow(of_state, n, 1) for end in whole[ends]]
        state = [start.narrow(of_state, n, 1) for start in _starts(run)]
        pairs += _pairs(whole, _again(run.layer, run.spec, x, state))
    return pairs


@_law("padding read")
def padding_read(run: Called) -> Pairs:
    """The padded X as it is, not packed."""
    return _pairs(_results(run), _again(run.layer, run.spec, _plain(run.X), _starts(run)))


def _again(
    layer: nn.Module, spec: Spec, X: Tensor, state: Sequence[Tensor] | None, lengths: tuple[int, ...] | None = None
) -> list[Tensor]:
    """Y, hn and cn, those of them that there are, of another call."""
    # Every call puts the random state back: without this step all of them would drop the same units,
    # which no two calls of a user's do.
    torch.rand(1, device=X.device)
    given = None if state is None else as_state([part.contiguous() for part in state])
    return call_plainly(layer, spec, read_inputs(layer, spec, X, given, lengths)).results


def _results(run: Called) -> list[Tensor]:
    return [_plain(tensor) for tensor in (run.Y, run.hn, run.cn) if tensor is not None]


def _starts(run: Called) -> list[Tensor]:
    return [_plain(tensor) for tensor in (run.h0, run.c0) if tensor is not None]


def _plain(tensor: AnnotatedTensor) -> Tensor:
    return tensor.plain().detach()


def _pairs(left: Sequence[Tensor], right: Sequence[Tensor]) -> Pairs:
    return list(zip(left, right, strict=True))


def _time_axis(run: Called) -> int:
    return 1 if run.spec.batch_first and run.call.batched else 0


def _other_layout(run: Called) -> tuple[nn.Module, Spec]:
    layer = copy.deepcopy(run.layer)
    setattr(layer, "batch_first", not run.spec.batch_first)  # noqa: B010 - a Module's attributes have no types
    return layer, run.spec.replace(batch_first=not run.spec.batch_first)


def _reversed(run: Called, tensor: Tensor) -> Tensor:
    """Each row backwards, its padding left where it is."""
    axis = _time_axis(run)
    if run.call.lengths is None:
        return tensor.flip(axis)
    rows = tensor.transpose(0, 1) if axis == 0 else tensor
    turned = rows.clone()
    for n, length in enumerate(run.call.lengths):
        turned[n, :length] = rows[n, :length].flip(0)
    return turned.transpose(0, 1) if axis == 0 else turned


def _backward_ends(run: Called, layer: nn.Module, spec: Spec, X: Tensor, state: Sequence[Tensor]) -> Pairs:
    """The backward half of Y at each row's own last step, against the same of `layer` on that step of X."""
    axis = _time_axis(run)
    once = _again(layer, spec, _own_last(run, X).unsqueeze(axis), state)[0].squeeze(axis)
    return [(_own_last(run, _results(run)[0])[..., run.spec.H :], once[..., run.spec.H :])]


def _own_last(run: Called, tensor: Tensor) -> Tensor:
    """The last step of each row of X or Y: step length - 1 where rows are packed."""
    if run.call.lengths is None:
        return tensor.select(_time_axis(run), -1)
    rows, steps = list(range(len(run.call.lengths))), [length - 1 for length in run.call.lengths]
    return tensor[rows, steps] if run.spec.batch_first else tensor[steps, rows]


def some_layers(layer: nn.Module, spec: Spec, first: int, last: int) -> tuple[nn.Module, Spec]:
    """Layers first to last - 1 of a stack, in all directions: they read R·H features, or Q at the bottom."""
    part = spec.replace(Q=spec.input_width(first), K=last - first)

    def source(name: str) -> str:
        kind, _, rest = name.partition("_l")
        number, _, reverse = rest.partition("_")
        return f"{kind}_l{int(number) + first}" + (f"_{reverse}" if reverse else "")

    return _copied(layer, part, source), part


def one_direction(layer: nn.Module, spec: Spec, index: int, direction: int) -> tuple[nn.Module, Spec]:
    """One direction of one layer, 0 forward and 1 backward: a plain layer, to be fed reversed rows for 1."""
    part = spec.replace(Q=spec.input_width(index), K=1, bidirectional=False, dropout=0.0)
    end = suffix(spec, index, direction)
    return _copied(layer, part, lambda name: name.removesuffix("_l0") + end), part


def as_sequence_layer(cell: nn.Module, spec: Spec) -> tuple[nn.Module, Spec]:
    """The one-layer, time-major layer that loops over this cell."""
    part = spec.replace(cell=spec.kind.layer).replace(batch_first=False)
    return _copied(cell, part, lambda name: name.removesuffix("_l0")), part


def _copied(layer: nn.Module, spec: Spec, source: Callable[[str], str]) -> nn.Module:
    """A layer of this Spec; `source` says which of `layer`'s weights each of its weights is a copy of."""
    like = next(layer.parameters())
    part = build(spec, device=like.device, dtype=like.dtype).train(layer.training)
    with torch.no_grad():
        for name in Weights(spec):
            getattr(part, name).copy_(getattr(layer, source(name)))
    return part
