"""What functions of torch want of their operands: one table, and which operand does not fit.

A row reads as torch's documentation does: `input (…, I), weight (O, I)`. An axis of one letter has one size wherever it
stands, and `…` is any number of axes. `target<C` holds whole numbers below C, and `|` divides what is taken either way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from lstm_shapes.lab._axis_names import axes_of, disagree
from lstm_shapes.lab._words import kind_of, symbol
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import broadcasts
from lstm_shapes.theory.axes import Axes, Axis

from ._raised import Raised

JOINS = ("cat", "concat", "concatenate", "stack")


@dataclass(frozen=True, slots=True)
class Row:
    """`says`: what is wanted, with the sizes of letters; `rebuilt`: the layer that fits the size that came.

    `summed`: the letters that are summed over. `over`: axes of `…` are laid over each other from the right.
    """

    operands: str | Callable[[Call], str]
    says: str = ""
    rebuilt: str = ""
    summed: str = ""
    over: bool = False


def _conv(axes: str, kernel: str, turned: str = "") -> Row:
    weight = f"weight ({'C, O' if turned else 'O, C'}, {kernel})"
    letters = [f"{{{one}}}" for one in kernel.split(", ")]
    size = f"({', '.join(letters)})" if len(letters) > 1 else letters[0]
    return Row(
        f"input (N, C, {axes}), {weight} | input (C, {axes}), {weight}",
        f"conv{turned}{len(letters)}d wants (N, C, {axes}) with C = {{C}} channels on axis 1",
        "" if turned else f"nn.Conv{len(letters)}d({{C}}, {{O}}, {size})",
    )


def _norm(call: Call) -> str:
    wanted = call.argument(1, "normalized_shape", ())
    letters = ", ".join(f"E{k}" for k in range(len(wanted) if isinstance(wanted, tuple) else 1))
    return f"input (…, {letters}), normalized_shape ({letters})"


def _attention(call: Call) -> str:
    """Of the module, whose layout is known."""
    first = getattr(call.owner, "batch_first", False)
    given = "query ({}), key ({}), value ({}), key_padding_mask ({})@3, embed_dim (E)@9".format
    batched = ("N, L, E", "N, S, E", "N, S, E", "N, S") if first else ("L, N, E", "S, N, E", "S, N, E", "N, S")
    return f"{given(*batched)} | {given('L, E', 'S, E', 'S, E', 'S')}"


def _product(call: Call) -> str:
    """Products take vectors too."""
    a, b = (len(v.shape) for v in call.inputs[-2:])
    return f"input ({'K' if a == 1 else '…, M, K'}), other ({'K' if b == 1 else '…, K, P'})"


def _einsum(call: Call) -> str:
    equation = next((one for one in call.args if isinstance(one, str)), "").replace(" ", "").replace("...", "…")
    parts = equation.split("->")[0].split(",")
    return ", ".join(f"operands[{k}] ({', '.join(part)})" for k, part in enumerate(parts))


def _joined(call: Call) -> str:
    """All axes alike, but that which is joined; with as many axes as some of the tensors have."""
    given = call.argument(1, "dim", call.kwargs.get("axis", 0))
    dim = given if isinstance(given, int) else 0
    ways = []
    for rank in sorted({len(v.shape) for v in call.inputs}, reverse=True):
        at = -1 if call.name == "stack" or not rank else dim % rank
        rows = (", ".join(f"j{k}" if n == at else f"a{n}" for n in range(rank)) for k in range(len(call.inputs)))
        ways.append(", ".join(f"tensors[{k}] ({row})" for k, row in enumerate(rows)))
    return " | ".join(ways)


def _picked(call: Call) -> str:
    """Places along an axis: gather, index_select, take_along_dim."""
    dim, rank = call.argument(1, "dim"), len(call.inputs[0].shape)
    letters = [f"a{k}" for k in range(rank)]
    below = f"<a{dim % rank}" if isinstance(dim, int) and rank else ""
    one = call.name == "index_select"
    index = "n" if one else ", ".join(f"a{k}'" for k in range(rank))
    return f"input ({', '.join(letters)}), index{below} ({index})@2"


_CLASSES = "{name} wants the classes on axis 1, logits (N, C, …) and class indices (N, …)"
_FEATURES = "{kind} wants the features on axis 1, (N, C) or (N, C, L), with C = {C}"
_STATISTICS = Row("input (N, C, …), running_mean (C), running_var (C), weight (C)", _FEATURES, "nn.{kind}({C})")
ROWS: dict[str, Row] = {
    "linear": Row(
        "input (…, I), weight (O, I)",
        "nn.Linear({I}, {O}) works on the last axis: {I} features wanted",
        "nn.Linear({I}, {O})",
    ),
    "bilinear": Row("input1 (…, I), input2 (…, J), weight (O, I, J)", "", "nn.Bilinear({I}, {J}, {O})"),
    "conv1d": _conv("L", "k"),
    "conv2d": _conv("H, W", "k, l"),
    "conv3d": _conv("T, H, W", "k, l, m"),
    "conv_transpose1d": _conv("L", "k", "_transpose"),
    "conv_transpose2d": _conv("H, W", "k, l", "_transpose"),
    "batch_norm": _STATISTICS,
    "instance_norm": _STATISTICS,
    "group_norm": Row("input (N, C, …), weight (C)@2", _FEATURES),
    "BatchNorm1d": Row("input (N, C), num_features (C) | input (N, C, L), num_features (C)", _FEATURES),
    **dict.fromkeys(
        ("layer_norm", "rms_norm"), Row(_norm, "nn.{kind} wants {normalized_shape} as the last axes", "nn.{kind}({E0})")
    ),
    "embedding": Row(
        "input<V (…), weight (V, E)",
        "nn.Embedding({V}, {E}) has num_embeddings = {V} rows, 0 to {V_last}, looked up by whole numbers",
        "nn.Embedding({V}, {E})",
    ),
    **dict.fromkeys(("matmul", "__matmul__"), Row(_product, summed="K", over=True)),
    "mm": Row("input (M, K), mat2 (K, P)", summed="K"),
    "bmm": Row("input (B, M, K), mat2 (B, K, P)", "bmm wants (B, M, K) and (B, K, P), three axes each", summed="K"),
    "baddbmm": Row("input (…), batch1 (B, M, K), batch2 (B, K, P)", summed="K", over=True),
    "mv": Row("input (M, K), vec (K)", summed="K"),
    "dot": Row("input (K), other (K)", summed="K"),
    "einsum": Row(_einsum),
    **dict.fromkeys(JOINS, Row(_joined, "{name} along axis {dim} wants all other axes alike")),
    "stack": Row(_joined, "stack along axis {dim} wants one shape"),
    **dict.fromkeys(("gather", "take_along_dim", "index_select"), Row(_picked)),
    "scaled_dot_product_attention": Row("query (…, L, E), key (…, S, E), value (…, S, V)", summed="E", over=True),
    "MultiheadAttention": Row(
        _attention,
        "attention wants {layout} because batch_first={batch_first}, E = {E}, one N, and key_padding_mask (N, S)",
        "nn.MultiheadAttention({E}, {num_heads}, batch_first={batch_first})",
    ),
    "cross_entropy": Row(
        "input (N, C, …), target<C (N, …) | input (C), target<C () | input (N, C, …), target (N, C, …)", _CLASSES
    ),
    "nll_loss": Row("input (N, C, …), target<C (N, …) | input (C), target<C ()", _CLASSES),
    "ctc_loss": Row(
        "log_probs (T, N, C), targets<C (N, S), input_lengths (N), target_lengths (N) | "
        "log_probs (T, N, C), targets<C (S), input_lengths (N), target_lengths (N)",
        "ctc_loss wants log-probabilities (T, N, C), the steps first, whatever batch_first is, and one input and "
        "target length a sample",
    ),
    "pack_padded_sequence": Row(
        lambda call: f"input ({'N, L' if call.args[2] else 'L, N'}, …), lengths (N)",
        "pack_padded_sequence wants one whole number for each row, on the CPU",
    ),
    **dict.fromkeys(
        ("pad_sequence", "pack_sequence"),
        Row(
            lambda call: ", ".join(f"sequences[{k}] (L{k}, …)" for k in range(len(call.inputs))),
            "{name} wants sequences (L, …) that differ in their steps only",
        ),
    ),
}
_LOSS = Row("input (…), target (…)", "{name} wants one shape and one data type on both sides")
_ELEMENTWISE = Row(
    lambda call: ", ".join(f"operands[{k}] (…)" for k in range(len(call.inputs))),
    "axes are laid over each other from the right",
    over=True,
)


# ---------------------------------------------------------------------- one call against its row
@dataclass(frozen=True, slots=True)
class Operand:
    """An operand of one call, and the letters of its axes. Without a value it is a plain argument that gives sizes."""

    name: str
    letters: tuple[str, ...]
    sizes: tuple[int, ...]
    value: Value | None = None
    below: str = ""

    @property
    def fixed(self) -> bool:
        """Whether it is a weight or a size that was written down, which the others have to fit."""
        return self.value is None or self.value.parameter or (self.name.startswith("running") and not self.value.maker)

    def spread(self, rank: int, over: bool) -> tuple[str, ...] | None:
        """The letters with `…` written out for a number of axes; from the right where they are laid over each other."""
        if "…" not in self.letters:
            return self.letters if len(self.letters) == rank else None
        at, count = self.letters.index("…"), rank - len(self.letters) + 1
        middle = tuple(f"…{count - k if over else k + 1}" for k in range(count))
        return None if count < 0 else (*self.letters[:at], *middle, *self.letters[at + 1 :])


Bound = dict[str, list[tuple[Operand, Axis]]]


@dataclass(frozen=True)
class Contract:
    """What one call wants: its operands, in each way that they may be given; no way where the table has no row."""

    raised: Raised
    call: Call
    row: Row
    ways: tuple[tuple[Operand, ...], ...]

    @classmethod
    def of(cls, raised: Raised, call: Call) -> Contract:
        """The row of a call, read for its operands."""
        more = _LOSS if is_loss(call.name) else _ELEMENTWISE if broadcasts(call.name) else Row("")
        row = ROWS.get(call.name, more)
        text = row.operands if isinstance(row.operands, str) else row.operands(call)
        ways = tuple(tuple(_operands(call, way)) for way in text.split(" | "))
        return cls(raised, call, row, ways if any(not one.fixed for one in ways[0]) else ())

    @property
    def first(self) -> tuple[Operand, ...]:
        return self.ways[0] if self.ways else ()

    @property
    def operands(self) -> list[Operand]:
        """The operands that can be changed."""
        return [one for one in self.first if not one.fixed]

    def _bound(self, axes: Mapping[int, Axes]) -> Iterator[Bound | None]:
        """Of each way the axes of each letter; None where an operand has too many axes, or too few."""
        for way in self.ways:
            bound: Bound = {}
            lengths = set[int]()
            for one in way:
                mine = Axes.of(["?"] * len(one.sizes), one.sizes) if one.value is None else axes[one.value.index]
                letters = one.spread(len(mine), self.row.over)
                lengths |= {len(mine) - len(one.letters)} if "…" in one.letters else set()
                if letters is None or (len(lengths) > 1 and not self.row.over):
                    yield None
                    break
                for letter, axis in zip(letters, mine, strict=True):
                    bound.setdefault(letter, []).append((one, axis))
            else:
                yield bound

    def fits(self, axes: Mapping[int, Axes]) -> bool:
        """Whether operands with these axes, by the index of their value, agree in sizes and in the names of axes."""
        return any(bound is not None and self._agree(bound) for bound in self._bound(axes))

    def _agree(self, bound: Bound) -> bool:
        placed: dict[str, set[str]] = {"N": set(), "L": set()}
        for letter, rows in bound.items():
            pairs = combinations([axis for _, axis in rows], 2)
            if self._clash(letter, rows) or any(a.size != 1 != b.size and disagree(a, b) for a, b in pairs):
                return False
            named = [axis.name for one, axis in rows if not one.fixed]
            summed = letter in self.row.summed and named.count("N") > 1
            if "N" in named and (summed or any(one.fixed for one, _ in rows)):
                return False
            for name in placed.keys() & set(named):
                placed[name].add(letter.rstrip("'"))
        strict = not self.row.summed and not any(one.fixed for one in self.first)
        return len(placed["N"]) < 2 and (len(placed["L"]) < 2 or not strict)

    def _clash(self, letter: str, rows: list[tuple[Operand, Axis]]) -> bool:
        return len({axis.size for _, axis in rows} - ({1} if self.row.over and letter[0] == "…" else set())) > 1

    # ------------------------------------------------------------------ words
    def named(self) -> dict[int, Axes]:
        """The axes that the operands have."""
        return {v.index: axes_of(self.raised.axes.tensor(v)) for v in self.call.inputs}

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """The size that each letter must have: that of weights, else the first operand's."""
        found: dict[str, Any] = {}
        for one in sorted(self.first, key=lambda one: not one.fixed):
            for letter, size in zip(one.spread(len(one.sizes), False) or (), one.sizes, strict=False):
                found.setdefault(letter, size)
        return found

    def outside(self) -> tuple[Operand, int, int, int] | None:
        """An operand whose numbers are no places: (it, the least, the largest, the number of places)."""
        for one in self.first:
            size, numbers = self.sizes.get(one.below), whole_range(one.value)
            if size is not None and numbers is not None and not (numbers[0] >= 0 and numbers[1] < size):
                return one, *numbers, size
        return None

    def misfits(self) -> tuple[str, list[Value]]:
        """What does not fit, in words, and the operands at fault."""
        said, describes = list[str](), self.raised.described
        faulty: list[Value] = []
        bound = next((bound for bound in self._bound(self.named()) if bound is not None), None)
        for one in self.first if bound is None else ():
            if one.value is not None and one.spread(len(one.value.shape), self.row.over) is None:
                count, wanted = len(one.value.shape), ", ".join(one.letters)
                said.append(f"{describes(one.value)} has {count} axes, ({wanted}) wanted")
                faulty.append(one.value)
        for letter, rows in (bound or {}).items():
            if not self._clash(letter, rows):
                continue
            fixed = next((axis.size for one, axis in rows if one.fixed), None)
            data = [(one.value, axis.size) for one, axis in rows if one.value is not None and not one.fixed]
            counts = [size for _, size in data]
            most = fixed if fixed is not None else max(counts, key=counts.count)
            wrong = [(v, size) for v, size in data if size != most]
            if fixed is not None:
                said += [f"{describes(v)} has {size} there" for v, size in wrong]
            else:
                parts = dict.fromkeys(f"{size} in {describes(v)}" for v, size in data if size != 1 or letter[0] != "…")
                spoken = f"axis {letter[1:]} from the right" if self.row.over and letter[0] == "…" else letter
                said.append(f"{spoken} is {' and '.join(parts)}")
                wrong = wrong if counts.count(most) > 1 else data
            faulty += [v for v, _ in wrong]
        outside = self.outside()
        if outside is not None and outside[0].value is not None:
            one, low, high, size = outside
            runs = f"{describes(outside[0].value)} runs from {low} to {high}"
            said.append(f"{runs}, and {one.below} = {size}: 0 to {size - 1}")
            faulty.append(outside[0].value)
        return "; ".join(said), list(dict.fromkeys(faulty))

    def _filled(self, text: str, **new: int) -> str:
        """A sentence of the row with sizes, those that came before those that are, and the words of the layer."""
        call, module, sizes = self.call, self.call.owner, self.sizes | new
        first = getattr(module, "batch_first", None)
        words: dict[str, Any] = {
            "V_last": sizes.get("V", 1) - 1,
            "name": call.name,
            "kind": type(module).__name__ if module is not None else call.name.title().replace("_", ""),
            "dim": call.argument(1, "dim", call.kwargs.get("axis", 0)),
            "normalized_shape": call.argument(1, "normalized_shape"),
            "num_heads": getattr(module, "num_heads", "…"),
            "batch_first": first,
            "layout": "(N, L, E)" if first else "(L, N, E)",
        }
        return text.format_map(defaultdict(lambda: "…", sizes | words))

    def says(self) -> str:
        """What is wanted, in words; the call with its plain arguments, where the table has no row."""
        name, call = symbol(self.call.name), self.call
        if not self.ways:
            given = call.args[1 if call.args and isinstance(call.args[0], Value) else 0 :]
            plain = [repr(one) for one in given if _is_plain(one)]
            plain += [f"{word}={one!r}" for word, one in call.kwargs.items() if _is_plain(one)]
            return f"{name}({', '.join(plain[:6])})"
        wants = " and ".join(f"{one.name} ({', '.join(one.letters)})" for one in self.first)
        return self._filled(self.row.says) if self.row.says else f"{name} wants {wants}"

    def rebuilt(self) -> str:
        """The layer for the sizes that came, where they are those of features; "" where they are not."""
        bound = next((bound for bound in self._bound(self.named()) if bound is not None), None)
        if not self.row.rebuilt or bound is None or self.call.argument(9, "groups", 1) != 1:
            return ""
        new: dict[str, int] = {}
        for letter, rows in bound.items():
            came = [axis for one, axis in rows if not one.fixed and axis.size != self.sizes.get(letter)]
            if any(axis.name in ("N", "L") and letter == "C" and len(rows[0][0].sizes) > 2 for axis in came):
                return ""
            new |= {letter: came[0].size} if came else {}
        outside = self.outside()
        new |= {outside[0].below: outside[2] + 1} if outside is not None and outside[1] >= 0 else {}
        return self._filled(self.row.rebuilt, **new) if new else ""


