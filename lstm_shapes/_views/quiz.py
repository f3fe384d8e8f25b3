"""A quiz on the screen or as a sheet of paper: questions, what came of the answers, the score, the key."""

from __future__ import annotations

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from lstm_shapes.display import view
from lstm_shapes.display.page import STYLES, Block, Column, Lines, Mark, Page, Role, Sheet, written
from lstm_shapes.language import gloss, say
from lstm_shapes.theory._quiz import LETTERS, Question, Score, Verdict, deal
from lstm_shapes.theory.symbols import legend


def opening(level: int, command: bool) -> Page:
    """What the quiz is, how to answer, and the letters it uses."""
    how = [say("how to answer")] + ([] if command else [say("how to answer in Python")])
    title = say("quiz", level=level, about=say(f"level {level}"))
    return Page(title, f"{' '.join(how)} {legend(LETTERS[level])}.", ()).glossed()


def _asked(card: Question) -> tuple[str, ...]:
    """The layer, the call, the question, and the options of a multiple choice."""
    return (*(f"`{line}`" for line in card.given), card.text, *(f"{letter}) `{one}`" for letter, one in card.lettered))


def question_view(question: Question, number: int, rounds: int) -> Group:
    head = say("question", number=number, rounds=rounds, topic=say(f"topic {question.topic}"))
    return Group(Text(""), Text(head, style="bold underline"), *map(_inside, _asked(question)))


def verdict_view(question: Question, verdict: Verdict, given: str) -> Group:
    """Right; or the right answer with its derivation, and the line of torch that shows it."""
    head: tuple[str, Role] = (say("right"), "good")
    lines: list[str] = []
    if verdict.right is None and given:
        head = verdict.remark, "quiet"
    elif not verdict.right:
        head = say("not right" if given else "the answer", answer=question.shown), "bad" if given else "strong"
        lines = [verdict.remark] if verdict.remark and given else []
        lines += [*question.derivation, say("in torch", code=question.proof)]
    return Group(Text(head[0], style=STYLES[head[1]]), *map(_inside, lines))


def _inside(line: str) -> Padding:
    return Padding(written(gloss(line)), (0, 0, 0, 2))


def sheet_view(level: int, rounds: int, seed: int | None) -> Page:
    """Questions to be printed, and their key on the last page."""
    seed, cards = deal(level, rounds, seed)
    blocks: list[Block] = []
    key = []
    for number, card in enumerate(cards, start=1):
        blocks.append(Lines(f"{number}. {say(f'topic {card.topic}')}", _asked(card)))
        key.append((f"{number}", Mark(card.shown, "code"), "\n".join((*card.derivation, f"`{card.proof}`"))))
    columns = (Column("", right=True), Column(say("answer"), whole=False), Column(say("why"), whole=False))
    about = say("sheet again", legend=legend(LETTERS[level]), seed=str(seed))
    title = say("sheet", level=level, about=say(f"level {level}"))
    return Page(title, about, (*blocks, Sheet(say("sheet key"), columns, tuple(key)))).glossed()


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
    words = f"--level {score.level} --seed {score.seed}"
    again = say("score again", code=words if score.command else f"ls.quiz({score.level}, seed={score.seed})")
    if not score.answers:
        return Page(say("score of nothing", level=score.level), again, ())
    rows = tuple(
        (
            say(f"topic {topic}"),
            say("right of asked", right=right, asked=asked),
            Mark("●" * right, "good"),
            Mark("○" * (asked - right), "bad"),
        )
        for topic, right, asked in score.topics
    )
    columns = (Column(say("topic")), Column(say("right ones"), right=True), Column(""), Column(""))
    blocks: list[Block] = [Sheet(say("by topic"), columns, rows)]
    wrong = [topic for topic, right, asked in score.topics if right < asked]
    if wrong:
        review = (f"{say(f'topic {topic}')}: `{_REVIEW[topic][not score.command]}`" for topic in wrong)
        blocks.append(Lines(say("look again"), tuple(review)))
    if score.asked < score.rounds:
        again = f"{say('score stopped', asked=score.asked, rounds=score.rounds)} {again}"
    return Page(say("score", level=score.level, right=score.right, asked=score.asked), again, tuple(blocks))
