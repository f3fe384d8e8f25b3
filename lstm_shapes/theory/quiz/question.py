"""Question: what is asked, the right answer, its derivation, and the line of torch that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec

from .answers import Answer, Choice, Verdict

__all__ = ["TOPICS", "Question"]

# In the order in which they are learnt, which is the order of the score.
TOPICS: tuple[str, ...] = ("shapes", "layout", "slices", "parameters", "directions", "packing", "reshapes", "laws")


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one layer and one call.

    `derivation` is shown after a wrong answer. `evidence` is a line of torch whose value is the right answer,
    where X, Y, hn, cn and layer are those of the question; a Choice has one such line for each of its options.
    """

    topic: str
    spec: Spec
    call: Call
    text: str
    answer: Answer
    derivation: tuple[str, ...]
    evidence: str = ""

    @property
    def given(self) -> tuple[str, ...]:
        """The lines of code that the question is about."""
        return (f"layer = {_constructor(self.spec)}", *_call(self.spec, self.call))

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """(letter, option) of a multiple choice; empty for another question."""
        return self.answer.lettered if isinstance(self.answer, Choice) else ()

    @property
    def shown_evidence(self) -> str:
        """The line of torch that a learner can try: that of the right option, where there are options."""
        if isinstance(self.answer, Choice):
            return self.answer.evidence[self.answer.right]
        return self.evidence

    def grade(self, text: str) -> Verdict:
        """How good an answer is."""
        return self.answer.grade(text)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `expected` is the shape, the number, or the position of the right option."""
        expected = self.answer.expected
        return {
            "topic": self.topic,
            "given": list(self.given),
            "text": self.text,
            "options": [option for _, option in self.options],
            "form": self.answer.form,
            "expected": list(expected) if isinstance(expected, tuple) else expected,
            "derivation": list(self.derivation),
            "evidence": self.shown_evidence,
        }


def _constructor(spec: Spec) -> str:
    """The layer as torch is told to make it; only what differs from torch's defaults."""
    words = [str(spec.Q), str(spec.D)]
    if spec.K > 1:
        words.append(f"num_layers={spec.K}")
    if spec.batch_first and not spec.kind.step:
        words.append("batch_first=True")
    words += [
        text
        for text, has in (
            ("bidirectional=True", spec.bidirectional),
            (f"proj_size={spec.P}", spec.P),
            ("bias=False", not spec.bias),
        )
        if has
    ]
    return f"nn.{spec.cell}({', '.join(words)})"


def _call(spec: Spec, call: Call) -> tuple[str, ...]:
    """How it is called: with the sizes of X, whose order the reader is to know from the layout."""
    if call.batched:
        sizes = [call.N, spec.Q] if spec.kind.step else [call.N, call.L, spec.Q]
        if not spec.batch_first:
            sizes = [call.L, call.N, spec.Q]
    else:
        sizes = [spec.Q] if spec.kind.step else [call.L, spec.Q]
    X = f"X = torch.randn({', '.join(map(str, sizes))})"
    if call.lengths is not None:
        layout = ", batch_first=True" if spec.batch_first else ""
        return (
            X,
            f"lengths = torch.tensor({list(call.lengths)})",
            f"packed = pack_padded_sequence(X, lengths{layout}, enforce_sorted=False)",
            f"Y, {spec.states('n')} = layer(packed)",
            f"Y, _ = pad_packed_sequence(Y{layout})",
        )
    if spec.kind.step:
        return (X, f"{spec.states('n').strip('()')} = layer(X)")
    return (X, f"Y, {spec.states('n')} = layer(X)")
