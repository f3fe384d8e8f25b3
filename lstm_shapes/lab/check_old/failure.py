"""An exception together with what was seen at the layers' entries: everything a rule needs to explain it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FrameType, TracebackType
from typing import Any

from torch import nn
from torch.nn.utils.rnn import PackedSequence

from .calls import LayerCall
from .record import Observation, Pending
from .report import Finding
from .rule import registry
from .study import Run, Study
from .trace import Op
from .where import Where, raised_at

__all__ = ["Failure", "explain_exception", "shape_failure"]


@dataclass(eq=False)
class Failure:
    """`N`, `L` and `batch_dim` are the inputs' own, None or 0 where nobody said (watch has no inputs)."""

    error: BaseException
    seen: Observation
    N: int = 0
    L: int = 0
    batch_dim: int | None = None
    study: Study | None = None

    @cached_property
    def where(self) -> Where | None:
        """The innermost line of the user's code."""
        return raised_at(self.error.__traceback__)

    @property
    def call(self) -> LayerCall | None:
        """The recurrent layer that raised, if one did."""
        return self.seen.unfinished

    @property
    def module(self) -> Pending | None:
        """The innermost module whose forward never came back."""
        return self.seen.pending[-1] if self.seen.pending else None

    @property
    def op(self) -> Op | None:
        """The torch function that raised, if one did and functions were followed."""
        ops = self.seen.trace.ops if self.seen.trace is not None else []
        return next((op for op in reversed(ops[-50:]) if op.failed), None)

    @cached_property
    def frames(self) -> list[FrameType]:
        """The frames of the traceback, outermost first."""
        found = []
        trace: TracebackType | None = self.error.__traceback__
        while trace is not None:
            found.append(trace.tb_frame)
            trace = trace.tb_next
        return found

    def inside(self, *ends: str) -> bool:
        """Whether the traceback goes through a file whose path ends so."""
        return any(frame.f_code.co_filename.replace("\\", "/").endswith(ends) for frame in self.frames)

    def functions(self) -> set[str]:
        """The names of the functions on the traceback."""
        return {frame.f_code.co_name for frame in self.frames}

    def layers(self) -> list[LayerCall]:
        """The recurrent calls that came back."""
        return [call for call in self.seen.calls if call.done]

    def layer_output(self, value: Any) -> LayerCall | None:
        """The call whose raw output a value is, or is a part of (not a tensor)."""
        for call in reversed(self.layers()):
            for part in _kinds(call.output):
                if part is value:
                    return call
        return None

    def handled(self) -> Iterator[Any]:
        """What the failing line worked on: the exception's own object, module arguments, local variables."""
        if isinstance(self.error, (AttributeError, NameError)) and getattr(self.error, "obj", None) is not None:
            yield self.error.obj  # type: ignore[union-attr]
        if self.module is not None:
            yield from self.module.args
        for frame in reversed(self.frames[-3:]):
            yield from frame.f_locals.values()


def _kinds(output: Any) -> Iterator[Any]:
    """The tuples and packed sequences in a layer's output."""
    if isinstance(output, (tuple, PackedSequence)):
        yield output
        if isinstance(output, tuple) and not isinstance(output, PackedSequence):
            for item in output:
                yield from _kinds(item)


def explain_exception(error: BaseException, seen: Observation, study: Study | None = None) -> Finding | None:
    """The finding that an exception amounts to, or None where no rule knows it.

    `seen` needs no second run: what a recorder filled while the exception was raised is enough.
    """
    failure = Failure(error, seen)
    if study is not None:
        failure = Failure(error, seen, study.N, study.L, study.batch_dim, study)
    for rule in sorted(registry().values(), key=lambda rule: rule.order):
        if rule.explain is not None:
            finding = rule.explain(failure)
            if finding is not None:
                return finding
    return None


def shape_failure(study: Study, run: Run) -> bool:
    """Whether a run with other sizes stopped at a shape that no longer fits (not at an index or a user's check)."""
    if run.error is None or isinstance(run.error, IndexError):
        return False
    finding = explain_exception(run.error, run.seen)
    return finding is not None and finding.code in ("LS101", "LS102", "LS103", "LS111", "LS112", "LS201")


def owner(failure: Failure) -> nn.Module | None:
    """The module that raised."""
    return failure.module.module if failure.module is not None else None
