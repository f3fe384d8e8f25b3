"""The quiz's questions in the order in which they are asked, and their answers as somebody would type them."""

from __future__ import annotations

from lstm_shapes.theory._quiz import Question, deal

__all__ = ["cards", "right"]


def cards(level: int, seed: int, count: int = 10) -> list[Question]:
    """The first questions of a quiz."""
    return list(deal(level, count, seed)[1])


def right(question: Question) -> str:
    """The right answer as somebody would type it."""
    if question.choices and isinstance(question.expected, int):
        return question.lettered[question.expected][0]
    return str(question.expected)
