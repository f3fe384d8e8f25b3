"""What functions of torch want of their operands: one table, which operand does not fit, and the changes that help.

A row reads as torch's documentation does: `input (…, I), weight (O, I)`. An axis of one letter has one size wherever it
stands, and `…` is any number of axes. `target<C` holds whole numbers below C, and `|` divides what is taken either way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations, product
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_shapes.lab._axis_names import disagree
from lstm_shapes.lab._words import chained, last_step, layer_names, symbol, top_row
from lstm_shapes.lab.tensors import every_axis_of
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import VIEWS, broadcasts
from lstm_shapes.theory.axes import Axes, Axis
from lstm_shapes.theory.call import kind_of

from ._raised import TYPES, Raised, Reason, Try

Look = tuple[str, list[Try]]
_SPOKEN = {"__getitem__": "the index", "__setitem__": "the assignment to an index"}
_PACKS = ("pack_padded_sequence", "pack_sequence", "pad_sequence")
_CASTS = {
    torch.float32: "float",
    torch.float64: "double",
    torch.float16: "half",
    torch.bfloat16: "bfloat16",
    torch.int64: "long",
    torch.bool: "bool",
}
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
    """The contract of nn.MultiheadAttention, which knows whether it is batch_first."""
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
        """For each way of the contract, the axes of each letter; None where an operand has another number of axes."""
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
        return {v.index: every_axis_of(self.raised.axes.tensor(v)) for v in self.call.inputs}

    @cached_property
    def bound(self) -> Bound | None:
        """The axes of each letter in the first way that has as many axes as the operands, if one has."""
        return next((bound for bound in self._bound(self.named()) if bound is not None), None)

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """The size that each letter must have: that of weights, else the first operand's."""
        by_letter: dict[str, Any] = {}
        for one in sorted(self.first, key=lambda one: not one.fixed):
            for letter, size in zip(one.spread(len(one.sizes), False) or (), one.sizes, strict=False):
                by_letter.setdefault(letter, size)
        return by_letter

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
        bound = self.bound
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
        bound = self.bound
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
    if numbers is None or numbers.is_meta or not numbers.numel() or "int" not in kind_of(numbers.dtype):
        return None
    return int(numbers.min()), int(numbers.max())


# ---------------------------------------------------------------------- one call that was refused
def function(raised: Raised) -> Reason | None:
    """The torch function that raised, or the module of torch that refused its input in Python."""
    return refused(raised, raised.failed) if raised.failed is not None and raised.failed.inputs else None


def refused(raised: Raised, call: Call) -> Reason:
    """What one call wants of its operands, which of them does not fit, and the changes with which it runs."""
    values = [value for value in dict.fromkeys(call.inputs) if not value.parameter]
    values = [v for v in values if v.maker is not None or raised.name(v) != "a tensor"] or values
    given = _tuple(raised, call)
    if given is not None:
        return given
    contract = Contract.of(raised, call)
    measured, faulty = contract.misfits()
    code, said = "", ""
    odd = next((v for v in call.inputs if v.tensor.device != call.inputs[0].tensor.device), None)
    look = _view(raised, call) if call.name in VIEWS else None
    fixes: list[Try] = []
    if odd is not None:
        code, measured = "LS106", ", ".join(f"{raised.name(v)} is on {v.tensor.device}" for v in call.inputs[:3])
        fixes = [Try(chained(raised.code(odd), f".to({raised.code(call.inputs[0])}.device)"), True)]
    elif call.name in _SPOKEN:
        measured = raised.message
    elif look is not None:
        measured, fixes = look
    else:
        said, types = contract.says(), TYPES.search(raised.message) is not None
        code = "LS105" if types else ""
        if not measured or types or is_loss(call.name):
            weights = [v for v in call.inputs if v.parameter and types][:1]
            kinds = [f"{raised.described(v)} is {kind_of(v.tensor.dtype)}" for v in values[:4]]
            kinds += [f"the weights are {kind_of(v.tensor.dtype)}" for v in weights]
            measured = "; ".join([*filter(None, [measured]), *kinds])
        fixes = [*_rebuilt(contract), *_changed(contract, faulty), *_others(contract)]
    layer = raised.from_layer(*values) if values else None
    code = "LS112" if is_loss(call.name) else "LS108" if call.name in _PACKS else code
    products = raised.products(*values) if call.name not in VIEWS else ""
    title = f"{_spoken(raised, call)} refuses {', '.join(map(raised.described, values[:4]))}"
    said = "; ".join(dict.fromkeys(filter(None, (said, measured, products))))
    name = layer.name if layer is not None else ""
    return Reason(code or ("LS113" if layer is None else "LS111"), title, said, fixes, faulty or values, name)


