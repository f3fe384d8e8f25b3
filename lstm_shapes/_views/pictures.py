"""Pictures put together: the sketch of its kind, its title, and the words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable

from lstm_shapes.display import view
from lstm_shapes.display.page import Drawing, Lines, Page
from lstm_shapes.language import in_this_language, say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.reads import spoken
from lstm_shapes.theory.slices import last_step
from lstm_shapes.theory.spec import headline

from .canvas import Canvas, Sketch
from .cell import cell_sketch
from .grid import grid_sketch
from .staircase import packed_sketch
from .titles import subtitle

_SKETCHES: dict[str, Callable[[Picture], Sketch]] = {"grid": grid_sketch, "cell": cell_sketch, "packed": packed_sketch}


@view.register(Picture)
def picture_view(picture: Picture) -> Page:
    """A picture as a page: the drawing, on the columns there are, and what is lit."""
    prediction, sketch = picture.prediction, _SKETCHES[picture.kind](picture)
    title = sketch.title[:1].upper() + sketch.title[1:]
    drawn = Drawing(title, in_this_language(sketch.text), _svg(prediction, sketch))
    words = spoken(picture.reading, picture.n) if picture.reading is not None else ()
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
