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

from lstm_shapes.errors import ShapeError, SpecError

from .axes import Axes
from .call import Call
from .predict import Prediction
from .spec import Spec

__all__ = [
    "FLOATS",
    "Group",
    "Operand",
    "Other",
    "Packed",
    "Problem",
    "StateContract",
    "Value",
    "Words",
    "configuration",
    "form",
    "layouts",
    "leaves",
    "problems",
]


FLOATS = {"float16": ".half()", "bfloat16": ".bfloat16()", "float32": ".float()", "float64": ".double()"}
"""The dtypes that a layer computes in, and how a tensor is made to have one."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One tensor. `names` are those of its axes, where it carries any; a dense tensor's layout is strided."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    device: str = "cpu"
    layout: str = "strided"
    names: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def is_number(self) -> bool:
        """Whether it holds fractions, as activations are, and not token ids or a mask."""
        return self.dtype.startswith(("float", "bfloat", "complex"))


@dataclass(frozen=True, slots=True)
class Packed:
    """A PackedSequence: its data, (T, Q), and how many rows still run at each step."""

    data: Operand
    batch_sizes: tuple[int, ...]

    @property
    def N(self) -> int:
        """Sequences: all of them run at the first step."""
        return self.batch_sizes[0] if self.batch_sizes else 0


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple, a list, or the arguments that follow x where a call was given several."""

    parts: tuple[Value, ...]
    kind: str = "tuple"


@dataclass(frozen=True, slots=True)
class Other:
    """A value that is no tensor, known by the name of its type."""

    kind: str


Value = Operand | Packed | Group | Other | None


