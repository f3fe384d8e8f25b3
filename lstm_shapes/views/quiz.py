"""A quiz on the screen: the question, what came of the answer, and the score at the end."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lstm_shapes.display import view
from lstm_shapes.display.page import STYLES, Cell, Column, Lines, Mark, Page, Sheet, written
from lstm_shapes.theory.quiz.answers import Verdict
from lstm_shapes.theory.quiz.draw import LETTERS, LEVELS
from lstm_shapes.theory.quiz.question import Question
from lstm_shapes.theory.quiz.score import Score
from lstm_shapes.theory.symbols import legend

__all__ = ["opening", "question_view", "score_view", "verdict_view"]


def opening(level: int) -> Group:
    """What the quiz is, how to answer, and the letters it uses."""
    return Group(
        Text(f"Quiz, level {level}: {LEVELS[level]}", style=STYLES["strong"]),
        written("An empty answer passes the question over and shows the solution. `quit` or Ctrl-C ends the quiz."),
        written(f"{legend(LETTERS[level])}."),
    )


def question_view(question: Question, number: int, rounds: int) -> Group:
    """The layer, the call, the question, and the options of a multiple choice."""
    rows: list[RenderableType] = [
        Text(""),
        Text(f"{number} of {rounds}: {question.topic}", style="bold underline"),
        *(Padding(Text(line, style=STYLES["code"]), (0, 0, 0, 2)) for line in question.given),
        written(question.text),
        *(Padding(Text.assemble(f"{letter}) ", option), (0, 0, 0, 2)) for letter, option in question.options),
    ]
    return Group(*rows)


def verdict_view(question: Question, verdict: Verdict, given: str) -> Group:
    """Right; or the right answer with its derivation, and the line of torch that shows it."""
    if verdict.right:
        return Group(Text("✓ Right.", style=STYLES["good"]))
    if verdict.right is None and given:
        return Group(Text(verdict.remark, style=STYLES["quiet"]))
    no = ("✗ No. ", STYLES["bad"]) if given else ""
    head = Text.assemble(no, "The answer: ", (question.answer.shown, STYLES["code"]))
    lines = [head]
    if verdict.remark and given:
        lines.append(written(verdict.remark))
    lines += [written(line) for line in question.derivation]
    if question.shown_evidence:
        lines.append(written(f"In torch: `{question.shown_evidence}`"))
    return Group(lines[0], *(Padding(line, (0, 0, 0, 2)) for line in lines[1:]))


@view.register(Score)
def score_view(score: Score) -> Page:
    """How much was right, topic by topic."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (topic, f"{right} of {asked}", Mark("●" * right, "good") if right else "", Mark("○" * (asked - right), "bad"))
        for topic, right, asked in score.topics
    )
    seeds = f"The same questions again: `--level {score.level} --seed {score.seed}`; others: `--seed {score.seed + 1}`."
    stopped = f"You stopped after {score.asked} of {score.rounds}. " if score.asked < score.rounds else ""
    if not rows:
        return Page(f"Score, level {score.level}: nothing answered", seeds, ())
    marks = (Column("topic"), Column("right", right=True), Column(""), Column(""))
    blocks: list[Sheet | Lines] = [Sheet("By topic", marks, rows)]
    weak = [topic for topic, right, asked in score.topics if right < asked]
    if weak:
        blocks.append(Lines("To look at again", tuple(_REVIEW[topic] for topic in weak)))
    return Page(f"Score, level {score.level}: {score.right} of {score.asked} right", f"{stopped}{seeds}", tuple(blocks))


# Where each topic is explained: the table that has the answer.
_REVIEW = {
    "shapes": "shapes: the first table of `lstm-shapes explain 28 256 3`",
    "layout": "layout: `--time-major` turns X and Y, never hn and cn; compare the two tables",
    "slices": "slices: the table Slices of `lstm-shapes explain 28 256 3`",
    "parameters": "parameters: `lstm-shapes count 28 256 3` writes each layer's formula",
    "directions": "directions: `lstm-shapes explain 28 256 3 --bidirectional`",
    "packing": "packing: `lstm-shapes explain 28 256 --lengths 5,3,2`",
    "reshapes": 'reshapes: `ls.annotate(hn, "K N D").view(N, -1)` names what it mixes',
    "laws": "laws: the table Laws of `lstm-shapes explain 28 256 3`, also with `--bidirectional`",
}
