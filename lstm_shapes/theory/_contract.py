"""problems: what is wrong with the operands of one recurrent call, before torch sees them.

The order is torch's own: the rank of x, the kind and rank of the state, dtype and width of x, the shapes of h0 and c0,
steps, devices, dtypes of the state. So the first problem is about the operand that torch's message names, except where
torch names the state for a mistake in x: token ids, a batch axis that x lacks, an x transposed.

torch takes a little more than its documentation promises, and this contract does not:
- An LSTM given packed rows checks no shape of its state: too few rows of c0 are read beyond the tensor's end, surplus
  ones are ignored, and where the rows are unsorted so are surplus sequences.
- An LSTM or LSTMCell takes out [0] and [1] of a state for one sequence, or for unsorted packed rows, whatever it is.
- On the CPU some LSTM kernels and LSTMCell take a c0 of any dtype, and a cell a (D, D) tensor as the state of one row.

Source: `RNNBase.check_forward_args` and the `forward` of each class in `torch/nn/modules/rnn.py`; for cells
`rnn_cell_check` in `aten/src/ATen/native/RNN.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from lstm_shapes.errors import ShapeError

from .axes import Axes
from .call import Call
from .predict import Prediction
from .spec import Spec

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


Value = Operand | Packed | Group | str | None
"""What may be given; anything else is the name of its type."""


class Words(NamedTuple):
    """What the caller's program calls the operands: hints are written in these words."""

    x: str = "x"
    h0: str = "h0"
    c0: str = "c0"
    state: str = "state"
    layer: str = "layer"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one operand: it must be `formula` = `expected`, is `got`, and `hint` says what to do.

    `name` is x, h0, c0 or state. `kind` says which rule is broken: input-kind, input-rank, feature-axis, layout,
    state-kind, state-shape, dtype, device or packing. `fix` is an expression that makes an operand which
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
        return ShapeError(self.name, self.formula, expected=self.expected, got=self.got, hint=self.hint)

    def __str__(self) -> str:
        return str(self.error)


def form(value: Value) -> object:
    """A value as people write it: the shape of a tensor, nested as its containers are."""
    if isinstance(value, Operand):
        return value.shape
    if isinstance(value, Group):
        parts = [form(part) for part in value.parts]
        return parts if value.kind == "list" else tuple(parts)
    if isinstance(value, Packed):
        return f"PackedSequence of {value.data.shape}"
    return value


def leaves(value: Value) -> Iterator[Operand]:
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
    call = _Operands(spec, x, state, weights or Operand(()), autocast, maker, words or Words())
    return tuple(problem for _, problem in sorted(call.all(), key=lambda pair: pair[0]))


