"""Programs with one line to change: `Program`, its `Mutant`s, and the `Builder` that blocks write into."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["KINDS", "WARNED", "Builder", "Facts", "Mutant", "Program", "Result"]

# What makes a mutant of this kind wrong: rows (a sample depends on others), padding, again (a second call differs or
# raises), or the mutation itself: what it reads is not what the program is about, and the result differs.
KINDS = {
    **dict.fromkeys(
        ["batch_first", "softmax_dim", "pool_dim", "norm_dim", "cumsum_dim", "cat_dim", "stack_dim", "flip_dim"], "rows"
    ),
    **dict.fromkeys(
        ["gates_view", "view_for_transpose", "state_view", "other_axis", "pad_packed", "unsort", "tiled", "flatten"],
        "rows",
    ),
    **dict.fromkeys(["product", "other_lengths", "batch_statistics", "mask_layout", "other_rows", "broadcast"], "rows"),
    **dict.fromkeys(
        ["softmax_mask", "pool_mask", "last_step", "unpacked", "conv_padding", "backward_padding", "lengths_off"],
        "padding",
    ),
    **dict.fromkeys(["state_kept", "graph_kept"], "again"),
    **dict.fromkeys(["lower_layer", "cell_read", "states_exchanged", "one_direction", "last_of_both"], "itself"),
    **dict.fromkeys(["cell_kept", "loop_axis", "wrong_layers", "sum_axis", "state_lost", "first_step"], "itself"),
    **dict.fromkeys(["size_one", "sees_target", "steps_view", "directions_view"], "itself"),
    # In cells written by hand: only their formulas tell the state from the cell.
    **dict.fromkeys(["own_cell_kept", "own_state_lost"], "itself"),
    "argument_unread": "itself",
}
# Of these a warning is enough: an argument without an effect, an axis of size one and a state that is detached and kept
# may be meant.
WARNED = frozenset(["argument_unread", "size_one", "state_kept"])


@dataclass(frozen=True, slots=True)
class Result:
    """One tensor that comes back: its batch axis, or `mean`, `sum` (over samples), `pairs`; its step axis."""

    batch: int | str | None = 0
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the oracle is told of a program: batch and step axis of each input, what comes back, the lengths."""

    batch: tuple[int | None, ...]
    steps: tuple[int | None, ...]
    results: tuple[Result, ...]
    lengths: tuple[int, ...] | None = None
    stateful: bool = False
    # Whether whoever is asked about the program is told the lengths.
    told: bool = True


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of a right program made wrong; `lines` are those that a report may name."""

    kind: str
    line: int
    old: str
    new: str
    lines: frozenset[int]

    def of(self, text: str) -> str:
        """The program with this line changed."""
        lines = text.split("\n")
        assert lines[self.line - 1] == self.old
        lines[self.line - 1] = self.new
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Program:
    """A right program, and the lines of it that can be made wrong."""

    seed: int
    family: str
    text: str
    facts: Facts
    mutants: tuple[Mutant, ...]


_INITIALISERS = (
    "for p in model.parameters(): nn.init.uniform_(p, -0.5, 0.5)",
    "[nn.init.xavier_uniform_(p) for p in model.parameters() if p.dim() == 2]",
    "[nn.init.normal_(p, std=0.4) for p in model.parameters() if p.dim() > 1]",
)
# A kind, the new line or "part -> other part" of it, and tags of lines further on where it first shows.
Wrong = Sequence[str] | bool | None


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    wrongs: tuple[Sequence[str], ...] = ()
    tag: str = ""


@dataclass
class Builder:
    """Collects the lines of a program: `top` before the class, `init`, `forward`, `setup` after it."""

    seed: int
    random: random.Random = field(init=False)
    top: list[_Line] = field(default_factory=list)
    init: list[_Line] = field(default_factory=list)
    forward: list[_Line] = field(default_factory=list)
    methods: list[_Line] = field(default_factory=list)
    setup: list[_Line] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    batch: list[int | None] = field(default_factory=list)
    steps: list[int | None] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    lengths: tuple[int, ...] | None = None
    stateful: bool = False
    modes: tuple[str, ...] = ("", "", "eval")
    base: str = "nn.Module"

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._sizes: set[int] = set()
        self._names: set[str] = set()
        draw = self.random.random()
        self.N = self.size(2, 8) if draw < 0.86 else 1 if draw < 0.89 else self.size(9, 40)
        self.L = self.N if self.N > 2 and self.chance(0.08) else self.size(4, 11)
        self.B, self.T = 0, 1
        self.x, self.width = "x", 0
        self.mask = ""

    # drawing -------------------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def size(self, least: int = 3, most: int = 24, *, even: bool = False) -> int:
        """A size that no other axis has."""
        step = 2 if even else 1
        free = [n for n in range(least + least % step, most + 1, step) if n not in self._sizes]
        size = self.random.choice(free or [most + 2 * len(self._sizes) + 2])
        self._sizes.add(size)
        return size

    def name(self, *choices: str) -> str:
        """A name that nothing else has."""
        free = [name for name in choices if name not in self._names]
        name = self.random.choice(free) if free else next(
            f"{choices[0]}{i}" for i in range(2, 99) if f"{choices[0]}{i}" not in self._names
        )  # fmt: skip
        self._names.add(name)
        return name

    # writing -------------------------------------------------------------------------------------------------------

    def i(self, text: str, *wrongs: Wrong, tag: str = "") -> None:
        self.init.append(_line(text, wrongs, tag))

    def f(self, text: str, *wrongs: Wrong, tag: str = "") -> None:
        self.forward.append(_line(text, wrongs, tag))

    def t(self, text: str, *wrongs: Wrong, tag: str = "") -> None:
        self.top.append(_line(text, wrongs, tag))

    def s(self, text: str, *wrongs: Wrong, tag: str = "") -> None:
        self.setup.append(_line(text, wrongs, tag))

    def method(self, name: str, arguments: str, lines: list[_Line]) -> None:
        """A helper method of these lines."""
        self.methods += [_Line(""), _Line(f"def {name}(self{', ' if arguments else ''}{arguments}):")]
        self.methods += [_Line(f"    {line.text}", line.wrongs, line.tag) for line in lines]

    def split(self, name: str, *kept: str) -> None:
        """What forward did so far becomes a method that returns these variables."""
        names = ", ".join(dict.fromkeys(kept))
        self.method(name, ", ".join(self.arguments), [*self.forward, _Line(f"return {names}")])
        self.forward = [_Line(f"{names} = self.{name}({', '.join(self.arguments)})")]

    def argument(self, name: str, value: str, batch: int | None = 0, steps: int | None = None) -> None:
        self._names.add(name)
        self.arguments.append(name)
        self.inputs.append(value)
        self.batch.append(batch)
        self.steps.append(steps)

    def returns(self, text: str, *results: Result, wrongs: Sequence[Wrong] = (), tag: str = "") -> None:
        self.f(f"return {text}", *wrongs, tag=tag)
        self.results = list(results)

    # the end -------------------------------------------------------------------------------------------------------

    def program(self, family: str) -> Program:
        self.hides_lengths = len(self.arguments) == len(self.inputs) and self.chance(0.3)
        lines = self._lines()
        text = [indent + _strip(line.text) for indent, line in lines]
        forward = {id(line) for line in (*self.forward, *self.methods)}
        tags: dict[str, set[int]] = {}
        for number, (_, line) in enumerate(lines, 1):
            for tag in line.tag.split():
                tags.setdefault(tag, set()).add(number)
        mutants: list[Mutant] = []
        for number, (indent, line) in enumerate(lines, 1):
            for kind, change, *further in (
                *line.wrongs,
                *(_plain_wrongs(line.text, self.B) if id(line) in forward else ()),
            ):
                old, _, new = change.partition(" -> ")
                if new or change.endswith(" -> "):
                    assert old in line.text, (old, line.text)
                    changed = line.text.replace(old, new, 1)
                else:
                    changed = line.text[: len(line.text) - len(line.text.lstrip())] + change
                at = frozenset({number}.union(*(tags.get(tag, set()) for tag in further)))
                assert kind in KINDS, kind
                if any(mutant.line == number and mutant.new == indent + changed for mutant in mutants):
                    continue
                mutants.append(Mutant(kind, number, text[number - 1], indent + _strip(changed), at))
        if self.stateless_function:
            strip = lambda line: line.replace("self.", "")  # noqa: E731
            text = [strip(line) for line in text]
            mutants = [Mutant(m.kind, m.line, strip(m.old), strip(m.new), m.lines) for m in mutants]
        facts = Facts(
            tuple(self.batch),
            tuple(self.steps),
            tuple(self.results or [Result()]),
            self.lengths,
            self.stateful,
            not self.hides_lengths,
        )
        return Program(self.seed, family, "\n".join(text) + "\n", facts, tuple(mutants))

    def _lines(self) -> list[tuple[str, _Line]]:
        name = self.pick("Net", "Model", "Classifier", "Tagger", "MyModel", "SeqModel")
        self.stateless_function = (
            not self.methods and not self.top and not self.stateful and self.base == "nn.Module" and self.chance(0.12)
            and not any(f"self.{word}" in line.text for line in self.forward
                        for word in ("training", "size", "state", "hidden", "register"))
        )  # fmt: skip
        imports = [
            "import math", "import random", "", "import torch", "import torch.nn.functional as F",
            "from torch import nn", "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence",
            "",
        ]  # fmt: skip
        lines = [("", _Line(text)) for text in imports]
        lines += [("", line) for line in self.top]
        seed = ("", _Line(f"torch.manual_seed({self.seed % 1000})"))
        signature = ", ".join(self.arguments)
        mode = self.random.choice(self.modes)
        if self.stateless_function:
            lines += [seed, *(("", line) for line in self.init), ("", _Line("")), ("", _Line(""))]
            lines += [("", _Line(f"def model({signature}):"))]
            lines += [("    ", line) for line in self.forward]
        else:
            lines += [
                ("", _Line("")),
                ("", _Line(f"class {name}({self.base}):")),
                ("    ", _Line("def __init__(self):")),
            ]
            lines += [("        ", _Line("super().__init__()")), *(("        ", line) for line in self.init)]
            lines += [("    ", line) for line in self.methods]
            lines += [("    ", _Line("")), ("    ", _Line(f"def forward(self, {signature}):"))]
            lines += [("        ", line) for line in self.forward]
            lines += [("", _Line("")), ("", _Line("")), seed, ("", _Line(f"model = {name}()"))]
            lines += [("", _Line("model.eval()"))] * (mode == "eval")
            lines += [("", _Line(self.pick(*_INITIALISERS)))] * self.chance(0.35)
        setup = self.setup
        if self.lengths and self.hides_lengths:
            setup = [_Line(re.sub(r"\blengths\b", "sizes", line.text)) for line in setup]
            self.inputs = [re.sub(r"\blengths\b", "sizes", text) for text in self.inputs]
        lines += [("", line) for line in setup]
        lines += [("", _Line(f"inputs = ({', '.join(self.inputs)},)"))]
        if self.B:
            lines.append(("", _Line(f"batch_dim = {self.B}")))
        return lines


_ALONG = {
    **dict.fromkeys(["softmax", "log_softmax"], "softmax_dim"),
    **dict.fromkeys(["mean", "sum", "max", "amax", "logsumexp"], "pool_dim"),
    **dict.fromkeys(["norm", "normalize"], "norm_dim"),
    "cat": "cat_dim", "stack": "stack_dim", "cumsum": "cumsum_dim", "flip": "flip_dim",
}  # fmt: skip


def _plain_wrongs(text: str, batch: int) -> Iterator[tuple[str, str]]:
    """What any line can have wrong: another axis. Whether that is wrong here, the oracle says."""
    if "self." in text and "= nn." in text:
        return
    for found in re.finditer(r"\b(\w+)\((?:[^()]|\([^()]*\))*?(?:dim=)?(-?\d)(?:, keepdim=True)?\)", text):
        function, axis = found[1], found[2]
        at = found.start(2)
        if function in _ALONG and axis != str(batch) and (text[at - 1] in "(=" or text[at - 2 : at] == ", "):
            yield _ALONG[function], text.strip()[: at - _indent(text)] + str(batch) + text[found.end(2) :]
    for axis, other in (("1", "0"), ("0", "1")):
        if f"unsqueeze({axis})" in text and ".append(" not in text:
            yield "broadcast", f"unsqueeze({axis}) -> unsqueeze({other})"


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _line(text: str, wrongs: Sequence[Wrong], tag: str) -> _Line:
    return _Line(text, tuple(wrong for wrong in wrongs if not isinstance(wrong, bool) and wrong), tag)


def _strip(text: str) -> str:
    return text.rstrip()
