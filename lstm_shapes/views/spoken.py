"""Spoken: what an expression reads, in words, also for those who do not see the drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory.reading import Part, Reading
from lstm_shapes.theory.spans import below, covers
from lstm_shapes.theory.unseen import unseen

if TYPE_CHECKING:
    from .unrolled import Grid

__all__ = ["left_out", "spoken"]

_PARTS_TOLD = 4


def spoken(reading: Reading, n: int | None = None) -> tuple[str, ...]:
    """Sentences on what is read; `n`: the one row that is drawn.

    >>> from lstm_shapes.theory.call import Call
    >>> from lstm_shapes.theory.highlight import read
    >>> from lstm_shapes.theory.spec import Spec
    >>> spoken(read("Y[:, -1]", Spec(28, 256, 3, batch_first=False), Call(N=3, L=20)))
    ('Y[:, -1] reads h of layer 2 at every step, of row n=2 only.',)
    """
    told = _told(reading)
    more = len(told) - _PARTS_TOLD
    items = "; ".join(told[:_PARTS_TOLD]) + (f"; and {more} more" if more > 0 else "")
    lines = [f"{reading.expression} reads {items or 'no cell, no input and no initial state'}."]
    if n is not None and reading.parts and not any(part.has("N", n) for part in reading.parts):
        lines.append(f"Nothing of it is in row n={n}, which is drawn.")
    padded = reading.padded_rows(6)
    if padded:
        rows = ", ".join(map(str, padded[:5])) + (", …" if len(padded) > 5 else "")
        many = len(padded) > 1
        lines.append(
            f"Beyond {'their' if many else 'its'} own length row{'s' if many else ''} {rows} "
            f"hold{'' if many else 's'} zeros: there the expression reads padding."
        )
    return tuple(lines)


def left_out(grids: tuple[Grid, ...]) -> tuple[str, ...]:
    """Whether it reads anything that the grids do not show, and in which direction to look for it."""
    reading = grids[0].reading
    if reading is None:
        return ()
    layers = [layer for layer in grids[0].layers if layer is not None]
    steps = [t for t in grids[0].steps if t is not None]
    rows = [grid.n for grid in grids if grid.n is not None]
    missing = unseen(reading, layers, steps, rows or None)
    return (f"It also reads cells left out here: other {' and other '.join(missing)}.",) if missing else ()


def _told(reading: Reading) -> list[str]:
    """What each part reads; h and c of the same cells together."""
    found: dict[tuple[str, str], list[str]] = {}
    for part in reading.parts:
        what, where = _of_part(reading, part)
        if what:
            names = found.setdefault((where, _rows(reading, part)), [])
            names += [what] if what not in names else []
    return ["+".join(names) + where + rows for (where, rows), names in found.items()]


def _of_part(reading: Reading, part: Part) -> tuple[str, str]:
    """What is read, and of which layers and steps; nothing where there is only padding."""
    spec, call = reading.spec, reading.call
    if part.source == "X":
        return "X", "" if spec.kind.step else _steps(part, part.span("L"), call.L)
    if part.source != "Y":
        where = _layers(reading, part)
        return part.state or part.source, where + (_end(reading, part) if part.state else "")
    longest = call.L if call.lengths is None else max((reading.length(n) for n in reading.rows(part)), default=0)
    found = part.span("L") if part.paired else below(part.span("L"), longest)
    if not found or not longest:
        return "", ""
    sides = [r for r in range(spec.R) if part.meets("F", r * spec.H, (r + 1) * spec.H)]
    return "h", f" of layer {spec.K - 1}{_side(reading, sides)}{_steps(part, found, longest)}"


def _steps(part: Part, found: range, L: int) -> str:
    if part.paired:
        return " at each row's last step"
    return " at every step" if len(found) == L > 1 else f" at t={_listed(found)}"


def _side(reading: Reading, sides: list[int]) -> str:
    if reading.spec.R == 1:
        return ""
    return " in both directions" if len(sides) == 2 else " reverse" if sides == [1] else " forward"


def _layers(reading: Reading, part: Part) -> str:
    """`of layer 2 reverse`: the rows of hn's first axis as layers and directions."""
    spec = reading.spec
    if spec.kind.step:
        return ""
    layers, sides = part.span("K"), list(part.span("R"))
    rows = part.span("KR")
    if any(axis == "KR" for axis, _ in part.ranges):
        if len(rows) == 1:
            layers, sides = range(rows[0] // spec.R, rows[0] // spec.R + 1), [rows[0] % spec.R]
        elif rows.step % spec.R == 0:
            layers = range(rows[0] // spec.R, rows[-1] // spec.R + 1, rows.step // spec.R)
            sides = [rows[0] % spec.R]
        elif rows.step == 1 and rows[0] % 2 == len(rows) % 2 == 0:
            layers, sides = range(rows[0] // 2, rows[-1] // 2 + 1), [0, 1]
        else:
            return f" of {part.source}'s rows {_listed(rows)}"
    every = len(layers) == spec.K > 1
    named = " of every layer" if every else f" of layer{'s' if len(layers) > 1 else ''} {_listed(layers)}"
    return named + _side(reading, sides)


def _end(reading: Reading, part: Part) -> str:
    """The step whose states hn and cn hold."""
    spec, call = reading.spec, reading.call
    if spec.kind.step:
        return " after the step"
    forward = "each row's last step" if call.short else f"t={call.L - 1}"
    ends = {(0,): forward, (1,): "t=0", (0, 1): f"{forward} (forward) and t=0 (reverse)"}
    return f" at {ends[part.sides(spec.R)]}"


def _rows(reading: Reading, part: Part) -> str:
    """`, of row n=2 only`; nothing where all rows are read."""
    found, N = part.span("N"), reading.call.N or 1
    if covers([found], N):
        return ""
    return f", of row{'s' if len(found) > 1 else ''} n={_listed(found)} only"


def _listed(found: range) -> str:
    """`3`, `3 and 5`, `3 to 9`, `0, 2, …, 98`."""
    if len(found) == 1:
        return f"{found[0]}"
    if len(found) == 2:
        return f"{found[0]} and {found[1]}"
    if found.step == 1:
        return f"{found[0]} to {found[-1]}"
    return f"{found[0]}, {found[1]}, {'…, ' if len(found) > 3 else ''}{found[-1]}"
