"""The quiz: every answer against torch, and every spelling of an answer against its grade."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lstm_shapes import Spec, SpecError
from lstm_shapes.theory._quiz import (
    LETTERS,
    TOPICS,
    Answered,
    Question,
    Score,
    deal,
    drawn,
    symbols_of,
    written,
)  # fmt: skip
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from tests.scale import examples
from tests.snapshot import Snapshot

SEEDS = range(examples(6))
"""Each seed gives four full decks a level: about 130 questions."""


def dealt(level: int, seed: int, count: int = 28) -> list[Question]:
    return list(deal(level, count, seed)[1])


def ran(question: Question) -> dict[str, Any]:
    """The question's own lines of code, run by torch; states are made different for every row and layer."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    torch.manual_seed(0)
    scope: dict[str, Any] = {
        "torch": torch,
        "nn": nn,
        "pack_padded_sequence": pack_padded_sequence,
        "pad_packed_sequence": pad_packed_sequence,
    }
    with torch.no_grad():
        exec("\n".join(question.given), scope)
    spec, call = question.prediction.spec, question.prediction.call
    sizes = {"N": call.N, "L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "H": spec.H}
    return {**scope, **sizes}


def value(expression: str, scope: dict[str, Any]) -> Any:
    """What torch says; an expression that torch refuses is no answer."""
    try:
        return eval(expression, scope)
    except (IndexError, RuntimeError):
        return None


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("level", LETTERS)
def test_every_answer_is_what_torch_says(level: int, seed: int) -> None:
    """The lines under each question run, and torch gives the answer that the library gives."""
    for question in dealt(level, seed):
        scope = ran(question)
        found = [value(line, scope) for line in question.evidence]
        if question.choices:
            right = [number for number, holds in enumerate(found) if holds]
            assert right == [question.expected], (question.given, question.text, question.lettered, found)
        else:
            assert found == [question.expected], (question.given, question.text, found)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("seed", SEEDS)
def test_ends_of_directions_are_what_single_layers_give(seed: int) -> None:
    """Which row of hn is which direction, from one-layer layers run by hand on reversed steps."""
    import torch

    for question in (one for one in dealt(3, seed) if one.topic == "directions"):
        scope, spec = ran(question), question.prediction.spec
        time = 0 if not spec.batch_first or not question.prediction.call.batched else 1
        below = scope["X"]
        ends = []
        for layer in range(spec.K):
            halves = []
            for suffix in ("", "_reverse"):
                fields = {"batch_first": time == 1, **({"proj_size": spec.P} if spec.P else {})}
                one = getattr(torch.nn, spec.cell)(below.size(-1), spec.D, **fields)
                for name, parameter in one.named_parameters():
                    parameter.data = getattr(scope["layer"], name.replace("_l0", f"_l{layer}") + suffix).data
                steps = below.flip(time) if suffix else below
                with torch.no_grad():
                    Y, _ = one(steps)
                ends.append(Y.select(time, -1))
                halves.append(Y.flip(time) if suffix else Y)
            below = torch.cat(halves, dim=-1)
        torch.testing.assert_close(scope["hn"], torch.stack(ends))


def test_topics_of_a_level_come_up_equally_often() -> None:
    """A deck has each topic of the level once; the first level knows neither directions nor packing."""
    topics = [question.topic for question in dealt(5, seed=1, count=len(TOPICS))]
    assert sorted(topics) == sorted(TOPICS)
    assert {question.topic for question in dealt(1, seed=1, count=40)} == {"shapes", "layout", "slices", "parameters"}


def test_sizes_are_all_different() -> None:
    """Two equal sizes would let a swapped answer pass."""
    for level in LETTERS:
        chance = Random("sizes")
        for _ in range(examples(100)):
            symbols = symbols_of(drawn(level, chance))
            sizes = [size for name, size in symbols.items() if name in "NLQDKPT" and (name, size) != ("K", 1)]
            assert len(set(sizes)) >= len(sizes) - ("T" in symbols)


def test_seed_decides() -> None:
    """The same seed asks the same questions, another one others, and Python's own chance is left alone."""
    import random

    random.seed(1)
    state = random.getstate()
    assert [q.to_dict() for q in dealt(4, 5)] == [q.to_dict() for q in dealt(4, 5)]
    assert [q.to_dict() for q in dealt(4, 5)] != [q.to_dict() for q in dealt(4, 6)]
    assert random.getstate() == state


def test_no_question_comes_twice_in_a_quiz() -> None:
    """Within a hundred questions none is repeated."""
    seen = [(question.given, question.text) for question in dealt(5, seed=2, count=100)]
    assert len(set(seen)) == 100


@pytest.mark.parametrize(("level", "seed"), [(0, 0), (6, 0), (True, 0), ("1", 0), (1, "0"), (1, 1.5)])
def test_bad_level_or_seed(level: Any, seed: Any) -> None:
    """A level is 1 to 5, a seed a whole number."""
    with pytest.raises(SpecError, match=r"(level|seed) must be a whole number"):
        deal(level, 1, seed)


def test_only_of_several_gates_it_is_said_how_they_are_stacked() -> None:
    """An RNN has one, and a projection has none."""
    seen = set()
    weights = (one for seed in range(12) for one in dealt(5, seed, 120) if "layer.weight" in one.text)
    for one in weights:
        stacked, gates = "weight_hr" not in one.text, one.prediction.spec.G
        assert any(f"G·D = {gates}·" in line for line in one.derivation) is (stacked and gates > 1)
        seen.add((stacked, gates))
    assert seen == {(True, 4), (True, 3), (True, 1), (False, 4)}


@pytest.mark.parametrize(("level", "count"), [(1, 8), (2, 12), (3, 12), (4, 12), (5, 32)])
def test_what_a_seed_asks(level: int, count: int, snapshot: Snapshot) -> None:
    """The same in every version: who hands out a seed knows what is asked, and what is said of wrong answers."""
    lines: list[str] = []
    for number, one in enumerate(dealt(level, 7, count), 1):
        lines += [f"{number}. {one.topic}: {one.prediction.spec}, {one.prediction.call}", f"  {one.text}"]
        lines += [f"  {letter}) {' '.join(names)}" for letter, names in zip("abcdefgh", one.choices, strict=False)]
        lines += [f"  = {one.shown}, by {one.proof}", *(f"  {line}" for line in one.derivation)]
        lines += [f"  ! {wrong}: {remark}" for wrong, remark in one.remarks.items()]
    snapshot(f"level {level}", "\n".join(lines))


def question(answer: Axes | int, **fields: Any) -> Question:
    expected = answer.sizes if isinstance(answer, Axes) else answer
    return Question("shapes", BOTH, "?", expected, "", (), ("1",), **fields)


BOTH = Prediction(Spec(5, 20, 3, bidirectional=True), Call(4, 7))
HN = question(BOTH.hn, remarks={(4, 7, 40): "the shape of `Y`"})


@pytest.mark.parametrize(
    "text",
    ["6,4,20", "6,4,20,", "(6, 4, 20)", "[6,4,20]", "6 4 20", " 6 , 4 , 20 ", "torch.Size([6, 4, 20])", "K*R,N,D",
     "K·R, N, H", "2K, N, D", "(k*r, n, d)", "6;4;20", "6x4x20", "R*K, 4, D",
     "K x 2,N,D", "k x r x 1, n, d", "KR,N,D", "kr, n, h", "(K*R),(N),(H)", "[(K*R), (N), (H)]", "(2K, N, D).",
     "2K N D", "K·2 x N x D", "((6, 4, 20))", "3+3, 4, 2*(5+5)"],
)  # fmt: skip
def test_shapes_as_people_write_them(text: str) -> None:
    """Numbers, symbols and products, with and without brackets."""
    assert HN.grade(text).right is True


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("4,6,20", "another order"),
        ("4,7,40", "the shape of `Y`"),
        ("4,20", "2 sizes; it has 3 sizes"),
        ("5", "1 size;"),
        ("6,4,21", "^$"),
        ("-6,-4,20", "^$"),
    ],
)
def test_wrong_shapes_are_told_what_they_are(text: str, remark: str) -> None:
    """A wrong shape is recognised where it is another tensor's, or in another order."""
    import re

    verdict = HN.grade(text)
    assert verdict.right is False
    assert re.search(remark, verdict.remark)