@dataclass(frozen=True, slots=True)
class Words:
    """What the caller's program calls the operands: hints are written in these words."""

    x: str = "x"
    h0: str = "h0"
    c0: str = "c0"
    state: str = "state"
    layer: str = "layer"

    def of(self, role: str) -> str:
        """The caller's word for x, h0, c0, state or layer."""
        return str(getattr(self, role))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one operand: it must be `formula` = `expected`, is `got`, and `hint` says what to do.

    `name` is x, h0, c0 or state. `kind` says which rule is broken: input-kind, input-rank, feature-axis, layout,
    state-kind, state-shape, dtype, device, packing or configuration. `fix` is an expression that makes an operand which
    passes, where there is one: it replaces the operand `name`, and `hint` holds it.
    """

    name: str
    formula: str
    expected: object = None
    got: object = None
    hint: str = ""
    kind: str = ""
    fix: str = ""

    @property
    def error(self) -> ShapeError:
        """The same as an exception."""
        return ShapeError(self.name, self.formula, expected=self.expected, got=self.got, hint=self.hint)

    def __str__(self) -> str:
        return str(self.error)


def form(value: Value) -> object:
    """A value as people write it: the shape of a tensor, nested as its containers are.

    >>> form(Group((Operand((2, 3, 5)), None)))
    ((2, 3, 5), None)
    """
    if isinstance(value, Operand):
        return value.shape
    if isinstance(value, Group):
        parts = [form(part) for part in value.parts]
        return parts if value.kind == "list" else tuple(parts)
    if isinstance(value, Packed):
        return f"PackedSequence of {value.data.shape}"
    return None if value is None else value.kind


def leaves(value: Value) -> Iterator[Operand]:
    """Every tensor in a value."""
    if isinstance(value, Operand):
        yield value
    elif isinstance(value, Group):
        for part in value.parts:
            yield from leaves(part)


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
            predicted = Prediction(self.spec, self.call)
            wanted = tuple(axes for axes in (predicted.h0, predicted.c0) if axes is not None)
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
            for axis in reversed(range(len(shape) - 1)):
                if shape[axis] == 1:
                    code = f"{word}.squeeze({axis})"
                    yield _Fix(f"{code} leaves out the axis of size 1", code, shape[:axis] + shape[axis + 1 :])
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
            hint = "Skip the layer where a sequence is empty, and go on with the state it would have started from"
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
            hint += f", or {other}: everything that it is given is {'on the device ' * (what == 'device')}{got}"
        elif name != "x" and what == "dtype":
            hint += f"; {self.words.x}.new_zeros(…) makes states of the dtype of {self.words.x}"
        elif name != "x":
            hint += f"; {self.words.x}.new_zeros(…) makes states on the device of {self.words.x}"
        formula = "on the weights' device" if what == "device" else "of the weights' dtype"
        return Problem(name, formula, wanted, got, hint, what, fix)


@dataclass(frozen=True)
class StateContract:
    """What a layer asks of a state; `wanted` are the axes of h0 and c0, empty where x does not tell N."""

    spec: Spec
    state: Value
    wanted: tuple[Axes, ...]
    batch_word: str
    maker: Spec | None
    words: Words

    @property
    def names(self) -> tuple[str, ...]:
        """h0, or h0 and c0."""
        return tuple(f"{name}0" for name in self.spec.kind.states)

    @cached_property
    def parts(self) -> tuple[Operand, ...]:
        """h0, or h0 and c0; empty where there is no state, or one of another kind."""
        if self.state is None or self.kind_problem() is not None:
            return ()
        return tuple(leaves(self.state))

    # ------------------------------------------------------------ kind and nesting

    def kind_problem(self) -> Problem | None:
        """A pair where one tensor is wanted, one tensor where a pair is, or another nesting."""
        state, pair = self.state, len(self.names) == 2
        if state is None:
            return None
        if pair and isinstance(state, Group) and state.kind != "arguments":
            if len(state.parts) == 2 and all(isinstance(part, Operand) for part in state.parts):
                return None
        elif not pair and isinstance(state, Operand):
            return None
        hint, fix, made = self._pair_advice() if pair else self._single_advice()
        if not self._runs(made):
            fix = ""
        sizes = tuple(axes.sizes for axes in self.wanted)
        expected = (sizes if pair else sizes[0]) if sizes else None
        got = form(state)
        if isinstance(state, Group) and state.kind == "arguments":
            got = f"{len(state.parts)} arguments, {', '.join(str(form(part)) for part in state.parts)}"
        formula = f"{self.spec.states('0')} for {self.spec.cell}"
        return Problem("state", formula, expected, got, hint, "state-kind", fix)

    def _runs(self, made: Value) -> bool:
        """Whether a state that a fix makes is of the right kind, and of the right shape where x tells it."""
        other = replace(self, state=made)
        shapes = [part.shape for part in other.parts]
        return bool(shapes) and (not self.wanted or shapes == [axes.sizes for axes in self.wanted])

    def _pair_advice(self) -> tuple[str, str, Value]:
        """Towards (h0, c0): the hint, an expression, and what it makes."""
        word, state, layer, x = self.words.state, self.state, self.words.layer, self.words.x
        if isinstance(state, Operand):
            return self._one_for_two(state)
        if not isinstance(state, Group):
            return "Leave the state out to start from zeros", "", None
        parts = state.parts
        if state.kind == "arguments":
            return f"The state is one argument: {layer}({x}, (h0, c0))", "(h0, c0)", Group(parts)
        if len(parts) == 1 and isinstance(parts[0], Group):
            return f"{word}[0] takes off the outer tuple", f"{word}[0]", parts[0]
        if len(parts) == 1 and isinstance(parts[0], Operand):
            inner = replace(self, state=parts[0], words=replace(self.words, state=f"{word}[0]"))
            return inner._pair_advice()
        if len(parts) == 2 and isinstance(parts[0], Operand) and isinstance(parts[1], Group):
            hint = f"This is all that a layer returns, (Y, (hn, cn)): {word}[1] is its state"
            return hint, f"{word}[1]", parts[1]
        pairs = [part for part in parts if isinstance(part, Group) and len(part.parts) == 2]
        tensors = list(leaves(state))
        if pairs and len(pairs) == len(parts) == self.spec.K * self.spec.R and len(tensors) == 2 * len(parts):
            flat = tensors[0].rank == 2
            join = "stack" if flat else "cat"
            fix = f"(torch.{join}([h for h, c in {word}]), torch.{join}([c for h, c in {word}]))"
            made = tuple(self._joined(tensors[at::2], flat) for at in (0, 1))
            return f"One tensor holds all layers; of a pair for each layer make {fix}", fix, Group(made)
        if len(parts) == 2 and any(not isinstance(part, Operand) for part in parts):
            return "h0 and c0 are one tensor each, all layers in it; leave the state out to start from zeros", "", None
        return f"Pass two tensors: {layer}({x}, (h0, c0)), one of each for all layers", "", None

    def _one_for_two(self, state: Operand) -> tuple[str, str, Value]:
        """One tensor for an LSTM: h0 alone, or both states in it."""
        word, returned = self.words.state, "Y, (hn, cn) = … returns such a pair"
        if self.spec.kind.step:
            returned = "h, c = … returns such a pair"
        fits = self._fits(state)
        full = len(self.wanted[0]) if self.wanted else 2 if self.spec.kind.step else 3
        if not fits and state.rank == full + 1 and state.shape[0] == 2:
            fix, half = f"({word}[0], {word}[1])", replace(state, shape=state.shape[1:])
            hint = f"Both states are kept in one tensor: {fix} takes it apart along its first axis"
            return hint, fix, Group((half, half))
        says = "One tensor is taken apart along its first axis, as if that held h and c"
        if not fits:
            return f"{says}; {returned}", "", None
        wide = self.wanted[1].sizes
        c0 = f"{word}.new_zeros{wide}" if self.spec.P else f"torch.zeros_like({word})"
        fix = f"({word}, {c0})"
        hint = f"{says}; {returned}. Where c starts from zeros that is {fix}"
        return hint, fix, Group((state, replace(state, shape=wide)))

    @staticmethod
    def _joined(tensors: list[Operand], flat: bool) -> Operand:
        first = tensors[0]
        rows = (len(tensors), *first.shape) if flat else (len(tensors) * first.shape[0], *first.shape[1:])
        alike = all(tensor.shape == first.shape for tensor in tensors)
        return replace(first, shape=rows if alike and first.shape else ())

    def _single_advice(self) -> tuple[str, str, Value]:
        """Towards h0 alone: the hint, an expression, and what it makes."""
        word, state, layer, x = self.words.state, self.state, self.words.layer, self.words.x
        if not isinstance(state, Group):
            return "Leave the state out to start from zeros", "", None
        only, parts = f"{self.spec.cell} has no cell state", state.parts
        if state.kind == "arguments":
            return f"{only}: {layer}({x}, h0)", "h0", parts[0]
        tensors = [part for part in parts if isinstance(part, Operand)]
        fitting = [at for at, part in enumerate(parts) if self._fits(part)]
        rows = self.spec.K * self.spec.R
        if not self.spec.kind.step and not fitting and len(tensors) == len(parts) == rows:
            fix, made = f"torch.stack({word})", self._joined(tensors, flat=True)
            if self._fits(made):
                return f"One tensor holds all layers: {fix} makes it of a {state.kind} of one for each", fix, made
        if len(parts) == 2 and fitting == [1]:
            return f"If this is all that the layer returned, (Y, hn), its state is {word}[1]", f"{word}[1]", parts[1]
        if not parts or not isinstance(parts[0], Operand):
            return f"{only}, and its state is one tensor: {layer}({x}, h0)", "", None
        fix = f"{word}[0]"
        return f"{only}, and its state is one tensor, {fix}: {layer}({x}, {fix})", fix, parts[0]

    def _fits(self, part: Value) -> bool:
        return isinstance(part, Operand) and bool(self.wanted) and part.shape == self.wanted[0].sizes

    # ------------------------------------------------------------ shapes

    def shape_problem(self, role: str, state: Operand, axes: Axes) -> Problem | None:
        """A state of another shape than the layer's algebra says, with what its own shape looks like."""
        if state.shape == axes.sizes:
            return None
        hint, fix = self._advice(role, state, axes)
        return Problem(role, axes.formula, axes.sizes, state.shape, hint, "state-shape", fix)

    def _zeros(self, sizes: tuple[int, ...]) -> str:
        """Zeros of a state's shape in the caller's words, the batch read off x."""
        spelled = [str(size) for size in sizes]
        if len(sizes) == (2 if self.spec.kind.step else 3):
            spelled[-2] = self.batch_word
        x = f"{self.words.x}.data" if self.batch_word.endswith("]") else self.words.x
        return f"{x}.new_zeros({', '.join(spelled)})"

    def _advice(self, role: str, state: Operand, axes: Axes) -> tuple[str, str]:
        word, got, want = self.words.of(role), state.shape, axes.sizes
        if len(got) == len(want) + 1:
            return self._axis_too_many(word, got, want)
        if len(got) == len(want) - 1:
            return self._axis_too_few(word, got, want)
        if len(got) != len(want):
            return self._from_zeros(want)
        if len(want) > 1 and got == (want[1], want[0], *want[2:]):
            fix = f"{word}.transpose(0, 1).contiguous()"
            never = "batch_first never moves the axes of a state" if len(want) == 3 else "Its axes are exchanged"
            return f"{never}: {fix} (never view or reshape)", fix
        H, K = want[-1], self.spec.K
        if self.spec.R == 2 and len(want) == 3 and got == (K, want[1], 2 * H):
            fix = f"torch.stack({word}.chunk(2, -1), 1).flatten(0, 1)"
            return f"Both directions stand side by side in it; a layer wants a row for each: {fix}", fix
        advice = []
        if got[-1] != want[-1]:
            advice.append(self._width(role, got, want))
        if len(want) > 1 and axes.names[-2] == "N" and got[-2] != want[-2]:
            advice.append(self._batch(word, got, want))
        if axes.names[0] in ("K", "K·R") and got[0] != want[0]:
            advice.append(self._rows(word, got, want))
        fix = advice[0][1] if len(advice) == 1 else ""
        return ". ".join(hint for hint, _ in advice), fix

    def _from_zeros(self, want: tuple[int, ...]) -> tuple[str, str]:
        zeros = self._zeros(want)
        return f"To start from zeros leave the state out, or write {zeros}", zeros

    def _axis_too_many(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        one = next((at for at in range(len(want)) if got[at] == 1 and got[:at] + got[at + 1 :] == want), None)
        if one is not None:
            return f"{word}.squeeze({one}) leaves out its axis of size 1, and is {want}", f"{word}.squeeze({one})"
        if self.spec.kind.step and got[1:] == want:
            fix = f"{word}[-1]"
            return f"It holds {got[0]} layers, and a cell is one: {fix} is the top one", fix
        if len(want) == 2 and not self.spec.kind.step:
            return f"x has no batch axis and {word} has one: one of them lacks it, or has it too many", ""
        return self._from_zeros(want)

    def _axis_too_few(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        rows = self.spec.K * self.spec.R
        if len(want) == 3 and got == want[1:]:
            again = f".repeat({rows}, 1, 1)" if rows > 1 else ""
            fix = f"{word}.unsqueeze(0){again}"
            hint = (
                f"{fix} adds the axis of the {rows} layers and directions"
                if rows > 1
                else f"{fix} adds the axis of layers"
            )
            if len(self.parts) == 2 and rows > 1 and all(part.shape == want[1:] for part in self.parts):
                hint = (
                    "hn[0] and hn[1] are two layers of one tensor, and no pair of h and c: keep both that come back, "
                )
                hint += f"Y, (hn, cn) = {self.words.layer}(…). If each state is meant for all layers, {fix}"
            return hint, fix
        if len(want) == 3 and got == (want[0], want[2]):
            fix = f"{word}.unsqueeze(1)" + (f".repeat(1, {want[1]}, 1)" if want[1] != 1 else "")
            return f"It is the state of one sequence: {fix} is one for each of {want[1]}", fix
        if len(want) == 2 and got == want[1:]:
            fix = f"{word}.unsqueeze(0)" if want[0] == 1 else f"{word}.repeat({want[0]}, 1)"
            return f"It lacks its first axis: {fix}", fix
        return self._from_zeros(want)

    def _batch(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        has, N = got[-2], want[-2]
        if has == 1:
            keep = "-1, " * (len(want) - 2)
            fix = f"{word}.expand({keep}{N}, -1).contiguous()"
            return f"It holds one sequence, and x has N = {N}: {fix}", fix
        fix = self._zeros(want)
        kept = "A state made for a batch of another size does not fit the next one, and the last batch is often smaller"
        return f"It holds {has} sequences, and x has N = {N} ({self.batch_word}). {kept}: drop or reset it, {fix}", fix

    def _width(self, role: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        spec, width, H = self.spec, got[-1], want[-1]
        if spec.P and width in (spec.D, spec.P):
            rule = f"With proj_size={spec.P} h0 is P = {spec.P} wide and c0 is D = {spec.D} wide"
            other = [part.shape for name, part in zip(self.names, self.parts, strict=True) if name != role]
            if other == [want]:
                fix = self.words.of("c0" if role == "h0" else "h0")
                return f"{rule}; here they are exchanged", fix
            zeros = self._zeros(want)
            return f"{rule}: {zeros}", zeros
        made = "" if self.maker is None else f"It comes from {self.maker.constructor}. "
        linear = f"nn.Linear({width}, {H})"
        if spec.P:
            return f"{made}Its width is {width}, and this layer's {H}: {linear} in between", ""
        rebuilt = spec.replace(D=max(1, width)).constructor
        if width == 2 * H:
            forward = f"{self.words.of(role)}[..., :{H}] is the forward one"
            made += f"If it is torch.cat((forward, backward), dim=-1) of two directions, {forward}. "
        return f"{made}Its width is {width}, this layer's hidden_size {H}: {rebuilt}, or {linear} in between", ""

    def _rows(self, word: str, has: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[str, str]:
        spec, maker, got, want = self.spec, self.maker, has[0], wanted[0]
        if maker is not None and got == maker.K * maker.R:
            return self._rows_of(maker, word, has[-1])
        count = f"K·R = {spec.K}·{spec.R} = {want}" if spec.R == 2 else f"K = {want}"
        says = f"It has {got} row{'s' * (got != 1)} and this layer {count}"
        if spec.R == 2 and got == spec.K:
            fix = f"{word}.repeat_interleave(2, 0)"
            both = f"{fix} starts both directions from the same"
            return f"{says}: with bidirectional=True each layer has two, num_layers * 2 rows in all. {both}", fix
        if got > want:
            fix = f"{word}[-{want}:].contiguous()"
            return f"{says}: it was made for more layers or directions than this one has. {fix} are its last rows", fix
        if got == 1:
            fix = f"{word}.repeat({want}{', 1' * (len(has) - 1)})"
            return f"{says}: each layer and direction starts from a row of its own. {fix} gives all of them one", fix
        return f"{says}, one for each layer and direction", ""

    def _rows_of(self, maker: Spec, word: str, width: int) -> tuple[str, str]:
        """The layer that made the state is known, so its rows are too."""
        spec = self.spec

        def said(one: Spec) -> str:
            layers = f"{one.K} layer{'s' * (one.K > 1)}"
            return f"{layers} of {'two directions' if one.R == 2 else 'one direction'}"

        says = f"It comes from a {maker.cell} of {said(maker)}, and this {spec.cell} has {said(spec)}"
        if maker.R == 2 and spec.R == 1:
            top = "" if maker.K == spec.K else f"[-{2 * spec.K}:]"
            if maker.K < spec.K:
                return f"{says}: build it with num_layers={maker.K} and join the directions", ""
            forward, backward = f"{word}{top}[0::2]", f"{word}{top}[1::2]"
            fix = f"{forward} + {backward}"
            wide = f"torch.cat(({forward}, {backward}), dim=2) with hidden_size={2 * width} here keeps them apart"
            layers = "" if maker.K == spec.K else f" (the top {spec.K} of its layers)"
            return f"{says}: rows 0, 2, … are forward and 1, 3, … backward. {fix} adds them{layers}; {wide}", fix
        if maker.R == 1 and spec.R == 2:
            if maker.K == spec.K:
                fix = f"{word}.repeat_interleave(2, 0)"
                return f"{says}: {fix} starts both directions of a layer from the same row", fix
            return f"{says}: build both with the same num_layers and bidirectional", ""
        if maker.K > spec.K:
            fix = f"{word}[-{spec.K * spec.R}:].contiguous()"
            return f"{says}: {fix} are its top ones; or build this layer with num_layers={maker.K}", fix
        return f"{says}: build both with num_layers={maker.K}", ""
