"""Expression: `Y[:, -1] == hn[-1]`, its axes, its value on a run, the cells that it reads, and whether it holds.

The language of slices, laws, highlights and the quiz is a part of torch's, parsed and never evaluated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import lru_cache, partial
from inspect import signature
from itertools import takewhile
from types import EllipsisType
from typing import Any, NoReturn

from lstm_shapes.errors import ShapeError

from ._arithmetic import value_of
from ._operations import ALL_ROWS, FUNCTIONS, LAST_STEPS, METHODS, Step, add, getitem
from .axes import Axes
from .call import Call
from .predict import Prediction
from .reads import Reads, same_elements, what_reads
from .spec import Spec

GRAMMAR = """\
claim   tensor == tensor, torch.equal(tensor, tensor) | tensor.shape == tensor.shape | tensor.size(i) == i
        tensor.any() | not claim
tensor  X Y h0 c0 hn cn | tensor[index, …] | tensor + tensor | (tensor)
        torch.cat([tensor, …], dim=i) torch.stack([tensor, …], dim=i) cat(tensor, …, i)
        tensor.sum(dim, keepdim=True) .mean(dim, keepdim=True) .squeeze(dim) .unsqueeze(i) .flip(i, …)
        tensor.transpose(i, j) .permute(i, …) .view(i, …) .reshape(i, …) .flatten(i, j)
dim     i | (i, …) | None or left out for every axis
index   i | from:to:step | ... | None | torch.arange(N) | lengths - 1
i       0 -1 N L Q D K R P H, with + - * // and brackets"""

