"""Question: what is asked about one layer and call, how an answer is graded, and the score of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from math import prod
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.language import language, say
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.predict import Prediction

from .answers import as_number, as_shape, bare

TOPICS = ("shapes", "layout", "slices", "parameters", "directions", "packing", "reshapes", "laws")
"""In the order in which they are learnt, which is the order of the score."""


def symbols_of(prediction: Prediction) -> dict[str, int]:
    """What a learner may write in place of a number."""
    spec, call = prediction.spec, prediction.call
    sizes = {"N": call.N or 0, "L": 0 if spec.kind.step else call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R}
    sizes |= {"P": spec.P, "H": spec.H, "G": spec.G, "T": call.T if call.lengths else 0}
    return {name: size for name, size in sizes.items() if size}


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right; `remark` says what a wrong one mistook it for. None: it could not be read."""

    right: bool | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `answer` is a shape, a number, or the place of the right one of `options`.

    `derivation` stands after an answer that is wrong. `evidence` is a line of torch that gives the answer, where X, Y,
    hn, cn and layer are those of the question; with options there is one for each, true for the right one only.
    `remarks` say what a wrong shape or number comes from, `words` what else an option is called.
    """

    topic: str
    prediction: Prediction
    text: str
    answer: Axes | int
    derivation: tuple[str, ...]
    evidence: tuple[str, ...]
    remarks: Mapping[Any, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def expected(self) -> tuple[int, ...] | int:
        """The sizes, the number, or the place of the right option."""
        return self.answer.sizes if isinstance(self.answer, Axes) else self.answer

    @property
    def shown(self) -> str:
        """The answer as it is told."""
        if isinstance(self.answer, Axes):
            return written(self.answer, symbols_of(self.prediction))
        return "{}) {}".format(*self.lettered[self.answer]) if self.options else f"{self.answer:,}"

    @property
    def form(self) -> str:
        """What an answer looks like; the examples are nobody's answer."""
        if self.options:
            return say("form letter", last=self.lettered[-1][0])
        return say("form shape" if isinstance(self.answer, Axes) else "form number")

    @property
    def lettered(self) -> tuple[tuple[str, str], ...]:
        """Each option with its letter."""
        return tuple(zip("abcdefgh", self.options, strict=False))

    @property
    def proof(self) -> str:
        """The line of torch that a learner can try: that of the right option, where there are options."""
        return self.evidence[self.answer] if isinstance(self.answer, int) and self.options else self.evidence[0]

    def grade(self, text: str) -> Verdict:
        """How good an answer is."""
        symbols, is_shape, given = symbols_of(self.prediction), isinstance(self.answer, Axes), None
        if not self.options:
            given = as_shape(text, symbols) if is_shape else as_number(text, symbols)
        else:
            for place, (option, words) in enumerate(zip_longest(self.lettered, self.words, fillvalue=())):
                given = place if bare(text) in map(bare, (*option, *words)) else given
        if given is None:
            key = "needed, in symbols" if is_shape else "needed"
            return Verdict(None, say(key, form=self.form, symbols=", ".join(symbols)))
        return Verdict(True) if given == self.expected else Verdict(False, self._remark(given))

    def _remark(self, given: Any) -> str:
        if given in self.remarks or not isinstance(self.expected, tuple):
            return self.remarks.get(given, "")
        if len(given) != len(self.expected):
            return say("other length", given=len(given), wanted=len(self.expected))
        return say("other order") if sorted(given) == sorted(self.expected) else ""

    @property
    def given(self) -> tuple[str, ...]:
        """The lines of code that the question is about; only what differs from torch's defaults."""
        spec, call = self.prediction.spec, self.prediction.call
        layout = ", batch_first=True" if spec.batch_first and not spec.kind.step else ""
        options = {
            f", num_layers={spec.K}": spec.K > 1,
            layout: layout,
            ", bidirectional=True": spec.bidirectional,
            f", proj_size={spec.P}": spec.P,
            ", bias=False": not spec.bias,
        }
        made = f"layer = nn.{spec.cell}({spec.Q}, {spec.D}{''.join(text for text, has in options.items() if has)})"
        X = f"X = torch.randn({', '.join(map(str, self.prediction.X.sizes))})"
        states = spec.states("n")
        if call.lengths is None:
            return made, X, f"{states.strip('()') if spec.kind.step else f'Y, {states}'} = layer(X)"
        return (
            made,
            X,
            f"lengths = torch.tensor({list(call.lengths)})",
            f"packed = pack_padded_sequence(X, lengths{layout}, enforce_sorted=False)",
            f"Y, {states} = layer(packed)",
            f"Y, _ = pad_packed_sequence(Y{layout})",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: getattr(self, name) for name in ("topic", "given", "text", "options", "form", "expected")}
        plain |= {"derivation": self.derivation, "evidence": self.proof}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


@dataclass(frozen=True, slots=True)
class Answered:
    """One question, what was typed, and whether it was right. An empty answer is one that was passed over."""

    question: Question
    given: str
    right: bool


@dataclass(frozen=True, slots=True, repr=False)
class Score(Shown):
    """The result of a quiz, by topic. `rounds` were to be asked; fewer answers mean that somebody stopped.

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
