"""problems: what is wrong with the operands of one recurrent call, before torch sees them.

The order is torch's own: the rank of x, the kind and rank of the state, dtype and width of x, the shapes of h0 and c0,
steps, devices, dtypes of the state. So the first problem is about the operand that torch's message names, except where
torch blames the state for a mistake in x: token ids, a batch axis that x lacks, an x transposed.

torch takes a little more than its documentation promises, and this contract does not:
- An LSTM given packed rows checks no shape of its state: too few rows of c0 are read beyond the tensor's end, surplus
  ones are ignored, and where the rows are unsorted so are surplus sequences.
- An LSTM or LSTMCell takes out [0] and [1] of a state for one sequence, or for unsorted packed rows, whatever it is.
- On the CPU some LSTM kernels and LSTMCell take a c0 of any dtype, and a cell a (D, D) tensor as the state of one row.

Source: `RNNBase.check_forward_args` and the `forward` of each class in `torch/nn/modules/rnn.py`; for cells
`rnn_cell_check` in `aten/src/ATen/native/RNN.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from lstm_shapes.errors import SpecError

from .axes import Axes
from .call import Call
from .operands import FLOATS, Group, Operand, Packed, Problem, Value, Words, form
from .shapes import axes_of_state
from .spec import Spec
from .state_contract import StateContract

__all__ = ["configuration", "layouts", "problems"]

# When torch looks at what: the first of several problems is the one that it would raise.
_RANK, _STATE_KIND, _STATE_RANK, _DTYPE, _WIDTH, _STATE_SHAPE, _STEPS, _DEVICE, _LAST = range(9)
_ROWS = {"K": "K·R", "R": "K·R"}
_ORDERED = {"N", "L", "K·R"}


def problems(
    spec: Spec,
    x: Value,
    state: Value = None,
    *,
    weights: Operand | None = None,
    autocast: bool = False,
    maker: Spec | None = None,
    words: Words | None = None,
) -> tuple[Problem, ...]:
    """Everything that keeps this layer from taking x and a state, the operand that torch names first in front.

    `weights` tells dtype and device of the layer, `maker` is the layer that made the state, `words` what the caller's
    program calls the operands.

    >>> (problem,) = problems(Spec(4, 5, 2), Operand((3, 7, 4)), Operand((2, 3, 5)))
    >>> problem.kind, problem.formula, problem.fix
    ('state-kind', '(h0, c0) for LSTM', '(state, torch.zeros_like(state))')
    >>> problems(Spec(4, 5, 2, cell="GRU"), Operand((3, 7, 4)), Operand((2, 3, 5)))
    ()
    """
    given = _Given(spec, x, state, weights or Operand(()), autocast, maker, words or Words())
    return tuple(problem for _, problem in sorted(given.all(), key=lambda pair: pair[0]))


def configuration(error: SpecError) -> Problem:
    """The same for a layer that cannot be built: Spec says which argument breaks its rule.

    >>> try:
    ...     Spec(4, 5, proj_size=5)
    ... except SpecError as error:
    ...     print(configuration(error))
    P (proj_size) must be below D = 5 (0 for no projection), got 5. A projection makes h narrower than c.
    """
    return Problem(error.name, error.rule, None, error.got, error.hint, "configuration")


def layouts(spec: Spec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes of a batched and of an unbatched x.

    >>> layouts(Spec(28, 256))
    (('N', 'L', 'Q'), ('L', 'Q'))
    """
    if spec.kind.step:
        return ("N", "Q"), ("Q",)
    return (("N", "L", "Q") if spec.batch_first else ("L", "N", "Q")), ("L", "Q")


