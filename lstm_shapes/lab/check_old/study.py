"""The experiments on one model, each run at most once: as it is, one sample changed, rows alone, other sizes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from .calls import LayerCall
from .inputs import Inputs
from .reach import reach
from .record import Observation, Recorder
from .samples import of_result
from .snapshot import Snapshot
from .steady import Steady
from .values import differs, leaves

__all__ = ["Piece", "Run", "Study"]


@dataclass(eq=False, slots=True)
class Piece:
    """A tensor that counts as a result: an output, or what a loss inside the callable was given."""

    path: str
    tensor: Tensor


@dataclass(eq=False, slots=True)
class Run:
    """One forward run: what came back, what was seen, and the exception where there was one."""

    output: Any
    seen: Observation
    error: Exception | None = None
    pieces: list[Piece] = field(default_factory=list)


class Study:
    """Owns the model for the length of a check; every run starts from the same state and the same random draws."""

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        batch_dim: int | None,
        lengths: Any,
        target: Any,
    ) -> None:
        self.model = model
        self.inputs = Inputs(args, kwargs, batch_dim, lengths)
        self.batch_dim = batch_dim
        self.target = target
        self.runs = 0
        self._reached = reach(model)
        self._snapshot = Snapshot(self._reached)
        self._steady = Steady()
        self.kept = False

    # ------------------------------------------------------------------ running
    def close(self) -> None:
        """Leave everything as it was."""
        self._snapshot.restore()
        for name in ("first", "base", "second", "moved", "calls", "gradients", "mixup"):
            self.__dict__.pop(name, None)

    def go(self, given: tuple[tuple[Any, ...], dict[str, Any]], **how: Any) -> Run:
        """One run from the remembered state."""
        self._snapshot.restore()
        return self._forward(given, **how)

    def _forward(self, given: tuple[tuple[Any, ...], dict[str, Any]], **how: Any) -> Run:
        args, kwargs = given
        self.runs += 1
        recorder = Recorder(self._reached.names, first_sight=self._snapshot.module, **how)
        with _quiet(), recorder as seen:
            if seen.trace is not None:
                for k, (_, tensor) in enumerate(leaves((args, kwargs))):
                    seen.trace.mark(tensor, ("input", k, ""))
            try:
                output = self.model(*args, **kwargs)
            except Exception as error:
                return Run(None, seen, error, _pieces(None, seen))
        return Run(output, seen, None, _pieces(output, seen))

    @cached_property
    def first(self) -> Run:
        """The model as it is, every torch function followed."""
        run = self.go(self.inputs.same(), trace=True)
        self.kept = self._snapshot.changed()
        return run

    @cached_property
    def base(self) -> Run:
        """What the experiments are compared with: the first run, batch statistics held where there are any."""
        if not self.first.seen.mixing and not self.first.seen.backwards:
            return self.first
        return self.steady(self.inputs.same())

    def steady(self, given: tuple[tuple[Any, ...], dict[str, Any]], **how: Any) -> Run:
        """A run that may be compared with `base`."""
        return self.go(given, steady=self._steady, **how)

    def again(self) -> Run:
        """The same inputs and draws once more, without putting kept state back: what a second call would give."""
        self.go(self.inputs.same(), steady=self._steady)
        self._snapshot.restore_random()
        return self._forward(self.inputs.same(), steady=self._steady)

    @cached_property
    def second(self) -> Run | None:
        """A second call after the first, kept state left as the first call left it; None where nothing is kept."""
        return self.again() if self.kept else None

    def carries(self, call: LayerCall) -> bool:
        """Whether a call of the second run starts from another state than it did in the first."""
        if call.index >= len(self.first.seen.calls):
            return False
        before = self.first.seen.calls[call.index].states
        for role, state in call.states.items():
            moved = differs(before[role], state) if role in before else None
            if moved is None or bool(moved.any()):
                return True
        return False

    @property
    def mixed(self) -> bool:
        """Whether samples meet somewhere: what other rules then see is a consequence."""
        from .mixup import mixup

        return mixup(self) is not None

    def resettable(self) -> bool:
        """Whether the model has a method that looks like a reset of its state."""
        words = ("reset", "init_hidden", "init_state", "clear", "zero_state", "detach")
        modules = self._reached.modules.values()
        return any(
            word in name for thing in (*modules, *self._reached.objects) for name in dir(type(thing)) for word in words
        )

    # ------------------------------------------------------------------ padded rows
    @cached_property
    def true_lengths(self) -> list[int] | None:
        """Steps of each row: as the caller says, or as the packed calls show."""
        if self.inputs.lengths is not None:
            return self.inputs.lengths
        packed = [call for call in self.base.seen.calls if call.packed is not None and call.N == self.N]
        return packed[0].lengths if packed else None

    @cached_property
    def padded_run(self) -> Run | None:
        """Other values in the padding."""
        assert self.true_lengths is not None
        run = self.steady(self.inputs.beyond(self.true_lengths))
        return run if run.error is None else None

    def alone_run(self, row: int, length: int) -> Run | None:
        """One row as a batch of its own."""
        if any(slot.batch is None and not slot.fixed for slot in self.inputs.slots):
            return None
        run = self.steady(self.inputs.alone(row, length))
        return run if run.error is None else None

    def result_axis(self, k: int) -> int | None:
        """The batch axis of a result, by experiment; by size where nothing can be perturbed."""
        found = of_result(self.piece_maps(k), self.N)
        if found.kind in ("right", "ignored") and found.axis is not None:
            return found.axis if self.base.pieces[k].tensor.size(found.axis) == self.N else None
        return None

    @cached_property
    def truncated(self) -> bool:
        """Whether what was packed is shorter than the lengths say: LS209's business."""
        mine = self.inputs.lengths
        if mine is None:
            return False
        packed = [c for c in self.base.seen.calls if c.packed is not None and c.N == self.N]
        return any(sum(c.lengths) < sum(mine) for c in packed)

    def reduces(self) -> bool:
        """Whether anything takes a sum, a mean, a maximum or a softmax."""
        trace = self.first.seen.trace
        names = {op.name for op in (trace.ops if trace is not None else ())}
        return bool(names & {"sum", "mean", "max", "amax", "softmax", "logsumexp", "bmm", "matmul", "einsum", "min"})

    # ------------------------------------------------------------------ what is there
    @property
    def N(self) -> int:
        return self.inputs.N

    @property
    def L(self) -> int:
        return self.inputs.L

    @cached_property
    def calls(self) -> list[LayerCall]:
        """The layer calls worth looking at: of each module the first two and the last."""
        of: dict[int, list[LayerCall]] = {}
        for call in self.base.seen.calls:
            of.setdefault(id(call.module), []).append(call)
        chosen = [c for row in of.values() for k, c in enumerate(row) if k < 2 or k == len(row) - 1]
        return sorted(chosen, key=lambda call: call.index)

    @cached_property
    def samples(self) -> list[int]:
        """The samples that are changed one at a time."""
        if self.batch_dim is None or self.N < 2 or not self.inputs.movable:
            return []
        chosen = [0, self.N - 1]
        counts = self.true_lengths
        if counts is not None and len(counts) == self.N:  # those that a sort by length would displace
            order = sorted(range(self.N), key=lambda n: -counts[n])
            chosen = [n for n in range(self.N) if order[n] != n][:2] + chosen
        return sorted(dict.fromkeys([*chosen[:2], *chosen[-1:], 1, 0]))[:3] if self.N > 2 else [0, 1]

    @cached_property
    def moved(self) -> dict[int, Run]:
        """For each chosen sample, the run in which only that sample was replaced."""
        found: dict[int, Run] = {}
        for i in self.samples:
            run = self.steady(self.inputs.sample(i))
            # A program that raises can still be compared up to where it stops.
            same_end = type(run.error) is type(self.base.error)
            if same_end and len(run.seen.calls) == len(self.base.seen.calls):
                found[i] = run
        return found if len(found) >= 2 else {}

    @cached_property
    def repeatable(self) -> bool:
        """Whether the same inputs give the same results again: everything that a run changes was put back."""
        run = self.steady(self.inputs.same())
        same = type(run.error) is type(self.base.error) and len(run.pieces) == len(self.base.pieces)
        pairs = zip(self.base.pieces, run.pieces, strict=False)
        moved = [differs(a.tensor, b.tensor) for a, b in pairs]
        return same and not any(m is None or bool(m.any()) for m in moved if m is not None)

    def map(self, run: Run, call: LayerCall, role: str) -> Tensor | None:
        """Which cells of a layer's tensor differ in another run, in the canonical layout."""
        if call.index >= len(run.seen.calls):
            return None
        before, after = call.taps.get(role), run.seen.calls[call.index].taps.get(role)
        if before is None or after is None:
            return None
        moved = differs(before, after)
        return None if moved is None else call.canon(role, moved)

    def maps(self, call: LayerCall, role: str) -> dict[int, Tensor]:
        """`map` for every sample that was changed."""
        found = {i: self.map(run, call, role) for i, run in self.moved.items()}
        return {i: m for i, m in found.items() if m is not None}

    def piece_maps(self, k: int) -> dict[int, Tensor]:
        """Which elements of result k moved with which sample."""
        found: dict[int, Tensor] = {}
        for i, run in self.moved.items():
            if k < len(run.pieces):
                moved = differs(self.base.pieces[k].tensor, run.pieces[k].tensor)
                if moved is not None:
                    found[i] = moved
        return found


def _pieces(output: Any, seen: Observation) -> list[Piece]:
    """The results: tensors with axes; where there are only scalars, what the losses compared."""
    found = [Piece(path, tensor) for path, tensor in leaves(output)]
    shaped = [piece for piece in found if piece.tensor.dim() > 0]
    if shaped:
        return shaped
    inner = [Piece(f"input of {loss.name}", loss.prediction) for loss in seen.losses if loss.prediction.dim() > 0]
    return inner or found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The model's own warnings were shown when the user ran it; experiments repeat none of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