@pytest.mark.parametrize(
    "text",
    ["", "()", "dunno", "KND", "knd.",
     "6,4,Z", "6,4,20.0", "6,,x", "__import__('os').getcwd()", "K**9**9**9,1,2", "6,4,True",
     "(" * 150, "1" * 500, "6,4,'a'", "len('abc'),4,20", "6,4,20 if K else 1", "6,4,~1", "6/1,4,20"],
)  # fmt: skip
def test_what_is_no_shape_is_asked_for_again(text: str) -> None:
    """Unreadable is neither right nor wrong; nothing that was typed is ever run."""
    verdict = HN.grade(text)
    assert verdict.right is None
    assert "write a shape" in verdict.remark


def test_wrong_number_is_told_where_it_comes_from() -> None:
    """The parameter count of one gate is recognised; an unknown mistake gets no remark."""
    answer = question(400, remarks={100: "That is one gate."})
    assert answer.grade("100").remark == "That is one gate."
    assert answer.grade("101").remark == ""
    assert answer.grade("lots").right is None


def test_choice_by_letter_or_by_text() -> None:
    """The letter in any dress, or the option itself."""
    answer = question(0, choices=(("Y[:, -1]",), ("hn[0]",), ("Q, the features",)))
    grades = {text: answer.grade(text).right for text in ("a", "A", "a)", "(a)", "a.", " a ", "Y[:,-1]", "`Y[:, -1]`")}
    assert set(grades.values()) == {True}
    assert {answer.grade(text).right for text in ("b", "hn[0]", "c", "Q, the features")} == {False}
    assert {answer.grade(text).right for text in ("", "d", "1", "hn[1]")} == {None}


