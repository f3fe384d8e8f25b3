"""Pictures put together: the drawing of its kind, its title, and the words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lstm_shapes.display import view
from lstm_shapes.display.page import Drawing, Lines, Page
from lstm_shapes.language import in_this_language, say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Packing
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import spoken
from lstm_shapes.theory.slices import last_step

from .cell import cell_body, cell_sentences, cell_text
from .grid import backwards, grids, hidden
from .grid_svg import grid_body
from .grid_text import grid_text
from .staircase import staircase, staircase_body, staircase_sentences
from .svg import frame, key, paragraph, text
from .titles import headline, subtitle

__all__ = ["overview", "picture_svg", "picture_view"]

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
    return say("title step" if picture.prediction.spec.kind.step else "title grid")


def _grid_words(picture: Picture) -> tuple[str, ...]:
    reading = picture.reading
    told = (*spoken(reading, picture.n), *backwards(picture), *hidden(grids(picture))) if reading is not None else ()
    return (_call(picture), *told)


def _grid_svg(picture: Picture, top: float) -> Body:
    parts, width, y = [], 0.0, top
    for grid in grids(picture):
        if grid.name:
            parts.append(text(20, y + 12, grid.name, "l-strong"))
            y += 26
        body, wide, y = grid_body(grid, y)
        parts.append(body)
        width, y = max(width, wide), y + 26
    legend, wide, y = key("".join(parts), picture.prediction.spec.kind.states, y + 2)
    return "".join([*parts, legend]), max(width, wide), y


def _cell_title(picture: Picture) -> str:
    return say("title cell of" if picture.prediction.spec.K > 1 else "title cell", layer=picture.layer)


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
        title=lambda picture: say("title packed"),
        svg=lambda picture, top: staircase_body(_packing(picture), top),
        text=lambda picture, width: staircase(_packing(picture), width),
        above=lambda picture: (_call(picture),),
        described=lambda picture: (_call(picture), *staircase_sentences(_packing(picture))),
    ),
}


@view.register(Picture)
def picture_view(picture: Picture) -> Page:
    """A picture as a page: the drawing, on the columns there are, and what is lit."""
    page, kind = picture.prediction, KINDS[picture.kind]
    title = kind.title(picture)
    in_characters = in_this_language(lambda width: kind.text(picture, width))
    drawn = Drawing(title[:1].upper() + title[1:], in_characters, picture_svg(picture))
    words = spoken(picture.reading, picture.n) if picture.reading is not None else ()
    blocks = (drawn, Lines(say("reading it"), words)) if words else (drawn,)
    return Page(headline(page.spec), subtitle(page.spec, page.call), blocks)


def overview(prediction: Prediction) -> Callable[[], str]:
    """Draws the picture above the tables: the grid, lit where a classifier usually reads; or a cell from inside."""

    def svg() -> str:
        spec, call = prediction.spec, prediction.call
        if spec.kind.step:
            return picture_svg(Picture(prediction, "cell"))
        return picture_svg(
            Picture(prediction, "grid", Expression.of(last_step(spec, call).expression).reads(prediction))
        )

    return in_this_language(svg)


def picture_svg(picture: Picture) -> str:
    """The whole SVG."""
    kind = KINDS[picture.kind]
    title = f"{headline(picture.prediction.spec)}, {kind.title(picture)}"
    head, width, y = paragraph(20, 30, title, "l-title", line=22)
    parts = [head]
    y -= 3
    for sentence in kind.above(picture):
        body, wide, y = paragraph(20, y, sentence, "l-quiet")
        parts.append(body)
        width = max(width, wide)
    body, wide, y = kind.svg(picture, y + 10)
    parts.append(body)
    return frame(title, " ".join(kind.described(picture)), max(width, wide), y + 14, "".join(parts))