def layouts(spec: Spec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes of a batched and of an unbatched x."""
    if spec.kind.step:
        return ("N", "Q"), ("Q",)
    return (("N", "L", "Q") if spec.batch_first else ("L", "N", "Q")), ("L", "Q")


class _Fix(NamedTuple):
    """A change: what is said of it, {} being the expression; the expression; and the shape or the state it makes."""

    hint: str
    code: str = ""
    made: tuple[int, ...] | Value = None

    @property
    def said(self) -> str:
        """The hint with the expression in it."""
        return self.hint.replace("{}", self.code)


@dataclass(frozen=True)
class _Operands:
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
        wrong = [*self._of_x(), *self._elsewhere()]
        if (lacking := self._lacks_batch()) is not None:
            return [*wrong, (_RANK, lacking)]
        transposed = self._ordered("x", self.data, self.layout) or self._transposed()
        return [*wrong, (_STATE_SHAPE, transposed)] if transposed is not None else [*wrong, *self._state_shapes()]

    # ------------------------------------------------------------ what can be read off

    @cached_property
    def data(self) -> Operand:
        data = self.x.data if isinstance(self.x, Packed) else self.x
        assert isinstance(data, Operand)
        return data

    @cached_property
    def layout(self) -> tuple[str, ...]:
        """The symbols of x's own axes, of packed rows (T, Q); none where its rank is neither of the two."""
        if isinstance(self.x, Packed):
            return ("T", "Q")
        rank = self.x.rank if isinstance(self.x, Operand) else 0
        return next((names for names in layouts(self.spec) if len(names) == rank), ())

    @cached_property
    def wanted(self) -> tuple[Axes, ...]:
        """The axes of h0 and c0; none where x does not tell N."""
        if not self.layout:
            return ()
        sizes = dict(zip(self.layout, self.data.shape, strict=False))
        call = Call(self.x.N, 1) if isinstance(self.x, Packed) else Call(sizes.get("N"), sizes.get("L", 1))
        predicted = Prediction(self.spec, call)
        return tuple(axes for axes in (predicted.h0, predicted.c0) if axes is not None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{name}0" for name in self.spec.kind.states)

    @cached_property
    def parts(self) -> tuple[Operand, ...]:
        """h0, or h0 and c0; empty where there is no state, or one of another kind."""
        return tuple(leaves(self.state)) if self._is_state(self.state) else ()

    def _is_state(self, state: Value) -> bool:
        """Whether this is one tensor, or of an LSTM a pair of them."""
        if not self.spec.has_c or not isinstance(state, Group):
            return isinstance(state, Operand) and not self.spec.has_c
        return state.kind != "arguments" and [type(part) for part in state.parts] == [Operand, Operand]

    def _batch_word(self) -> str:
        """How the caller's program can ask x for N."""
        if isinstance(self.x, Packed):
            return f"{self.words.x}.batch_sizes[0]"
        return f"{self.words.x}.size({1 if not self.spec.batch_first and not self.spec.kind.step else 0})"

    # ------------------------------------------------------------ x

    def _packed(self, x: Packed) -> Problem | None:
        word, data, wide = self.words.x, x.data, f"(T, Q) with Q = {self.spec.Q}"
        if self.spec.kind.step:
            hint = f"A cell does one step; {self.spec.kind.layer} takes packed rows"
            rule = f"one step, (N, Q) or (Q,), for {self.spec.cell}"
            return Problem("x", rule, None, "PackedSequence", hint, "packing")
        if data.rank != 2:
            hint = "Pack a tensor of three axes, (N, L, Q) or (L, N, Q)"
            return Problem("x.data", wide, None, data.shape, hint, "packing")
        if not x.batch_sizes or list(x.batch_sizes) != sorted(x.batch_sizes, reverse=True) or x.N == 0:
            hint = "Let pack_padded_sequence or pack_sequence make it"
            rule = "numbers that never grow from step to step"
            return Problem("x.batch_sizes", rule, None, x.batch_sizes, hint, "packing")
        if data.shape[0] < (steps := sum(x.batch_sizes)):
            hint = f"{word}._replace(data=…) keeps the rows that {word} has; pack again where steps were dropped"
            rule, expected = "(T, Q) with T = sum(batch_sizes)", (steps, self.spec.Q)
            return Problem("x.data", rule, expected, data.shape, hint, "packing")
        return None if data.is_number else self._tokens(data)

    def _tensor(self, x: Operand) -> Problem | None:
        if x.layout != "strided":
            fix = f"{self.words.x}.to_dense()"
            return Problem("x", "a dense tensor", None, x.layout, f"Write {fix}", "input-kind", fix)
        if not x.is_number:
            return self._tokens(x)
        if self.layout:
            return None
        hint, fix = self._fixed(x)
        return Problem("x", self._formula, None, x.shape, hint, "input-rank", fix)

    @property
    def _formula(self) -> str:
        batched, alone = layouts(self.spec)
        comma = "," if len(alone) == 1 else ""
        return f"({', '.join(batched)}), or ({', '.join(alone)}{comma}) for one sequence"

    def _runs(self, shape: object) -> bool:
        """Whether the call would run if x had this shape, and the dtype and device of the weights."""
        if self.trying or not isinstance(shape, tuple):
            return False
        changed = replace(self, x=replace(self.weights, shape=shape), trying=True)
        return all(problem.kind in ("dtype", "device") for _, problem in changed.all())

    def _fixed(self, x: Operand, N: int | None = None) -> tuple[str, str]:
        """The hint and the expression of the first change of x with which the call runs; else the first hint alone."""
        tried = list(self._changes(x, N))
        fallback = (tried[0].said, "") if tried else ("", "")
        return next(((fix.said, fix.code) for fix in tried if fix.code and self._runs(fix.made)), fallback)

    def _changes(self, x: Operand, N: int | None) -> Iterator[_Fix]:
        """An axis more or less, or axes in another order; the batch axis that x lacks beside a state of N sequences."""
        word, spec, shape, step = self.words.x, self.spec, x.shape, self.spec.kind.step
        Q, first, (most, least) = spec.Q, spec.batch_first, map(len, layouts(spec))
        if x.rank < least:
            if Q == 1:
                yield _Fix("{} adds a feature axis of Q = 1", f"{word}.unsqueeze(-1)", (*shape, 1))
            if shape and shape[-1] == Q:
                yield _Fix("{} makes it one step", f"{word}.unsqueeze(0)", (1, *shape))
        elif x.rank > most:
            for axis in reversed(range(most)) if x.rank == most + 1 else ():
                if shape[axis] == 1:
                    made = shape[:axis] + shape[axis + 1 :]
                    yield _Fix("{} leaves out the axis of size 1", f"{word}.squeeze({axis})", made)
            if step:
                loop = f"for t in range({word}.size(1)): state = {self.words.layer}({word}[:, t], state)"
                yield _Fix(f"A cell takes one step at a time: {loop}. {spec.kind.layer} takes all steps at once")
            elif x.rank == 4:
                a, b, c, d = shape
                yield _Fix(f"{{}} makes {Q} features of the last two axes", f"{word}.flatten(2)", (a, b, c * d))
                if first:
                    hint = "Where axis 0 and axis 1 both count sequences, {} joins them"
                    yield _Fix(hint, f"{word}.flatten(0, 1)", (a * b, c, d))
        elif N is None:
            for axis in reversed(range(x.rank - 1)):
                if shape[axis] == Q:
                    last = axis == x.rank - 2
                    code = f"{word}.transpose({axis}, {axis + 1})" if last else f"{word}.movedim({axis}, -1)"
                    hint = f"Axis {axis} has size {Q}: {{}} puts it last (never view or reshape)"
                    yield _Fix(hint, code, (*shape[:axis], *shape[axis + 1 :], Q))
            if x.rank == 2 and not step and Q == 1:
                yield _Fix("{} makes one feature of each number", f"{word}.unsqueeze(-1)", (*shape, 1))
            elif x.rank == 2 and not step and first and shape[1] % Q == 0 and shape[1]:
                steps = shape[1] // Q
                hint = f"{shape[1]} = {steps}·{Q}: where a row holds its steps one after another, {{}} parts them"
                yield _Fix(hint, f"{word}.unflatten(1, (-1, {Q}))", (shape[0], steps, Q))
        elif step:
            yield _Fix("{} makes a batch of one", f"{word}.unsqueeze(0)", (1, *shape))
        else:
            (rows, wide), batch = shape, 0 if first else 1
            if rows == N:
                made = (N, 1, wide) if first else (1, N, wide)
                yield _Fix("{} makes each row one step of a sequence", f"{word}.unsqueeze({1 - batch})", made)
            if N == 1:
                made = (1, rows, wide) if first else (rows, 1, wide)
                yield _Fix("{} makes the rows the steps of one", f"{word}.unsqueeze({batch})", made)
            if N > 1 and rows % N == 0 and rows > N:
                order = (N, rows // N) if first else (rows // N, N)
                stand = "the steps of a sequence stand" if first else "the sequences of a step stand"
                hint = f"Where {stand} in neighbouring rows, {{}} parts them"
                yield _Fix(hint, f"{word}.unflatten(0, {order})", (*order, wide))

    def _tokens(self, x: Operand) -> Problem:
        word, Q, dtype = self.words.x, self.spec.Q, self.weights.dtype
        cast, packed = f"{word}{FLOATS.get(dtype, f'.to(torch.{dtype})')}", isinstance(self.x, Packed)
        if packed:
            embedded = f"embed the ids before packing, or {word}._replace(data=embedding({word}.data))"
        else:
            embedded = f"embedding({word}) with nn.Embedding(number of tokens, {Q}) makes Q = {Q} features of each"
        hint = f"Token ids: {embedded}. Numbers: {cast}"
        whole = not packed and x.rank == len(layouts(self.spec)[0])
        rule, fix = f"in floating point, {dtype} as the weights", cast if whole and self._runs(x.shape) else ""
        return Problem("x", rule, None, f"{x.dtype} of {x.shape}", hint, "dtype", fix)

    def _lacks_batch(self) -> Problem | None:
        """A 2-D x beside states of three axes: torch's message names the state, and it is x that lacks an axis."""
        x, parts, (batched, alone) = self.x, self.parts, layouts(self.spec)
        if not isinstance(x, Operand) or x.rank != len(alone) or not parts:
            return None
        rows = () if self.spec.kind.step else (self.spec.K * self.spec.R,)
        N = parts[0].shape[-2] if parts[0].rank > 1 else 0
        if any(part.shape[:-1] != (*rows, N) for part in parts) or parts[0].shape[-1] != self.spec.H:
            return None
        if self.spec.kind.step and N != 1:
            return None
        hint, fix = self._fixed(x, N)
        one = "one sequence" if len(alone) > 1 else "one row"
        says = f"{x.rank}-D x is {one}, ({', '.join(alone)}), and the state {parts[0].shape} has a batch axis"
        formula = f"({', '.join(batched)}) beside a state with a batch axis"
        return Problem("x", formula, None, x.shape, f"{says}. {hint}" if hint else says, "input-rank", fix)

    def _of_x(self) -> Iterator[tuple[int, Problem]]:
        """Width and steps of an x of the right rank."""
        x, spec, packed = self.data, self.spec, isinstance(self.x, Packed)
        if x.shape[-1] != spec.Q:
            hint, fix = ("", "") if packed else self._fixed(x)
            rebuilt = f"build the layer for {x.shape[-1]}: {spec.replace(Q=max(1, x.shape[-1])).constructor}"
            hint = f"{hint}; or {rebuilt}" if hint else f"B{rebuilt[1:]}"
            formula = f"(T, Q) with Q = {spec.Q}" if packed else f"{self._formula}, with Q = {spec.Q} last"
            yield _WIDTH, Problem("x.data" if packed else "x", formula, None, x.shape, hint, "feature-axis", fix)
        if "L" in self.layout and x.shape[self.layout.index("L")] == 0:
            hint = "Skip the layer where a sequence is empty, and go on with the state it would have started from"
            yield _STEPS, Problem("x", f"{self._formula} with at least one step", None, x.shape, hint, "input-rank")

    def _transposed(self) -> Problem | None:
        """The state was made for the size of x's other axis: then x lies the other way round."""
        x, parts, spec = self.x, self.parts, self.spec
        if not isinstance(x, Operand) or spec.kind.step or x.rank != 3 or not parts or x.shape[2] != spec.Q:
            return None
        n, N = x.shape[1 if spec.batch_first else 0], x.shape[0 if spec.batch_first else 1]
        made_for = [(axes.sizes[0], n, axes.sizes[2]) for axes in self.wanted]
        if [part.shape for part in parts] != made_for or N in (0, n):
            return None
        word, states, hold = self.words.x, " and ".join(self.names), "holds" if len(parts) == 1 else "hold"
        fix, right = f"{word}.transpose(0, 1)", f"{self._batch_word()} sequences"
        hint = f"{states} {hold} N = {n} sequences, and {n} is the axis that this layer reads as time: {fix}, or "
        hint += f"batch_first={not spec.batch_first} in the layer. If {word} lies right, make the state with {right}"
        formula = f"({', '.join(self.layout)}), as batch_first={spec.batch_first} reads it"
        sizes = {"N": n, "L": N, "Q": spec.Q}
        return Problem("x", formula, tuple(sizes[axis] for axis in self.layout), x.shape, hint, "layout", fix)

    def _ordered(self, name: str, operand: Operand, meant: tuple[str, ...]) -> Problem | None:
        """A tensor whose own names say that N, L and K·R stand in another order; features may be called anything."""
        if len(operand.names) != len(meant):
            return None
        read, own = ([_ROWS.get(symbol, symbol) for symbol in names] for names in (meant, operand.names))
        moved = [symbol for symbol, here in zip(own, read, strict=True) if symbol in _ORDERED and symbol != here]
        if len(moved) < 2 or not set(moved) <= set(read):
            return None
        fix, is_x = f"{getattr(self.words, name)}.transpose(0, 1)", name == "x"
        hint = f"{fix} moves them"
        if is_x:
            hint += f", or batch_first={not self.spec.batch_first} reads them as they are"
        formula, got = f"({', '.join(meant)}), as this layer reads it", f"({', '.join(operand.names)})"
        return Problem(name, formula, None, got, hint, "layout" if is_x else "state-shape", fix)

    # ------------------------------------------------------------ what all operands share

    def _elsewhere(self) -> Iterator[tuple[int, Problem]]:
        """Kind of the state; dtype and device of x and of the state."""
        if self.state is not None and not self._is_state(self.state):
            yield _STATE_KIND, self._kind_problem()
        given = [("x", self.data)] if isinstance(self.x, (Operand, Packed)) else []
        given += list(zip(self.names, self.parts, strict=False))
        given = [(name, operand) for name, operand in given if operand.is_number or name != "x"]
        for name, operand in given:
            early = name == "x" and not self.spec.kind.step
            if self._family(operand.dtype) != self._family(self.weights.dtype):
                alike = {self._family(other.dtype) for _, other in given} == {self._family(operand.dtype)}
                yield _DTYPE if early else _LAST, self._foreign(name, operand, "dtype", alike)
            if operand.device != self.weights.device:
                alike = {other.device for _, other in given} == {operand.device}
                yield _DEVICE, self._foreign(name, operand, "device", alike)

    def _family(self, dtype: str) -> str:
        """Autocast makes one of those that it casts; it leaves float64 alone."""
        return "cast" if self.autocast and dtype in FLOATS and dtype != "float64" else dtype

    def _foreign(self, name: str, operand: Operand, what: str, alike: bool) -> Problem:
        """An operand of another dtype or on another device than the weights; `alike` if all operands are so."""

        def cast(word: str, kind: str) -> str:
            return f"{word}.to({kind!r})" if what == "device" else word + FLOATS.get(kind, f".to(torch.{kind})")

        wanted, got, x = getattr(self.weights, what), getattr(operand, what), self.words.x
        fix = cast(getattr(self.words, name), wanted)
        hint = f"Write {fix}"
        if alike:
            on = "on the device " if what == "device" else ""
            hint += f", or {cast(self.words.layer, got)}: everything that it is given is {on}{got}"
        elif name != "x":
            hint += f"; {x}.new_zeros(…) makes states {'on' if what == 'device' else 'of'} the {what} of {x}"
        formula = "on the weights' device" if what == "device" else "of the weights' dtype"
        return Problem(name, formula, wanted, got, hint, what, fix)

    # ------------------------------------------------------------ kind and nesting of the state

    def _kind_problem(self) -> Problem:
        """A pair where one tensor is wanted, one tensor where a pair is, or another nesting."""
        state, pair, sizes = self.state, self.spec.has_c, tuple(axes.sizes for axes in self.wanted)
        got, fix = form(state), _Fix("Leave the state out to start from zeros")
        if isinstance(state, Group) and state.kind == "arguments":
            got = f"{len(state.parts)} arguments, {', '.join(str(form(part)) for part in state.parts)}"
            says = "The state is one argument" if pair else f"{self.spec.cell} has no cell state"
            hint = f"{says}: {self.words.layer}({self.words.x}, {{}})"
            fix = _Fix(hint, "(h0, c0)", Group(state.parts)) if pair else _Fix(hint, "h0", state.parts[0])
        elif isinstance(state, Group):
            fix = self._pair_of(state) if pair else self._one_of(state)
        elif isinstance(state, Operand):
            fix = self._pair_of_one(state)
        made = fix.made if isinstance(fix.made, (Operand, Group)) and self._is_state(fix.made) else None
        runs = made is not None and (not sizes or tuple(part.shape for part in leaves(made)) == sizes)
        formula = f"{self.spec.states('0')} for {self.spec.cell}"
        expected = (sizes if pair else sizes[0]) if sizes else None
        return Problem("state", formula, expected, got, fix.said, "state-kind", fix.code if runs else "")

    def _pair_of(self, state: Group) -> _Fix:
        """(h0, c0) of a tuple or list."""
        word, parts, tensors = self.words.state, state.parts, list(leaves(state))
        kinds = [type(part) for part in parts]
        if kinds == [Group]:
            return _Fix("{} takes off the outer tuple", f"{word}[0]", parts[0])
        if len(parts) == 1 and isinstance(parts[0], Operand):
            return replace(self, words=self.words._replace(state=f"{word}[0]"))._pair_of_one(parts[0])
        if kinds == [Operand, Group]:
            hint = "This is all that a layer returns, (Y, (hn, cn)): {} is its state"
            return _Fix(hint, f"{word}[1]", parts[1])
        pairs = [part for part in parts if isinstance(part, Group) and len(part.parts) == 2]
        if pairs and len(pairs) == len(parts) == self.spec.K * self.spec.R and len(tensors) == 2 * len(parts):
            flat = tensors[0].rank == 2
            join = "stack" if flat else "cat"
            fix = f"(torch.{join}([h for h, c in {word}]), torch.{join}([c for h, c in {word}]))"
            made = Group(tuple(_joined(tensors[at::2], flat) for at in (0, 1)))
            return _Fix("One tensor holds all layers; of a pair for each layer make {}", fix, made)
        if len(parts) == 2 and kinds != [Operand, Operand]:
            return _Fix("h0 and c0 are one tensor each, all layers in it; leave the state out to start from zeros")
        return _Fix(f"Pass two tensors: {self.words.layer}({self.words.x}, (h0, c0)), one of each for all layers")

    def _pair_of_one(self, state: Operand) -> _Fix:
        """(h0, c0) of one tensor: h0 alone, or both states in it."""
        word, step = self.words.state, self.spec.kind.step
        says = "One tensor is taken apart along its first axis, as if that held h and c"
        says += f"; {'h, c' if step else 'Y, (hn, cn)'} = … returns such a pair"
        full = len(self.wanted[0]) if self.wanted else 2 if step else 3
        if self._fits(state):
            wide = self.wanted[1].sizes
            c0 = f"{word}.new_zeros{wide}" if self.spec.P else f"torch.zeros_like({word})"
            hint = f"{says}. Where c starts from zeros that is {{}}"
            return _Fix(hint, f"({word}, {c0})", Group((state, replace(state, shape=wide))))
        if state.rank == full + 1 and state.shape[0] == 2:
            half = replace(state, shape=state.shape[1:])
            hint = "Both states are kept in one tensor: {} takes it apart along its first axis"
            return _Fix(hint, f"({word}[0], {word}[1])", Group((half, half)))
        return _Fix(says)

    def _one_of(self, state: Group) -> _Fix:
        """h0 alone of a tuple or list."""
        word, spec, parts = self.words.state, self.spec, state.parts
        tensors = [part for part in parts if isinstance(part, Operand)]
        fitting = [at for at, part in enumerate(parts) if self._fits(part)]
        each = not spec.kind.step and not fitting and len(tensors) == len(parts) == spec.K * spec.R
        if each and self._fits(made := _joined(tensors, flat=True)):
            hint = f"One tensor holds all layers: {{}} makes it of a {state.kind} of one for each"
            return _Fix(hint, f"torch.stack({word})", made)
        if len(parts) == 2 and fitting == [1]:
            hint = "If this is all that the layer returned, (Y, hn), its state is {}"
            return _Fix(hint, f"{word}[1]", parts[1])
        says = f"{spec.cell} has no cell state, and its state is one tensor"
        if not parts or not isinstance(parts[0], Operand):
            return _Fix(f"{says}: {self.words.layer}({self.words.x}, h0)")
        return _Fix(f"{says}, {{}}: {self.words.layer}({self.words.x}, {{}})", f"{word}[0]", parts[0])

    def _fits(self, part: Value) -> bool:
        return isinstance(part, Operand) and bool(self.wanted) and part.shape == self.wanted[0].sizes

    # ------------------------------------------------------------ shapes of the state

    def _state_shapes(self) -> Iterator[tuple[int, Problem]]:
        """A state of another shape than the layer's algebra says, with what its own shape looks like."""
        for role, part, axes in zip(self.names, self.parts, self.wanted, strict=False):
            problem = self._ordered(role, part, axes.names)
            if part.shape != axes.sizes:
                advice = list(self._advice(role, part.shape, axes))
                hint, fix = ". ".join(one.said for one in advice), advice[0].code if len(advice) == 1 else ""
                problem = Problem(role, axes.formula, axes.sizes, part.shape, hint, "state-shape", fix)
            if problem is not None:
                # A cell takes a state of one axis or two, whatever x has.
                wrong_rank = part.rank not in ((1, 2) if self.spec.kind.step else (len(axes),))
                yield _STATE_RANK if wrong_rank and not isinstance(self.x, Packed) else _STATE_SHAPE, problem

    def _zeros(self, sizes: tuple[int, ...]) -> str:
        """Zeros of a state's shape in the caller's words, the batch read off x."""
        spelled = [str(size) for size in sizes]
        if len(sizes) == (2 if self.spec.kind.step else 3):
            spelled[-2] = self._batch_word()
        return f"{self.words.x}{'.data' * isinstance(self.x, Packed)}.new_zeros({', '.join(spelled)})"

    def _advice(self, role: str, got: tuple[int, ...], axes: Axes) -> Iterator[_Fix]:
        """What makes this shape the wanted one; where each axis differs for a reason of its own, one for each."""
        word, want, rank = getattr(self.words, role), axes.sizes, len(axes)
        for before, hint, code in self._whole_changes(word, got, want):
            if got == before:
                yield _Fix(hint, code)
                return
        if len(got) != rank:
            if len(got) == 3 and rank == 2 and not self.spec.kind.step:
                yield _Fix(f"x has no batch axis and {word} has one: one of them lacks it, or has it too many")
            else:
                yield _Fix("To start from zeros leave the state out, or write {}", self._zeros(want))
            return
        if got[-1] != want[-1]:
            yield self._width(role, got, want)
        if rank > 1 and axes.names[-2] == "N" and got[-2] != want[-2]:
            yield self._batch(word, got, want)
        if axes.names[0] in ("K", "K·R") and got[0] != want[0]:
            yield self._rows(word, got, want)

    def _whole_changes(
        self, word: str, got: tuple[int, ...], want: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], str, str]]:
        """The shapes that one change makes the wanted one, what is said of it, and the change."""
        rows = self.spec.K * self.spec.R
        for at in range(len(want)):
            hint = f"{{}} leaves out its axis of size 1, and is {want}"
            yield (*want[:at], 1, *want[at:]), hint, f"{word}.squeeze({at})"
        if len(want) > 1:
            never = "batch_first never moves the axes of a state" if len(want) == 3 else "Its axes are exchanged"
            fix = f"{word}.transpose(0, 1).contiguous()"
            yield (want[1], want[0], *want[2:]), f"{never}: {{}} (never view or reshape)", fix
        if self.spec.kind.step:
            hint = f"It holds {sum(got[:1])} layers, and a cell is one: {{}} is the top one"
            yield (*got[:1], *want), hint, f"{word}[-1]"
        if len(want) == 3:
            fix = f"{word}.unsqueeze(0)" + (f".repeat({rows}, 1, 1)" if rows > 1 else "")
            hint = f"{{}} adds the axis of {f'the {rows} layers and directions' if rows > 1 else 'layers'}"
            if len(self.parts) == 2 and rows > 1 and all(part.shape == got for part in self.parts):
                pair = "hn[0] and hn[1] are two layers of one tensor, and no pair of h and c: keep both that come back"
                hint = f"{pair}, Y, (hn, cn) = {self.words.layer}(…). If each state is meant for all layers, {{}}"
            yield want[1:], hint, fix
            fix = f"{word}.unsqueeze(1)" + (f".repeat(1, {want[1]}, 1)" if want[1] != 1 else "")
            hint = f"It is the state of one sequence: {{}} is one for each of {want[1]}"
            yield (want[0], want[2]), hint, fix
        if self.spec.R == 2 and len(want) == 3:
            hint = "Both directions stand side by side in it; a layer wants a row for each: {}"
            fix = f"torch.stack({word}.chunk(2, -1), 1).flatten(0, 1)"
            yield (self.spec.K, want[1], 2 * want[2]), hint, fix
        if len(want) == 2:
            fix = f"{word}.unsqueeze(0)" if want[0] == 1 else f"{word}.repeat({want[0]}, 1)"
            yield want[1:], "It lacks its first axis: {}", fix

    def _batch(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> _Fix:
        has, N = got[-2], want[-2]
        if has == 1:
            fix = f"{word}.expand({'-1, ' * (len(want) - 2)}{N}, -1).contiguous()"
            return _Fix(f"It holds one sequence, and x has N = {N}: {{}}", fix)
        kept = "A state made for a batch of another size does not fit the next one, and the last batch is often smaller"
        hint = f"It holds {has} sequences, and x has N = {N} ({self._batch_word()}). {kept}: drop or reset it, {{}}"
        return _Fix(hint, self._zeros(want))

    def _width(self, role: str, got: tuple[int, ...], want: tuple[int, ...]) -> _Fix:
        spec, width, H = self.spec, got[-1], want[-1]
        if spec.P and width in (spec.D, spec.P):
            rule = f"With proj_size={spec.P} h0 is P = {spec.P} wide and c0 is D = {spec.D} wide"
            if [part.shape for name, part in zip(self.names, self.parts, strict=True) if name != role] == [want]:
                return _Fix(f"{rule}; here they are exchanged", self.words.c0 if role == "h0" else self.words.h0)
            return _Fix(f"{rule}: {{}}", self._zeros(want))
        made = "" if self.maker is None else f"It comes from {self.maker.constructor}. "
        linear = f"nn.Linear({width}, {H})"
        if spec.P:
            return _Fix(f"{made}Its width is {width}, and this layer's {H}: {linear} in between")
        if width == 2 * H:
            forward = f"{getattr(self.words, role)}[..., :{H}] is the forward one"
            made += f"If it is torch.cat((forward, backward), dim=-1) of two directions, {forward}. "
        rebuilt = spec.replace(D=max(1, width)).constructor
        return _Fix(f"{made}Its width is {width}, this layer's hidden_size {H}: {rebuilt}, or {linear} in between")

    def _rows(self, word: str, has: tuple[int, ...], wanted: tuple[int, ...]) -> _Fix:
        spec, maker, got, want = self.spec, self.maker, has[0], wanted[0]
        if maker is not None and got == maker.K * maker.R:
            return self._rows_of(maker, word, has[-1])
        count = f"K·R = {spec.K}·{spec.R} = {want}" if spec.R == 2 else f"K = {want}"
        says = f"It has {got} row{'s' * (got != 1)} and this layer {count}"
        if spec.R == 2 and got == spec.K:
            hint = f"{says}: with bidirectional=True each layer has two, num_layers * 2 rows in all. {{}} starts both"
            return _Fix(f"{hint} directions from the same", f"{word}.repeat_interleave(2, 0)")
        if got > want:
            hint = f"{says}: it was made for more layers or directions than this one has. {{}} are its last rows"
            return _Fix(hint, f"{word}[-{want}:].contiguous()")
        if got == 1:
            hint = f"{says}: each layer and direction starts from a row of its own. {{}} gives all of them one"
            return _Fix(hint, f"{word}.repeat({want}{', 1' * (len(has) - 1)})")
        return _Fix(f"{says}, one for each layer and direction")

    def _rows_of(self, maker: Spec, word: str, width: int) -> _Fix:
        """The layer that made the state is known, so its rows are too."""
        spec = self.spec
        told = [
            f"{one.K} layer{'s' * (one.K > 1)} of {'two directions' if one.R == 2 else 'one direction'}"
            for one in (maker, spec)
        ]
        says = f"It comes from a {maker.cell} of {told[0]}, and this {spec.cell} has {told[1]}"
        if maker.R == 2 and spec.R == 1:
            if maker.K < spec.K:
                return _Fix(f"{says}: build it with num_layers={maker.K} and join the directions")
            top = "" if maker.K == spec.K else f"[-{2 * spec.K}:]"
            forward, backward = f"{word}{top}[0::2]", f"{word}{top}[1::2]"
            wide = f"torch.cat(({forward}, {backward}), dim=2) with hidden_size={2 * width} here keeps them apart"
            layers = "" if maker.K == spec.K else f" (the top {spec.K} of its layers)"
            hint = f"{says}: rows 0, 2, … are forward and 1, 3, … backward. {{}} adds them{layers}; {wide}"
            return _Fix(hint, f"{forward} + {backward}")
        if maker.R == 1 and spec.R == 2:
            if maker.K != spec.K:
                return _Fix(f"{says}: build both with the same num_layers and bidirectional")
            hint = f"{says}: {{}} starts both directions of a layer from the same row"
            return _Fix(hint, f"{word}.repeat_interleave(2, 0)")
        if maker.K > spec.K:
            hint = f"{says}: {{}} are its top ones; or build this layer with num_layers={maker.K}"
            return _Fix(hint, f"{word}[-{spec.K * spec.R}:].contiguous()")
        return _Fix(f"{says}: build both with num_layers={maker.K}")


def _joined(tensors: list[Operand], flat: bool) -> Operand:
    """What torch.stack makes of flat tensors, and torch.cat of others; without a shape where they differ."""
    first = tensors[0]
    rows = (len(tensors), *first.shape) if flat else (len(tensors) * first.shape[0], *first.shape[1:])
    alike = all(tensor.shape == first.shape for tensor in tensors)
    return replace(first, shape=rows if alike and first.shape else ())