def asked(word: str) -> Question:
    return next(one for seed in range(9) for one in dealt(4, seed) if word in one.text)


@pytest.mark.parametrize(
    ("word", "right", "wrong"),
    [
        ("X.size(", ("{N}", "`{N}`", "{N}."), "{other}"),
        ("Which axis of", ("{axis}", "axis {axis}"), "7"),
        ("hold here?", ("{yes}", "{yes}."), "{no}"),
        ("What is in `Y[", ("{what}",), "perhaps"),
    ],
)
def test_choice_in_other_words(word: str, right: tuple[str, ...], wrong: str) -> None:
    """A symbol, an axis' number, yes or no: what is meant is clear, so it is not asked for again."""
    question = asked(word)
    assert isinstance(question.expected, int)
    options = [option for _, option in question.lettered]
    option = options[question.expected]
    words = {
        "N": option[0],
        "other": next(one[0] for one in options if one != option),
        "axis": option[-1],
        "yes": "no" if "not" in option else "yes",
        "no": "yes" if "not" in option else "no",
        "what": "zeros" if "zeros" in option else "hidden state",
    }
    for text in right:
        assert question.grade(text.format(**words)).right is True, (option, text)
    assert question.grade(wrong.format(**words)).right is not True


@pytest.mark.parametrize("level", LETTERS)
def test_every_letter_is_explained(level: int) -> None:
    """A level's legend has each symbol that its questions and answers are written with, and no more than is known."""
    import re

    for seed in range(5):
        for question in dealt(level, seed):
            options = [option for _, option in question.lettered]
            for text in (question.text, *question.derivation, *options, question.shown, question.form):
                letters = re.findall(r"(?<![A-Za-z.])[0-9]*([NLQDKRPHGT])\b", text)
                assert set(letters) <= set(LETTERS[level]), text