def _tuple(raised: Raised, call: Call) -> Reason | None:
    """A tuple that holds the tensor, in the place of the tensor."""
    if not isinstance(raised.error, (TypeError, AttributeError)) or "tuple" not in raised.message:
        return None
    inner = call.args[0] if call.args and isinstance(call.args[0], tuple) else ()
    lists = any(isinstance(v, Value) for v in inner) and any(isinstance(v, tuple) for v in inner)
    flat = inner if lists else call.args
    for place, one in enumerate(flat):
        if isinstance(one, tuple) and one and isinstance(one[0], Value):
            first = one[0]
            whole = tuple(first if k == place else v for k, v in enumerate(flat))
            again = partial(raised.runs, call, places={0: whole} if lists else {place: first})
            fix, name = raised.code(first), raised.name(first).removesuffix("[0]")
            measured = f"{name} holds {raised.described(first)}" + (f" and {len(one) - 1} more" if len(one) > 1 else "")
            title = f"{name} is a tuple, and {_spoken(raised, call)} wants a tensor"
            return Reason("LS107", title, measured, [Try(fix, again)], [first])
    return None


def _spoken(raised: Raised, call: Call) -> str:
    """The function in the user's words: the module that the line calls, else torch's own name."""
    module = raised.module
    if module is None or module not in raised.below:
        return _SPOKEN.get(call.name, symbol(call.name))
    called = raised.called(module)
    return module.kind if called == f"the {module.kind}" else f"{called} ({module.kind})"


# ---------------------------------------------------------------------- views: numbers beside one tensor
def _view(raised: Raised, call: Call) -> Look | None:
    value, described = call.inputs[0], raised.described(call.inputs[0])
    given = call.args[1:] if len(call.args) > 1 else (call.kwargs.get("shape", call.kwargs.get("size", ())),)
    flat = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    sizes = list(flat) if all(isinstance(n, int) for n in flat) else []
    if "contiguous" in raised.message or "stride" in raised.message:
        fix = chained(raised.code(value), f".reshape({', '.join(map(str, sizes))})")
        measured = f"view only relabels memory, and {described} was transposed: its memory is in another order"
        return measured, [Try(fix, lambda: raised.runs(call, func=Tensor.reshape))]
    if not sizes:
        return None
    has, whole, fixes = prod(value.shape), [n for n in sizes if n >= 0], list(_resized(raised, call, sizes))
    counted, wanted = raised.axes.count(value) or str(has), prod(whole)
    if -1 in sizes:
        return f"{'·'.join(map(str, whole))} does not divide the {has} elements of {described}: {counted}", fixes
    measured = f"{call.name} to {tuple(sizes)} wants {wanted} elements; {described} has {counted}"
    if (last := sizes[-1]) > 1 and value.shape and value.shape[-1] == last:
        measured += f": {wanted // last} rows of {last} are wanted, and there are {has // last}"
    return measured, fixes


def _resized(raised: Raised, call: Call, sizes: list[int]) -> Iterator[Try]:
    """The same view with a size that was written down replaced by the tensor's own, where its axis stands there."""
    value, shape, code = call.inputs[0], call.inputs[0].shape, raised.code(call.inputs[0])
    # Counted from the right where the first axes are merged; else an axis stands where it stood.
    shift = len(shape) - len(sizes) if sizes[0] == -1 else 0
    for axis in [len(sizes) - 1] if sizes[0] == -1 else range(min(len(sizes), len(shape))):
        at = axis + shift
        if not 0 <= at < len(shape) or sizes[axis] in (-1, shape[at]):
            continue
        word = str(shape[at]) if at == len(shape) - 1 else f"{code}.size({at})"
        words = ", ".join(word if k == axis else str(n) for k, n in enumerate(sizes))
        new = [shape[at] if k == axis else n for k, n in enumerate(sizes)]
        name = "view" if call.name == "view" and value.tensor.is_contiguous() else "reshape"
        text = chained(code, f".{name}({words})")
        yield Try(text, partial(raised.runs, call, func=lambda x, *_, new=new, **__: x.reshape(new)), 1.0 + axis)


