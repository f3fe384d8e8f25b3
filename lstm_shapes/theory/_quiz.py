"""The quiz: questions about random layers, which the library answers, and how an answer is graded.

A question is a text in the language of expressions. Its axes are the shape that is asked for; of several options the
right one is that whose claim holds; and what each expression reads is the derivation.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from random import Random, SystemRandom
from typing import Any, NamedTuple

from lstm_shapes.display import Shown
from lstm_shapes.errors import SpecError
from lstm_shapes.language import has, language, say

from ._arithmetic import as_number, as_shape, bare
from .axes import Axes
from .call import Call
from .counts import Counts, LayerCount
from .expression import Expression
from .laws import laws
from .notes import keyed_notes, meaning
from .predict import Prediction
from .reads import reads_in_words
from .slices import Layout, slices
from .spec import Spec, gate_rows, is_whole, whole

TOPICS = ("shapes", "layout", "slices", "parameters", "directions", "packing", "reshapes", "laws")
"""In the order in which they are learnt, which is the order of the score."""
LETTERS = {level: "NLQDKRG" + "PHT" * (level > 3) for level in range(1, 6)}
"""The symbols that the questions of each level are written with."""


def symbols_of(prediction: Prediction) -> dict[str, int]:
    """What a learner may write in place of a number."""
    spec, call = prediction.spec, prediction.call
    sizes = {"N": call.N, "L": call.L * (not spec.kind.step), **{name: getattr(spec, name) for name in "QDKRPHG"}}
    return {name: size for name, size in {**sizes, "T": call.T if call.lengths else 0}.items() if size}


def written(axes: Axes, symbols: Mapping[str, int]) -> str:
    """The axes as a formula whose symbols have these values: an axis cut to size 1 is a 1, not an L.

    >>> written(Axes.of("N L D", (2, 1, 20)), {"N": 2, "L": 7, "D": 20})
    '(N, 1, D) = (2, 1, 20)'
    """
    names = [
        name if prod(symbols.get(part, 0) for part in name.split("·")) == size else str(size)
        for name, size in zip(axes.names, axes.sizes, strict=True)
    ]
    return f"({', '.join(names)}{',' if len(names) == 1 else ''}) = {axes.sizes}"


class Verdict(NamedTuple):
    """Whether an answer is right, None where it could not be read; `remark` says what a wrong one mistook it for."""

    right: bool | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `expected` is a shape, a number or the place of the right one of `choices`, `shown` how it is told.

    `derivation` stands after an answer that is wrong. `evidence` is a line of torch that gives the answer, where X, Y,
    hn, cn and layer are those of the question; with choices there is one for each, true for the right one only.
    `remarks` say what a wrong shape or number comes from. A choice is all that it is called, first as it is shown.
    """

    topic: str
    prediction: Prediction
    text: str
    expected: tuple[int, ...] | int
    shown: str
    derivation: Sequence[str]
    evidence: Sequence[str]
    remarks: Mapping[Any, str] = field(default_factory=dict)
    choices: Sequence[Sequence[str]] = ()

    @property
    def lettered(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip("abcdefgh", (names[0] for names in self.choices), strict=False))

    @property
    def proof(self) -> str:
        """The line of torch that a learner can try: that of the right option, where there are options."""
        return self.evidence[self.expected if self.choices and isinstance(self.expected, int) else 0]

    @property
    def form(self) -> str:
        """What an answer looks like; the examples are nobody's answer."""
        if self.choices:
            return say("form letter", last=self.lettered[-1][0])
        return say("form shape" if isinstance(self.expected, tuple) else "form number")

    def grade(self, text: str) -> Verdict:
        symbols, expected = symbols_of(self.prediction), self.expected
        given: Any = as_shape(text, symbols) if isinstance(expected, tuple) else as_number(text, symbols)
        if self.choices:
            places = {bare(name): place for place, names in enumerate(self.choices) for name in names}
            given = (places | {letter: place for place, (letter, _) in enumerate(self.lettered)}).get(bare(text))
        if given is None:
            key = "needed, in symbols" if isinstance(expected, tuple) else "needed"
            return Verdict(None, say(key, form=self.form, symbols=", ".join(symbols)))
        if given == expected or given in self.remarks or not isinstance(expected, tuple):
            return Verdict(given == expected, self.remarks.get(given, ""))
        if len(given) != len(expected):
            return Verdict(False, say("other length", given=len(given), wanted=len(expected)))
        return Verdict(False, say("other order") if sorted(given) == sorted(expected) else "")

    @property
    def given(self) -> tuple[str, ...]:
        """The lines of code that the question is about; only what differs from torch's defaults."""
        spec, call = self.prediction.spec, self.prediction.call
        made, X = f"layer = {spec.constructor}", f"X = torch.randn{self.prediction.X.sizes}"
        results = spec.states("n") if spec.kind.step else f"Y, {spec.states('n')}"
        if call.lengths is None:
            return made, X, f"{results} = layer(X)"
        layout = ", batch_first=True" if spec.batch_first else ""
        packing = f"packed = pack_padded_sequence(X, lengths{layout}, enforce_sorted=False)"
        lines = (f"{results} = layer(packed)", f"Y, _ = pad_packed_sequence(Y{layout})")
        return made, X, f"lengths = torch.tensor({list(call.lengths)})", packing, *lines

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: getattr(self, name) for name in ("topic", "given", "text", "form", "expected", "derivation")}
        plain |= {"options": [names[0] for names in self.choices], "evidence": self.proof}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


