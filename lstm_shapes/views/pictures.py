"""Pictures put together: the drawing, its title, what it lights, and the words for who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory.packing import Packing

from .grid import grid_text
from .page import Drawing, Lines, Page, Sheet
from .parameters import parameters_sheet
from .staircase import staircase
from .svg.bars import LAYERS_SHOWN, bars_body
from .svg.cell import cell_body
from .svg.frame import frame, text
from .svg.grid import grid_body
from .svg.staircase import staircase_body
from .titles import headline, subtitle
from .unrolled import ROWS_SHOWN, Grid, ends

if TYPE_CHECKING:
    from lstm_shapes.pictures import Picture
    from lstm_shapes.theory.reading import Reading

__all__ = ["picture_svg", "picture_text", "picture_view"]

_COLUMNS = 7
_TITLES = {
    "grid": "unrolled over time",
    "cell": "inside one cell",
    "parameters": "where the parameters are",
    "packed": "packed rows",
}


def picture_view(picture: Picture) -> Page:
    """A picture as a page: the drawing and a line on what is lit."""
    page = picture.prediction
    if picture.kind == "parameters":
        sheet: Sheet | Drawing = parameters_sheet(page.counts)
    else:
        sheet = Drawing(_TITLES[picture.kind].capitalize(), picture_text(picture), picture_svg(picture))
    words = tuple(f"{line}." for line in _sentences(picture))
    blocks = (sheet, Lines("Reading it", words)) if words else (sheet,)
    return Page(headline(page.spec), subtitle(page.spec, page.call), blocks)


def picture_text(picture: Picture) -> str:
    """The drawing in characters."""
    call = picture.prediction.call
    if picture.kind == "packed":
        return staircase(Packing.of(call.lengths or (), call.L))
    if picture.kind == "parameters":
        return _parameters_text(picture)
    if picture.kind == "cell":
        return _cell_text(picture)
    panels = []
    for grid, name in _grids(picture, columns=_columns_for(80)):
        panels.append(f"{name}\n{grid_text(grid)}" if name else grid_text(grid))
    return "\n\n".join(panels)


def _parameters_text(picture: Picture) -> str:
    """A bar for each layer's terms, in characters."""
    layers = picture.prediction.counts.layers
    most = max(layer.total for layer in layers[:2])
    lines = []
    for k in ends(len(layers), LAYERS_SHOWN):
        if k is None:
            lines.append("⋮")
            continue
        for term in layers[k].terms:
            bar = "█" * round(24 * layers[k].spec.R * term.value / most)
            lines.append(f"layer {k:<4} {bar or '▏':<24} {term}")
    return "\n".join(lines)


def _cell_text(picture: Picture) -> str:
    """Each gate's row of the stacked weights with its shape, then the equations."""
    spec = picture.prediction.spec
    suffix = "" if spec.kind.step else f"_l{picture.layer}"
    width, D, H = spec.input_width(picture.layer), spec.D, spec.H
    stacked = spec.G * D
    lines = [f"weight_ih{suffix} ({stacked}, {width})   weight_hh{suffix} ({stacked}, {H})"]
    for gate, (name, right) in zip(spec.kind.gates, spec.kind.equations, strict=False):
        formula = right.replace("tanh", spec.nonlinearity) if spec.kind.nonlinearities else right
        lines.append(f"│ W_i{gate} ({D}, {width})   + W_h{gate} ({D}, {H})   → {name} = {formula}   ({D},)")
    for name, right in spec.kind.equations[spec.G :]:
        size = H if name == "h" else D
        formula = f"W_hr·({right})" if name == "h" and spec.P else right
        lines.append(f"  {name} = {formula}   ({size},)")
    return "\n".join(lines)