# ---------------------------------------------------------------------- changes of the call itself
def _rebuilt(contract: Contract) -> Iterator[Try]:
    """The layer for the sizes that came is built and called, without memory where it is large."""
    text = contract.rebuilt()
    given = [one.value.tensor for one in contract.operands if one.value is not None]

    def holds() -> bool:
        device = "cpu" if prod(map(int, re.findall(r"\d+", text))) < 1_000_000 else "meta"
        with torch.random.fork_rng(devices=[]), torch.device(device):
            eval(text, {"nn": nn})(*(torch.zeros_like(one, device=device) for one in given))
        return True

    if text:
        yield Try(text, holds, 1.0 if contract.outside() is not None else 2.7)


def _others(contract: Contract) -> Iterator[Try]:
    """The same operands with another argument, another function, or another layer in front."""
    raised, call, outside = contract.raised, contract.call, contract.outside()
    runs = partial(raised.runs, call)
    operands = [one.value for one in contract.operands if one.value is not None]
    if call.name in JOINS:
        yield from _joins(raised, call)
    if isinstance(call.owner, nn.MultiheadAttention):
        turned: Any = raised.copy_of(call.owner)
        turned.batch_first = not call.owner.batch_first
        text = f"nn.MultiheadAttention({turned.embed_dim}, {turned.num_heads}, batch_first={turned.batch_first})"
        yield Try(text, partial(runs, func=turned), 1.8)
    if call.name == "embedding" and operands and operands[0].tensor.is_floating_point():
        yield Try("leave the embedding out, if these are fractions and no ids")
    elif call.name == "embedding" and outside is not None and outside[1] < 0:
        table = f"nn.Embedding({outside[2] + 1 - outside[1]}, …)"
        yield Try(f"{raised.code(operands[0])} + {-outside[1]} with {table}: ids count from 0")
    if call.name == "binary_cross_entropy" and operands:
        logits, p = F.binary_cross_entropy_with_logits, operands[0]
        yield Try("F.binary_cross_entropy_with_logits, for logits", partial(runs, func=logits), 1.0)
        yield Try(f"torch.sigmoid({raised.code(p)})", partial(runs, {p.index: torch.sigmoid}), 1.2)
    if is_loss(call.name) and len(operands) > 1 and outside is not None:
        _, low, high, C = outside
        head = next((one for _, one in operands[0].way_back() if one.name == "linear"), None)
        if head is not None and low >= 0 and head.inputs[1].shape[0] == C:
            text = f"nn.Linear({head.inputs[1].shape[1]}, {high + 1}) as the head, for {high + 1} classes"
            yield Try(text, True, 1.0)
        if low < 0:
            text = f"{call.name}(…, ignore_index={low}), if {low} marks what does not count"
            yield Try(text, partial(runs, places={"ignore_index": low}), 1.0)


def _joins(raised: Raised, call: Call) -> Iterator[Try]:
    """Along the axis that differs; a vector beside sequences, once a step; a direction that is not there."""
    shapes = [v.shape for v in call.inputs]
    rank = max(map(len, shapes))
    given = call.argument(1, "dim", call.kwargs.get("axis", 0))
    dim = given % rank if isinstance(given, int) and rank else 0
    for other in range(rank) if not any(0 in shape for shape in shapes) else ():
        rest = {tuple(n for k, n in enumerate(shape) if k != other) for shape in shapes}
        if len(rest) == 1 and {len(shape) for shape in shapes} == {rank}:
            place: int | str = 1 if len(call.args) > 1 else "dim"
            text = f"torch.cat(…, dim={other}), which joins along the axis that differs"
            yield Try(text, partial(raised.runs, call, func=torch.cat, places={place: other}), 4.0)
    norm = next(shape for shape in shapes if len(shape) == rank)
    for value in call.inputs:
        for axis in range(rank) if len(value.shape) == rank - 1 and call.name != "stack" else ():
            if axis != dim and not (axis == 0 and raised.axes.names(value)[:1] == ("N",)):
                wide = ", ".join(str(norm[k] if k == axis else -1) for k in range(rank))
                spread = Change(f".unsqueeze({axis}).expand({wide})")
                text = spread.written(raised.code(value))
                yield Try(text, partial(raised.runs, call, {value.index: spread.does}), 1.5 + axis)
        source = next((earlier.inputs[0] for _, earlier in value.way_back()), None) if 0 in value.shape else None
        made = raised.output_of(source) if source is not None and raised.is_state(source) else None
        if source is not None and made is not None and made[0].R == 1:
            both = made[0].constructor(bidirectional=True)
            yield Try(f"{raised.code(source, 'hn')}[-1]: one direction has nothing to join; or {both}")


