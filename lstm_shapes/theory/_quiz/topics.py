"""What is asked: one function a question, in the order in which topics are learnt; and which question comes next.

What X, Y, hn and cn are is asked of expressions: their axes are the shapes, and of several options the right one is
that whose claim holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory._axis_rules.reshaping import reshape
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Packing
from lstm_shapes.theory.counts import LayerCount
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.notes import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import spoken
from lstm_shapes.theory.slices import Layout, last_step, slices
from lstm_shapes.theory.spec import gate_rows, is_whole

from .draw import LEVELS, Draws, symbols_of
from .question import TOPICS, Question

__all__ = ["questions", "written"]


def questions(level: int = 1, seed: int = 0) -> Iterator[Question]:
    """Questions without end: all topics of a level in turn, in random order, then all again.

    The same level and seed give the same questions; no global chance is touched.

    >>> next(questions(level=1, seed=0)).topic in TOPICS
    True

    Raises: SpecError for a level or a seed that is none.
    """
    if not is_whole(level) or level not in LEVELS:
        raise SpecError("level", f"a whole number from 1 to {max(LEVELS)}", level)
    if not is_whole(seed):
        raise SpecError("seed", "a whole number", seed)
    return _deal(level, Random(f"{level} {seed}"))


def _deal(level: int, chance: Random) -> Iterator[Question]:
    draws = Draws(chance, level)
    deck = [topic for topic in TOPICS if any(start <= level for start, _ in _MAKERS[topic])]
    asked: list[tuple[tuple[str, ...], str]] = []
    while True:
        chance.shuffle(deck)
        for topic in deck:
            fitting = [make for start, make in _MAKERS[topic] if start <= level]
            question = chance.choice(fitting)(draws)
            while (question.given, question.text) in asked[-100:]:
                question = chance.choice(fitting)(draws)
            asked.append((question.given, question.text))
            yield question


# ---- the three kinds of answers


def _of_shape(
    topic: str, p: Prediction, what: str, axes: Axes, lines: Sequence[str], others: Mapping[str, Axes], text: str = ""
) -> Question:
    """A shape: of an expression, or of anything else that has axes; `others` are taken for it."""
    symbols = symbols_of(p)
    remarks = {other.sizes: f"That is the shape of `{name}`." for name, other in reversed(list(others.items()))}
    remarks.pop(axes.sizes, None)
    shown = f"{written(axes, symbols)} = {axes.sizes}"
    text = text or f"What is the shape of `{what}`?"
    return Question(topic, p, text, axes.sizes, shown, tuple(lines), (f"tuple({what}.shape)",), symbols, remarks)


def _of_number(
    topic: str, p: Prediction, text: str, value: int, lines: Sequence[str], evidence: str, *mistakes: tuple[int, str]
) -> Question:
    """A number, and what wrong ones come from."""
    remarks = {number: remark for number, remark in mistakes[::-1] if number != value}
    return Question(topic, p, text, value, f"{value:,}", tuple(lines), (evidence,), symbols_of(p), remarks)


def _of_choice(
    topic: str,
    p: Prediction,
    text: str,
    claims: Mapping[str, str],
    lines: Sequence[str],
    words: Any = (),
    chance: Any = None,
) -> Question:
    """One of several, each with a claim; the right one is that whose claim holds."""
    options = list(claims)
    if chance:
        chance.shuffle(options)
    (right,) = (place for place, option in enumerate(options) if _true(claims[option], p))
    shown, evidence = f"{'abcdefgh'[right]}) {options[right]}", tuple(claims[option] for option in options)
    told = tuple(words(option) for option in options) if callable(words) else tuple(words)
    return Question(topic, p, text, right, shown, tuple(lines), evidence, symbols_of(p), {}, tuple(options), told)


def _true(claim: str, p: Prediction) -> bool:
    try:
        return Expression.of(claim).holds(p)
    except ShapeError:  # torch would refuse it
        return False


def written(axes: Axes, symbols: Mapping[str, int]) -> str:
    """The axes as a formula whose symbols have these values: an axis cut to size 1 is a 1, not an L.

    >>> written(Axes.of("N L D", (2, 1, 20)), {"N": 2, "L": 7, "D": 20})
    '(N, 1, D)'
    """
    names = [
        name if prod(symbols.get(part, 0) for part in name.split("·")) == size else str(size)
        for name, size in zip(axes.names, axes.sizes, strict=True)
    ]
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def _rule(p: Prediction, name: str) -> str:
    """The axes of one tensor, in symbols and numbers, with the reason for their order."""
    axes, why = p.tensors[name], "."
    if p.spec.kind.step:
        why = ": a cell does one step of one layer, so there is neither a time axis nor a layer axis."
    elif name in ("X", "Y"):
        first = f": batch_first={p.spec.batch_first} puts {axes.names[0]} first."
        why = first if p.call.batched else ": no batch axis."
    elif p.call.batched:
        why = ", in both layouts: batch_first never moves the axes of a state."
    return f"`{name}` is {axes.formula} = {axes.sizes}{why}"


# ---- shapes


def _tensor(draws: Draws, names: tuple[str, ...], text: str) -> Question:
    p = draws.draw()
    name = draws.random.choice([name for name in p.tensors if name in names])
    lines = (_rule(p, name), f"It is the {meaning(p.spec, p.call, name)}.")
    text = text.format(name=name, states=p.spec.states("0"))
    return _of_shape("shapes", p, name.replace("0", "n"), p.tensors[name], lines, p.tensors, text)


def _output(draws: Draws) -> Question:
    return _tensor(draws, ("Y", "hn", "cn"), "What is the shape of `{name}`?")


def _start(draws: Draws) -> Question:
    text = "You pass your own first state, `layer(X, {states})`. What shape must `{name}` have?"
    return _tensor(draws, ("h0", "c0"), text)


# ---- layout

_AXES = {"N": "N, the sequences in the batch", "L": "L, the steps of a sequence", "Q": "Q, the features of a step"}


def _size(draws: Draws) -> Question:
    """The lesson says that x.size(0) is the sequence length; it is not, with batch_first."""
    p, place = draws.draw(alone=False, step=False), draws.random.choice((0, 0, 1, 2))
    name = p.X.names[place]
    lines = (_rule(p, "X"), f"So `X.size({place})` is {name} = {p.X.sizes[place]}.")
    claims = {told: f"X.size({place}) == {symbol}" for symbol, told in _AXES.items()}
    return _of_choice("layout", p, f"What is `X.size({place})`?", claims, lines, lambda told: (told[0],), draws.random)


def _batch_axis(draws: Draws) -> Question:
    p = draws.draw(alone=False, step=False)
    name = draws.random.choice([name for name in p.tensors if name in ("Y", "hn", "cn")])
    claims = {f"axis {place}": f"{name}.size({place}) == N" for place in range(3)}
    text = f"Which axis of `{name}` counts the sequences of the batch?"
    return _of_choice("layout", p, text, claims, (_rule(p, name),), lambda told: (told[-1],))


# ---- slices


def _slice(draws: Draws) -> Question:
    p = draws.draw(step=False)
    one = draws.random.choice(slices(p))
    name = one.expression.partition("[")[0]
    shown = f"`{one.expression}` is {written(one.axes, symbols_of(p))} = {one.axes.sizes}: {one.meaning}."
    lines = (_rule(p, name), "A whole number takes its axis away, a slice with a colon keeps it.", shown)
    return _of_shape("slices", p, one.expression, one.axes, lines, {name: p.tensors[name]})


# ---- parameters


def _layer(draws: Draws) -> Question:
    """The first layer reads Q features; those above read what the layer below gives."""
    p = draws.draw(deep=draws.level > 1)
    spec = p.spec
    index = draws.random.randint(0, 1) if spec.K > 1 and draws.level > 1 else 0
    layer = LayerCount(spec, index)
    lines = [f"{layer.formula} = {layer.substituted} = {layer.total:,}."]
    lines += [f"{'In one direction' if spec.R == 2 else 'Of them'}, {term}." for term in layer.terms]
    if index:
        below = "both halves of the layer below, 2 times its width" if spec.R == 2 else "the layer below, not Q"
        lines.append(f"Layer {index} reads {below}.")
    bias = spec.R * {term.name: term.value for term in layer.terms}["bias"]
    mistakes = [
        (layer.total - bias, "Those are the weights without the biases."),
        (layer.total - bias // 2, "torch keeps two bias vectors, b_ih and b_hh; you counted one."),
        *([(layer.total // spec.G, f"That is one gate; {spec.kind.layer} has {spec.G}.")] if spec.G > 1 else []),
        (layer.direction, "That is one direction; there are two."),
        (LayerCount(spec, 0).total, "That is layer 0, which reads Q features."),
    ]
    where = "the cell" if spec.kind.step else f"layer {index}"
    where += ", both directions together" if spec.R == 2 else ""
    own = "" if spec.kind.step else f" if '_l{index}' in name"
    evidence = f"sum(p.numel() for name, p in layer.named_parameters(){own})"
    return _of_number("parameters", p, f"How many parameters are in {where}?", layer.total, lines, evidence, *mistakes)


def _total(draws: Draws) -> Question:
    p = draws.draw(deep=True)
    counts = p.counts
    lines = [f"layer {one.index}: {one.substituted} = {one.total:,}" for one in counts.layers]
    text, evidence = "How many parameters are there in all?", "sum(p.numel() for p in layer.parameters())"
    first = (counts.first.total, "That is layer 0 alone.")
    lines = [f"{counts.formula} = {counts.total:,}.", *lines]
    return _of_number("parameters", p, text, counts.total, lines, evidence, first)


def _weight(draws: Draws) -> Question:
    p = draws.draw()
    name = draws.random.choice([name for name in p.weights if name.startswith("weight")])
    axes = p.weights[name]
    lines = [f"`{name}` is {axes.formula} = {axes.sizes}: torch writes (out, in), for `x @ weight.T`."]
    if p.spec.G > 1 and not name.startswith("weight_hr"):
        rows = ", ".join(f"{gate} is {gate_rows(p.spec, gate)[0]}" for gate in p.spec.kind.gates)
        lines.append(
            f"The gates are stacked in the first axis, D rows each, G·D = {p.spec.G}·{p.spec.D} in all: {rows}."
        )
    return _of_shape("parameters", p, f"layer.{name}", axes, lines, dict(p.weights))


# ---- directions


def _features(draws: Draws) -> Question:
    p = draws.draw(bidirectional=True, packed=False, step=False)
    last, spec = last_step(p.spec, p.call), p.spec
    width = Expression.of(last.expression).axes(p).sizes[-1]
    twice = (2 * spec.D, "That is twice the cell state's width; the projection makes h P wide.")
    text = f"`nn.Linear(in_features, 10)` reads `{last.expression}`. What is in_features?"
    lines = (f"Each of the two is {spec.width} = {spec.H} wide, so {last.formula} = {width}.",)
    one = (spec.H, "That is the width of one direction; both are joined.")
    return _of_number("directions", p, text, width, lines, f"{last.expression}.size(-1)", one, twice)


def _row(draws: Draws) -> Question:
    p = draws.draw(bidirectional=True, packed=False, step=False, deep=True)
    layer, direction = draws.random.randrange(p.spec.K), draws.random.randrange(2)
    row = 2 * layer + direction
    lines = (_rule(p, "hn"), f"Layer-major: row = 2·layer + direction = 2·{layer} + {direction} = {row}.")
    text = f"Which row of `hn`, counted from 0, is layer {layer}, {('forward', 'backward')[direction]}?"
    evidence = f"[torch.equal(row, hn.view(K, R, *hn.shape[1:])[{layer}, {direction}]) for row in hn].index(True)"
    swapped = "That would be direction-major; hn runs through the directions of layer 0 first."
    return _of_number("directions", p, text, row, lines, evidence, (direction * p.spec.K + layer, swapped))


# ---- packing


def _packed(draws: Draws, **wanted: bool) -> tuple[Prediction, tuple[int, ...]]:
    p = draws.draw(packed=True, **wanted)
    return p, p.call.lengths or ()


def _sum(p: Prediction) -> str:
    return f"T = sum(lengths) = {' + '.join(map(str, p.call.lengths or ()))} = {p.call.T}"


def _steps(draws: Draws) -> Question:
    p, lengths = _packed(draws)
    padded, T = len(lengths) * p.call.L, p.call.T
    lines = (f"{_sum(p)}: the padding, {padded - T} steps of {padded}, is never computed.",)
    text = "How many steps does one direction of one layer compute for this batch, over all rows?"
    mistake = (padded, "That is N·L; packing leaves the padding out.")
    return _of_number("packing", p, text, T, lines, "packed.data.size(0)", mistake)


def _rows_at(draws: Draws) -> Question:
    p, lengths = _packed(draws)
    step, packing = draws.random.randrange(p.call.L), Packing.of(lengths, p.call.L)
    rows = packing.batch_size(step)
    lines = (f"The rows longer than {step}: {rows}.", f"All batch_sizes, step by step: {list(packing.batch_sizes)}.")
    text = f"How many rows does the packed batch have at step {step}? (Steps count from 0.)"
    return _of_number("packing", p, text, rows, lines, f"packed.batch_sizes[{step}].item()")


def _data(draws: Draws) -> Question:
    p, _ = _packed(draws)
    axes = p.packed_X or Axes()
    lines = (f"{_sum(p)}.", f"`packed.data` is {axes.formula} = {axes.sizes}: all real steps in one axis.")
    return _of_shape("packing", p, "packed.data", axes, lines, {"X": p.X})


def _zeros(draws: Draws) -> Question:
    p, lengths = _packed(draws)
    row = draws.random.randrange(len(lengths))
    length = lengths[row]
    step = draws.random.choice((0, length - 1, min(length, p.call.L - 1), p.call.L - 1))
    at = f"Y[{row}, {step}]" if p.spec.batch_first else f"Y[{step}, {row}]"
    what = "padding" if step >= length else "one of them"
    lines = (
        f"Row {row} has {length} steps, 0 to {length - 1}. Step {step} is {what}.",
        "`pad_packed_sequence` fills Y with zeros beyond each row's length.",
    )
    claims = {"hidden states": f"{at}.any()", "zeros: padding": f"not {at}.any()"}
    words = (("hidden state",), ("zeros", "zero", "0", "padding"))
    return _of_choice("packing", p, f"What is in `{at}`?", claims, lines, words)


# ---- reshapes


def _mixed(draws: Draws) -> Question:
    """Reshaped to N rows: whose numbers are in one row?"""
    p = draws.draw(alone=False, step=False, packed=False, deep=True)
    of_Y = "Y[0]" if p.spec.batch_first else "Y[:, 0]"
    before, method, row = draws.random.choice(
        (("hn", "view", "hn[:, 0]"), ("hn.transpose(0, 1)", "reshape", "hn[:, 0]"), ("Y", "reshape", of_Y))
    )
    text, axes = f"{before}.{method}(N, -1)", Expression.of(before).axes(p)
    _, scramble = reshape(axes, (p.call.N or 1, prod(axes.sizes) // (p.call.N or 1)))
    lines = (
        f"`{before}` is {axes.formula}, and a reshape reads it row by row, last axis fastest.",
        "N comes first, so each row of the result is one whole sequence."
        if scramble is None
        else f"N does not come first, so the cut goes through whole axes: {scramble}",
    )
    claim = f"torch.equal({text}[0], {row}.flatten())"
    claims = {"numbers of one sequence only": claim, "numbers of different sequences, mixed": f"not {claim}"}
    return _of_choice("reshapes", p, f"What does a row of `{text}` hold?", claims, lines)


# ---- which of these expressions: what each reads says why


@dataclass(frozen=True, slots=True)
class _Which:
    """Which of these expressions is it? Asked of layers that are so (+) or not so (-).

    Of two that are `right` one is an option and the other the evidence; of one alone this `part` is, which is `same`.
    """

    topic: str
    level: int
    layers: str
    text: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    same: str = ""
    part: str = ""

    def __call__(self, draws: Draws) -> Question:
        p = draws.draw(step=False, **{word[1:]: word[0] == "+" for word in self.layers.split()})
        layout, names = Layout(p.spec, p.call), p.X.names
        words = layout.words | {
            "first": layout.step("0"),
            "first_forward": layout.step("0", "f"),
            "lengths_alone": "Y[:, lengths - 1]" if p.spec.batch_first else "Y[lengths - 1]",
            "turned": f"{names[1]}, {names[0]}",
            "width": p.spec.width,
        }
        right = draws.random.sample(self.right, len(self.right))
        same, *options = (one.format_map(words) for one in (self.same or right[1], right[0], *self.wrong))
        options = [one for one in options if p.spec.has_c or "cn" not in one]
        claims = {one: f"torch.equal({one}{self.part}, {same})" for one in options}
        read = {f"{one}{self.part}": Expression.of(one + self.part).reads(p) for one in options}
        read[same] = Expression.of(same).reads(p)
        lines = [spoken(reads)[0].replace(reads.expression, f"`{one}`", 1) for one, reads in read.items()]
        text = f"Which of these {self.text.format_map(words)}?"
        return _of_choice(self.topic, p, text, claims, lines, (), draws.random)


_BOTH, _BATCH = "+bidirectional -packed +deep", "-packed -alone +deep"
# fmt: off
_WHICH = (
    _Which("slices", 1, f"{_BATCH} -bidirectional",
           "is the top layer's hidden state after the last step, for each sequence",
           ("{last}", "hn[-1]"), ("{last_of_the_wrong_axis}", "hn[0]", "hn[:, -1]", "cn[-1]")),
    _Which("directions", 3, _BOTH, "is the top layer's last hidden state of the backward direction",
           ("hn[-1]", "{first_backward}"), ("hn[-2]", "{last_backward}", "hn[0]")),
    _Which("directions", 3, _BOTH, "is the top layer's last hidden state of the forward direction",
           ("hn[-2]", "{last_forward}"), ("hn[-1]", "{first_forward}", "hn[0]")),
    _Which("directions", 3, _BOTH, "has read the whole sequence in both directions",
           ("torch.cat([hn[-2], hn[-1]], dim=-1)", "torch.cat([{last_forward}, {first_backward}], dim=-1)"),
           ("{last}", "{first}")),
    _Which("packing", 4, "+packed -bidirectional", "is the top layer's hidden state after each row's own last step",
           ("hn[-1]", "{own_last}"), ("{last}", "{lengths_alone}", "hn[:, -1]")),
    _Which("reshapes", 2, _BATCH, "gives row n all the states of sequence n",
           ("hn.transpose(0, 1).reshape(N, -1)",), ("hn.view(N, -1)", "hn.reshape(N, -1).flip(1)"),
           "hn[:, 0].flatten()", "[0]"),
    _Which("reshapes", 2, "-packed -alone", "turns X into ({turned}, Q), every number where it belongs",
           ("X.transpose(0, 1)",), ("X.view({turned}, Q)", "X.permute(2, 1, 0)"), "X[:, 0]", "[0]"),
    _Which("reshapes", 3, f"{_BATCH} +bidirectional", "tells layers and directions apart",
           ("hn.view(K, R, N, {width})",), ("hn.view(R, K, N, {width})", "hn.view(N, K, R, {width})"),
           "hn[2]", "[1, 0]"),
)
# fmt: on


# ---- laws


def _law(draws: Draws) -> Question:
    """Does it hold for this layer? Only laws whose two sides a learner can type: the others run the layer again."""
    p = draws.draw(step=False)
    law = draws.random.choice([law for law in laws(p.spec, call=p.call) if law.exact])
    left, _, right = law.expression.partition(" == ")
    claim = law.expression if left.endswith(".shape") else f"torch.equal({left}, {right})"
    when = "It never does." if law.condition == "never" else f"It does under this condition: {law.condition}."
    words = (("yes", "y", "true", "holds"), ("no", "n", "false", "does not hold"))
    claims = {"it holds": claim, "it does not hold": f"not {claim}"}
    return _of_choice("laws", p, f"Does `{law.expression}` hold here?", claims, (law.why, when), words)


_MAKERS: dict[str, tuple[tuple[int, Callable[[Draws], Question]], ...]] = {
    "shapes": ((1, _output), (1, _output), (2, _start)),
    "layout": ((1, _size), (1, _batch_axis)),
    "slices": ((1, _slice),),
    "parameters": ((1, _layer), (2, _weight), (3, _total)),
    "directions": ((3, _features), (3, _row)),
    "packing": ((4, _steps), (4, _rows_at), (4, _data), (4, _zeros)),
    "reshapes": ((2, _mixed), (2, _mixed)),
    "laws": ((2, _law),),
}
"""From which level on a question is asked; twice for one that comes up twice as often."""
for _which in _WHICH:
    _MAKERS[_which.topic] += ((_which.level, _which),)
