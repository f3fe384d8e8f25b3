"""Panels: the grids that a picture is made of, one for rows that are alike, else one a row; all with the same steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest

from lstm_shapes.pictures import Picture
from lstm_shapes.theory.numerals import counted
from lstm_shapes.theory.reading import Part, Reading
from lstm_shapes.theory.spans import below

from .choice import chosen
from .unrolled import Grid

__all__ = ["ROOM", "panels"]

ROWS_SHOWN = 3
ROOM = 14  # seven steps without a gap
_MOST_ROOM = 20  # for steps that are read: as many again may stand apart


def panels(picture: Picture, room: int = ROOM, most: int = _MOST_ROOM) -> tuple[Grid, ...]:
    """The grids: steps, layers and rows at both ends, and the first and the last that are read.

    `room` is what steps may take (see `choice.chosen`), `most` what they may take where they are read.
    """
    spec, call, reading = picture.prediction.spec, picture.prediction.call, picture.reading
    rows = _rows(picture)
    lengths = [call.lengths[n] if call.lengths and n is not None else call.L for n in rows]
    wanted = list(_steps_read(reading, rows, lengths)) if reading else []
    steps = chosen(call.L, most, [*wanted, *(length - 1 for length in lengths)], room, max(lengths) - 1)
    layers = chosen(spec.K, 11, _layers_read(reading) if reading else (), 10 if spec.R == 1 else 6)
    return tuple(
        Grid(spec, call, reading, n, layers, steps, _name(picture, n, last=place == len(rows) - 1))
        for place, n in enumerate(rows)
    )


def _rows(picture: Picture) -> list[int | None]:
    """The rows of the batch that get a grid of their own; None is one grid for all."""
    call, reading = picture.prediction.call, picture.reading
    if picture.n is not None:
        return [picture.n]
    if call.lengths is None:
        return [None]
    read = sorted({n for part in reading.parts for n in _ends(reading, part)} if reading else ())
    order = [*read[:1], *read[-1:], *read, *range(min(call.N or 1, ROWS_SHOWN))]
    return [*sorted(islice(dict.fromkeys(order), ROWS_SHOWN))]


def _ends(reading: Reading, part: Part) -> Iterator[int]:
    """The first and the last row that a part reads, if any."""
    yield from islice(reading.rows(part), 1)
    for n in reversed(part.span("N")):
        if part.source != "Y" or below(part.steps(reading.length(n)), reading.length(n)):
            yield n
            return


def _steps_read(reading: Reading, rows: list[int | None], lengths: list[int]) -> Iterator[int]:
    """First and last steps that are read, those of the whole picture first, then each part's in each row."""
    found: list[range] = []
    for part in reading.parts:
        for n, length in zip(rows, lengths, strict=True):
            if n is None or part.has("N", n):
                found += _steps_of(reading, part, length)
    found = [read for read in found if read]
    firsts, lasts = sorted({read[0] for read in found}), sorted({read[-1] for read in found}, reverse=True)
    for pair in zip_longest(firsts, lasts):
        yield from (t for t in pair if t is not None)


def _steps_of(reading: Reading, part: Part, length: int) -> list[range]:
    """The steps that a part reads in a row of this length; of hn and cn those where a direction ends."""
    if part.state and part.source != "Y":
        return [range(0 if r else length - 1, 1 if r else length) for r in part.sides(reading.spec.R)]
    read = part.steps(length) if part.source in ("X", "Y") else range(0)
    return [read if part.source == "X" else below(read, length)]


def _layers_read(reading: Reading) -> Iterator[int]:
    """The first and the last layer that each part reads."""
    R = reading.spec.R
    for part in reading.parts:
        if part.source not in ("X", "Y"):
            for place in (0, -1):
                yield part.span("KR")[place] // R + part.span("K")[place]


def _name(picture: Picture, n: int | None, last: bool) -> str:
    """`row n=0, 3 of 5 steps`, and after the last how many rows are not drawn."""
    call = picture.prediction.call
    if n is None or not call.batched:
        return ""
    name = f"row n={n}"
    if call.lengths:
        name += f", {call.lengths[n]:,} of {counted(call.L, 'step')}"
    more = (call.N or 1) - ROWS_SHOWN
    if picture.n is None and last and more > 0:
        name += f"; {counted(more, 'more row')}: picture(…, n=…)"
    return name