# ---------------------------------------------------------------------- changes of one operand
class Change(NamedTuple):
    """What is written behind an operand, and so done; or `other`, a tensor of the program, in its place.

    `rank`: the likelier are lower; `says`: why.
    """

    text: str = ""
    rank: float = 0.0
    says: str = ""
    other: Tensor | None = None

    def does(self, x: Tensor) -> Tensor:
        changed: Tensor = eval(f"x{self.text}", {"x": x}) if self.other is None else self.other
        return changed

    def written(self, code: str) -> str:
        return self.text if self.other is not None else chained(code, self.text) if self.text else code


def _shapes(raised: Raised, value: Value, most: int, broadcast: bool, rows: bool) -> Iterator[Change]:
    """An axis more or less, axes in another order, one row of several or all in one; at most `most` axes."""
    rank, names = len(value.shape), raised.axes.names(value)
    state, last = raised.is_state(value), rank - 1
    if state or (rows and rank > 1 and names[0].split("·")[0] in ("K", "L")):
        yield Change("[-1]", 1.0 if state else 2.0)
    for axis in reversed(range(rank)):
        if value.shape[axis] == 1 and names[axis] not in ("N", "L") and not broadcast:
            yield Change(f".squeeze({-1 if axis == last else axis})", 1.5)
    for axis in range(rank + 1 if rank < most else 0):
        yield Change(f".unsqueeze({-1 if axis == rank > 1 else axis})", 2.0 + 0.1 * axis)
    for a, b in combinations(range(rank), 2):
        likely = 1.5 if rank == 2 else 2.4 + (0.6 if b != last else 0) + (a == 0 and names[a] == "N")
        yield Change(f".transpose({a}, {b})", likely)
    if rank > 2 and rows and names[1] == "L":
        yield Change("[:, -1]", 2.6)
    if rank == 3:
        yield from (Change(f".permute({order})", 3.2) for order in ("1, 2, 0", "2, 0, 1"))
    if rank > 3:
        yield from (Change(f".movedim({places})", 3.0) for places in ("0, -1", "-1, 1"))
    if rank > 2 and rows:
        yield Change(f".reshape(-1, {value.shape[-1]})", 2.5)
    if rank > 1 and rows:
        yield from (Change(".reshape(-1)", 1.8), Change(".t().reshape(-1)", 2.5))


def _casts(value: Value, others: set[torch.dtype]) -> Iterator[Change]:
    """Another data type: that of the other operands first; whole numbers only where no fraction is lost."""
    data = value.elements
    whole = data is not None and not data.is_meta and bool((data.float() % 1 == 0).all())
    for k, dtype in enumerate(sorted(_CASTS, key=lambda one: one not in others)):
        likely = dtype in others or dtype in (torch.float32, torch.int64, torch.bool)
        loses = not whole and (dtype == torch.bool or (dtype == torch.int64 and value.tensor.is_floating_point()))
        if likely and not loses and value.tensor.dtype != dtype:
            yield Change(f".{_CASTS[dtype]}()", 0.2 + 0.1 * k)


def _numbers(value: Value) -> Iterator[Change]:
    """Places counted from another number than 0, and the ids of what is one-hot."""
    low, high = whole_range(value) or (0, 0)
    numbers = value.elements if (low, high) == (0, 1) and value.shape[-1:] > (1,) else None
    if numbers is not None and bool((numbers.sum(-1) == 1).all()):
        yield Change(".argmax(-1)", 0.1)
    if low >= 1:
        yield Change(" - 1", 1.2, ": places count from 0")
    elif low < 0:
        yield Change(f" + {-low}", 1.4)


