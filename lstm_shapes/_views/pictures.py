"""Pictures put together: the sketch of its kind, its title, and its description for a screen reader; and packed rows.

The staircase is packed rows against steps, each cell the place of that step in `PackedSequence.data`.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Column, Drawing, Lines, Mark, Page, Sheet
from lstm_shapes.language import in_this_language, say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import reads_in_words
from lstm_shapes.theory.slices import last_step
from lstm_shapes.theory.spec import headline

from .canvas import Canvas, Sketch, ends, padded, wide
from .cell import cell_sketch
from .grid import grid_sketch
from .predicted import subtitle


@view.register(Picture)
def picture_view(picture: Picture) -> Page:
    """A picture as a page: the drawing, on the columns there are, and what is lit."""
    sketches = {"grid": grid_sketch, "cell": cell_sketch, "packed": _packed_sketch}
    prediction, sketch = picture.prediction, sketches[picture.kind](picture)
    title = sketch.title[:1].upper() + sketch.title[1:]
    drawn = Drawing(title, in_this_language(sketch.text), _svg(prediction, sketch))
    words = reads_in_words(picture.reading, picture.n) if picture.reading is not None else ()
    blocks = (drawn, Lines(say("reading it"), words)) if words else (drawn,)
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks)


def overview(prediction: Prediction) -> Callable[[], str]:
    """Draws the picture above the tables: the grid, lit where a classifier usually reads; or a cell from inside."""

    def svg() -> str:
        spec, call = prediction.spec, prediction.call
        if spec.kind.step:
            return _svg(prediction, cell_sketch(Picture(prediction, "cell")))
        reading = Expression.of(last_step(spec, call)).reads(prediction)
        return _svg(prediction, grid_sketch(Picture(prediction, "grid", reading)))

    return in_this_language(svg)


def _svg(prediction: Prediction, sketch: Sketch) -> str:
    canvas, title = Canvas(), f"{headline(prediction.spec)}, {sketch.title}"
    y = canvas.paragraph(20, 30, title, "l-title", line=22) - 3
    for sentence in sketch.said:
        y = canvas.paragraph(20, y, sentence)
    y = sketch.svg(canvas, y + 10)
    return canvas.document(title, " ".join((*sketch.said, *sketch.unseen)), y + 14)


# ---- packed rows


def packing_blocks(call: Call) -> tuple[Block, ...]:
    """The staircase, and what the four parts of the PackedSequence are."""
    order = say("packed sorted, ties" if call.ties else "packed sorted")
    saved = say("saved steps", saved=call.saved, padded=call.padded, share=f"{call.share:.0%}")
    rows = (
        ("data", f"(T={call.T}, …)", say("packed data")),
        ("batch_sizes", _batch_sizes(call), say("packed batch_sizes")),
        ("sorted_indices", _listed(call.sorted_indices), order),
        ("unsorted_indices", _listed(call.unsorted_indices), say("packed unsorted")),
        (say("saved"), saved, say("packed saved")),
    )
    cells = tuple((Mark(name, "code"), value, meaning) for name, value, meaning in rows)
    heads = (Column(say("part")), Column(say("value"), whole=False), Column(say("meaning"), whole=False))
    drawn = in_this_language(lambda width: staircase(call, min(width, 78)))
    return Drawing(say("packed drawing"), drawn), Sheet(say("packed"), heads, cells)


def _packed_sketch(picture: Picture) -> Sketch:
    """The staircase of a picture; in words how long its rows are, in their order, and how many have each step."""
    spec, call = picture.prediction.spec, picture.prediction.call
    rows, lengths = _listed(call.sorted_indices), _listed(call.sorted_lengths)
    return Sketch(
        title=say("title packed"),
        svg=lambda canvas, y: _stairs_svg(call, canvas, y),
        text=lambda width: staircase(call, width),
        said=(f"{subtitle(spec, call)}.".replace("`", ""),),
        unseen=(say("packed order", rows=rows, lengths=lengths), say("packed sizes", sizes=_batch_sizes(call))),
    )


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join("…" if place is None else str(numbers[place]) for place in ends(len(numbers), 8))


def _batch_sizes(call: Call) -> str:
    """Those that are shown, without making an entry for each of perhaps a billion steps."""
    steps = ends(max(call.lengths or (0,)), 8)
    return ", ".join("…" if step is None else str(call.batch_size(step)) for step in steps)


def _stairs(call: Call, most: int, steps: tuple[int | None, ...]) -> list[tuple[str, list[int | None]]]:
    """Each row that is shown: what it is, and of each step its place in `data`, None for padding."""
    lengths, order = call.lengths or (), call.sorted_indices
    before = {t: sum(min(length, t) for length in lengths) for t in steps if t is not None}
    shown: list[tuple[str, list[int | None]]] = []
    for place in ends(len(lengths), most):
        if place is None:
            shown.append(("⋮", []))
            continue
        row = order[place]
        length = lengths[row]
        places = [start + place if t < length else None for t, start in before.items()]
        shown.append((say("row", row=row, steps=length), places))
    return shown


def staircase(call: Call, width: int = 78, rows: int = 12) -> str:
    """Rows in the order of `data`, longest first; the places of their steps in `data`, `·` where there is none.

    Long rows lose their middle steps, and many rows their middle rows, so that it is at most `width` characters
    wide and `rows` rows high; the bottom line is `batch_sizes`.

    >>> print(staircase(Call.of_lengths((3, 5, 2))))
           step  0  1  2  3  4
    row 1 (5)    0  3  6  8  9
    row 0 (3)    1  4  7  ·  ·
    row 2 (2)    2  5  ·  ·  ·
    batch_sizes  3  3  2  1  1
    """
    heads = [head for head, _ in _stairs(call, rows, ())]
    margin = max(cell_len(head) for head in ("batch_sizes", *heads))
    cell = max(len(str(call.T - 1)), len(str(call.N)), len(str(call.L - 1))) + 2
    room = width - margin
    # The mark for what is left out takes less than a cell.
    fitting = room // cell if call.L * cell <= room else (room - 1 - 2) // cell + 1
    steps = ends(call.L, max(fitting, min(call.L, 3)))
    shown = [t for t in steps if t is not None]

    def line(head: str, marks: list[str], side: str = "<") -> str:
        placed = [f"{mark:>{cell}}" for mark in marks]
        if None in steps:
            placed.insert(steps.index(None), "  …")
        return (padded(head, margin, side) + "".join(placed)).rstrip()

    lines = [line(say("step"), [str(t) for t in shown], ">")]
    for head, places in _stairs(call, rows, steps):
        marks = ["·" if place is None else str(place) for place in places]
        lines.append(line(head, marks) if marks else head)
    return "\n".join([*lines, line("batch_sizes", [str(call.batch_size(t) or "") for t in shown])])


def _stairs_svg(call: Call, canvas: Canvas, y: float) -> float:
    heads = [head for head, _ in _stairs(call, 10, ())]
    left = 44 + max(wide("batch_sizes", "l-code"), *map(wide, heads))
    cell_w = 12 + max(wide(f"{call.T - 1:,}", "l-code"), wide(f"t={call.L - 1}", "l-quiet"), 40)
    steps = ends(call.L, max(3, int(740 // cell_w)))
    high = 30
    columns = [(t, left + i * cell_w) for i, t in enumerate(steps)]
    shown = [(t, x) for t, x in columns if t is not None]

    def begin(y: float, head: str, style: str) -> None:
        canvas.text(20, y, head, style)
        for x in (x for t, x in columns if t is None):
            canvas.text(x + cell_w / 2, y, "⋯", "l-quiet", "middle")

    begin(y + 14, say("row head"), "l-quiet")
    for t, x in shown:
        canvas.text(x + cell_w / 2, y + 14, f"t={t}", "l-quiet", "middle")
    y += 24
    for head, places in _stairs(call, 10, steps):
        if not places:
            canvas.text(20, y + 20, head, "l-strong")
        else:
            begin(y + 20, head, "l-strong")
        for (_, x), place in zip(shown, places, strict=bool(places)):
            cls, label = ("l-pad", "") if place is None else ("l-in", f"{place:,}")
            canvas.box(x + 2, y + 2, cell_w - 4, high - 4, cls, label, "l-code", radius=3)
        y += high
    begin(y + 22, "batch_sizes", "l-code l-strong")
    for t, x in shown:
        size = call.batch_size(t)
        canvas.text(x + cell_w / 2, y + 22, f"{size:,}" if size else "–", "l-code", "middle")
    canvas.text(20, y + 50, say("packed places", T=call.T, padded=call.padded), "l-quiet")
    return y + 62
