"""Kinds: one row for each kind of picture: its title, its drawing as SVG and in characters, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lstm_shapes.pictures import Picture
from lstm_shapes.theory.packing import Packing

from .cell import cell_sentences, cell_text
from .grid import grid_text
from .panels import panels
from .spoken import left_out, spoken
from .staircase import staircase, staircase_sentences
from .svg.cell import cell_body
from .svg.frame import key, text
from .svg.grid import grid_body
from .svg.staircase import staircase_body
from .titles import subtitle

__all__ = ["KINDS", "Kind"]

Body = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture."""

    title: Callable[[Picture], str]
    svg: Callable[[Picture, float], Body]
    """The drawing from a height down: its text, its width and where it ends."""
    text: Callable[[Picture, int], str]
    """The drawing in characters, on so many columns."""
    above: Callable[[Picture], tuple[str, ...]]
    """What stands above the drawing in an SVG."""
    described: Callable[[Picture], tuple[str, ...]]
    """What stands for the drawing where it cannot be seen."""


def _packing(picture: Picture) -> Packing:
    call = picture.prediction.call
    return Packing.of(call.lengths or (), call.L)


def _call(picture: Picture) -> str:
    return f"{subtitle(picture.prediction.spec, picture.prediction.call)}.".replace("`", "")


def _grid_title(picture: Picture) -> str:
    return "one step" if picture.prediction.spec.kind.step else "unrolled over time"


def _grid_words(picture: Picture) -> tuple[str, ...]:
    reading = picture.reading
    told = (*spoken(reading, picture.n), *left_out(panels(picture))) if reading is not None else ()
    return (_call(picture), *told)


def _grid_svg(picture: Picture, top: float) -> Body:
    parts, width, y = [], 0.0, top
    for grid in panels(picture):
        if grid.name:
            parts.append(text(20, y + 12, grid.name, "l-strong"))
            y += 26
        body, wide, y = grid_body(grid, y)
        parts.append(body)
        width, y = max(width, wide), y + 26
    legend, wide, y = key("".join(parts), picture.prediction.spec.kind.states, y + 2)
    return "".join([*parts, legend]), max(width, wide), y


def _cell_title(picture: Picture) -> str:
    return "inside one cell" + (f" of layer {picture.layer}" if picture.prediction.spec.K > 1 else "")


def _nothing(picture: Picture) -> tuple[str, ...]:
    return ()


KINDS: dict[str, Kind] = {
    "grid": Kind(title=_grid_title, svg=_grid_svg, text=grid_text, above=_grid_words, described=_grid_words),
    "cell": Kind(
        title=_cell_title,
        svg=lambda picture, top: cell_body(picture.prediction.spec, picture.prediction.call, picture.layer, top),
        text=lambda picture, width: cell_text(picture.prediction.spec, picture.layer, width),
        above=_nothing,
        described=lambda picture: cell_sentences(picture.prediction.spec, picture.layer),
    ),
    "packed": Kind(
        title=lambda picture: "packed rows",
        svg=lambda picture, top: staircase_body(_packing(picture), top),
        text=lambda picture, width: staircase(_packing(picture), width),
        above=lambda picture: (_call(picture),),
        described=lambda picture: (_call(picture), *staircase_sentences(_packing(picture))),
    ),
}