def _nearby(raised: Raised, value: Value, loss: bool) -> Iterator[Change]:
    """Other tensors that may have been meant: what a view was made of, the top layer's rows, the last step."""
    each = [set(raised.axes.atoms(value, axis)) for axis in range(len(value.shape))]
    atoms, merged = set[str]().union(*each), any(len(one) > 1 for one in each)
    cut: Value | None = None
    for _, call in value.way_back():
        if not call.inputs or call.name not in VIEWS | {"contiguous", "squeeze", "permute", "transpose"}:
            break
        cut = call.inputs[0]
        if call.name in VIEWS:
            head = raised.called(raised.module) if raised.module is not None else ""
            text = f"{head}({raised.code(cut)})" if head and not head.startswith("the ") else raised.code(cut)
            rank = 3.0 if {"K", "R"} & atoms else 0.5
            yield Change(text, rank, f": no {call.name} is needed", cut.tensor.detach())
    layer = raised.from_layer(value)
    hn = layer.outputs.get("hn") if layer is not None and not layer.cell else None
    if layer is None or hn is None or len(hn.shape) != 3:
        return
    words = layer_names(layer)
    of_state = len(value.shape) == 2 and hn.index in raised.trace.ancestors(value)
    where = ", one row a sample, in front of the head" if loss else ""
    if {"K", "R"} & atoms or (not loss and ((cut and raised.is_state(cut)) or of_state)):
        text, rows = top_row(words["hn"], hn.tensor.detach(), layer.R)
        says = (", the top layer's two directions" if layer.R == 2 else ", the top layer's row") + where
        yield Change(text, 2.1 if loss else 1.0, says, rows)
        for axis in () if loss else (-1, 1):
            yield Change(f"{text}.unsqueeze({axis})", 2.5, says, rows.unsqueeze(axis))
    if "Y" in layer.outputs and not layer.packed:
        Y = layer.outputs["Y"].tensor.detach()
        if "L" in atoms and (merged or loss):
            yield Change(last_step(layer), 2.7, f", the last step{where}", Y[:, -1] if layer.batch_first else Y[-1])
        if loss and layer.batch_first and "L" not in atoms:
            says = ", every step, in front of the head, and behind it .transpose(1, 2): the classes on axis 1"
            yield Change(words["Y"], 4.0, says, Y.transpose(1, 2))


def _changed(contract: Contract, faulty: list[Value]) -> Iterator[Try]:
    """Changes of one operand that the contract allows; the call has to run with them."""
    raised, call = contract.raised, contract.call
    values = list(dict.fromkeys(one.value for one in contract.operands if one.value) if contract.ways else call.inputs)
    right = contract.fits(contract.named())
    types = right or not contract.ways or is_loss(call.name) or TYPES.search(raised.message) is not None
    for value in values:
        if value.parameter:
            continue
        edits = [Change(), *_numbers(value), *(() if right else _fitting(contract, value, values))]
        others = {other.tensor.dtype for other in call.inputs if other is not value}
        for edit, cast in product(edits, [Change(), *(_casts(value, others) if types else ())]):
            if not edit.text and not cast.text:
                continue
            text = cast.written(edit.written(raised.code(value))) + (edit.says if not cast.text else "")
            # What comes later is likelier the wrong one.
            rank = edit.rank + cast.rank + 0.1 * (len(call.inputs) - 1 - call.inputs.index(value))
            rank += 0.5 if faulty and value not in faulty else 0
            does = {value.index: lambda x, a=edit, b=cast: b.does(a.does(x))}
            yield Try(text, partial(raised.runs, call, does), rank)


def _fitting(contract: Contract, value: Value, values: list[Value]) -> Iterator[Change]:
    """The changes of an operand with which the contract is kept."""
    raised, call, known = contract.raised, contract.call, contract.named()
    if not contract.ways:
        # What an unknown function wants of its axes is not known; a module of torch's has one input.
        module = call.owner is not None and call.line is None
        yield from (one for one in _shapes(raised, value, 5, False, False) if "queeze" in one.text and module)
        return
    elementwise = contract.row.over and not contract.row.summed
    ranks, loss = [len(v.shape) for v in values], is_loss(call.name)
    most = max(ranks) if elementwise or len(set(ranks)) > 1 else 5
    moves = raised.is_state(value) or call.name not in JOINS
    shapes = _shapes(raised, value, most, elementwise, loss)
    tried = [one for one in shapes if moves or not one.text.startswith((".transpose", ".permute", ".movedim"))]
    for one in [*tried, *_nearby(raised, value, loss)]:
        try:
            axes = every_axis_of(one.does(raised.axes.tensor(value)))
        except Exception:  # a change that the tensor does not take
            continue
        if contract.fits(known | {value.index: axes}):
            yield one
