"""Rows of different lengths, padded and packed."""

from __future__ import annotations

from lstm_shapes.theory.packing import Packing
from lstm_shapes.theory.places import Place
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.quiz.answers import Choice, Number, Shape
from lstm_shapes.theory.quiz.draw import Draw, Draws
from lstm_shapes.theory.quiz.question import Question

__all__ = ["MAKERS"]


def _lengths(draw: Draw) -> tuple[int, ...]:
    assert draw.call.lengths is not None  # drawn with packed=True
    return draw.call.lengths


def _sum(draw: Draw) -> str:
    return f"T = sum(lengths) = {' + '.join(map(str, _lengths(draw)))} = {draw.call.T}"


def _steps(draws: Draws) -> Question:
    draw = draws.draw(packed=True)
    padded = len(_lengths(draw)) * draw.call.L
    return Question(
        "packing",
        draw.spec,
        draw.call,
        "How many steps does one direction of one layer compute for this batch, over all rows?",
        Number(draw.call.T, draw.symbols, ((padded, "That is N·L; packing leaves the padding out."),)),
        (f"{_sum(draw)}: the padding, {padded - draw.call.T} steps of {padded}, is never computed.",),
        "packed.data.size(0)",
    )


def _rows(draws: Draws) -> Question:
    draw = draws.draw(packed=True)
    packing = Packing.of(_lengths(draw), draw.call.L)
    step = draw.random.randrange(draw.call.L)
    rows = packing.batch_size(step)
    return Question(
        "packing",
        draw.spec,
        draw.call,
        f"How many rows does the packed batch have at step {step}? (Steps count from 0.)",
        Number(rows, draw.symbols),
        (f"The rows longer than {step}: {rows}.", f"All batch_sizes, step by step: {list(packing.batch_sizes)}."),
        f"packed.batch_sizes[{step}].item()",
    )


def _data(draws: Draws) -> Question:
    draw = draws.draw(packed=True)
    axes = Prediction(draw.spec, draw.call).packed_X
    assert axes is not None  # packed
    answer = Shape(axes, draw.symbols, (("X", draw.prediction.X),))
    lines = (f"{_sum(draw)}.", f"`packed.data` is {axes.formula} = {axes.sizes}: all real steps in one axis.")
    text = "What is the shape of `packed.data`?"
    return Question("packing", draw.spec, draw.call, text, answer, lines, "tuple(packed.data.shape)")


def _zeros(draws: Draws) -> Question:
    draw = draws.draw(packed=True)
    row = draw.random.randrange(len(_lengths(draw)))
    length = _lengths(draw)[row]
    step = draw.random.choice((0, length - 1, min(length, draw.call.L - 1), draw.call.L - 1))
    at = f"Y[{row}, {step}]" if draw.spec.batch_first else f"Y[{step}, {row}]"
    padding = step >= length
    lines = (
        f"Row {row} has {length} steps, 0 to {length - 1}. Step {step} is {'padding' if padding else 'one of them'}.",
        "`pad_packed_sequence` fills Y with zeros beyond each row's length.",
    )
    evidence = (f"bool(({at} != 0).any())", f"bool(({at} == 0).all())")
    options, words = ("hidden states", "zeros: padding"), (("hidden state",), ("zeros", "zero", "0", "padding"))
    return Question(
        "packing", draw.spec, draw.call, f"What is in `{at}`?", Choice(options, int(padding), evidence, words), lines
    )


def _last(draws: Draws) -> Question:
    draw = draws.draw(packed=True, bidirectional=False)
    place = Place(draw.spec, draw.call)
    wrong = [place.step("-1"), "Y[:, lengths - 1]" if draw.spec.batch_first else "Y[lengths - 1]", "hn[:, -1]"]
    options, right = draw.shuffled(draw.random.choice(("hn[-1]", place.own_last())), *wrong)
    other = place.own_last() if options[right] == "hn[-1]" else "hn[-1]"
    evidence = tuple(f"torch.equal({option}, {other})" for option in options)
    text = "Which of these is the top layer's hidden state after each row's own last step?"
    lines = (
        f"`{place.step('-1')}` is padding for every row shorter than L = {draw.call.L}.",
        f"Each row ends at step length - 1: `{place.own_last()}`. `hn[-1]` holds the same.",
    )
    return Question("packing", draw.spec, draw.call, text, Choice(options, right, evidence), lines)


MAKERS = ((4, _steps), (4, _rows), (4, _data), (4, _zeros), (4, _last))
