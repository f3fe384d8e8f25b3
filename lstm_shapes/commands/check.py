"""`lstm-shapes check package.module:factory --input 64,28,28` and `lstm-shapes rules`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from lstm_shapes.errors import SpecError
from lstm_shapes.lab.target import load_inputs, load_lengths, load_model

from . import options

__all__ = ["check", "rules"]

Target = Annotated[str, typer.Argument(metavar="MODEL", help="package.module:factory, or file.py:factory")]
Input = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="64,28,28", help="sizes of one argument; int:64,28 for tokens; repeat"),
]
BatchDim = Annotated[str, typer.Option(metavar="0", help="batch axis of the inputs, or none")]


def check(
    model: Target,
    input: Input = None,
    batch_dim: BatchDim = "0",
    lengths: options.Lengths = None,
    dtype: options.Dtype = "float32",
    as_json: options.Json = False,
) -> None:
    """Find recurrent-shape bugs in a model of yours; exit code 1 if there is one.

    Examples:

      lstm-shapes check mymodels.tagger:Tagger --input int:8,20

      lstm-shapes check model.py:make --input 64,28,28 --json

      lstm-shapes check model.py:make --input 20,8,28 --batch-dim 1
    """
    axis = _batch_dim(batch_dim)
    rows = options.call_arguments(None, None, False, lengths).get("lengths")
    with options.loading("Loading torch and the model …"):
        made = load_model(model)
        given = load_inputs(input or [], made, dtype)
        from lstm_shapes.lab.check import check as check_

    with Console(stderr=True).status("Experimenting …"):
        report = check_(made, *given, batch_dim=axis, lengths=load_lengths(rows))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    else:
        options.put(report)
    if not report.ok:
        raise typer.Exit(1)


def _batch_dim(text: str) -> int | None:
    if text.lower() == "none":
        return None
    if not text.isascii() or not text.isdecimal():
        raise SpecError("--batch-dim", "0, 1, … or none", text)
    return int(text)


def rules(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="LS201 and the like; all if left out")] = None,
    as_json: options.Json = False,
) -> None:
    """The rules of check; with a CODE one of them, with a wrong and a right program.

    Examples:

      lstm-shapes rules

      lstm-shapes rules LS201
    """
    with options.loading("Loading the rules …"):
        from lstm_shapes.lab.check import registry
        from lstm_shapes.views.report import rule_view, rules_view

        every = registry()
    if code is not None and code.upper() not in every:
        raise SpecError("CODE", f"one of {', '.join(every)}", code)
    if as_json:
        chosen = every.values() if code is None else [every[code.upper()]]
        fields = ("code", "name", "title", "why", "wrong", "right")
        rows: list[dict[str, Any]] = [{field: getattr(rule, field) for field in fields} for rule in chosen]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        options.put(rules_view(every.values()) if code is None else rule_view(every[code.upper()]))
