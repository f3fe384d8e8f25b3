"""Question: what is asked about one layer and call, how an answer is graded, and the score of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lstm_shapes.display import Shown
from lstm_shapes.theory.predict import Prediction

from .answers import as_number, as_shape, bare

__all__ = ["TOPICS", "Answered", "Question", "Score", "Verdict"]

TOPICS = ("shapes", "layout", "slices", "parameters", "directions", "packing", "reshapes", "laws")
"""In the order in which they are learnt, which is the order of the score."""

_LETTERS = "abcdefgh"
_SHAPE = "a shape, such as 7,1 or Q,1"
_NUMBER = "a whole number or arithmetic, such as 1,234 or 7*(Q + 3)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right; `remark` says what a wrong one mistook it for. None: it could not be read."""

    right: bool | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `expected` is a shape, a number, or the place of the right one of `options`.

    `derivation` and `shown`, the answer, stand after an answer that is wrong. `evidence` is a line of torch that gives
    the answer, where X, Y, hn, cn and layer are those of the question; with options there is one for each, true for
    the right one only. `remarks` say what a wrong shape or number comes from, `words` what else an option is called.
    """

    topic: str
    prediction: Prediction
    text: str
    expected: tuple[int, ...] | int
    shown: str
    derivation: tuple[str, ...]
    evidence: tuple[str, ...]
    symbols: Mapping[str, int]
    remarks: Mapping[Any, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def form(self) -> str:
        """What an answer looks like; the examples are nobody's answer."""
        if self.options:
            return f"a letter from a to {_LETTERS[len(self.options) - 1]}"
        return _SHAPE if isinstance(self.expected, tuple) else _NUMBER

    @property
    def lettered(self) -> tuple[tuple[str, str], ...]:
        """Each option with its letter."""
        return tuple(zip(_LETTERS, self.options, strict=False))

    @property
    def proof(self) -> str:
        """The line of torch that a learner can try: that of the right option, where there are options."""
        return self.evidence[self.expected] if isinstance(self.expected, int) and self.options else self.evidence[0]

    def grade(self, text: str) -> Verdict:
        """How good an answer is."""
        given: Any
        if self.options:
            told = bare(text)
            names = [(letter, bare(option)) for letter, option in self.lettered]
            also = [tuple(map(bare, words)) for words in self.words] or [()] * len(names)
            given = next((place for place, name in enumerate(names) if told in name), None)
            given = next((place for place, name in enumerate(also) if told in name), None) if given is None else given
        elif isinstance(self.expected, tuple):
            given = as_shape(text, self.symbols)
        else:
            given = as_number(text, self.symbols)
        if given is None:
            known = f"; I know the symbols {', '.join(self.symbols)}" if isinstance(self.expected, tuple) else ""
            return Verdict(None, f"I need {self.form}{known}.")
        return Verdict(True) if given == self.expected else Verdict(False, self._remark(given))

    def _remark(self, given: Any) -> str:
        if given in self.remarks or not isinstance(self.expected, tuple):
            return self.remarks.get(given, "")
        if len(given) != len(self.expected):
            return f"You gave {_axes(len(given))}; it has {_axes(len(self.expected))}."
        return "These are the right sizes in another order." if sorted(given) == sorted(self.expected) else ""

    @property
    def given(self) -> tuple[str, ...]:
        """The lines of code that the question is about; only what differs from torch's defaults."""
        spec, call = self.prediction.spec, self.prediction.call
        layout = ", batch_first=True" if spec.batch_first and not spec.kind.step else ""
        words = [str(spec.Q), str(spec.D)] + ([f"num_layers={spec.K}"] if spec.K > 1 else [])
        options = (
            (layout.removeprefix(", "), layout),
            ("bidirectional=True", spec.bidirectional),
            (f"proj_size={spec.P}", spec.P),
            ("bias=False", not spec.bias),
        )
        made = f"layer = nn.{spec.cell}({', '.join(words + [text for text, has in options if has])})"
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
        return {
            "topic": self.topic,
            "given": list(self.given),
            "text": self.text,
            "options": list(self.options),
            "form": self.form,
            "expected": list(self.expected) if isinstance(self.expected, tuple) else self.expected,
            "derivation": list(self.derivation),
            "evidence": self.proof,
        }


def _axes(number: int) -> str:
    return "1 axis" if number == 1 else f"{number} axes"


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
