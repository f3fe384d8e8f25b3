"""A quiz on the screen or as a sheet of paper: questions, what came of the answers, the score, the key."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lstm_shapes.display import view
from lstm_shapes.display.page import STYLES, Block, Column, Lines, Mark, Page, Sheet, written
from lstm_shapes.language import gloss, say
from lstm_shapes.theory._quiz.question import Question, Score, Verdict
from lstm_shapes.theory._quiz.topics import LETTERS
from lstm_shapes.theory.symbols import legend


def opening(level: int, command: bool) -> Group:
    """What the quiz is, how to answer, and the letters it uses."""
    title = Text(gloss(say("quiz", level=level, about=say(f"level {level}"))), style=STYLES["strong"])
    how = [say("how to answer")] + ([] if command else [say("how to answer in Python")])
    return Group(title, written(gloss(" ".join(how))), written(gloss(f"{legend(LETTERS[level])}.")))


def question_view(question: Question, number: int, rounds: int) -> Group:
    """The layer, the call, the question, and the options of a multiple choice."""
    head = say("question", number=number, rounds=rounds, topic=say(f"topic {question.topic}"))
    code = (_inside(Text(line, style=STYLES["code"])) for line in question.given)
    options = (_inside(Text(f"{letter}) {gloss(option)}")) for letter, option in question.lettered)
    return Group(Text(""), Text(head, style="bold underline"), *code, written(gloss(question.text)), *options)


def verdict_view(question: Question, verdict: Verdict, given: str) -> Group:
    """Right; or the right answer with its derivation, and the line of torch that shows it."""
    if verdict.right:
        return Group(Text(say("right"), style=STYLES["good"]))
    if verdict.right is None and given:
        return Group(Text(verdict.remark, style=STYLES["quiet"]))
    lines = [verdict.remark] if verdict.remark and given else []
    lines += [*question.derivation, say("in torch", code=question.proof)]
    head = Text(
        say("not right" if given else "the answer", answer=question.shown), style=STYLES["bad" if given else "strong"]
    )
    return Group(head, *(_inside(written(gloss(line))) for line in lines))


def _inside(line: Text) -> RenderableType:
    return Padding(line, (0, 0, 0, 2))


def sheet_view(cards: Sequence[Question], level: int, seed: int) -> Page:
    """Questions to be printed, and their key on the last page."""
    blocks: list[Block] = []
    rows = []
    for number, card in enumerate(cards, start=1):
        code = (f"`{line}`" for line in card.given)
        lines = (*code, card.text, *(f"{letter}) `{option}`" for letter, option in card.lettered))
        blocks.append(Lines(f"{number}. {say(f'topic {card.topic}')}", lines))
        rows.append((f"{number}", Mark(card.shown, "code"), "\n".join((*card.derivation, f"`{card.proof}`"))))
    columns = (Column("", right=True), Column(say("answer"), whole=False), Column(say("why"), whole=False))
    about = say("sheet again", legend=legend(LETTERS[level]), seed=str(seed))
    title = say("sheet", level=level, about=say(f"level {level}"))
    return Page(title, about, (*blocks, Sheet(say("sheet key"), columns, tuple(rows)))).glossed()


# Where each topic is explained, on the command line and in Python.
_REVIEW = {
    "shapes": ("lstm-shapes explain 28 256 3", "ls.explain(28, 256, 3)"),
    "layout": ("lstm-shapes explain 28 256 3 --time-major", "ls.explain(28, 256, 3, batch_first=False)"),
    "slices": ("lstm-shapes explain 28 256 3 --full", "ls.explain(28, 256, 3).slices"),
    "parameters": ("lstm-shapes count 28 256 3", "ls.count(28, 256, 3)"),
    "directions": ("lstm-shapes explain 28 256 3 --bidirectional", "ls.explain(28, 256, 3, bidirectional=True)"),
    "packing": ("lstm-shapes explain 28 256 --lengths 5,3,2", "ls.explain(28, 256, lengths=(5, 3, 2))"),
    "reshapes": ('ls.annotate(hn, "K N D").view(N, -1)',) * 2,
    "laws": ("lstm-shapes explain 28 256 3 --full", "ls.laws(28, 256, 3)"),
}


@view.register(Score)
def score_view(score: Score) -> Page:
    """How much was right, topic by topic."""
    again = (
        f"--level {score.level} --seed {score.seed}" if score.command else f"ls.quiz({score.level}, seed={score.seed})"
    )
    seeds = say("score again", code=again)
    if not score.answers:
        return Page(say("score of nothing", level=score.level), seeds, ())
    rows, review = [], []
    for topic, right, asked in score.topics:
        name, marks = say(f"topic {topic}"), (Mark("●" * right, "good"), Mark("○" * (asked - right), "bad"))
        rows.append((name, say("right of asked", right=right, asked=asked), *marks))
        review += [f"{name}: `{_REVIEW[topic][not score.command]}`"] if right < asked else []
    columns = (Column(say("topic")), Column(say("right ones"), right=True), Column(""), Column(""))
    blocks: list[Block] = [Sheet(say("by topic"), columns, tuple(rows))]
    if review:
        blocks.append(Lines(say("look again"), tuple(review)))
    if score.asked < score.rounds:
        seeds = f"{say('score stopped', asked=score.asked, rounds=score.rounds)} {seeds}"
    title = say("score", level=score.level, right=score.right, asked=score.asked)
    return Page(title, seeds, tuple(blocks))