def _columns_for(width: int) -> int:
    """Steps that fit a terminal of this width."""
    return max(3, (width - 34) // 8)


def picture_svg(picture: Picture) -> str:
    """The whole SVG."""
    spec, call = picture.prediction.spec, picture.prediction.call
    title = f"{headline(spec)}, {_TITLES[picture.kind]}"
    if picture.kind == "cell" and spec.K > 1:
        title += f" of layer {picture.layer}"
    words = _sentences(picture)
    note = subtitle(spec, call).replace("`", "") if picture.kind in ("grid", "packed") else ""
    parts = [text(20, 30, title, "l-title")]
    y = 52.0
    for sentence in [*([note] if note else []), *words]:
        parts.append(text(20, y, sentence.replace("`", ""), "l-quiet"))
        y += 19
    y += 10
    width = 0.0
    if picture.kind == "grid":
        for grid, name in _grids(picture, columns=_COLUMNS):
            if name:
                parts.append(text(20, y + 12, name, "l-strong"))
                y += 26
            body, wide, y = grid_body(grid, y)
            parts.append(body)
            width, y = max(width, wide), y + 26
        parts.append(text(20, y + 2, _KEY if picture.reading else _KEY.partition(" Orange")[0], "l-quiet"))
        y += 16
    else:
        if picture.kind == "cell":
            body, width, y = cell_body(spec, picture.layer, y)
        elif picture.kind == "parameters":
            body, width, y = bars_body(picture.prediction.counts, y)
        else:
            body, width, y = staircase_body(Packing.of(call.lengths or (), call.L), y)
        parts.append(body)
    longest = max(len(line) for line in (title, note, *words, _KEY if picture.kind == "grid" else ""))
    width = max(width, min(40 + 6.6 * longest, 1000), 40 + 8.9 * len(title))
    return frame(title, " ".join((note, *words)).strip() or title, width, y + 10, "".join(parts))


_KEY = "Purple frame: the cell whose states hn and cn hold. Orange: read; pale orange: read for some rows only."


def _grids(picture: Picture, columns: int) -> list[tuple[Grid, str]]:
    """One grid for rows that are alike; for packed rows one a row, the first few."""
    spec, call, reading = picture.prediction.spec, picture.prediction.call, picture.reading
    layers = 5 if spec.R == 1 else 3
    N = call.N or 1
    if picture.n is not None:
        name = f"row n={picture.n}" + (f", {call.lengths[picture.n]} steps" if call.lengths else "")
        return [(Grid(spec, call, reading, (picture.n,), columns, layers), name)]
    if call.lengths is None:
        return [(Grid(spec, call, reading, _representatives(reading, N), columns, layers), "")]
    grids = []
    for n in range(min(N, ROWS_SHOWN)):
        name = f"row n={n}, {call.lengths[n]} of {call.L} steps"
        if n == ROWS_SHOWN - 1 and ROWS_SHOWN < N:
            more = N - ROWS_SHOWN
            name += f"; {more:,} more row{'s' if more > 1 else ''}: picture(…, n=…)"
        grids.append((Grid(spec, call, reading, (n,), columns, layers), name))
    return grids


def _representatives(reading: Reading | None, N: int) -> tuple[int, ...]:
    """Rows that stand for all: a member and a non-member of every set of rows that is read."""
    if reading is None:
        return (0,)
    rows = {0, N - 1}
    for part in reading.parts:
        for axis, found in part.ranges:
            if axis == "N" and len(found):
                rows |= {found[0], found[-1], found[0] - 1, found[-1] + 1, found[0] + 1}
    return tuple(sorted(row for row in rows if 0 <= row < N))


def _sentences(picture: Picture) -> list[str]:
    """What the expression reads, in words: also for those who do not see the drawing."""
    spec, call, reading = picture.prediction.spec, picture.prediction.call, picture.reading
    if picture.kind != "grid" or reading is None:
        return []
    grid = _grids(picture, columns=_COLUMNS)[0][0]
    rows = [picture.n] if picture.n is not None else None
    padded = [n for n in (rows or range(min(call.N or 1, 1000))) if reading.padding(n)]
    side = ("", "") if spec.R == 1 else (" forward", " reverse")
    lit = [
        f"{'+'.join(states)} of layer {row.layer}{side[row.direction]} at t={t}"
        for row in grid.rows
        if row is not None
        for t in grid.steps
        if t is not None
        for states in [grid.lit(row, t)[0]]
        if states
    ]
    what = "; ".join(lit) if 0 < len(lit) <= 2 else f"{len(lit)} of the cells shown" if lit else ""
    start = any(grid.start(row) for row in grid.rows if row is not None)
    also = [name for name, has in (("X", any(grid.inputs(t) for t in grid.steps if t is not None)),
                                   ("initial states", start)) if has]  # fmt: skip
    told = " and ".join(part for part in (what, *also) if part) or "nothing that is shown"
    first = f", for row {grid.batch[0]}" if call.lengths else ""
    lines = [f"{reading.expression} reads {told}{first}"]
    if grid.hidden:
        lines.append("It also reads cells in the part left out")
    if padded:
        listed = ", ".join(map(str, padded[:5])) + (", …" if len(padded) > 5 else "")
        lines.append(f"Beyond its own length row {listed} holds zeros: there the expression reads padding")
    return lines