_LONGEST, _DEEPEST, _INDEX = 300, 40, 2**63 - 1
# What expressions are written with, and nothing else: no quotes, comments, line breaks or control characters, and no
# number with a letter in it, of which Python's parser would warn.
_WRITTEN = re.compile(r"(?!.*[0-9](?:[A-Za-z]|_(?![0-9])))[A-Za-z0-9_ \[\](),.:+*/=-]+")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of the grammar, asked for any layer and call.

    >>> from .predict import predict
    >>> last = Expression.of("Y[ :,-1 ]")
    >>> last.text, last.axes(predict(28, 256, 3))
    ('Y[:, -1]', (N=2, D=256))
    >>> Expression.of("Y[:, -1] == hn[-1]").holds(predict(28, 256, 3, bidirectional=True))
    False
    """

    text: str
    tree: ast.expr = field(repr=False, compare=False)

    @classmethod
    def of(cls, text: object) -> Expression:
        """Parsed, as Python writes it: blanks and brackets that mean nothing are gone.

        Raises: ShapeError that shows the grammar, where Python cannot read it.
        """
        plain = text.strip(" \t\r\n") if isinstance(text, str) else ""
        return _parsed(plain) if 0 < len(plain) <= _LONGEST and _WRITTEN.fullmatch(plain) else _refuse(text)

    def axes(self, prediction: Prediction) -> Axes:
        """The axes of its value. Raises: ShapeError for what the grammar does not have or torch would refuse."""
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
        step = self._step(run.prediction)
        return _value(step, run, plain=step.kind == "claim")

    def sides(self, run: Any) -> tuple[Any, Any]:
        """The values of both sides of `a == b`, as tensors without names and gradients, or as shapes."""
        left, right = self._step(run.prediction).inputs
        return _value(left, run, plain=True), _value(right, run, plain=True)

    def _step(self, prediction: Prediction) -> Step:
        try:
            step = _Reader(prediction).step(self.tree)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            _refuse(self.text)
        return step if step.op != "number" else _refuse(self.text)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Expression:
    try:
        tree = ast.parse(text, mode="eval").body  # which runs nothing
        return Expression(ast.unparse(tree), tree)
    # Many brackets are a MemoryError or a RecursionError in some releases of Python, and in others a SyntaxError.
    except (SyntaxError, ValueError, LookupError, MemoryError, RecursionError):
        _refuse(text)


def _refuse(text: object) -> NoReturn:
    raise ShapeError("expression", "of this grammar", got=text, hint=f"\n{GRAMMAR}")


_PAIRED = {
    "torch.arange(N)": ALL_ROWS,
    "arange(N)": ALL_ROWS,
    "range(N)": ALL_ROWS,
    "lengths - 1": LAST_STEPS,
    "torch.tensor(lengths) - 1": LAST_STEPS,
}


class _Reader:
    """Reads trees for one layer and call; a ValueError is what the grammar does not have."""

    def __init__(self, prediction: Prediction) -> None:
        spec, call = prediction.spec, prediction.call
        self.tensors, self.cell = prediction.tensors, spec.cell
        self.sizes = {"L": call.L, **{name: getattr(spec, name) for name in "QDKRPH"}}
        self.sizes |= {} if call.N is None else {"N": call.N}
        self.call = call

    def step(self, node: ast.expr, depth: int = 0, kind: str = "") -> Step:
        """What a tree says: a claim, a tensor, its shape, a size or a number; of this kind, if one is given."""
        if depth > _DEEPEST:
            raise ValueError
        step = self._step(node, depth)
        if kind not in ("", step.kind):
            raise ValueError
        return step

    def _step(self, node: ast.expr, depth: int) -> Step:
        tensor = partial(self.step, depth=depth + 1, kind="tensor")
        value = self._number(node)
        if value is not None:
            return Step("number", (), (value,))
        match node:
            case ast.Name(id="X" | "Y" | "h0" | "c0" | "hn" | "cn" as name):
                if name not in self.tensors:
                    about = f"about a tensor of {self.cell}: {', '.join(self.tensors)}"
                    raise ShapeError("expression", about, got=name)
                return Step(name, axes=self.tensors[name])
            case ast.UnaryOp(op=ast.Not(), operand=claim):
                return Step("not", (self.step(claim, depth + 1, "claim"),))
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                # Shapes go with shapes, sizes with numbers, and tensors with tensors.
                one = self.step(left, depth)
                if one.kind == "claim":
                    raise ValueError
                return Step("equal", (one, self.step(right, depth, one.kind)))
            case ast.Call(func=ast.Attribute(ast.Name("torch"), "equal"), args=[left, right], keywords=[]):
                return Step("equal", (tensor(left), tensor(right)))
            case ast.Attribute(x, "shape"):
                return Step("shape", (tensor(x),))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return add(tensor(left), tensor(right))
            case ast.Subscript(value=x, slice=index):
                items = tuple(map(self._item, index.elts if isinstance(index, ast.Tuple) else [index]))
                # What these stand for; every row only where it is asked for, for N may be a thousand million.
                every = range(self.call.N or 0) if ALL_ROWS in items else ()
                ends = (length - 1 for length in self.call.lengths or ())
                return getitem(tensor(x), items, {ALL_ROWS: tuple(every), LAST_STEPS: tuple(ends)})
            case ast.Call(ast.Name(name) | ast.Attribute(ast.Name("torch"), name)) if name in FUNCTIONS:
                operation, operands = FUNCTIONS[name], []
            case ast.Call(ast.Attribute(x, name)) if name in METHODS:
                operation, operands = METHODS[name], [x]
            case _:
                raise ValueError
        given = [self._argument(one, depth) for one in node.args]
        named = {str(word.arg): self._argument(word.value, depth) for word in node.keywords}
        if isinstance(node.func, ast.Name):  # cat(a, b, -1) is short for torch.cat([a, b], -1)
            listed = list(takewhile(lambda one: isinstance(one, Step), given))
            given = [tuple(listed), *given[len(listed) :]] if listed else given
        try:
            signature(operation).bind(*operands, *given, **named)
        except TypeError:
            raise ValueError from None
        return operation(*map(tensor, operands), *given, **named)

    def _number(self, node: ast.expr) -> int | None:
        value = value_of(node, self.sizes, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv))
        return value if value is not None and abs(value) <= _INDEX else None

    def _argument(self, node: ast.expr, depth: int) -> Any:
        """A number, True, False, None, or a list of numbers or of tensors, which the operation itself looks at."""
        match node:
            case ast.Constant(value=True | False | None):
                return node.value
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return tuple(self._argument(one, depth) for one in elements)
        value = self._number(node)
        return self.step(node, depth + 1, "tensor") if value is None else value

    def _item(self, node: ast.expr) -> Any:
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                return slice(*(end and self._whole(end) for end in (lower, upper, step)))
            case ast.Constant(value=None) | ast.Constant(value=EllipsisType()):
                return node.value
        return _PAIRED.get(ast.unparse(node)) or self._whole(node)

    def _whole(self, node: ast.expr) -> int:
        value = self._number(node)
        if value is None:
            raise ValueError
        return value


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
    if left.kind == "tensor":
        return same_elements(left, right, prediction)
    if left.kind == "shape":
        return left.inputs[0].shape == right.inputs[0].shape
    numbers = {side.inputs[0].shape[side.arguments[0]] if side.inputs else side.arguments[0] for side in step.inputs}
    return len(numbers) == 1


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
