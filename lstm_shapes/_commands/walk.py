"""Show a model's forward line by line with named axes.

Exit code 1 if it stops or mixes axes; with --comments, also if a comment gives a shape that is not so.

Examples:

  lstm-shapes walk mymodels.tagger:Tagger --input int:8,20

  lstm-shapes walk lesson.py:make --input 64,28,28 --comments

  lstm-shapes walk model.py:make --input 64,28,28 --axes "N L Q" --html walk.html
"""

from __future__ import annotations

from pathlib import Path

from lstm_shapes.display import as_document
from lstm_shapes.lab._target import load_inputs, load_model
from lstm_shapes.language import say

from . import _screen
from ._parser import Parser


def declare(parser: Parser) -> None:
    parser.model()
    about = "names of that input's axes; repeat; ? for none"
    parser.add_argument("--axes", "-a", action="append", metavar='"N L Q"', help=about)
    parser.add_argument("--depth", type=int, metavar="1", help="leave out what is called further inside")
    parser.add_argument("--comments", action="store_true", help="a comment with a wrong shape is an error")
    parser.lang()
    parser.json()
    parser.html()


def main(
    model: str,
    *,
    input: tuple[str, ...] = (),
    axes: list[str] | None = None,
    depth: int | None = None,
    comments: bool = False,
    dtype: str = "float32",
    json: bool = False,
    html: Path | None = None,
) -> int:
    with _screen.loading(say("loading model")):
        made = load_model(model)
        given = load_inputs(list(input), made, dtype)
        from lstm_shapes.lab.walk import walk

    with _screen.waiting(say("walking")):
        walked = walk(made, *given, axes=axes, depth=depth)
    _screen.show(walked, json)
    if html is not None:
        _screen.write(html, as_document(walked))
    return 0 if walked.ok and not (comments and any(not one.true for one in walked.comments)) else 1
