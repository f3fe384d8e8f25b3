"""Which line is the user's: not torch's, not this library's, not the plumbing of Python between the two."""

from __future__ import annotations

import contextlib
import functools
import linecache
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lstm_shapes
from lstm_shapes.lab.trace import Recorder, Where, here, raised_at, theirs
from lstm_shapes.lab.trace._where import resolve, source_line


def line_of(model: Callable[..., Any], *inputs: Tensor) -> Where:
    """Where the last call of a run was made."""
    recorder = Recorder()
    with recorder:
        model(*inputs)
    where = recorder.trace.calls[-1].where
    assert where is not None
    return where


def test_files_of_torch_and_ours_are_not_the_users() -> None:
    """Nor contextlib, functools and code that torch.fx writes."""
    assert theirs(__file__)
    assert theirs("<stdin>")
    for file in (torch.__file__, lstm_shapes.__file__, contextlib.__file__, functools.__file__, "<frozen runpy>"):
        assert not theirs(file)


def test_a_call_inside_torch_is_at_the_line_that_called_torch() -> None:
    """The kernel of a layer: the user's line that called the layer, with source and function."""
    rnn = nn.LSTM(4, 6)

    def model(x: Tensor) -> Any:
        return rnn(x)  # this line

    where = line_of(model, torch.randn(7, 5, 4))
    assert where.file == __file__
    assert where.source == "return rnn(x)  # this line"
    assert where.function == "model"


def test_decorators_and_partials_are_passed_through() -> None:
    """no_grad, functools.partial and context managers stand between and are not named."""

    @torch.no_grad()
    def model(x: Tensor, scale: float) -> Any:
        return torch.mul(x, scale)  # here

    assert line_of(functools.partial(model, scale=2.0), torch.randn(3)).source == "return torch.mul(x, scale)  # here"


def test_here_is_the_running_line() -> None:
    """File, number and source of the line that asks."""
    where = here()
    assert where is not None
    assert where.source == "where = here()"
    assert where.line > 1


def test_a_program_from_a_string_has_a_line_without_source() -> None:
    """Its number is known; the source is empty, and the place is said without it."""
    names: dict[str, Any] = {"torch": torch}
    exec(compile("\n\ndef model(x):\n    return torch.tanh(x)\n", "<typed>", "exec"), names)
    where = line_of(names["model"], torch.randn(3))
    assert (where.file, where.line, where.source) == ("<typed>", 4, "")
    assert str(where) == "<typed>:4"
    program = "\n\ndef model(x):\n    return torch.tanh(x)\n"
    linecache.cache["<typed>"] = (len(program), None, program.splitlines(True), "<typed>")
    try:
        again = line_of(names["model"], torch.randn(3))
        assert str(again) == "<typed>:4: return torch.tanh(x)"
    finally:
        linecache.cache.pop("<typed>")


def test_an_exception_is_at_the_users_innermost_line() -> None:
    """Torch's own frames below it are passed over."""

    def inner(x: Tensor) -> Any:
        return nn.Linear(3, 2)(x)  # raises

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        inner(torch.randn(5, 4))
    where = raised_at(caught.value.__traceback__)
    assert where is not None
    assert where.source == "return nn.Linear(3, 2)(x)  # raises"
    assert raised_at(None) is None


def test_generators_are_at_the_line_that_runs() -> None:
    """A step of a generator is the generator's line, not that of who asks for it."""

    def steps(x: Tensor) -> Iterator[Tensor]:
        for row in x.unbind(0):
            yield torch.tanh(row)  # a step

    assert line_of(lambda x: list(steps(x)), torch.randn(3, 2)).source == "yield torch.tanh(row)  # a step"


def test_a_place_as_data() -> None:
    """Plain data for JSON; no line is no place."""
    where = Where("a.py", 3, "x = 1", "f")
    assert where.to_dict() == {"file": "a.py", "line": 3, "source": "x = 1", "function": "f"}
    assert str(where) == "a.py:3: x = 1"
    assert resolve(None) is None
    assert source_line("no such file.py", 3) == ""
