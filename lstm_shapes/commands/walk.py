"""`lstm-shapes walk package.module:factory --input 64,28,28`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from lstm_shapes.lab.target import load_inputs, load_model

from . import options

__all__ = ["walk"]

Target = Annotated[str, typer.Argument(metavar="MODEL", help="package.module:factory, or file.py:factory")]
Input = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="64,28,28", help="sizes of one argument; int:64,28 for tokens; repeat"),
]
AxesOption = Annotated[
    list[str] | None,
    typer.Option("--axes", "-a", metavar='"N L Q"', help="names of that input's axes; repeat; ? for none"),
]


def walk(
    model: Target,
    input: Input = None,
    axes: AxesOption = None,
    dtype: options.Dtype = "float32",
    as_json: options.Json = False,
    html: options.Html = None,
) -> None:
    """Show a model's forward line by line with named axes; exit code 1 if it stops or mixes axes.

    Examples:

      lstm-shapes walk mymodels.tagger:Tagger --input int:8,20

      lstm-shapes walk model.py:make --input 64,28,28 --axes "N L Q" --html walk.html
    """
    options.html_file(html)
    with options.loading("Loading torch and the model …"):
        made = load_model(model)
        given = load_inputs(input or [], made, dtype)
        from lstm_shapes.lab.walk import walk as walk_

    with Console(stderr=True).status("Walking …"):
        found = walk_(made, *given, axes=axes)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        options.put(found)
    if html is not None:
        from lstm_shapes.views.html import document
        from lstm_shapes.views.walk import walk_view

        html.write_text(document(walk_view(found)), encoding="utf-8")
        typer.echo(f"Wrote {html}", err=True)
    if not found.ok:
        raise typer.Exit(1)
