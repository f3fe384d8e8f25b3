"""A quiz on the screen or as a sheet of paper: questions, what came of the answers, the score, the key."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lstm_shapes.display import view
from lstm_shapes.display.page import STYLES, Block, Cell, Column, Lines, Mark, Page, Sheet, written
from lstm_shapes.theory._quiz.draw import LETTERS, LEVELS
from lstm_shapes.theory._quiz.question import Question, Score, Verdict
from lstm_shapes.theory.symbols import legend

__all__ = ["opening", "question_view", "score_view", "sheet_view", "verdict_view"]


def opening(level: int, command: bool) -> Group:
    """What the quiz is, how to answer, and the letters it uses."""
    how = "An empty answer passes the question over and shows the solution. `q` or Ctrl-C ends the quiz."
    if not command:
        how += (
            " Answers are typed, or come from a function: `ls.quiz(ask=f)`, where f gets the prompt and returns a "
            "tuple, a number, a letter, or None for no more."
        )
    return Group(
        Text(f"Quiz, level {level}: {LEVELS[level]}", style=STYLES["strong"]),
        written(how),
        written(f"{legend(LETTERS[level])}."),
    )


def question_view(question: Question, number: int, rounds: int) -> Group:
    """The layer, the call, the question, and the options of a multiple choice."""
    rows: list[RenderableType] = [
        Text(""),
        Text(f"{number} of {rounds}: {question.topic}", style="bold underline"),
        *(Padding(Text(line, style=STYLES["code"]), (0, 0, 0, 2)) for line in question.given),
        written(question.text),
        *(Padding(Text.assemble(f"{letter}) ", option), (0, 0, 0, 2)) for letter, option in question.lettered),
    ]
    return Group(*rows)


def verdict_view(question: Question, verdict: Verdict, given: str) -> Group:
    """Right; or the right answer with its derivation, and the line of torch that shows it."""
    if verdict.right:
        return Group(Text("✓ Right.", style=STYLES["good"]))
    if verdict.right is None and given:
        return Group(Text(verdict.remark, style=STYLES["quiet"]))
    head = Text.assemble(
        *([("✗ No. ", STYLES["bad"])] if given else []), "The answer: ", (question.shown, STYLES["code"])
    )
    told = [verdict.remark] if verdict.remark and given else []
    told += [*question.derivation, f"In torch: `{question.proof}`"]
    return Group(head, *(Padding(written(line), (0, 0, 0, 2)) for line in told))


def sheet_view(cards: Sequence[Question], level: int, seed: int) -> Page:
    """Questions to be printed, and their key on the last page."""
    blocks: list[Block] = [
        Lines(
            f"{number}. {card.topic}",
            (*(f"`{line}`" for line in card.given), card.text, *(f"{a}) `{b}`" for a, b in card.lettered)),
        )
        for number, card in enumerate(cards, start=1)
    ]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (f"{number}", Mark(card.shown, "code"), "\n".join((*card.derivation, f"`{card.proof}`")))
        for number, card in enumerate(cards, start=1)
    )
    columns = (Column("", right=True), Column("answer", whole=False), Column("why", whole=False))
    title = f"Shapes of recurrent layers, level {level}: {LEVELS[level]}"
    subtitle = f"{legend(LETTERS[level])}. The same sheet again: seed {seed}."
    return Page(title, subtitle, (*blocks, Sheet("Key", columns, rows)))


@view.register(Score)
def score_view(score: Score) -> Page:
    """How much was right, topic by topic."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (topic, f"{right} of {asked}", Mark("●" * right, "good") if right else "", Mark("○" * (asked - right), "bad"))
        for topic, right, asked in score.topics
    )
    again = "`--level {} --seed {}`" if score.command else "`ls.quiz({}, seed={})`"
    seeds = f"The same questions again: {again.format(score.level, score.seed)}."
    if not rows:
        return Page(f"Score, level {score.level}: nothing answered", seeds, ())
    stopped = f"You stopped after {score.asked} of {score.rounds}. " if score.asked < score.rounds else ""
    marks = (Column("topic"), Column("right", right=True), Column(""), Column(""))
    review = [f"{topic}: {_REVIEW[topic][not score.command]}" for topic, right, asked in score.topics if right < asked]
    blocks: list[Block] = [Sheet("By topic", marks, rows)]
    if review:
        blocks.append(Lines("To look at again", tuple(review)))
    return Page(f"Score, level {score.level}: {score.right} of {score.asked} right", f"{stopped}{seeds}", tuple(blocks))


# Where each topic is explained, on the command line and in Python: the table that has the answer.
_REVIEW = {
    "shapes": (
        "the first table of `lstm-shapes explain 28 256 3`",
        "the first table of `ls.explain(28, 256, 3)`",
    ),
    "layout": (
        "`--time-major` turns X and Y, never hn and cn; compare the two tables",
        "`batch_first=False` turns X and Y, never hn and cn; compare the two tables of `ls.predict`",
    ),
    "slices": (
        "the table Slices of `lstm-shapes explain 28 256 3`",
        "`ls.explain(28, 256, 3).slices`",
    ),
    "parameters": (
        "`lstm-shapes count 28 256 3` writes each layer's formula",
        "`ls.count(28, 256, 3)` writes each layer's formula",
    ),
    "directions": (
        "`lstm-shapes explain 28 256 3 --bidirectional`",
        "`ls.explain(28, 256, 3, bidirectional=True)`",
    ),
    "packing": (
        "`lstm-shapes explain 28 256 --lengths 5,3,2`",
        "`ls.explain(28, 256, lengths=(5, 3, 2))`",
    ),
    "reshapes": ('`ls.annotate(hn, "K N D").view(N, -1)` names what it mixes',) * 2,
    "laws": (
        "the table Laws of `lstm-shapes explain 28 256 3`, also with `--bidirectional`",
        "`ls.laws(28, 256, 3)`, also with `bidirectional=True`",
    ),
}