@dataclass(frozen=True, slots=True)
class Answered:
    """One question, what was typed, and whether it was right. An empty answer is one that was passed over."""

    question: Question
    given: str
    right: bool


@dataclass(frozen=True, slots=True, repr=False)
class Score(Shown):
    """The result of a quiz, by topic. `rounds` were to be asked; fewer answers mean that it was stopped.

    `command`: whether it was played on the command line, whose words the view then speaks.
    """

    level: int
    seed: int
    rounds: int
    answers: tuple[Answered, ...] = ()
    command: bool = False
    lang: str = field(default_factory=language, compare=False)

    @property
    def right(self) -> int:
        """How many answers were right."""
        return sum(answer.right for answer in self.answers)

    @property
    def asked(self) -> int:
        """How many questions were answered, or passed over."""
        return len(self.answers)

    @property
    def topics(self) -> tuple[tuple[str, int, int], ...]:
        """(topic, right, asked) for each topic that came up."""
        by_topic = {topic: [one.right for one in self.answers if one.question.topic == topic] for topic in TOPICS}
        return tuple((topic, sum(answers), len(answers)) for topic, answers in by_topic.items() if answers)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        totals = {name: getattr(self, name) for name in ("level", "seed", "rounds", "asked", "right")}
        topics = [{"topic": topic, "right": right, "asked": asked} for topic, right, asked in self.topics]
        answers = [{"question": one.question.to_dict(), "given": one.given, "right": one.right} for one in self.answers]
        return {**totals, "topics": topics, "answers": answers}


def deal(level: int, rounds: int, seed: int | None) -> tuple[int, Iterator[Question]]:
    """The seed and `rounds` questions drawn from it; another seed each time, unless one is given.

    All topics of a level in turn, in random order, then all again; the same seed gives the same ones. No global chance
    is touched.
    """
    if not is_whole(level) or level not in LETTERS:
        raise SpecError("level", f"a whole number from 1 to {max(LETTERS)}", level)
    if seed is not None and not is_whole(seed):
        raise SpecError("seed", "a whole number", seed)
    seed = SystemRandom().randrange(10_000) if seed is None else seed
    return seed, islice(_dealt(level, Random(f"{level} {seed}")), whole("rounds", rounds))


def _dealt(level: int, chance: Random) -> Iterator[Question]:
    rows = [row for row in _ASKED if row[1] <= level]
    deck = list(dict.fromkeys(topic for topic, *_ in rows))
    asked: deque[tuple[tuple[str, ...], str]] = deque(maxlen=100)
    while True:
        chance.shuffle(deck)
        for topic in deck:
            question = None
            while question is None or (question.given, question.text) in asked:
                _, _, about, make, *texts = chance.choice([row for row in rows if row[0] == topic])
                question = make(topic, drawn(level, chance, about), chance, *texts)
            asked.append((question.given, question.text))
            yield question


