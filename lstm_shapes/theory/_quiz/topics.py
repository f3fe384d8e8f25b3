"""What is asked: one function or one row of a table a question, about layers that grow from level to level.

What X, Y, hn and cn are is asked of expressions: their axes are the shapes, and of several options the right one is
that whose claim holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from random import Random
from typing import Any

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.language import say
from lstm_shapes.theory._axis_rules.reshaping import reshape
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import LayerCount
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.laws import laws
from lstm_shapes.theory.notes import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import spoken
from lstm_shapes.theory.slices import Layout, last_step, slices
from lstm_shapes.theory.spec import Spec, gate_rows, is_whole

from .question import TOPICS, Question, symbols_of, written

LETTERS = {1: "NLQDK", 2: "NLQDKRG", 3: "NLQDKRG", 4: "NLQDKRGPHT", 5: "NLQDKRGPHT"}
"""The symbols that the questions of each level are written with."""


def questions(level: int = 1, seed: int = 0) -> Iterator[Question]:
    """Questions without end: all topics of a level in turn, in random order, then all again.

    The same level and seed give the same questions; no global chance is touched.

    >>> next(questions(level=1, seed=0)).topic in TOPICS
    True
    """
    if not is_whole(level) or level not in LETTERS:
        raise SpecError("level", f"a whole number from 1 to {max(LETTERS)}", level)
    if not is_whole(seed):
        raise SpecError("seed", "a whole number", seed)
    return _deal(Draws(Random(f"{level} {seed}"), level))


def _deal(draws: Draws) -> Iterator[Question]:
    makers = {
        topic: [make for one, start, make in _MAKERS if one == topic and start <= draws.level] for topic in TOPICS
    }
    deck = [topic for topic in TOPICS if makers[topic]]
    asked: list[tuple[tuple[str, ...], str]] = []
    while True:
        draws.random.shuffle(deck)
        for topic in deck:
            question = None
            while question is None or (question.given, question.text) in asked[-100:]:
                question = draws.random.choice(makers[topic])(draws, topic)
            asked.append((question.given, question.text))
            yield question


# ---- what is asked about

# From which level on a layer may be so, and how often.
_CHANCES = {
    "packed": (4, 0.4),
    "bidirectional": (3, 0.6),
    "step": (4, 0.25),
    "alone": (2, 0.2),
    "projected": (4, 0.5),
    "time_major": (2, 0.5),
    "deep": (6, 0.0),
}


@dataclass(frozen=True, slots=True)
class Draws:
    """Layers for one level, from one source of chance.

    >>> Draws(Random("seed"), level=1).draw(deep=True).spec.R
    1
    """

    random: Random
    level: int

    def draw(self, **wanted: bool) -> Prediction:
        """A layer and a call; `wanted` says what the topic needs, the level decides the rest.

        bidirectional; deep: K above 1; projected; step: a cell; alone: unbatched; packed; time_major. The sizes are all
        different, also of composite axes: equal sizes would hide a swap.
        """
        while True:
            p = self._layer(wanted)
            sizes = {name: size for name, size in symbols_of(p).items() if name not in "HGT"}
            sizes |= {axis.name: axis.size for axes in p.tensors.values() for axis in axes}
            lengths = [size for name, size in sizes.items() if size > 1 and (name != "K·R" or p.spec.K > 1)]
            if len(lengths) == len(set(lengths)):
                return p

    def _layer(self, wanted: Mapping[str, bool]) -> Prediction:
        chance = self.random
        cell = chance.choice(("LSTM",) if self.level == 1 else ("LSTM", "LSTM", "GRU", "RNN"))

        def has(name: str, possible: bool = True) -> bool:
            start, share = _CHANCES[name]
            return possible and bool(wanted.get(name, self.level >= start and chance.random() < share))

        packed, two_way = has("packed"), has("bidirectional")
        step, alone = has("step", not packed and not two_way), has("alone", not packed)
        D = chance.choice((4, 5, 6, 8, 10, 12, 16, 20, 32))
        fields: dict[str, Any] = {
            "batch_first": not has("time_major") or step,
            "cell": cell + "Cell" * step,
            "bidirectional": two_way,
            "proj_size": chance.randint(2, D - 1) if has("projected", cell == "LSTM" and not step) else 0,
        }
        K = 1 if step else chance.randint(2 if has("deep") else 1, 4 if self.level > 2 else 3)
        spec, N, L = Spec(chance.randint(3, 16), D, K, **fields), chance.randint(2, 9), chance.randint(4, 12)
        if not packed:
            return Prediction(spec, Call.of(spec, N=None if alone else N, L=L))
        # One row has all L steps, so that Y padded back is as long as X, and at least one is shorter.
        lengths = [L, *(chance.randint(1, L) for _ in range(N - 2)), chance.randint(1, L - 1)]
        chance.shuffle(lengths)
        return Prediction(spec, Call.of(spec, lengths=lengths))


# ---- the three kinds of answers
def _shape(
    topic: str, p: Prediction, what: str, axes: Axes, lines: Iterable[str], others: Mapping[str, Axes], text: str = ""
) -> Question:
    """A shape: of an expression, or of anything else that has axes; `others` are taken for it."""
    remarks = {other.sizes: say("shape of another", name=name) for name, other in reversed([*others.items()])}
    remarks.pop(axes.sizes, None)
    text = text or say("asked shape", what=what)
    return Question(topic, p, text, axes, tuple(lines), (f"tuple({what}.shape)",), remarks)


def _number(
    topic: str, p: Prediction, text: str, value: int, lines: Iterable[str], evidence: str, **mistakes: int
) -> Question:
    """A number, and what wrong ones come from, by the key of the sentence."""
    told = {"D": p.spec.D, "layer": p.spec.kind.layer, "G": p.spec.G}
    remarks = {one: say(f"mistake {key}", **told) for key, one in reversed([*mistakes.items()]) if one != value}
    return Question(topic, p, text, value, tuple(lines), (evidence,), remarks)


def _choice(
    topic: str,
    p: Prediction,
    text: str,
    claims: Mapping[str, str],
    lines: Iterable[str],
    words: Iterable[tuple[str, ...]] = (),
) -> Question:
    """One of several options, each with its claim; the right one is that whose claim holds."""
    (right,) = (place for place, claim in enumerate(claims.values()) if _true(claim, p))
    return Question(topic, p, text, right, tuple(lines), tuple(claims.values()), {}, tuple(claims), tuple(words))


def _true(claim: str, p: Prediction) -> bool:
    try:
        return Expression.of(claim).holds(p)
    except ShapeError:  # torch would refuse it
        return False


def _whether(topic: str, p: Prediction, text: str, claim: str, key: str, lines: Iterable[str]) -> Question:
    """A claim or its opposite; what else the two are called stands beside their names."""
    names = [say(f"option {key}").split("; "), say(f"option not {key}").split("; ")]
    claims = {names[0][0]: claim, names[1][0]: f"not {claim}"}
    return _choice(topic, p, text, claims, lines, [tuple(name[1:]) for name in names])


def _rule(p: Prediction, name: str) -> str:
    """The axes of one tensor, in symbols and numbers, with the reason for their order."""
    key = "rule state" if p.call.batched else "rule"
    if p.spec.kind.step:
        key = "rule cell"
    elif name in ("X", "Y"):
        key = "rule layout" if p.call.batched else "rule unbatched"
    axes = p.tensors[name]
    return say(key, name=name, axes=_in_numbers(axes), batch_first=str(p.spec.batch_first), first=axes.names[0])


def _in_numbers(axes: Axes) -> str:
    return f"{axes.formula} = {axes.sizes}"


# ---- shapes, layout, slices
def _tensor(draws: Draws, topic: str, names: str = "Y hn cn", key: str = "asked shape") -> Question:
    p = draws.draw()
    name = draws.random.choice([name for name in p.tensors if name in names.split()])
    lines = (_rule(p, name), say("it is", meaning=meaning(p.spec, p.call, name)))
    text = say(key, what=name, states=p.spec.states("0"))
    return _shape(topic, p, name.replace("0", "n"), p.tensors[name], lines, p.tensors, text)


def _size(draws: Draws, topic: str) -> Question:
    """The lesson says that x.size(0) is the sequence length; it is not, with batch_first."""
    p, place = draws.draw(alone=False, step=False), draws.random.choice((0, 0, 1, 2))
    code, name = f"X.size({place})", p.X.names[place]
    lines = (_rule(p, "X"), say("size is", code=code, size=f"{name} = {p.X.sizes[place]}"))
    letters = draws.random.sample("NLQ", 3)
    claims = {f"{letter}: {say(f'symbol {letter}')}": f"{code} == {letter}" for letter in letters}
    return _choice(topic, p, say("asked value", code=code), claims, lines, [(letter,) for letter in letters])


def _batch_axis(draws: Draws, topic: str) -> Question:
    p = draws.draw(alone=False, step=False)
    name = draws.random.choice([name for name in p.tensors if name in ("Y", "hn", "cn")])
    claims = {say("option axis", place=place): f"{name}.size({place}) == N" for place in range(3)}
    return _choice(topic, p, say("asked batch axis", name=name), claims, (_rule(p, name),), [("0",), ("1",), ("2",)])


def _slice(draws: Draws, topic: str) -> Question:
    p = draws.draw(step=False)
    one = draws.random.choice(slices(p))
    name, axes = one.expression.partition("[")[0], written(one.axes, symbols_of(p))
    shown = say("slice is", code=one.expression, axes=axes, meaning=one.meaning)
    lines = (_rule(p, name), say("slices keep axes"), shown)
    return _shape(topic, p, one.expression, one.axes, lines, {name: p.tensors[name]})


# ---- parameters
def _layer(draws: Draws, topic: str) -> Question:
    """The first layer reads Q features; those above read what the layer below gives."""
    p = draws.draw(deep=draws.level > 1)
    spec = p.spec
    k = draws.random.randint(0, 1) if spec.K > 1 and draws.level > 1 else 0
    layer = LayerCount(spec, k)
    below = [say("reads below, both" if spec.R == 2 else "reads below", k=k)] if k else []
    lines = (f"{layer.formula} = {layer.substituted} = {layer.total:,}.", *below)
    bias = spec.R * {term.name: term.value for term in layer.terms}["bias"]
    mistakes = {
        "no_bias": layer.total - bias,
        "one_bias": layer.total - bias // 2,
        "one_gate": layer.total // spec.G,
        "one_direction": layer.direction,
        "layer_0": LayerCount(spec, 0).total,
    }
    key = "asked layer's parameters, both" if spec.R == 2 else "asked layer's parameters"
    text = say("asked cell's parameters" if spec.kind.step else key, k=k)
    own = "" if spec.kind.step else f" if '_l{k}' in name"
    evidence = f"sum(p.numel() for name, p in layer.named_parameters(){own})"
    return _number(topic, p, text, layer.total, lines, evidence, **mistakes)


def _total(draws: Draws, topic: str) -> Question:
    p = draws.draw(deep=True)
    counts, evidence = p.counts, "sum(p.numel() for p in layer.parameters())"
    lines = [f"{counts.formula} = {counts.total:,}."]
    lines += [f"{say('layer', k=one.index)}: {one.substituted} = {one.total:,}" for one in counts.layers]
    return _number(topic, p, say("asked parameters"), counts.total, lines, evidence, layer_0=counts.first.total)


def _weight(draws: Draws, topic: str) -> Question:
    p = draws.draw()
    name = draws.random.choice([name for name in p.weights if name.startswith("weight")])
    lines = [say("weight is", name=name, axes=_in_numbers(p.weights[name]))]
    if p.spec.G > 1 and not name.startswith("weight_hr"):
        rows = ", ".join(say("cell rows", gate=gate, rows=gate_rows(p.spec, gate)[0]) for gate in p.spec.kind.gates)
        lines.append(say("gates are stacked", sizes=f"G·D = {p.spec.G}·{p.spec.D}", rows=rows))
    return _shape(topic, p, f"layer.{name}", p.weights[name], lines, dict(p.weights))


# ---- directions
def _features(draws: Draws, topic: str) -> Question:
    p = draws.draw(bidirectional=True, packed=False, step=False)
    last, H, W = last_step(p.spec, p.call), p.spec.H, p.spec.width
    lines = (say("both halves", H=f"{W} = {H}", width=f"2·{W} = {2 * H}"),)
    text, code = say("asked in_features", code=last), f"{last}.size(-1)"
    return _number(topic, p, text, 2 * H, lines, code, one_half=H, cell_state=2 * p.spec.D)


def _row(draws: Draws, topic: str) -> Question:
    p = draws.draw(bidirectional=True, packed=False, step=False, deep=True)
    layer, direction = draws.random.randrange(p.spec.K), draws.random.randrange(2)
    row = 2 * layer + direction
    lines = (_rule(p, "hn"), say("layer-major", sum=f"2·{layer} + {direction} = {row}"))
    text = say("asked backward row" if direction else "asked forward row", k=layer)
    evidence = f"[torch.equal(row, hn.view(K, R, *hn.shape[1:])[{layer}, {direction}]) for row in hn].index(True)"
    return _number(topic, p, text, row, lines, evidence, direction_major=direction * p.spec.K + layer)


# ---- packing
def _rows_at(draws: Draws, topic: str) -> Question:
    p = draws.draw(packed=True)
    step = draws.random.randrange(p.call.L)
    rows = p.call.batch_size(step)
    lines = (say("longer rows", t=step, rows=rows), say("every batch size", sizes=list(p.call.batch_sizes)))
    return _number(topic, p, say("asked rows", t=step), rows, lines, f"packed.batch_sizes[{step}].item()")


def _data(draws: Draws, topic: str) -> Question:
    p = draws.draw(packed=True)
    axes, lengths = p.packed_X or Axes(), p.call.lengths or ()
    total = f"T = sum(lengths) = {' + '.join(map(str, lengths))} = {p.call.T}"
    left_out = say("padding left out", sum=total, padding=p.call.saved, padded=p.call.padded)
    return _shape(topic, p, "packed.data", axes, (say("data is", axes=_in_numbers(axes)), left_out), {"X": p.X})


def _zeros(draws: Draws, topic: str) -> Question:
    p = draws.draw(packed=True)
    n, length = draws.random.choice(list(enumerate(p.call.lengths or ())))
    t = draws.random.choice((0, length - 1, min(length, p.call.L - 1), p.call.L - 1))
    at = f"Y[{n}, {t}]" if p.spec.batch_first else f"Y[{t}, {n}]"
    key = "step is padding" if t >= length else "step is real"
    lines = (say(key, n=n, length=length, last=length - 1, t=t), say("padded with zeros"))
    return _whether(topic, p, say("asked what is in", at=at), f"{at}.any()", "states", lines)


# ---- reshapes, laws, and which of several expressions is it
def _mixed(draws: Draws, topic: str) -> Question:
    """Reshaped to N rows: whose numbers are in one row?"""
    p = draws.draw(alone=False, step=False, packed=False, deep=True)
    of_Y = "Y[0]" if p.spec.batch_first else "Y[:, 0]"
    before, method, row = draws.random.choice(
        (("hn", "view", "hn[:, 0]"), ("hn.transpose(0, 1)", "reshape", "hn[:, 0]"), ("Y", "reshape", of_Y))
    )
    code, axes, N = f"{before}.{method}(N, -1)", Expression.of(before).axes(p), symbols_of(p)["N"]
    _, scramble = reshape(axes, (N, prod(axes.sizes) // N))
    why = say("whole rows") if scramble is None else say("cut rows", scramble=str(scramble))
    lines = (say("read row by row", code=before, axes=axes.formula), why)
    claim = f"torch.equal({code}[0], {row}.flatten())"
    return _whether(topic, p, say("asked whose row", code=code), claim, "one sequence", lines)


def _law(draws: Draws, topic: str) -> Question:
    """Does it hold for this layer? Only laws whose two sides a learner can type: the others run the layer again."""
    p = draws.draw(step=False)
    law = draws.random.choice([law for law in laws(p.spec, call=p.call) if law.exact])
    left, _, right = law.expression.partition(" == ")
    claim = law.expression if left.endswith(".shape") else f"torch.equal({left}, {right})"
    lines = (law.why, say("holds when", condition=law.condition))
    return _whether(topic, p, say("asked law", law=law.expression), claim, "holds", lines)


def _which(draws: Draws, topic: str, layers: str, key: str, right: str, wrong: str, same: str) -> Question:
    """Which of these expressions is it? Asked of layers that are so (+) or not so (-); what each reads says why.

    Of two that are right one is an option and the other its evidence; of one alone this part of it is, which is `same`.
    """
    p = draws.draw(step=False, **{word[1:]: word[0] == "+" for word in layers.split()})
    layout, names = Layout(p.spec, p.call), p.X.names
    words = layout.words | {
        "first": layout.step("0"),
        "first_forward": layout.step("0", "f"),
        "lengths_alone": "Y[:, lengths - 1]" if p.spec.batch_first else "Y[lengths - 1]",
        "turned": f"{names[1]}, {names[0]}",
        "width": p.spec.width,
    }
    part, equal = same.format_map(words).split(" is ") if same else ("", "")
    rights, wrongs = ([one.format_map(words) for one in some.split("; ")] for some in (right, wrong))
    draws.random.shuffle(rights)
    options = [rights[0], *(one for one in wrongs if p.spec.has_c or "cn" not in one)]
    draws.random.shuffle(options)
    equal = equal or rights[1]
    claims = {one: f"torch.equal({one}{part}, {equal})" for one in options}
    read = [Expression.of(one).reads(p) for one in (*(one + part for one in options), equal)]
    lines = [spoken(reads)[0].replace(reads.expression, f"`{reads.expression}`", 1) for reads in read]
    return _choice(topic, p, say(f"which {key}", turned=words["turned"]), claims, lines)


_BOTH, _BATCH = "+bidirectional -packed +deep", "-packed -alone +deep"
_JOINED = "torch.cat([hn[-2], hn[-1]], dim=-1); torch.cat([{last_forward}, {first_backward}], dim=-1)"
_OF_EXPRESSIONS = (
    ("slices", 1, f"{_BATCH} -bidirectional", "last", "{last}; hn[-1]",
     "{last_of_the_wrong_axis}; hn[0]; hn[:, -1]; cn[-1]", ""),
    ("directions", 3, _BOTH, "backward", "hn[-1]; {first_backward}", "hn[-2]; {last_backward}; hn[0]", ""),
    ("directions", 3, _BOTH, "forward", "hn[-2]; {last_forward}", "hn[-1]; {first_forward}; hn[0]", ""),
    ("directions", 3, _BOTH, "everything", _JOINED, "{last}; {first}", ""),
    ("packing", 4, "+packed -bidirectional", "own last", "hn[-1]; {own_last}",
     "{last}; {lengths_alone}; hn[:, -1]", ""),
    ("reshapes", 2, _BATCH, "rows", "hn.transpose(0, 1).reshape(N, -1)",
     "hn.view(N, -1); hn.reshape(N, -1).flip(1)", "[0] is hn[:, 0].flatten()"),
    ("reshapes", 2, "-packed -alone", "turned", "X.transpose(0, 1)",
     "X.view({turned}, Q); X.permute(2, 1, 0)", "[0] is X[:, 0]"),
    ("reshapes", 3, f"{_BATCH} +bidirectional", "apart", "hn.view(K, R, N, {width})",
     "hn.view(R, K, N, {width}); hn.view(N, K, R, {width})", "[1, 0] is hn[2]"),
)  # fmt: skip

_MAKERS: list[tuple[str, int, Callable[[Draws, str], Question]]] = [
    ("shapes", 1, _tensor),
    ("shapes", 1, _tensor),
    ("shapes", 2, partial(_tensor, names="h0 c0", key="asked first state")),
    ("layout", 1, _size),
    ("layout", 1, _batch_axis),
    ("slices", 1, _slice),
    ("parameters", 1, _layer),
    ("parameters", 2, _weight),
    ("parameters", 3, _total),
    ("directions", 3, _features),
    ("directions", 3, _row),
    ("packing", 4, _rows_at),
    ("packing", 4, _data),
    ("packing", 4, _zeros),
    ("reshapes", 2, _mixed),
    ("reshapes", 2, _mixed),
    ("laws", 2, _law),
]
"""Topic, from which level on, and what asks; twice what comes up twice as often."""
for _topic, _level, *_words in _OF_EXPRESSIONS:
    _MAKERS.append((_topic, _level, partial(lambda words, draws, topic: _which(draws, topic, *words), _words)))
