"""Whether a program is right, told without lstm_shapes: each sample alone against its row in the batch.

A sample that runs alone is cut to its own length, so padding that is read shows too. Dropout is the identity, draws by
hand are constants, batch normalisation in training mode keeps the statistics of the whole batch. All runs are in
float64. Sums over a batch of another size round differently: below `SAME` of the largest value two results are equal,
beyond `OTHER` (what float32 can show) they differ, and between them the program is not used.
"""

from __future__ import annotations

import inspect
import linecache
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .program import KINDS, Facts, Mutant, Program, Result

__all__ = ["SAME", "UnsureError", "load", "problem", "wrong"]

SAME, OTHER = 1e-6, 2e-4
_MOST_ROWS = 6


class UnsureError(Exception):
    """A difference too large for rounding and too small for a bug."""


def load(text: str, path: str = "<program>") -> dict[str, Any]:
    """Execute a program's text; its lines are known to tracebacks as those of `path`."""
    if path.startswith("<"):
        linecache.cache[path] = (len(text), None, text.splitlines(True), path)
    names: dict[str, Any] = {"__name__": "program", "__file__": path}
    exec(compile(text, path, "exec"), names)
    return names


def problem(text: str, facts: Facts) -> str:
    """What is wrong: `rows`, `padding`, `again`, or "" for a right program. Raises what it raises, or UnsureError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _problem(text, facts)


def wrong(mutant: Mutant, program: Program) -> bool:
    """Whether the mutant is a bug that can be seen from what is told. Raises what the mutant raises, or UnsureError."""
    text = mutant.of(program.text)
    fault = problem(text, program.facts)
    if fault == "padding":
        return program.facts.told or any(word in text for word in ("pack_padded_sequence(", "padding_idx"))
    if fault or KINDS[mutant.kind] != "itself":
        return bool(fault)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right, changed = (_Experiment(one, program.facts).whole() for one in (program.text, text))
    return len(right) != len(changed) or any(
        a.shape != b.shape or _differ(a, b) for a, b in zip(right, changed, strict=True)
    )


def _problem(text: str, facts: Facts) -> str:
    experiment = _Experiment(text, facts)
    whole = experiment.whole()
    N = experiment.N
    rows = list(range(N))
    exact = all(isinstance(result.batch, int | None) or result.batch == "pairs" for result in facts.results)
    if exact and N > _MOST_ROWS:
        rows = sorted({0, 1, N // 3, N // 2, N - 2, N - 1})
    if len(whole) != len(facts.results):
        return "rows"
    for cut in (False, True) if facts.lengths else (False,):
        alone = [experiment.alone(row, cut) for row in rows]
        for result, value, *parts in zip(facts.results, whole, *alone, strict=True):
            if _row_differs(result, value, parts, rows, facts.lengths, N):
                return "padding" if cut else "rows"
    return "" if experiment.repeats(facts.stateful) else "again"


def _row_differs(
    result: Result, value: Tensor, parts: list[Tensor], rows: list[int], lengths: tuple[int, ...] | None, N: int
) -> bool:
    if result.batch is None:
        return False
    if result.batch in ("mean", "sum"):
        total = sum(part.double() for part in parts) / (N if result.batch == "mean" else 1)
        return value.dim() != 0 or _differ(value.double(), torch.as_tensor(total))
    differs = False
    for row, part in zip(rows, parts, strict=True):
        if result.batch == "pairs":
            if value.shape[:2] != (N, N) or _differ(value[row, row], part[0, 0]):
                return True
            continue
        assert isinstance(result.batch, int)
        if value.dim() <= result.batch or value.shape[result.batch] != N or part.dim() != value.dim():
            return True
        whole, part = value.select(result.batch, row), part.select(result.batch, 0)
        if lengths is not None and result.steps is not None:
            steps = result.steps - (result.steps > result.batch)
            least = min(lengths[row], part.shape[steps])
            whole, part = whole.narrow(steps, 0, least), part.narrow(steps, 0, least)
        if whole.shape != part.shape:
            return True
        differs |= _differ(whole, part)
    return differs


def _differ(a: Tensor, b: Tensor) -> bool:
    if a.numel() == 0:
        return False
    a, b = a.detach().double(), b.detach().double()
    if not torch.equal(a.isfinite(), b.isfinite()):
        return True
    a, b = a.nan_to_num(0, 0, 0), b.nan_to_num(0, 0, 0)
    far = float((a - b).abs().max() / max(float(a.abs().max()), float(b.abs().max()), 1e-3))
    if SAME < far <= OTHER:
        raise UnsureError(f"{far:.1e}")
    return far > OTHER


class _Experiment:
    """Runs of one program, each from a fresh start with the same random state."""

    def __init__(self, text: str, facts: Facts) -> None:
        self._code = compile(text, "<program>", "exec")
        self._facts = facts
        self._statistics: list[tuple[Tensor, Tensor]] | None = None
        names = self._fresh()
        batch = next(axis for axis in facts.batch if axis is not None)
        self.N: int = names["inputs"][facts.batch.index(batch)].shape[batch]

    def whole(self) -> list[Tensor]:
        """What the whole batch gives; keeps its batch statistics."""
        names = self._fresh()
        recorded: list[tuple[Tensor, Tensor]] = []
        value = self._call(names, names["inputs"], names["kwargs"], recorded)
        self._statistics = recorded
        return value

    def alone(self, row: int, cut: bool) -> list[Tensor]:
        names, facts = self._fresh(), self._facts
        length = facts.lengths[row] if cut and facts.lengths else None
        inputs = [
            _part(value, batch, steps, row, length)
            for value, batch, steps in zip(names["inputs"], facts.batch, facts.steps, strict=True)
        ]
        kwargs = {key: _part(value, 0, None, row, None) for key, value in names["kwargs"].items()}
        return self._call(names, inputs, kwargs, None)

    def repeats(self, stateful: bool) -> bool:
        """Whether a second call, after a backward pass through the first, runs and gives the same."""
        names = self._fresh()
        values = []
        for _ in range(2):
            values.append(self._call(names, names["inputs"], names["kwargs"], []))
            total = sum((value.double().sum() for value in values[-1] if value.requires_grad), torch.zeros(()))
            if total.requires_grad:
                try:
                    total.backward()
                except RuntimeError as error:
                    if "second time" in str(error) or "inplace" in str(error):
                        return False
                    raise
        first, second = values
        return stateful or all(a.shape == b.shape and not _differ(a, b) for a, b in zip(first, second, strict=True))

    def _fresh(self) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "program"}
        exec(self._code, names)
        names["inputs"] = _doubled(names["inputs"])
        for value in list(names.values()):
            if isinstance(value, nn.Parameter):
                value.data = value.data.double()
            if not isinstance(value, nn.Module):
                continue
            for part in value.double().modules():
                if isinstance(part, nn.RNNBase | nn.MultiheadAttention):
                    part.dropout = 0.0
        given = names.setdefault("kwargs", {})
        model = names["model"]
        expected = list(inspect.signature(model.forward if isinstance(model, nn.Module) else model).parameters)
        for name in ("lengths", "target"):
            if name in names and name in expected[len(names["inputs"]) :]:
                given.setdefault(name, names[name])
        return names

    def _call(self, names: dict[str, Any], inputs: Any, kwargs: Any, recorded: list[Any] | None) -> list[Tensor]:
        torch.manual_seed(0)
        random.seed(0)
        with _nothing_drawn(self._statistics if recorded is None else None, recorded):
            try:
                torch.set_default_dtype(torch.float64)
                return list(_tensors(names["model"](*inputs, **kwargs)))
            finally:
                torch.set_default_dtype(torch.float32)


def _doubled(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_doubled(one) for one in value)
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _part(value: Any, batch: int | None, steps: int | None, row: int, length: int | None) -> Any:
    if isinstance(value, tuple):
        return tuple(_part(one, batch, steps, row, length) for one in value)
    if batch is None or not isinstance(value, Tensor):
        return value[row : row + 1] if isinstance(value, list) else value
    value = value.narrow(batch, row, 1)
    if steps is not None and length is not None:
        value = value.narrow(steps, 0, max(length, 1))
    return value.clone()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


@contextmanager
def _nothing_drawn(held: list[tuple[Tensor, Tensor]] | None, recorded: list[Any] | None) -> Iterator[None]:
    """Dropout is the identity, draws are constants, batch statistics are recorded or held."""

    def same(x: Tensor, *args: Any, **options: Any) -> Tensor:
        return x

    def multinomial(p: Tensor, number: int, *args: Any, **options: Any) -> Tensor:
        order = p / torch.linspace(1, 2, p.shape[-1]).roll(1)
        return order.topk(number, dim=-1).indices

    calls, real = count(), F.batch_norm

    def batch_norm(x: Tensor, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False,
                   momentum: float = 0.1, eps: float = 1e-5) -> Tensor:  # fmt: skip
        if not training:
            return real(x, mean, var, weight, bias, False, momentum, eps)
        call = next(calls)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        statistics = (x.mean(axes).detach(), x.var(axes, correction=0).detach())
        if held is not None and call < len(held):
            statistics = held[call]
        if recorded is not None:
            recorded.append(statistics)
        return real(x, *statistics, weight, bias, False, momentum, eps)

    def filled(value: float) -> Callable[..., Tensor]:
        return lambda *size, **options: torch.full(
            size[0] if size and not isinstance(size[0], int) else size, value,
            **{key: option for key, option in options.items() if key in ("device", "dtype")},
        )  # fmt: skip

    with (
        mock.patch.object(Tensor, "bernoulli_", lambda x, *args, **options: x.fill_(1)),
        mock.patch.multiple(F, dropout=same, dropout1d=same, dropout2d=same, alpha_dropout=same,
                            batch_norm=batch_norm),
        mock.patch.multiple(torch, multinomial=multinomial, rand=filled(0.3), randn=filled(0.1),
                            randn_like=lambda x, **_: torch.full_like(x, 0.1),
                            rand_like=lambda x, **_: torch.full_like(x, 0.3), dropout=same),
    ):  # fmt: skip
        yield
