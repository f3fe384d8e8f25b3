"""Score: what was asked, what was answered, and how much of each topic was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstm_shapes.display import Shown

from .question import TOPICS, Question

__all__ = ["Answered", "Score"]


@dataclass(frozen=True, slots=True)
class Answered:
    """One question, what was typed, and whether it was right. An empty answer is one that was passed over."""

    question: Question
    given: str
    right: bool


@dataclass(frozen=True, slots=True, repr=False)
class Score(Shown):
    """The result of a quiz: how many of how many, by topic.

    `rounds` is how many were to be asked; fewer answers mean that somebody stopped.
    """

    level: int
    seed: int
    rounds: int
    answers: tuple[Answered, ...] = ()

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
        found = []
        for topic in TOPICS:
            answers = [answer.right for answer in self.answers if answer.question.topic == topic]
            if answers:
                found.append((topic, sum(answers), len(answers)))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "level": self.level,
            "seed": self.seed,
            "rounds": self.rounds,
            "asked": self.asked,
            "right": self.right,
            "topics": [{"topic": topic, "right": right, "asked": asked} for topic, right, asked in self.topics],
            "answers": [
                {"question": one.question.to_dict(), "given": one.given, "right": one.right} for one in self.answers
            ],
        }
