"""The laws that need the layer to run again: step by step, row by row, layer by layer, in the other layout.

Each function takes a call that was made and returns two lists of tensors that its law says are equal; `RERUNS` holds
them under the names of their rows in `theory/laws.py`. They call the layer in the mode it is in: dropout stays at work.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec, Weights, suffix

from ._build import build
from ._calling import as_state, call_plainly, read_inputs

Sides = tuple[Sequence[Tensor], Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Called:
    """A layer that was called: `starts` are h0 and c0, `results` Y, hn and cn, those of them that there are."""

    layer: nn.Module
    spec: Spec
    call: Call
    X: Tensor
    starts: list[Tensor]
    results: list[Tensor]

    @property
    def time(self) -> int:
        """The axis of X and Y along which the steps are."""
        return 1 if self.spec.batch_first and self.call.batched else 0

    def again(
        self,
        X: Tensor,
        state: Sequence[Tensor] | None,
        lengths: tuple[int, ...] | None = None,
        other: tuple[nn.Module, Spec] | None = None,
    ) -> list[Tensor]:
        """The results of another call of the same layer, or of another one."""
        # Every call puts the random state back: without this step all of them would drop the same units,
        # which no two calls of a user's do.
        torch.rand(1, device=X.device)
        layer, spec = other or (self.layer, self.spec)
        given = None if state is None else as_state([part.contiguous() for part in state])
        return call_plainly(layer, spec, read_inputs(layer, spec, X, given, lengths)).results

    def own_last(self, tensor: Tensor) -> Tensor:
        """The last step of each row of X or Y: step length - 1 where rows are packed."""
        if self.call.lengths is None:
            return tensor.select(self.time, -1)
        rows, steps = list(range(len(self.call.lengths))), [length - 1 for length in self.call.lengths]
        return tensor[rows, steps] if self.spec.batch_first else tensor[steps, rows]

    def reversed(self, tensor: Tensor) -> Tensor:
        """Each row backwards, its padding left where it is."""
        if self.call.lengths is None:
            return tensor.flip(self.time)
        batch_first = (0, 0) if self.time else (0, 1)
        rows = zip(tensor.transpose(*batch_first), self.call.lengths, strict=True)
        turned = [torch.cat([row[:length].flip(0), row[length:]]) for row, length in rows]
        return torch.stack(turned).transpose(*batch_first)


def _zero_start(run: Called) -> Sides:
    """No state against a state of zeros, on this run's X."""
    zeros = [torch.zeros_like(state) for state in run.starts]
    return run.again(run.X, None, run.call.lengths), run.again(run.X, zeros, run.call.lengths)


def _feedback(run: Called) -> Sides:
    """One call for each step, starting from the state that the call before returned."""
    state, steps = run.starts, []
    for t in range(run.call.L):
        y, *state = run.again(run.X.narrow(run.time, t, 1), state)
        steps.append(y)
    return run.results, [torch.cat(steps, run.time), *state]


def _cell_loop(run: Called) -> Sides:
    """The cell in a loop over five steps made from X, against the layer with its weights."""
    state, outputs = run.starts, []
    X = torch.stack([run.X.roll(t, -1) + 0.1 * t for t in range(5)])
    for step in X:
        state = run.again(step, state)
        outputs.append(state[0])
    starts, layer = [start.unsqueeze(0) for start in run.starts], one_direction(run.layer, run.spec, 0, 0)
    return [torch.stack(outputs), *(end.unsqueeze(0) for end in state)], run.again(X, starts, other=layer)


def _layout(run: Called) -> Sides:
    """The same layer with the other batch_first: on X transposed, its Y transposed back; unbatched on the same X."""
    layer, other = copy.deepcopy(run.layer), not run.spec.batch_first
    setattr(layer, "batch_first", other)  # noqa: B010 - a Module's attributes have no types
    axes = (0, 1) if run.call.batched else (0, 0)
    X, spec = run.X.transpose(*axes), run.spec.replace(batch_first=other)
    Y, *ends = run.again(X, run.starts, run.call.lengths, (layer, spec))
    return run.results, [Y.transpose(*axes), *ends]