def drawn(level: int, chance: Random, about: str = "") -> Prediction:
    """A layer and a call of a level, of which these facts hold; all sizes differ: equal ones would hide a swap."""
    while True:
        call = chance.choice(("batch", "batch", "alone", "packed", "cell")[: {1: 1, 2: 3, 3: 3}.get(level, 5)])
        D, N, L = chance.choice((4, 5, 6, 8, 10, 12, 16, 20, 32)), chance.randint(2, 9), chance.randint(4, 12)
        kind = chance.choice(("LSTM", "LSTM", "GRU", "RNN") if level > 1 else ("LSTM",))
        layer = {
            "cell": kind,
            "bidirectional": level > 2 and chance.random() < 0.6,
            "batch_first": level == 1 or chance.random() < 0.5,
            "proj_size": chance.randint(2, D - 1) if level > 3 and kind == "LSTM" and chance.random() < 0.5 else 0,
            "K": chance.randint(1, 4 if level > 2 else 3),
        }
        spec = Spec(chance.randint(3, 16), D, **({"cell": f"{kind}Cell"} if call == "cell" else layer))
        # One row has all L steps, so that Y padded back is as long as X, and at least one is shorter.
        lengths = [L, *(chance.randint(1, L) for _ in range(N - 2)), chance.randint(1, L - 1)]
        packed = chance.sample(lengths, N) if call == "packed" else None
        p = Prediction(spec, Call.of(spec, N=None if call == "alone" else N, L=L, lengths=packed))
        sizes = {name: size for name, size in symbols_of(p).items() if name not in "HGT"}
        sizes |= {axis.name: axis.size for axes in p.tensors.values() for axis in axes}
        apart = [size for name, size in sizes.items() if size > 1 and (name != "K·R" or spec.K > 1)]
        if len(apart) == len(set(apart)) and Layout(spec, p.call).fits(about):
            return p


def _words(p: Prediction, chance: Random) -> dict[str, Any]:
    """What the texts of the table are written with."""
    spec, call = p.spec, p.call
    n = chance.randrange(call.N or 1)
    length = call.length(n)
    t = chance.choice((0, length - 1, min(length, call.L - 1), call.L - 1))
    return Layout(spec, call).words | {
        "width": spec.width,
        "at": f"Y[{n}, {t}]" if spec.batch_first else f"Y[{t}, {n}]",
        "turned": ", ".join(p.X.names[1::-1]),
        "sequence": "Y[0]" if spec.batch_first else "Y[:, 0]",
        "i": chance.randrange(3),
        "k": chance.choice((0, spec.K - 1)),
        "r": chance.randrange(spec.R),
    }


def _why(code: str, p: Prediction) -> list[str]:
    """The axes of a tensor, and what decides their order; of any other expression what it reads."""
    spec, axes = p.spec, _axes(code, p)
    shape, name = f"{axes.formula} = {axes.sizes}", code.removeprefix("layer.")
    if code in p.tensors:
        decides = ("batch first", "time first", "unbatched", "one step") if code in "XY" else ("states and layout",)
        notes = [say(f"note {key}", **gaps) for key, gaps in keyed_notes(spec, p.call) if key in decides]
        return [say("rule", name=code, axes=shape), say("it is", meaning=meaning(spec, p.call, code)), *notes]
    if code == "packed.data":
        total = f"T = sum(lengths) = {' + '.join(map(str, p.call.lengths or ()))} = {p.call.T}"
        left_out = say("padding left out", sum=total, padding=p.call.saved, padded=p.call.padded)
        return [say("data is", axes=shape), left_out]
    if name in p.weights:
        rows = ", ".join(say("cell rows", gate=gate, rows=gate_rows(spec, gate)[0]) for gate in spec.kind.gates)
        stacked = [say("gates are stacked", sizes=f"G·D = {spec.G}·{spec.D}", rows=rows)]
        return [say("weight is", name=name, axes=shape), *(stacked if spec.G > 1 and "weight_hr" not in name else [])]
    return list(reads_in_words(replace(Expression.of(code).reads(p), expression=f"`{code}`")))


def _axes(code: str, p: Prediction) -> Axes:
    known = {**{f"layer.{name}": axes for name, axes in p.weights.items()}, "packed.data": p.packed_X}
    return known.get(code) or Expression.of(code).axes(p)


