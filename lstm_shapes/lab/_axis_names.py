"""The named axes of a recorded run: the rules for named tensors, played over the calls of a trace.

An axis of what comes from outside begins without a name and gets it from the recurrent layers that read it; a name that
the caller gives stays. Where two of them differ, that is kept as a conflict, at the call where it shows. What a rule
does not foresee has no names: `?` is printed as its size alone. `check` explains exceptions with it, `walk` shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

from torch import Tensor

from lstm_shapes.lab._words import named_shape
from lstm_shapes.lab.tensors import AnnotatedTensor, answer, on_scramble, rule_of, weight_axes
from lstm_shapes.lab.trace import KERNELS, Call, Trace, Value, substituted
from lstm_shapes.language import say
from lstm_shapes.theory._axis_rules.combining import span_of
from lstm_shapes.theory._axis_rules.positions import Scramble
from lstm_shapes.theory.axes import (
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Conflict,
    Naming,
    Origin,
    cut,
    renewed,
    unknown,
    unnamed,
)

# Functions that make tensors from the shape of another: nothing is lost in them.
_FRESH = ("_like", "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor")
# Words that programs and comments use for the symbols of the field.
_WORDS = """
N: n b bs bsz batch batches batch_size batchsize num_batch samples sequences
L: l t time steps timesteps time_steps seq sequence seq_len seq_length seqlen sequence_length length len
K: k k·r num_layers layers num_layers·num_directions
"""
_MEANINGS = {word: line[0] for line in _WORDS.strip().splitlines() for word in line[2:].split()}
# What the axes of a convolution's input are, where no layer says it; H is the width of a hidden state here.
_LAYOUTS = {
    "conv1d": "N C L",
    "conv2d": "N C height width",
    "max_pool2d": "N C height width",
    "conv3d": "N C depth height width",
}
_BATCHES = ("cat", "concat", "concatenate", "repeat", "tile", "repeat_interleave")
# A state goes through one of these on its way to the next step; a sum alone is no recurrence.
_PRODUCTS = ("linear", "matmul", "mm", "bmm", "addmm", "__matmul__")
_GATES = ("mul", "__mul__", "sigmoid", "tanh", "relu", "conv1d", "conv2d", *_PRODUCTS)


class AxisNames:
    """What the axes of each value of a trace are called, as far as it is certain.

    `clashes`, `scrambles` and `lost` say at which calls names differed, were mixed, and came to an end.
    """

    def __init__(
        self,
        trace: Trace,
        batch: Mapping[int, int] | None = None,
        given: Mapping[int, Axes] | None = None,
        weights: Collection[int] = (),
        results: Collection[Value] = (),
        rounds: int = 6,
    ) -> None:
        """`batch` and `given` say what the caller does of inputs, by the index of their value: the batch axis, or all.

        `weights` are the ids of tensors that are no inputs, as parameters are none; `results` what the run returned.
        In so many `rounds` at most the calls are gone through, each time with the names that the time before has given.
        With one round nothing is supposed: the names are those that recurrent layers give.
        """
        self._trace = trace
        self._weights = weights
        self._results = results
        self._given = dict(given or {})
        for index, at in (batch or {}).items():
            sizes = trace.values[index].shape
            names = ["N" if axis == at else UNKNOWN for axis in range(len(sizes))]
            self._given.setdefault(index, Axes.of(names, sizes))
        self._outside: dict[int, Axes] = {}
        said: list[tuple[str, ...]] = []
        for _ in range(rounds):
            self._play()
            before, said = said, [axes.names for axes in self._outside.values()]
            if not self._suppose() and before == said:
                break

    def _play(self) -> None:
        """Go through the calls; with the names that the time before has given to what comes from outside."""
        before, self._outside = self._outside, {}
        self._known: dict[int, Axes | None] = {}
        self.naming = Naming()
        self.clashes: list[tuple[Call, str]] = []
        self.scrambles: list[tuple[Call, Scramble]] = []
        self.lost: list[tuple[Call, str]] = []
        self._shared: dict[int, Axis] = {}
        self._hints: dict[str, list[Origin]] = {}
        self._passed: dict[object, set[tuple[int, int]]] = {}
        for index, axes in {**self._given, **before}.items():
            given = self._given.get(index)
            self._enter(index, axes if given is None else renewed(given))
        for call in self._trace.calls:
            if call.error is None and call.outputs:
                self.naming.where = call
                self._call(call)

    def _enter(self, index: int, axes: Axes) -> Axes:
        """What comes from outside: axes without a name wait for one. N of one size is the same N everywhere."""
        rows: list[Axis] = []
        for axis in axes:
            row = Axis(tuple(self._entered(atom) for old in axis.atoms for atom in cut(old)))
            for atom in row.atoms:
                atom.origin.naming = self.naming
            rows.append(self._shared.setdefault(row.size, row) if row.name == "N" else row)
        self._known[index] = self._outside[index] = entered = Axes(tuple(rows), axes.fixed)
        return entered

    def _entered(self, atom: Atom) -> Atom:
        """The same atom of a new origin, where its name is one that a run before has given."""
        old = atom.origin
        if old.naming is self.naming or (old.naming is None and atom.name != UNKNOWN):
            return atom
        other = Atom(Origin(naming=self.naming), range(atom.size))
        if atom.name != UNKNOWN:
            self.naming.bind(other.origin, atom.name, old.naming and old.naming.place(old))
        return other

    def _suppose(self) -> bool:
        """Name what no recurrent layer has read after what else was done with it; whether anything was named.

        Nothing is supposed of an axis before what is surer is known: steps, then the layout of a convolution, then
        samples, then features.
        """
        self._hints["N?"] = self._apart()
        for hint in ("L", "C", "depth", "height", "width", "N", "N?", "Q", "S"):
            name = hint.strip("?")
            hinted = [one for one in self._hints.get(hint, ()) if not one.named and one.root.naming is self.naming]
            twice = self._twice(name, {one.root for one in hinted})
            meant = [one for one in hinted if one.root not in twice]
            for origin in meant:
                self.naming.bind(origin, name)
            if meant and name not in ("C", "depth", "height"):
                return True
        return False

    def _twice(self, name: str, roots: set[Origin]) -> set[Origin]:
        """Those of the origins that an input has beside another axis of that name: which one it means is not known."""
        twice: set[Origin] = set()
        for axes in self._outside.values():
            mine = {axis.atoms[0].origin.root for axis in axes if axis.size > 1 and len(axis.atoms) == 1}
            if len(mine & roots) + any(axis.name == name for axis in axes) > 1:
                twice |= mine & roots
        return twice

    def _apart(self) -> list[Origin]:
        """For each input the one axis that arrives in a result and along which nothing was computed: its samples.

        Something must be known of another axis of it, else the features of a batch that is summed up would be samples.
        """
        on_the_way = self._trace.ancestors(*self._results)
        left = {
            origin.root
            for index, axes in self._known.items()
            if axes is not None and index in on_the_way
            for origin, _ in axes.fixed
        }
        arrived = {
            atom.origin.root
            for value in self._results
            for axis in self.axes(value) or ()
            for atom in axis.atoms
            if len(axis.atoms) == 1 and not atom.part
        }
        hinted = {origin.root for origins in self._hints.values() for origin in origins}
        samples: list[Origin] = []
        for axes in self._outside.values():
            firsts = [(axis, axis.atoms[0].origin) for axis in axes if axis.size > 1]
            apart = [(axis, origin) for axis, origin in firsts if origin.root in arrived - left]
            others = [(axis, origin) for axis, origin in firsts if origin.root not in arrived - left]
            told = any(axis.known or origin.root in hinted for axis, origin in others)
            samples += [origin for axis, origin in apart if len(apart) == 1 and axis.waits and told]
        return samples

    # ------------------------------------------------------------------ answers
    def axes(self, value: Value) -> Axes | None:
        axes = self._known.get(value.index) if value.maker is not None else self._before(value)
        return axes if axes is not None and axes.sizes == value.shape else None

    def names(self, value: Value) -> tuple[str, ...]:
        """One name an axis, "" where there is none."""
        axes = self.axes(value)
        return ("",) * len(value.shape) if axes is None else tuple(one if _certain(one) else "" for one in axes.names)

    def tensor(self, value: Value) -> Tensor:
        """The value's tensor with its axes, for trying what becomes of them."""
        axes = self.axes(value)
        return value.tensor if axes is None else AnnotatedTensor(value.tensor.detach(), axes)

    def shape(self, value: Value) -> str:
        """(N=4, L=7, R·D=24)."""
        return named_shape(value.shape, self.names(value))

    def atoms(self, value: Value, axis: int) -> tuple[str, ...]:
        """The names of the factors of an axis that are longer than one, () where not all are known."""
        axes = self.axes(value)
        names = tuple(atom.name for atom in axes[axis].atoms if atom.size != 1) if axes is not None else ()
        return () if UNKNOWN in names else names

    def product(self, value: Value, axis: int) -> str:
        """`24 = R·D = 2·12` where an axis is a product of named ones, else ""."""
        axes, names = self.axes(value), self.atoms(value, axis)
        if axes is None or len(names) < 2 or any("·" in name for name in names):
            return ""
        sizes = "·".join(str(atom.size) for atom in axes[axis].atoms if atom.size != 1)
        return f"{value.shape[axis]} = {'·'.join(names)} = {sizes}"

    def count(self, value: Value) -> str:
        """`224 = N·L·D = 4·7·8`: the elements of a value by its axes."""
        names, sizes = self.names(value), "·".join(map(str, value.shape))
        if len(names) < 2:
            return ""
        return " = ".join([str(prod(value.shape)), *(["·".join(names)] if all(names) else []), sizes])

    # ------------------------------------------------------------------ playing the calls
    def _weight(self, value: Value) -> bool:
        return value.parameter or id(value.tensor) in self._weights

    def _before(self, value: Value) -> Axes | None:
        """The axes of a value that a call reads."""
        if value.index in self._known or self._weight(value):
            return self._known.get(value.index)
        axes: Axes | None = None
        if value.maker is None and not value.bases:
            return self._enter(value.index, unnamed(self.naming, value.shape))
        if value.maker is None:
            base = value.bases[-1]
            if base.shape == value.shape and base.tensor.stride() == value.tensor.stride():
                axes = self._before(base)
        else:
            # Written through another view: all of it, if that one shows the same elements.
            alike = [one for one in value.maker.outputs if _view(one.tensor) == _view(value.tensor)]
            axes = self._known.get(alike[0].index) if alike else None
        self._known[value.index] = axes
        return axes

    def _call(self, call: Call) -> None:
        values: dict[int, Value] = {}

        def plain(value: Value) -> Tensor:
            # Positions are read as they were; a weight is known by the very object.
            tensor = value.tensor if value.copy is None else value.copy
            values[id(tensor)] = value
            return tensor

        # Where nothing but weights comes together, their axes are what they make.
        weights = call.name not in KERNELS and not any(map(self._before, call.inputs))

        def axes_of(tensor: object) -> Axes | None:
            value = values.get(id(tensor))
            if value is None:
                return None
            return weight_axes(value.tensor) if weights and self._weight(value) else self._before(value)

        args, kwargs = substituted(call.args, plain), substituted(call.kwargs, plain)
        results = [value.tensor for value in call.outputs]
        alone = isinstance(call.result, Value) or call.result is None
        told = on_scramble.set(lambda scramble: self.scrambles.append((call, scramble)))
        conflicts = len(self.naming.conflicts)
        try:
            each = answer(call.func, results[0] if alone else results, args, kwargs, axes_of)
        finally:
            on_scramble.reset(told)
        longest = 0
        if call.name in _BATCHES:
            longest = max((axis.size for one in call.inputs for axis in self._before(one) or ()), default=0)
        for value, axes in zip(call.outputs, each, strict=False):
            if axes is not None and axes.sizes == value.shape:
                if longest:
                    # Several batches in a row are no batch.
                    rows = [unknown(one.size) if one.size > longest and one.name == "N" else one for one in axes]
                    axes = Axes(tuple(rows), axes.fixed)
                self._known[value.index] = axes
            elif value.index not in self._known or value not in call.inputs:
                self._known[value.index] = None
        self._hint(call)
        self._differ(call, self.naming.conflicts[conflicts:])
        self._end(call)

    def _hint(self, call: Call) -> None:
        """What a call takes axes for that have no name yet: less than what a recurrent layer says."""
        axes = [self._before(value) for value in call.inputs]
        named = [one for one in axes if one is not None]
        layout = _LAYOUTS.get(call.name, "").split()
        if named and len(named[0]) == len(layout):
            for axis, name in zip(named[0], layout, strict=True):
                self._hint_at(axis, name)
        if call.name in _PRODUCTS and len(axes) > 1 and axes[0] and all(axis.made for axis in axes[1] or ()):
            self._hint_at(axes[0][-1], "Q")
        if call.name in ("softmax", "log_softmax") and named and isinstance(dim := call.argument(1, "dim"), int):
            self._hint_at(named[0][dim], "S")
        if call.name in _GATES or call.name in KERNELS:
            for value, one in zip(call.inputs, axes, strict=True):
                for origin, where in one.fixed if one else ():
                    self._step(call, value, origin, where)

    def _hint_at(self, axis: Axis, name: str) -> None:
        if axis.waits:
            self._hints.setdefault(name, []).append(axis.atoms[0].origin)

    def _step(self, call: Call, value: Value, origin: Origin, where: object) -> None:
        """Note an axis along which a state goes on: it reached this line from one step, and from more the next time."""
        span = span_of(where)
        if span is None or origin.naming is None or origin.named:
            return
        if call.name in KERNELS:
            # A cell, or a layer called step by step: its state has come from another step of what it reads.
            read = self._before(call.args[0])
            if value is not call.args[0] and read is not None and origin.root in {one.root for one, _ in read.fixed}:
                self._hints.setdefault("L", []).append(origin)
            return
        passed = self._passed.setdefault((call.line, call.name, origin.root), set())
        passed.add((span.low, span.high))
        lows, highs = {low for low, _ in passed}, {high for _, high in passed}
        if (len(lows) == 1 < len(highs) or len(highs) == 1 < len(lows)) and any(low < high for low, high in passed):
            self._hints.setdefault("L", []).append(origin)

    def _differ(self, call: Call, conflicts: list[Conflict]) -> None:
        """Names that a call gives to other axes, while it reads one against its name, are none."""
        for one in conflicts:
            if {meaning_of(one.name), meaning_of(one.other)} in ({"N", "L"}, {"N", "K"}, {"L", "K"}):
                line = one.where.line if isinstance(one.where, Call) else None
                key = "computed together"
                if call.name in KERNELS:
                    key = "read as, since" if line else "read as, given"
                gaps = {"function": call.name, "one": one.name, "other": one.other, "line": str(line and line[1])}
                self.clashes.append((call, say(key, **gaps)))
                self.naming.unbind(call)

    def _end(self, call: Call) -> None:
        """Whether names came to an end here."""
        before = [axes for value in call.inputs if (axes := self._known.get(value.index)) is not None]
        if not before or call.name.endswith(_FRESH) or (call.name.startswith("__") and call.name != "__getitem__"):
            return
        value = call.outputs[0]
        axes = self._known.get(value.index)
        name = "indexing" if call.name == "__getitem__" else call.name
        if axes is None and value not in call.inputs and call.name != "script" and rule_of(call.func) is None:
            self.lost.append((call, say("no rule", function=name)))
        elif axes is not None and _blanks(axes) > max(map(_blanks, before)):
            self.lost.append((call, say("no true name", function=name)))


def meaning_of(word: str) -> str:
    """N, L or K for a word that means it, "" for another."""
    return _MEANINGS.get(word.lower().replace(" ", "_").replace("-", "_"), "")


def _view(tensor: Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _blanks(axes: Axes) -> int:
    """How many axes no single coordinate runs along; those that wait for a name are none of them."""
    return sum(not axis.known and not any(atom.origin.gives_way for atom in axis.atoms) for axis in axes)


def disagree(one: Axis, other: Axis) -> bool:
    """Whether two axes of one size are known to be different: another name, or factors in another order."""
    left, right = ([atom for atom in axis.atoms if atom.size != 1] for axis in (one, other))
    if len(left) != len(right):
        return False
    if [atom.size for atom in left] != [atom.size for atom in right]:
        return len(left) > 1
    return any(a.name != b.name for a, b in zip(left, right, strict=True) if _certain(a.name) and _certain(b.name))


def _certain(name: str) -> bool:
    return name not in (UNKNOWN, "1")