def test_an_axis_whose_symbol_has_no_value_is_written_as_a_number() -> None:
    """Also of size 1."""
    assert written(Axes.of("Z V D", (1, 4, 5)), {"D": 5}) == "(1, 4, D) = (1, 4, 5)"


def test_cut_axes_are_written_as_numbers() -> None:
    """`Y[:, -1:]` is (N, 1, D): L has another size."""
    assert written(Axes.of("N L", (2, 1)), {"N": 2, "L": 7}) == "(N, 1) = (2, 1)"
    assert written(Axes.of("D", (5,)), {"D": 5}) == "(D,) = (5,)"


def test_given_lines_leave_defaults_out() -> None:
    """The layer is written as torch's users write it."""
    spec = Spec(5, 8, 2, bidirectional=True, proj_size=3, bias=False)
    given = Question("shapes", Prediction(spec, Call(N=2, L=7)), "?", 1, "", (), ("1",)).given
    assert given == (
        "layer = nn.LSTM(5, 8, num_layers=2, bias=False, batch_first=True, bidirectional=True, proj_size=3)",
        "X = torch.randn(2, 7, 5)",
        "Y, (hn, cn) = layer(X)",
    )


def test_plain_data_of_a_question() -> None:
    """Enough for another program to ask it: text, options, the form of an answer, what is expected."""
    for question in dealt(2, seed=0):
        plain = question.to_dict()
        assert plain["evidence"]
        assert plain["derivation"]
        assert isinstance(plain["expected"], list) is plain["form"].startswith("a shape")
        assert bool(plain["options"]) is plain["form"].startswith("a letter from a to")
        if plain["options"]:
            assert plain["options"][plain["expected"]]


@pytest.mark.parametrize("level", LETTERS)
def test_no_hint_contains_the_answer(level: int) -> None:
    """What is said of an answer that cannot be read, and a wrong one's remark, have nothing in them that is right."""
    import re

    for seed in SEEDS:
        for question in dealt(level, seed):
            hint = question.grade("??").remark
            assert hint.startswith("Unreadable: write")
            if question.choices:
                assert question.shown not in hint
                continue
            examples = re.split(r" or (?=[A-Z0-9])", hint.partition("such as ")[2].partition(";")[0].rstrip("."))
            assert len(examples) == 2
            assert {question.grade(example).right for example in examples} == {False}, (question.text, examples)
            for wrong, remark in question.remarks.items():
                assert wrong != question.expected
                assert str(question.expected) not in remark


@pytest.mark.parametrize("level", LETTERS)
def test_a_count_without_its_biases_is_told_apart(level: int) -> None:
    """The wrong number that means "no biases" is what torch has in those weights, layer by layer."""
    told = set()
    for seed in SEEDS:
        for question in dealt(level, seed):
            if question.evidence[0].startswith("sum(p.numel()"):
                _, _, part = question.evidence[0].partition(" if ")
                part = part.split("'")[1] if part else ""
                weights = ran(question)["layer"].named_parameters()
                without = sum(p.numel() for name, p in weights if part in name and "bias" not in name)
                assert question.remarks[without].endswith("without the biases."), (question.given, question.text)
                told.add(question.text)
    assert told


def test_score_by_topic() -> None:
    """The totals are the sums of the topics; topics come in the order in which they are learnt."""
    cards = dealt(5, seed=0, count=16)
    score = Score(5, 0, 20, tuple(Answered(card, "a", bool(place % 3)) for place, card in enumerate(cards)))
    assert [topic for topic, _, _ in score.topics] == list(TOPICS)
    assert sum(right for _, right, _ in score.topics) == score.right == 10
    assert sum(asked for _, _, asked in score.topics) == score.asked == 16
    plain = score.to_dict()
    assert (plain["right"], plain["asked"], plain["rounds"], len(plain["answers"])) == (10, 16, 20, 16)
