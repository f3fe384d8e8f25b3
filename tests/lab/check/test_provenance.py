"""Where the parts of a tensor lie in what is made of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lstm_shapes.lab.check._provenance import Parts, follow_parts
from lstm_shapes.lab.trace import Recorder, Value

N, L = 3, 4


def rows_of(program: Callable[[Tensor], Tensor]) -> tuple[Parts, Value]:
    """The parts of an (N, L) tensor, one a row, in what a program makes of it."""
    x = torch.randn(N, L)
    with Recorder() as recorder:
        made = program(x)
    source, value = recorder.value(x), recorder.value(made)
    marks = torch.eye(N, dtype=torch.bool)[:, :, None].expand(N, N, L)
    return follow_parts(
        recorder.trace, {source: marks}, tuple(range(N)), {value.index} | recorder.trace.ancestors(value)
    ), value


@pytest.mark.parametrize(
    ("program", "rows"),
    [
        (lambda x: x[1], {1}),
        (lambda x: x[1].sum(), {1}),
        (lambda x: x.sum(), {0, 1, 2}),
        (lambda x: x.max(0).values, {0, 1, 2}),
        (lambda x: x[:2].mean(0).view(2, 2).tanh(), {0, 1}),
        (lambda x: torch.cat((x[2:], x[:1])).t(), {0, 2}),
    ],
)
def test_parts_of_what_is_made(program: Callable[[Tensor], Tensor], rows: set[int]) -> None:
    """Indices, sums, maxima and joins hold the rows that they were given, a number without axes too."""
    parts, value = rows_of(program)
    assert parts.of(value) == rows
    assert not parts.read


def test_parts_along_an_axis() -> None:
    """Each index of an axis with the rows that it holds."""
    parts, value = rows_of(lambda x: x.flip(0).t())
    assert parts.along(value, 1) == [{2}, {1}, {0}]
    assert parts.along(value, 0) == [{0, 1, 2}] * L


def test_a_buffer_holds_what_is_written_into_it() -> None:
    """An assignment to an index overwrites what was there."""

    def fill(x: Tensor) -> Tensor:
        buffer = torch.zeros(2, L)
        buffer[0] = x[0]
        buffer[1] = x[1]
        buffer[0] = x[2]
        return buffer * 2

    parts, value = rows_of(fill)
    assert parts.along(value, 0) == [{2}, {1}]
