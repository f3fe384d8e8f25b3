"""Pictures put together: the drawing of its kind, its title, and the words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable

from lstm_shapes.display import view
from lstm_shapes.display.page import Drawing, Lines, Page
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.highlight import read
from lstm_shapes.theory.last_step import last_step
from lstm_shapes.theory.predict import Prediction

from .kinds import KINDS
from .spoken import spoken
from .svg.frame import frame, paragraph
from .titles import headline, subtitle

__all__ = ["overview", "picture_svg", "picture_view"]


@view.register(Picture)
def picture_view(picture: Picture) -> Page:
    """A picture as a page: the drawing, on the columns there are, and what is lit."""
    page, kind = picture.prediction, KINDS[picture.kind]
    title = kind.title(picture)
    drawn = Drawing(title[:1].upper() + title[1:], lambda width: kind.text(picture, width), picture_svg(picture))
    words = spoken(picture.reading, picture.n) if picture.reading is not None else ()
    blocks = (drawn, Lines("Reading it", words)) if words else (drawn,)
    return Page(headline(page.spec), subtitle(page.spec, page.call), blocks)


def overview(prediction: Prediction) -> Callable[[], str]:
    """Draws the picture above the tables: the grid, lit where a classifier usually reads; or a cell from inside."""

    def svg() -> str:
        spec, call = prediction.spec, prediction.call
        if spec.kind.step:
            return picture_svg(Picture(prediction, "cell"))
        return picture_svg(Picture(prediction, "grid", read(last_step(spec, call).expression, spec, call)))

    return svg


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