# ---- what is asked: each of these is given a topic, a layer and a call, chance, and texts of the table
def _shape(
    topic: str, p: Prediction, chance: Random, codes: Callable[[Prediction], list[str]], key: str = "asked shape"
) -> Question:
    """The shape of one of several tensors, weights or expressions."""
    code = chance.choice(codes(p))
    axes, lines = _axes(code, p), _why(code, p)
    shown = written(axes, symbols_of(p))
    if "[" in code:
        shape = say("rule", name=code, axes=shown)
        lines = [_why(code.partition("[")[0], p)[0], say("slices keep axes"), shape, *lines]
    others = reversed([*p.tensors.items(), *p.weights.items()])
    remarks = {other.sizes: say("shape of another", name=name) for name, other in others if other.sizes != axes.sizes}
    evidence = f"tuple({'hn' if code == 'h0' else 'cn' if code == 'c0' else code}.shape)"
    text = say(key, what=code, states=p.spec.states("0"))
    return Question(topic, p, text, axes.sizes, shown, lines, (evidence,), remarks)


def _which(topic: str, p: Prediction, chance: Random, key: str, options: str, claim: str) -> Question:
    """A choice: for which of up to five options does the claim hold, or, without options, does it hold at all?"""
    words = _words(p, chance)
    claim = claim.format_map(words | {"it": "{it}"})
    if whether := has(f"option {options}"):
        claims = {say(f"option {options}"): claim, say(f"option not {options}"): f"not {claim}"}
    else:
        every = options.format_map(words).split("; ")
        claims = {it: claim.replace("{it}", it) for it in every if p.spec.has_c or "cn" not in it}
    true = [it for it, one in claims.items() if Expression.of(one).holds(p)]
    wrong = [it for it in claims if it not in true]
    asked = [chance.choice(true), *chance.sample(wrong, min(4, len(wrong)))]
    asked = list(claims) if whether else chance.sample(asked, len(asked))
    # What the claims speak of, without sizes and numbers; each is told once.
    sides = [side for it in asked for side in claims[it].removeprefix("not ").split(" == ")]
    sides = [re.sub(r"\.(size\(.*|any\(\)|shape)$", "", side) for side in sides]
    tensors = dict.fromkeys(side for side in sides if re.split(r"\W", side)[0] in (*p.tensors, "torch"))
    lines = [line for side in tensors for line in _why(side, p)]
    evidence = [_in_torch(claims[it]) for it in asked]
    names = [it.split("; ") for it in asked]
    place = next(place for place, it in enumerate(asked) if it in true)
    text = say(key, **words | {"claim": claim, "what": sides[0]})
    return Question(topic, p, text, place, f"{'abcdefgh'[place]}) {names[place][0]}", lines, evidence, choices=names)


def _in_torch(claim: str) -> str:
    """A claim as torch says it: `a == b` of two tensors is one truth with `torch.equal` only."""
    left, equals, right = claim.removeprefix("not ").partition(" == ")
    if not equals or re.search(r"\.(shape|size)", left):
        return claim
    return f"{'not ' * claim.startswith('not ')}torch.equal({left}, {right})"


def _law(topic: str, p: Prediction, chance: Random) -> Question:
    """Only laws whose two sides a learner can type: the others run the layer again."""
    law = chance.choice([law for law in laws(p.spec, call=p.call) if law.exact])
    question = _which(topic, p, chance, "asked law", "holds", law.expression)
    lines = (law.why, say("holds when", condition=law.condition), *question.derivation)
    return replace(question, derivation=lines)


def _count(topic: str, p: Prediction, _: Random, k: int | None = None) -> Question:
    """The parameters of layer k, or of all."""
    spec = p.spec
    part = Counts(spec) if k is None else LayerCount(spec, k)
    of_it = "bias_.h" if k is None else f"bias_.h_l{k}(_|$)"
    bias = sum(axes.sizes[0] for name, axes in p.weights.items() if re.match(of_it, name))
    mistakes = {
        "layer_0": p.counts.first.total,
        "one_direction": part.total // spec.R,
        "one_gate": part.total // spec.G,
        "one_bias": part.total - bias // 2,
        "no_bias": part.total - bias,
    }
    told = {"layer": spec.kind.layer, "G": spec.G}
    remarks = {value: say(f"mistake {name}", **told) for name, value in mistakes.items() if value != part.total}
    both = "asked layer's parameters, both" if spec.R == 2 else "asked layer's parameters"
    text = say("asked parameters") if k is None else say(both, k=k)
    own = "" if k is None else f" if '_l{k}' in name"
    evidence = f"sum(p.numel() for name, p in layer.named_parameters(){own})"
    lines = (f"{part.formula} = {part.substituted} = {part.total:,}.",)
    return Question(topic, p, text, part.total, f"{part.total:,}", lines, (evidence,), remarks)


