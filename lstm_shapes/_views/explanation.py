"""The first screen of a layer and a call, and all that an explanation holds beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.explanation import Explanation
from lstm_shapes.language import say
from lstm_shapes.theory.laws import Laws
from lstm_shapes.theory.notes import Notes, notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import Slice, Slices, slices
from lstm_shapes.theory.spec import headline

from .pictures import overview, packing_blocks
from .predicted import counts_blocks, parameters_sheet, shapes_sheet, sizes, subtitle

# What a classifier reads, and what looks like it: the slices that stand on the first screen.
_FIRST = ("Y[:, -1, :]", "Y[:, -1]", "hn[-1]", "Y[:, -1:]", "Y[-1]", "Y[-1:]", "hn[-2]")
# Columns that the expressions of one row may take side by side.
_SIDE_BY_SIDE = 22


@view.register(Prediction)
def prediction_view(prediction: Prediction) -> Page:
    """What `predict` returns: the first screen."""
    blocks = (shapes_sheet(prediction), *first_blocks(prediction))
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks, overview(prediction))


@view.register(Explanation)
def explanation_view(explanation: Explanation) -> Page:
    """What `explain` returns: the first screen, and folded what proves it."""
    proved: tuple[Block, ...] = ()
    folded = list(_behind(explanation))
    if explanation.proof is not None:
        from .measured import proof_lines, proof_sheet  # a proof has loaded torch, which the tables do without

        proved = proof_lines(explanation.proof)
        folded.append(proof_sheet(explanation.proof))
    shown = prediction_view(explanation)
    more = say("more" if explanation.proof is None else "more and proof")
    folded += counts_blocks(explanation.counts)
    return replace(shown, blocks=(*shown.blocks, *proved), folded=tuple(folded), more=more)


def first_blocks(prediction: Prediction) -> tuple[Block, ...]:
    """What follows the shapes on the first screen."""
    reading = slices_sheet(say("reading it"), _reading(prediction))
    mind = Lines(say("mind"), notes(prediction.spec, prediction.call, first=True))
    return (parameters_sheet(prediction.counts), *([reading] if reading.rows else []), mind)


def every_block(explanation: Explanation) -> tuple[Block, ...]:
    """All that there is to say below the shapes, but for the proof: `lstm-shapes explain --full`."""
    counts = explanation.counts
    return (parameters_sheet(counts, full=True), *_behind(explanation), *counts_blocks(counts))


def _behind(explanation: Explanation) -> Iterator[Block]:
    """What the first screen leaves out, without the proof."""
    yield from slices_view(explanation.slices).blocks
    if explanation.call.lengths is not None:
        yield from packing_blocks(explanation.call)
    yield from notes_view(explanation.notes).blocks
    yield from laws_view(explanation.laws).blocks


def _reading(prediction: Prediction) -> Iterator[tuple[str, Slice]]:
    """The slices of the first screen; those that give the same in one row, what a classifier reads first."""
    alike: dict[object, list[Slice]] = {}
    for one in sorted(slices(prediction), key=lambda one: not one.wanted):
        if one.expression in _FIRST:
            same = one.wanted if one.wanted and prediction.spec.R == 1 else one.meaning
            alike.setdefault((one.axes, same), []).append(one)
    for group in alike.values():
        names = group[0].expression
        for one in group[1:]:
            fits = len(names.rpartition("\n")[2]) + len(one.expression) < _SIDE_BY_SIDE
            names += f",{' ' if fits else chr(10)}{one.expression}"
        yield names, group[0]


# ---- its parts, which show themselves too
@view.register(Slices)
def slices_view(slices: Slices) -> Page:
    if not slices:
        return Page(say("slices"), say("nothing to slice"), ())
    return Page("", "", (slices_sheet(say("slices"), ((one.expression, one) for one in slices)),))


def slices_sheet(title: str, rows: Iterable[tuple[str, Slice]]) -> Sheet:
    """Expressions and what they give; a star on what a classifier usually wants."""
    every = list(rows)
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("★", "good") if one.wanted else "",
            code(expressions),
            Mark(one.axes.formula, "symbol"),
            sizes(one.axes),
            one.meaning,
        )
        for expressions, one in every
    )
    joined = {one.expression for _, one in every if one.wanted} == {"hn[-2]", "hn[-1]"}
    columns = (*[Column("")] * 4, Column("", whole=False))
    return Sheet(title, columns, cells, caption=say("star joined" if joined else "star"))


@view.register(Notes)
def notes_view(notes: Notes) -> Page:
    return Page("", "", (Lines(say("notes"), notes),))


@view.register(Laws)
def laws_view(laws: Laws) -> Page:
    """Identities first, false friends after them, each with its reason."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("=", "good") if law.holds else Mark("≠", "bad"),
            code(law.expression if law.holds else law.expression.replace(" == ", " != ")),
            law.why,
        )
        for law in sorted(laws, key=lambda law: not law.holds)
    )
    columns = (Column(""), Column(say("expression"), whole=False), Column(say("why"), whole=False))
    holding = sum(law.holds for law in laws)
    told = say("laws counted", holding=holding, others=len(laws) - holding)
    return Page(told, "", (Sheet(say("laws"), columns, rows, caption=say("laws caption")),))