def _operands(call: Call, text: str) -> Iterator[Operand]:
    position = 0
    for name, number, below, axes, at in re.findall(r"(\w+)(?:\[(\d+)\])?(?:<(\w+))? \(([^)]*)\)(?:@(\d))?", text):
        place = int(at or number or position)
        position = place + 1
        if number:
            given: Any = call.inputs[place] if place < len(call.inputs) else None
        else:
            given = call.args[place] if not at and place < len(call.args) else call.argument(place, name)
            given = getattr(call.owner, name, None) if given is None else given
        letters = tuple(filter(None, axes.split(", ")))
        if isinstance(given, Value):
            yield Operand(name, letters, given.shape, given, below)
        elif isinstance(given, int) and not isinstance(given, bool):
            yield Operand(name, letters, (given,))
        elif isinstance(given, tuple) and all(isinstance(n, int) for n in given):
            yield Operand(name, letters, (len(given),) if "lengths" in name else given)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, type(None))) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def whole_range(value: Value | None) -> tuple[int, int] | None:
    """The least and the largest of whole numbers, None where they are not known."""
    numbers = value.elements if value is not None else None
    if numbers is None or numbers.is_meta or not numbers.numel() or "int" not in kind_of(numbers):
        return None
    return int(numbers.min()), int(numbers.max())