class _Fix(NamedTuple):
    """A change of x: what is said of it, the expression, and the shape that it makes."""

    hint: str
    code: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Given:
    """One call: the layer, what it is given, and what can be read off that."""

    spec: Spec
    x: Value
    state: Value
    weights: Operand
    autocast: bool
    maker: Spec | None
    words: Words
    trying: bool = False
    """Whether this is a call with a fix in it, which looks for no further fixes."""

    def all(self) -> list[tuple[int, Problem]]:
        """Every problem with its place in the order."""
        x = self.x
        if isinstance(x, Packed):
            broken = self._packed(x)
        elif isinstance(x, Operand):
            broken = self._tensor(x)
        else:
            hint = "A layer in front returns (Y, state): take its Y" if isinstance(x, Group) else ""
            broken = Problem("x", "a torch.Tensor or a PackedSequence", None, form(x) or "None", hint, "input-kind")
        if broken is not None:
            return [(_RANK, broken), *self._elsewhere()]
        found = [*self._of_x(), *self._elsewhere()]
        lacking = self._lacks_batch()
        if lacking is not None:
            return [*found, (_RANK, lacking)]
        transposed = self._ordered("x", self.data, self.layout) or self._transposed()
        if transposed is not None:
            return [*found, (_STATE_SHAPE, transposed)]
        return found + self._state_shapes()

    # ------------------------------------------------------------ what can be read off

    @property
    def data(self) -> Operand:
        """The numbers of x."""
        if isinstance(self.x, Packed):
            return self.x.data
        assert isinstance(self.x, Operand)
        return self.x

    @property
    def layout(self) -> tuple[str, ...]:
        """The symbols of x's own axes; of packed rows (T, Q)."""
        if isinstance(self.x, Packed):
            return ("T", "Q")
        return next(names for names in layouts(self.spec) if len(names) == self.data.rank)

    @property
    def call(self) -> Call:
        """The sizes of the call; an x of the right rank only."""
        if isinstance(self.x, Packed):
            return Call(self.x.N, 1)
        sizes = dict(zip(self.layout, self.data.shape, strict=True))
        return Call(sizes.get("N"), sizes.get("L", 1))

    @cached_property
    def states(self) -> StateContract:
        """What is asked of the state."""
        readable = isinstance(self.x, Packed) or (
            isinstance(self.x, Operand) and self.x.rank in map(len, layouts(self.spec))
        )
        wanted: tuple[Axes, ...] = ()
        if readable:
            found = (axes_of_state(self.spec, self.call, name) for name in self.spec.kind.states)
            wanted = tuple(axes for axes in found if axes is not None)
        return StateContract(self.spec, self.state, wanted, self._batch_word(), self.maker, self.words)

    def _batch_word(self) -> str:
        """How the caller's program can ask x for N."""
        if isinstance(self.x, Packed):
            return f"{self.words.x}.batch_sizes[0]"
        return f"{self.words.x}.size({1 if not self.spec.batch_first and not self.spec.kind.step else 0})"

    # ------------------------------------------------------------ x

    def _packed(self, x: Packed) -> Problem | None:
        word, data = self.words.x, x.data
        if self.spec.kind.step:
            hint = f"A cell does one step; {self.spec.kind.layer} takes packed rows"
            got = "PackedSequence"
            return Problem("x", f"one step, (N, Q) or (Q,), for {self.spec.cell}", None, got, hint, "packing")
        steps = sum(x.batch_sizes)
        if data.rank != 2:
            hint = "Pack a tensor of three axes, (N, L, Q) or (L, N, Q)"
            return Problem("x.data", f"(T, Q) with Q = {self.spec.Q}", None, data.shape, hint, "packing")
        if not x.batch_sizes or list(x.batch_sizes) != sorted(x.batch_sizes, reverse=True) or x.N == 0:
            hint = "Let pack_padded_sequence or pack_sequence make it"
            rule = "numbers that never grow from step to step"
            return Problem("x.batch_sizes", rule, None, x.batch_sizes, hint, "packing")
        if data.shape[0] < steps:
            hint = f"{word}._replace(data=…) keeps the rows that {word} has; pack again where steps were dropped"
            rule = "(T, Q) with T = sum(batch_sizes)"
            return Problem("x.data", rule, (steps, self.spec.Q), data.shape, hint, "packing")
        return None if data.is_number else self._tokens(data)

    def _tensor(self, x: Operand) -> Problem | None:
        word = self.words.x
        if x.layout != "strided":
            return Problem(
                "x", "a dense tensor", None, x.layout, f"Write {word}.to_dense()", "input-kind", f"{word}.to_dense()"
            )
        batched, alone = layouts(self.spec)
        if not x.is_number:
            return self._tokens(x)
        if x.rank in (len(batched), len(alone)):
            return None
        hint, fix = self._first(self._rank_fixes(x, len(batched), len(alone)))
        return Problem("x", self._formula, None, x.shape, hint, "input-rank", fix)

    @property
    def _formula(self) -> str:
        batched, alone = layouts(self.spec)
        comma = "," if len(alone) == 1 else ""
        return f"({', '.join(batched)}), or ({', '.join(alone)}{comma}) for one sequence"

    def _runs(self, shape: tuple[int, ...]) -> bool:
        """Whether the call would run if x had this shape, and the dtype and device of the weights."""
        if self.trying:
            return False
        changed = replace(self, x=replace(self.weights, shape=shape), trying=True)
        return all(problem.kind in ("dtype", "device") for _, problem in changed.all())

    def _first(self, fixes: Iterable[_Fix]) -> tuple[str, str]:
        """The hint and the expression of the first fix that makes the call run; else the first hint alone."""
        tried = list(fixes)
        fallback = (tried[0].hint, "") if tried else ("", "")
        return next(((fix.hint, fix.code) for fix in tried if self._runs(fix.shape)), fallback)

    def _squeezed(self, shape: tuple[int, ...]) -> Iterator[_Fix]:
        for axis in reversed(range(len(shape) - 1)):
            if shape[axis] == 1:
                code = f"{self.words.x}.squeeze({axis})"
                yield _Fix(f"{code} leaves out the axis of size 1", code, shape[:axis] + shape[axis + 1 :])

    def _rank_fixes(self, x: Operand, most: int, least: int) -> Iterator[_Fix]:
        word, Q, shape, step = self.words.x, self.spec.Q, x.shape, self.spec.kind.step
        if x.rank < least:
            if Q == 1:
                code = f"{word}.unsqueeze(-1)"
                yield _Fix(f"{code} adds a feature axis of Q = 1", code, (*shape, 1))
            if shape and shape[-1] == Q:
                code = f"{word}.unsqueeze(0)"
                yield _Fix(f"{code} makes it one step", code, (1, *shape))
            return
        if x.rank == most + 1:
            yield from self._squeezed(shape)
        if step:
            loop = f"for t in range({word}.size(1)): state = {self.words.layer}({word}[:, t], state)"
            many = f"{self.spec.kind.layer} takes all steps at once"
            yield _Fix(f"A cell takes one step at a time: {loop}. {many}", "", ())
        elif x.rank == 4:
            code = f"{word}.flatten(2)"
            yield _Fix(f"{code} makes {Q} features of the last two axes", code, (*shape[:2], shape[2] * shape[3]))
            if self.spec.batch_first:
                code = f"{word}.flatten(0, 1)"
                hint = f"Where axis 0 and axis 1 both count sequences, {code} joins them"
                yield _Fix(hint, code, (shape[0] * shape[1], *shape[2:]))

    def _tokens(self, x: Operand) -> Problem:
        word, Q = self.words.x, self.spec.Q
        dtype = self.weights.dtype
        cast = f"{word}{FLOATS.get(dtype, f'.to(torch.{dtype})')}"
        if isinstance(self.x, Packed):
            embedded = f"embed the ids before packing, or {word}._replace(data=embedding({word}.data))"
        else:
            embedded = f"embedding({word}) with nn.Embedding(number of tokens, {Q}) makes Q = {Q} features of each"
        hint = f"Token ids: {embedded}. Numbers: {cast}"
        whole = not isinstance(self.x, Packed) and x.rank == len(layouts(self.spec)[0])
        fix = cast if whole and self._runs(x.shape) else ""
        return Problem(
            "x", f"in floating point, {dtype} as the weights", None, f"{x.dtype} of {x.shape}", hint, "dtype", fix
        )

    def _lacks_batch(self) -> Problem | None:
        """A 2-D x beside states of three axes: torch blames the state, and it is x that lacks an axis."""
        x, parts, (batched, alone) = self.x, self.states.parts, layouts(self.spec)
        if not isinstance(x, Operand) or x.rank != len(alone) or not parts:
            return None
        rows = () if self.spec.kind.step else (self.spec.K * self.spec.R,)
        N = parts[0].shape[-2] if parts[0].rank > 1 else 0
        if any(part.shape[:-1] != (*rows, N) for part in parts) or parts[0].shape[-1] != self.spec.H:
            return None
        if self.spec.kind.step and N != 1:
            return None
        hint, fix = self._first(self._batch_fixes(x, N))
        one = "one sequence" if len(alone) > 1 else "one row"
        says = f"{x.rank}-D x is {one}, ({', '.join(alone)}), and the state {parts[0].shape} has a batch axis"
        formula = f"({', '.join(batched)}) beside a state with a batch axis"
        return Problem("x", formula, None, x.shape, f"{says}. {hint}" if hint else says, "input-rank", fix)

    def _batch_fixes(self, x: Operand, N: int) -> Iterator[_Fix]:
        """What gives x the batch axis of a state of N sequences."""
        word, rows = self.words.x, x.shape[0]
        if self.spec.kind.step:
            code = f"{word}.unsqueeze(0)"
            yield _Fix(f"{code} makes a batch of one", code, (1, rows))
            return
        batch, Q = 0 if self.spec.batch_first else 1, x.shape[1]
        if rows == N:
            code = f"{word}.unsqueeze({1 - batch})"
            yield _Fix(f"{code} makes each row one step of a sequence", code, (N, 1, Q) if batch == 0 else (1, N, Q))
        if N == 1:
            code = f"{word}.unsqueeze({batch})"
            yield _Fix(f"{code} makes the rows the steps of one", code, (1, rows, Q) if batch == 0 else (rows, 1, Q))
        if N > 1 and rows % N == 0 and rows > N:
            order = (N, rows // N) if batch == 0 else (rows // N, N)
            code = f"{word}.unflatten(0, {order})"
            stand = "the steps of a sequence stand" if batch == 0 else "the sequences of a step stand"
            yield _Fix(f"Where {stand} in neighbouring rows, {code} parts them", code, (*order, Q))

    def _of_x(self) -> list[tuple[int, Problem]]:
        """Width and steps of an x of the right rank."""
        found, x, spec = [], self.data, self.spec
        shape, name = x.shape, "x.data" if isinstance(self.x, Packed) else "x"
        if shape[-1] != spec.Q:
            hint, fix = ("", "") if isinstance(self.x, Packed) else self._first(self._width_fixes(x))
            rebuilt = f"or build the layer for {shape[-1]}: {spec.replace(Q=max(1, shape[-1])).constructor}"
            hint = f"{hint}; {rebuilt}" if hint else rebuilt[3].upper() + rebuilt[4:]
            formula = f"(T, Q) with Q = {spec.Q}" if name == "x.data" else f"{self._formula}, with Q = {spec.Q} last"
            found.append((_WIDTH, Problem(name, formula, None, shape, hint, "feature-axis", fix)))
        if not spec.kind.step and not isinstance(self.x, Packed) and self.call.L == 0:
            hint = "Leave the layer out where a sequence is empty, and go on with the state it would have started from"
            formula = f"{self._formula} with at least one step"
            found.append((_STEPS, Problem("x", formula, None, shape, hint, "input-rank")))
        return found

    def _width_fixes(self, x: Operand) -> Iterator[_Fix]:
        """Where the Q features may be, if they are not on the last axis."""
        word, Q, shape = self.words.x, self.spec.Q, x.shape
        for axis in reversed(range(x.rank - 1)):
            if shape[axis] == Q:
                last = axis == x.rank - 2
                code = f"{word}.transpose({axis}, {axis + 1})" if last else f"{word}.movedim({axis}, -1)"
                hint = f"Axis {axis} has size {Q}: {code} puts it last (never view or reshape)"
                yield _Fix(hint, code, (*shape[:axis], *shape[axis + 1 :], Q))
        if self.spec.kind.step or x.rank != 2:
            return
        if Q == 1:
            code = f"{word}.unsqueeze(-1)"
            yield _Fix(f"{code} makes one feature of each number", code, (*shape, 1))
        elif self.spec.batch_first and shape[1] % Q == 0 and shape[1]:
            steps, code = shape[1] // Q, f"{word}.unflatten(1, (-1, {Q}))"
            hint = f"{shape[1]} = {steps}·{Q}: where a row holds its steps one after another, {code} parts them"
            yield _Fix(hint, code, (shape[0], steps, Q))

    def _transposed(self) -> Problem | None:
        """The state was made for the size of x's other axis: then x lies the other way round."""
        x, parts = self.x, self.states.parts
        if not isinstance(x, Operand) or self.spec.kind.step or x.rank != 3 or not parts or x.shape[2] != self.spec.Q:
            return None
        batch = 0 if self.spec.batch_first else 1
        n = x.shape[1 - batch]
        fits = all(
            part.shape == (axes.sizes[0], n, axes.sizes[2])
            for part, axes in zip(parts, self.states.wanted, strict=True)
        )
        if not fits or n == x.shape[batch] or x.shape[batch] == 0:
            return None
        word, states = self.words.x, " and ".join(self.states.names)
        fix, other = f"{word}.transpose(0, 1)", not self.spec.batch_first
        hint = (
            f"{states} hold{'s' * (len(parts) == 1)} N = {n} sequences, and {n} is the axis that this layer reads as "
        )
        hint += f"time: {fix}, or batch_first={other} in the layer. If {word} lies right, make the state with "
        hint += f"{self._batch_word()} sequences"
        axes = layouts(self.spec)[0]
        formula = f"({', '.join(axes)}), as batch_first={self.spec.batch_first} reads it"
        sizes = {"N": n, "L": x.shape[batch], "Q": self.spec.Q}
        return Problem("x", formula, tuple(sizes[axis] for axis in axes), x.shape, hint, "layout", fix)

    def _ordered(self, name: str, operand: Operand, meant: tuple[str, ...]) -> Problem | None:
        """A tensor whose own names say that its N, L and K·R stand in another order than the layer reads.

        Foreign and unknown names say nothing, and features may be called anything: layers stack.
        """
        if len(operand.names) != len(meant):
            return None
        read, own = ([_ROWS.get(symbol, symbol) for symbol in names] for names in (meant, operand.names))
        moved = [symbol for symbol, here in zip(own, read, strict=True) if symbol in _ORDERED and symbol != here]
        if len(moved) < 2 or not set(moved) <= set(read):
            return None
        word = self.words.of(name)
        fix = f"{word}.transpose(0, 1)"
        hint = f"{fix} moves them"
        if name == "x":
            hint += f", or batch_first={not self.spec.batch_first} reads them as they are"
        got = f"({', '.join(operand.names)})"
        kind = "layout" if name == "x" else "state-shape"
        return Problem(name, f"({', '.join(meant)}), as this layer reads it", None, got, hint, kind, fix)

    # ------------------------------------------------------------ the state, and what all operands share

    def _state_shapes(self) -> list[tuple[int, Problem]]:
        states, found = self.states, []
        for role, part, axes in zip(states.names, states.parts, states.wanted, strict=False):
            problem = states.shape_problem(role, part, axes)
            if problem is None:
                problem = self._ordered(role, part, axes.names)
            if problem is not None:
                # A cell takes a state of one axis or two, whatever x has.
                wrong_rank = part.rank not in ((1, 2) if self.spec.kind.step else (len(axes),))
                packed = isinstance(self.x, Packed)
                found.append((_STATE_RANK if wrong_rank and not packed else _STATE_SHAPE, problem))
        return found

    def _elsewhere(self) -> list[tuple[int, Problem]]:
        """Kind of the state; dtype and device of x and of the state."""
        found = []
        problem = self.states.kind_problem()
        if problem is not None:
            found.append((_STATE_KIND, problem))
        given = [("x", self.data)] if isinstance(self.x, (Operand, Packed)) else []
        given += list(zip(self.states.names, self.states.parts, strict=False))
        given = [(name, operand) for name, operand in given if operand.is_number or name != "x"]
        for name, operand in given:
            early = name == "x" and not self.spec.kind.step
            if self._family(operand.dtype) != self._family(self.weights.dtype):
                alike = {self._family(other.dtype) for _, other in given} == {self._family(operand.dtype)}
                found.append((_DTYPE if early else _LAST, self._foreign(name, operand, "dtype", alike)))
            if operand.device != self.weights.device:
                alike = {other.device for _, other in given} == {operand.device}
                found.append((_DEVICE, self._foreign(name, operand, "device", alike)))
        return found

    def _family(self, dtype: str) -> str:
        """Autocast makes one of those that it casts; it leaves float64 alone."""
        return "cast" if self.autocast and dtype in FLOATS and dtype != "float64" else dtype

    def _foreign(self, name: str, operand: Operand, what: str, alike: bool) -> Problem:
        """An operand of another dtype or on another device than the weights; `alike` if all operands are so."""
        word, layer = self.words.of(name), self.words.layer
        wanted, got = (str(getattr(one, what)) for one in (self.weights, operand))
        cast = FLOATS.get(wanted, f".to(torch.{wanted})")
        fix = f"{word}.to({wanted!r})" if what == "device" else f"{word}{cast}"
        other = f"{layer}.to({got!r})" if what == "device" else f"{layer}{FLOATS.get(got, f'.to(torch.{got})')}"
        hint = f"Write {fix}"
        if alike:
            hint += f", or {other}: everything that it is given is {'on ' * (what == 'device')}{got}"
        elif name != "x" and what == "dtype":
            hint += f"; {self.words.x}.new_zeros(…) makes states of the dtype of {self.words.x}"
        elif name != "x":
            hint += f"; {self.words.x}.new_zeros(…) makes states where {self.words.x} is"
        formula = "on the weights' device" if what == "device" else "of the weights' dtype"
        return Problem(name, formula, wanted, got, hint, what, fix)