def _chain(run: Called) -> Sides:
    """K·R layers of one layer and one direction each; the backward ones read reversed rows."""
    Y, ends = run.X, []
    for index in range(run.spec.K):
        Y, below = _one_layer(run, index, Y)
        ends += below
    return run.results, [Y, *(torch.cat(states) for states in zip(*ends, strict=True))]


def _one_layer(run: Called, index: int, below: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """One layer of the stack by itself, on what the layer below gives: its Y, and the states of each direction."""
    halves, ends = [], []
    for direction in range(run.spec.R):
        row, layer = index * run.spec.R + direction, one_direction(run.layer, run.spec, index, direction)
        state = [start[row : row + 1] for start in run.starts]
        X = run.reversed(below) if direction else below
        Y, *end = run.again(X, state, run.call.lengths, layer)
        halves.append(run.reversed(Y) if direction else Y)
        ends.append(end)
    return torch.cat(halves, -1), ends


def _one_step_seen(run: Called) -> Sides:
    """The top layer's backward direction alone, on the last step of what the layers below hand to it."""
    X, top = run.X, run.spec.K - 1
    for index in range(top):
        X, _ = _one_layer(run, index, X)
    return _last_step(run, X, [state[-1:] for state in run.starts], one_direction(run.layer, run.spec, top, 1))


def _last_step(run: Called, X: Tensor, state: list[Tensor], layer: tuple[nn.Module, Spec] | None = None) -> Sides:
    """The backward half of Y at each row's own last step, against that of a call with this step alone."""
    once, H = run.again(run.own_last(X).unsqueeze(run.time), state, other=layer), run.spec.H
    return [run.own_last(run.results[0])[..., H:]], [once[0].squeeze(run.time)[..., -H:]]


def _rows_alone(run: Called) -> Sides:
    """Each sequence in a batch of its own, cut to its own length."""
    cell = run.spec.kind.step
    batch, of_state = 0 if cell or run.spec.batch_first else 1, 0 if cell else 1
    left, right = list[Tensor](), list[Tensor]()
    for n in range(run.call.N or 1):
        x, whole = run.X.narrow(batch, n, 1), list(run.results)
        if not cell:
            length = run.call.length(n)
            x = x.narrow(run.time, 0, length)
            whole[0] = whole[0].narrow(batch, n, 1).narrow(run.time, 0, length)
        ends = slice(0 if cell else 1, None)
        whole[ends] = [end.narrow(of_state, n, 1) for end in whole[ends]]
        left += whole
        right += run.again(x, [start.narrow(of_state, n, 1) for start in run.starts])
    return left, right


RERUNS: dict[str, Callable[[Called], Sides]] = {
    "zero start": _zero_start,
    "feedback": _feedback,
    "cell loop": _cell_loop,
    "layout": _layout,
    "layout, one sequence": _layout,
    "chain": _chain,
    "one step seen": _one_step_seen,
    "one step seen of X": lambda run: _last_step(run, run.X, run.starts),
    "rows alone": _rows_alone,
    "padding read": lambda run: (run.results, run.again(run.X, run.starts)),  # the padded X as it is, not packed
}


def one_direction(layer: nn.Module, spec: Spec, index: int, direction: int) -> tuple[nn.Module, Spec]:
    """One direction of one layer, 0 forward and 1 backward: a plain layer, to be fed reversed rows for 1.

    Of a cell the time-major layer that loops over it.
    """
    part = spec.replace(
        Q=spec.input_width(index),
        K=1,
        cell=spec.kind.layer,
        batch_first=spec.batch_first and not spec.kind.step,
        bidirectional=False,
        dropout=0.0,
    )
    like, end = next(layer.parameters()), suffix(spec, index, direction)
    plain = build(part, device=like.device, dtype=like.dtype).train(layer.training)
    with torch.no_grad():
        for name in Weights(part):
            getattr(plain, name).copy_(getattr(layer, name.removesuffix("_l0") + end))
    return plain, part
