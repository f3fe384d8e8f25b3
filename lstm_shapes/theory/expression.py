"""Expression: `Y[:, -1] == hn[-1]`, its axes, its value on a run, the cells that it reads, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ._grammar import Node, parse, refuse
from ._operations import Step, step_of
from .axes import Axes
from .call import Call
from .predict import Prediction
from .reads import Reads, same_elements, what_reads
from .spec import Spec


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of the grammar, parsed once and asked for any layer and call.

    >>> from .predict import predict
    >>> last = Expression.of("Y[ :,-1 ]")
    >>> last.text, last.axes(predict(28, 256, 3))
    ('Y[:, -1]', (N=2, D=256))
    >>> Expression.of("Y[:, -1] == hn[-1]").holds(predict(28, 256, 3, bidirectional=True))
    False
    """

    text: str
    tree: Node = field(repr=False, compare=False)

    @classmethod
    def of(cls, text: object) -> Expression:
        """Parsed, as Python writes it. Raises: ShapeError that shows the grammar."""
        return _parsed(text) if isinstance(text, str) else refuse(text)

    def axes(self, prediction: Prediction) -> Axes:
        """The axes of its value. Raises: ShapeError for what torch would refuse."""
        return self._step(prediction).axes

    def reads(self, prediction: Prediction) -> Reads:
        """Which cells, inputs and initial states its value is made of; of a claim, both of its sides."""
        return what_reads(self._step(prediction), prediction, self.text)

    def holds(self, prediction: Prediction) -> bool:
        """Whether a claim is true of every layer of this Spec, whatever its weights and its input are.

        Elements are compared one by one, by where they come from: `Y[:, -1]` and `hn[-1]` of one direction hold the
        same cells. For a large layer ask `is_law`.
        """
        return _holds(self._step(prediction), prediction)

    def value(self, run: Any) -> Any:
        """What torch makes of it, on the tensors of a `Run`; of `a == b` whether `torch.equal` says so.

        >>> from lstm_shapes import run
        >>> Expression.of("Y[:, -1] == hn[-1]").value(run(28, 256, 3))
        True
        """
        return _value(self._step(run.prediction), run, plain=self.tree.op in ("equal", "any", "not"))

    def sides(self, run: Any) -> tuple[Any, Any]:
        """The values of both sides of `a == b`, as tensors without names and gradients, or as shapes."""
        left, right = self._step(run.prediction).inputs
        return _value(left, run, plain=True), _value(right, run, plain=True)

    def _step(self, prediction: Prediction) -> Step:
        try:
            return step_of(self.tree, prediction)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            refuse(self.text)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Expression:
    tree, written = parse(text)
    return Expression(written, tree)


def _value(step: Step, run: Any, plain: bool) -> Any:
    if step.op == "number":
        return step.arguments[0]
    value = run.compute(step.op, [_value(operand, run, plain) for operand in step.inputs], step.arguments)
    return value if step.inputs or not plain else value.plain().detach()


def _holds(step: Step, prediction: Prediction) -> bool:
    if step.op == "not":
        return not _holds(step.inputs[0], prediction)
    if step.op == "any":
        reads = what_reads(step.inputs[0], prediction, "")
        return any(True for part in reads.parts for _ in reads.rows_of(part))
    left, right = step.inputs
    if left.op == "shape":
        return left.inputs[0].shape == right.inputs[0].shape
    if left.op in ("size", "number"):
        return _number(left) == _number(right)
    return same_elements(left, right, prediction)


def _number(step: Step) -> int:
    (number,) = step.arguments
    return step.inputs[0].shape[number] if step.op == "size" else int(number)


@lru_cache(maxsize=1024)
def is_law(claim: str, spec: Spec, call: Call) -> bool:
    """Whether a claim in which no step, row or layer has a number holds for every layer of this Spec, however large.

    >>> is_law("Y[:, -1] == hn[-1]", Spec(28, 256, 1000), Call(1000, 10**9))
    True
    """
    return Expression.of(claim).holds(Prediction(*_twin(spec, call)))


def _twin(spec: Spec, call: Call) -> tuple[Spec, Call]:
    """The smallest layer and call of which the same claims are true: what was 1 is 1, what was more is 2."""
    small = spec.replace(Q=1, D=2 if spec.P else min(spec.D, 2), K=min(spec.K, 2), proj_size=min(spec.P, 1))
    N, L, lengths = call.N and min(call.N, 2), min(call.L, 2), call.lengths
    if lengths:
        # The longest row and the shortest: a row of L steps stays one, any other is shorter.
        ends = (max(lengths), min(lengths))[-len(lengths) :]
        lengths = tuple(L if length == call.L else 1 for length in ends)
    return small, Call(N, L, lengths)
