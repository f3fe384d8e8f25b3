"""The staircase: packed rows against steps, each cell the place of that step in `PackedSequence.data`."""

from __future__ import annotations

from lstm_shapes.theory.packing import Packing

from .page import Block, Column, Drawing, Mark, Page, Sheet

__all__ = ["packing_blocks", "packing_view", "staircase"]

PADDING = "·"
GAP = "…"


def packing_view(packing: Packing) -> Page:
    """What a PackedSequence holds, on a page of its own."""
    subtitle = f"{packing.N} rows, padded to {packing.L} steps: lengths {_listed(packing.lengths)}"
    return Page("PackedSequence", subtitle, packing_blocks(packing))


def packing_blocks(packing: Packing) -> tuple[Block, ...]:
    """The staircase, and what the four parts of the PackedSequence are."""
    order = "longest row first"
    if packing.ties:
        order += "; torch may put equally long rows in another order"
    saved = f"{packing.saved:,} of {packing.padded:,} padded steps ({packing.share:.0%})"
    rows = (
        ("data", f"(T={packing.T}, …)", "the numbered cells in their order; padding is left out"),
        ("batch_sizes", _batch_sizes(packing), "rows that have a step 0, 1, …"),
        ("sorted_indices", _listed(packing.sorted_indices), order),
        ("unsorted_indices", _listed(packing.unsorted_indices), "the way back"),
        ("saved", saved, "steps that nobody computes"),
    )
    cells = tuple((Mark(name, "code"), value, meaning) for name, value, meaning in rows)
    columns = (Column("part"), Column("value", whole=False), Column("meaning", whole=False))
    return (
        Drawing("Packed rows: where each step lies in data", staircase(packing)),
        Sheet("What is packed", columns, cells),
    )


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
    places = _ends(packing.N, rows)
    heads = {place: _head(packing, place) for place in places if place is not None}
    margin = max(len("batch_sizes"), *(len(head) for head in heads.values()))
    cell = max(len(str(packing.T - 1)), len(str(packing.N)), len(str(packing.L - 1))) + 2
    steps = _ends(packing.L, max(3, (width - margin) // cell))
    # The entries of data before each step, and the rows that have it.
    before = {step: sum(min(length, step) for length in lengths) for step in steps if step is not None}
    sizes = {step: packing.batch_size(step) for step in before}

    def line(head: str, cells: list[str], pad: str = "<") -> str:
        return f"{head:{pad}{margin}}" + "".join(f"{text:>{cell}}" for text in cells)

    lines = [line("step", [GAP if step is None else str(step) for step in steps], ">")]
    for place in places:
        if place is None:
            lines.append("⋮")
            continue
        length = lengths[packing.sorted_indices[place]]
        found = [GAP if step is None else str(before[step] + place) if step < length else PADDING for step in steps]
        lines.append(line(heads[place], found))
    lines.append(line("batch_sizes", [GAP if step is None else str(sizes[step] or "") for step in steps]))
    return "\n".join(text.rstrip() for text in lines)


def _head(packing: Packing, place: int) -> str:
    row = packing.sorted_indices[place]
    return f"row {row} ({packing.lengths[row]})"


def _ends(count: int, most: int) -> list[int | None]:
    """0 … count - 1, or the first and the last of them with None for what is left out between."""
    if count <= most:
        return list(range(count))
    first = most // 2
    last = most - 1 - first
    return [*range(first), None, *range(count - last, count)]


def _listed(numbers: tuple[int, ...], most: int = 8) -> str:
    return ", ".join(GAP if place is None else str(numbers[place]) for place in _ends(len(numbers), most))


def _batch_sizes(packing: Packing, most: int = 8) -> str:
    """Those that are shown, without making an entry for each of perhaps a billion steps."""
    steps = _ends(max(packing.lengths), most)
    return ", ".join(GAP if step is None else str(packing.batch_size(step)) for step in steps)