def _rows_at(topic: str, p: Prediction, chance: Random) -> Question:
    """How many rows of a packed batch have a step."""
    t, sizes = chance.randrange(p.call.L), list(p.call.batch_sizes)
    lines = (say("longer rows", t=t, rows=sizes[t]), say("every batch size", sizes=sizes))
    evidence = (f"packed.batch_sizes[{t}].item()",)
    return Question(topic, p, say("asked rows", t=t), sizes[t], str(sizes[t]), lines, evidence)


_ENDS = "{it} == hn.view(K, R, {N_and_width})"
_ASKED: tuple[tuple[Any, ...], ...] = (
    # Topic, from which level on, about which layers, what makes it, and of what: codes; or question, options and claim.
    ("shapes", 1, "", _shape, lambda p: [name for name in p.tensors if name in ("Y", "hn", "cn")]),
    ("shapes", 2, "", _shape, lambda p: [name for name in p.tensors if name in ("h0", "c0")], "asked first state"),
    ("layout", 1, "layer batched", _which, "asked value", "N; L; Q", "X.size({i}) == {it}"),
    ("layout", 1, "layer batched", _which, "asked batch axis", "0; 1; 2", "Y.size({it}) == N"),
    ("layout", 1, "layer batched", _which, "asked batch axis", "0; 1; 2", "hn.size({it}) == N"),
    ("slices", 1, "layer", _shape, lambda p: [one.expression for one in slices(p)]),
    ("slices", 1, "layer batched -packed -two_way", _which, "which last",
     "{last}; hn[-1]; {last_of_the_wrong_axis}; hn[0]; hn[:, -1]; cn[-1]", "{it} == hn[K - 1]"),
    ("parameters", 1, "layer", _count, 0),
    ("parameters", 2, "deep", _count, 1),
    ("parameters", 2, "", _shape, lambda p: [f"layer.{name}" for name in p.weights if name.startswith("weight")]),
    ("parameters", 3, "layer", _count),
    ("directions", 3, "two_way", _which, "asked in_features", "R * {width}; {width}; Q",
     "torch.cat([hn[-2], hn[-1]], dim=-1).size(-1) == {it}"),
    ("directions", 3, "two_way deep -packed", _which, "which end",
     "hn[0]; hn[1]; hn[2]; hn[3]; {last_forward}; {first_backward}; {last_backward}", f"{_ENDS}[{{k}}, {{r}}]"),
    ("directions", 3, "two_way batched -packed", _which, "which everything",
     "torch.cat([hn[-2], hn[-1]], dim=-1); torch.cat([{last_forward}, {first_backward}], dim=-1); {last}; hn[-1]",
     f"{_ENDS}[-1].transpose(0, 1).flatten(1)"),
    ("packing", 4, "packed -two_way", _which, "which own last", "hn[-1]; {own_last}; {last}; hn[:, -1]",
     "{it} == hn[K - 1]"),
    ("packing", 4, "packed", _rows_at),
    ("packing", 4, "packed", _shape, lambda p: ["packed.data"]),
    ("packing", 4, "packed", _which, "asked what is in", "states", "{at}.any()"),
    ("reshapes", 2, "layer batched deep", _which, "which rows",
     "hn.transpose(0, 1).reshape(N, -1); hn.view(N, -1); hn.reshape(N, -1).flip(1)", "{it}[0] == hn[:, 0].flatten()"),
    ("reshapes", 2, "layer batched -packed", _which, "which turned",
     "X.transpose(0, 1); X.view({turned}, Q); X.permute(2, 1, 0)", "{it}[0] == X[:, 0]"),
    ("reshapes", 2, "layer batched deep", _which, "asked what is in", "one sequence",
     "hn.view(N, -1)[0] == hn[:, 0].flatten()"),
    ("reshapes", 2, "layer batched deep", _which, "asked what is in", "one sequence",
     "hn.transpose(0, 1).reshape(N, -1)[0] == hn[:, 0].flatten()"),
    ("reshapes", 2, "layer batched -packed", _which, "asked what is in", "one sequence",
     "Y.reshape(N, -1)[0] == {sequence}.flatten()"),
    ("reshapes", 3, "two_way batched deep -packed", _which, "which apart",
     "hn.view(K, R, {N_and_width}); hn.view(R, K, {N_and_width}); hn.view(R, K, {N_and_width}).transpose(0, 1)",
     "{it}[1, 0] == hn[2]"),
    ("laws", 2, "layer", _law),
)  # fmt: skip
