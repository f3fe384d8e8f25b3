"""What AnnotatedTensor promises to type checkers is so: each method declared there returns a tensor with names."""

from __future__ import annotations

import ast
import operator
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lstm_shapes.lab import tensors
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate

DECLARED = {
    name
    for node in ast.walk(ast.parse(Path(tensors.__file__).read_text(encoding="utf-8")))
    if isinstance(node, ast.If)
    and ast.unparse(node.test) == "TYPE_CHECKING"
    and isinstance(node.body[0], ast.AnnAssign)
    for statement in node.body
    # `mT: AnnotatedTensor`, `def view(…)`, and `amax = amin = sum`: declared as another one is.
    for name in (
        [statement.name]
        if isinstance(statement, ast.FunctionDef)
        else re.findall(r"\w+(?=:| =)", ast.unparse(statement))
    )
}
# Arguments where there are any; a method with several forms has several rows.
ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "view": [(6, 4), (-1,), ((2, 12),), (torch.int32,)],
    "reshape": [(6, 4), ((2, 12),)],
    "expand": [(2, 3, 4), (5, 2, 3, 4)],
    "repeat": [(2, 1, 1)],
    "permute": [(2, 0, 1), ((2, 0, 1),)],
    "transpose": [(0, 1), (-1, 0)],
    "movedim": [(0, 1)],
    "squeeze": [(), (0,)],
    "unsqueeze": [(1,)],
    "flatten": [(), (1,)],
    "unflatten": [(2, (2, 2))],
    "flip": [(1,), ((0, 1),)],
    "select": [(1, 0)],
    "narrow": [(1, 0, 2)],
    "index_select": [(1, torch.tensor([0, 2]))],
    "gather": [(1, torch.zeros(2, 1, 4, dtype=torch.int64))],
    "masked_fill": [(torch.ones(2, 3, 4, dtype=torch.bool), 0.0)],
    "matmul": [(torch.randn(4, 5),)],
    "__matmul__": [(torch.randn(4, 5),)],
    "chunk": [(2, -1)],
    "split": [(2, -1), ([1, 3], -1)],
    "unbind": [(), (1,)],
    "to": [(torch.float64,), ("cpu",), ("cpu", torch.float64)],
    "softmax": [(-1,)],
    "log_softmax": [(-1,)],
    "cumsum": [(1,)],
    **{name: [(), (1,), ((0, 1),), (-1, True)] for name in ("amax", "amin", "sum", "mean", "std")},
    **{name: [(), (1,), (-1, True)] for name in ("all", "any", "argmax", "argmin")},
    "__getitem__": [
        (index,)
        for index in (
            0, slice(1), (slice(None), -1), ..., None, torch.tensor([0, 1]), [0, 1], ([0, 1], [0, 1]),
            torch.ones(2, 3, dtype=torch.bool), (slice(None), [True, False, True]), (0, 0, 0), (..., None),
        )
    ],
}  # fmt: skip


def named(shape: tuple[int, ...] = (2, 3, 4), names: str = "N L D") -> AnnotatedTensor:
    return annotate(torch.randn(shape), names)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_what_is_declared_has_names(name: str) -> None:
    """For every form of its arguments; an operator with a number and with another tensor."""
    if name in ("mT", "T", "t"):
        matrix = named((3, 4), "L D")
        results = [matrix.t() if name == "t" else getattr(matrix, name)]
    elif name == "__invert__":
        results = [~(named() > 0)]
    elif name.startswith("__") and name not in ARGUMENTS and name not in ("__neg__", "__abs__"):
        results = [getattr(named(), name)(other) for other in (2, named(), torch.randn(3, 1), torch.randn(5, 2, 3, 4))]
    else:
        results = [getattr(named(), name)(*arguments) for arguments in ARGUMENTS.get(name, [()])]
    for result in results:
        for one in result if isinstance(result, tuple) else (result,):
            assert isinstance(one, AnnotatedTensor)
            assert one.axes.sizes == tuple(one.shape)


def test_a_number_on_the_left_keeps_the_names() -> None:
    """And so does another tensor there, at run time."""
    for operation in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        for left in (2.0, torch.rand(3, 1)):
            assert isinstance(operation(left, named()), AnnotatedTensor)


def test_the_declarations_are_read() -> None:
    """The test above has something to run."""
    assert {"__getitem__", "view", "transpose", "softmax", "mT"} <= DECLARED
    assert len(DECLARED) > 60
