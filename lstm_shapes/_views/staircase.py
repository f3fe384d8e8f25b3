"""The staircase: packed rows against steps, each cell the place of that step in `PackedSequence.data`."""

from __future__ import annotations

from lstm_shapes.display.page import Block, Column, Drawing, Mark, Page, Sheet
from lstm_shapes.language import in_this_language, say
from lstm_shapes.theory.call import Packing

from .choice import ends
from .columns import columns, padded
from .svg import box, text, wide

__all__ = ["packing_blocks", "packing_view", "staircase", "staircase_body", "staircase_sentences"]

PADDING = "·"
GAP = "…"


def packing_view(packing: Packing) -> Page:
    """What a PackedSequence holds, on a page of its own."""
    subtitle = say("packed size", N=packing.N, L=packing.L, lengths=_listed(packing.lengths))
    return Page("PackedSequence", subtitle, packing_blocks(packing))


def packing_blocks(packing: Packing) -> tuple[Block, ...]:
    """The staircase, and what the four parts of the PackedSequence are."""
    order = say("packed sorted, ties" if packing.ties else "packed sorted")
    saved = say("saved steps", saved=packing.saved, padded=packing.padded, share=f"{packing.share:.0%}")
    rows = (
        ("data", f"(T={packing.T}, …)", say("packed data")),
        ("batch_sizes", _batch_sizes(packing), say("packed batch_sizes")),
        ("sorted_indices", _listed(packing.sorted_indices), order),
        ("unsorted_indices", _listed(packing.unsorted_indices), say("packed unsorted")),
        (say("saved"), saved, say("packed saved")),
    )
    cells = tuple((Mark(name, "code"), value, meaning) for name, value, meaning in rows)
    heads = (Column(say("part")), Column(say("value"), whole=False), Column(say("meaning"), whole=False))
    drawn = in_this_language(lambda width: staircase(packing, min(width, 78)))
    return Drawing(say("packed drawing"), drawn), Sheet(say("packed"), heads, cells)


def staircase(packing: Packing, width: int = 78, rows: int = 12) -> str:
    """Rows in the order of `data`, longest first; the places of their steps in `data`, `·` where there is none.

    Long rows lose their middle steps, and many rows their middle rows, so that it is at most `width` characters
    wide and `rows` rows high; the bottom line is `batch_sizes`.

    >>> print(staircase(Packing.of((3, 5, 2))))
           step  0  1  2  3  4
    row 1 (5)    0  3  6  8  9
    row 0 (3)    1  4  7  ·  ·
    row 2 (2)    2  5  ·  ·  ·
    batch_sizes  3  3  2  1  1
    """
    lengths = packing.lengths
    places = ends(packing.N, rows)
    heads = {place: _head(packing, place) for place in places if place is not None}
    margin = max(len("batch_sizes"), *(columns(head) for head in heads.values()))
    cell = max(len(str(packing.T - 1)), len(str(packing.N)), len(str(packing.L - 1))) + 2
    # The mark for what is left out takes less than a cell.
    least = 3 if packing.L > 2 else packing.L
    steps = ends(
        packing.L,
        max(
            least,
            (width - margin) // cell
            if packing.L * cell <= width - margin
            else (width - margin - len(GAP) - 2) // cell + 1,
        ),
    )
    # The entries of data before each step, and the rows that have it.
    before = {step: sum(min(length, step) for length in lengths) for step in steps if step is not None}
    sizes = {step: packing.batch_size(step) for step in before}

    def line(head: str, cells: list[str], pad: str = "<") -> str:
        return padded(head, margin, pad) + "".join(f"  {GAP}" if one == GAP else f"{one:>{cell}}" for one in cells)

    lines = [line(say("step"), [GAP if step is None else str(step) for step in steps], ">")]
    for place in places:
        if place is None:
            lines.append("⋮")
            continue
        length = lengths[packing.sorted_indices[place]]
        found = [GAP if step is None else str(before[step] + place) if step < length else PADDING for step in steps]
        lines.append(line(heads[place], found))
    lines.append(line("batch_sizes", [GAP if step is None else str(sizes[step] or "") for step in steps]))
    return "\n".join(one.rstrip() for one in lines)


def staircase_sentences(packing: Packing) -> tuple[str, ...]:
    """The drawing in words: how long the rows are, in their order, and how many take part in each step.

    >>> staircase_sentences(Packing.of((3, 5, 2)))
    ('Longest first: rows 1, 0, 2 with 5, 3, 2 steps.', 'batch_sizes is 3, 3, 2, 1, 1.')
    """
    rows, lengths = _listed(packing.sorted_indices), _listed(packing.sorted_lengths)
    return say("packed order", rows=rows, lengths=lengths), say("packed sizes", sizes=_batch_sizes(packing))


def _head(packing: Packing, place: int) -> str:
    row = packing.sorted_indices[place]
    return say("row", row=row, steps=packing.lengths[row])


def _listed(numbers: tuple[int, ...], most: int = 8) -> str:
    return ", ".join(GAP if place is None else str(numbers[place]) for place in ends(len(numbers), most))


def _batch_sizes(packing: Packing, most: int = 8) -> str:
    """Those that are shown, without making an entry for each of perhaps a billion steps."""
    steps = ends(max(packing.lengths), most)
    return ", ".join(GAP if step is None else str(packing.batch_size(step)) for step in steps)


# ---- as SVG

CELL_H, WIDTH, ROWS = 30, 740, 10


def staircase_body(packing: Packing, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    places = ends(packing.N, ROWS)
    heads = {place: _head(packing, place) for place in places if place is not None}
    left = 44 + max(wide("batch_sizes", "l-code"), *(wide(head) for head in heads.values()))
    cell_w = 12 + max(wide(f"{packing.T - 1:,}", "l-code"), wide(f"t={packing.L - 1}", "l-quiet"), 40)
    steps = ends(packing.L, max(3, int(WIDTH // cell_w)))
    before = {t: sum(min(length, t) for length in packing.lengths) for t in steps if t is not None}
    parts = [text(20, top + 14, say("row head"), "l-quiet")]
    for i, t in enumerate(steps):
        label = "⋯" if t is None else f"t={t}"
        parts.append(text(left + i * cell_w + cell_w / 2, top + 14, label, "l-quiet", "middle"))
    y = top + 24
    for place in places:
        if place is None:
            parts.append(text(20, y + 20, "⋮", "l-strong"))
            y += CELL_H
            continue
        row = packing.sorted_indices[place]
        length = packing.lengths[row]
        parts.append(text(20, y + 20, heads[place], "l-strong"))
        for i, t in enumerate(steps):
            x = left + i * cell_w
            if t is None:
                parts.append(text(x + cell_w / 2, y + 20, "⋯", "l-quiet", "middle"))
                continue
            parts.append(box(x + 2, y + 2, cell_w - 4, CELL_H - 4, "l-in" if t < length else "l-pad", 3))
            if t < length:
                parts.append(text(x + cell_w / 2, y + 20, f"{before[t] + place:,}", "l-code", "middle"))
        y += CELL_H
    parts.append(text(20, y + 22, "batch_sizes", "l-code l-strong"))
    for i, t in enumerate(steps):
        label = "⋯" if t is None else f"{packing.batch_size(t):,}" if packing.batch_size(t) else "–"
        parts.append(text(left + i * cell_w + cell_w / 2, y + 22, label, "l-code", "middle"))
    note = say("packed places", T=packing.T, padded=packing.padded)
    parts.append(text(20, y + 50, note, "l-quiet"))
    return "".join(parts), max(left + len(steps) * cell_w + 24, 20 + wide(note, "l-quiet") + 20), y + 62
