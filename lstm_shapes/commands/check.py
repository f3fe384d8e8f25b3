"""Find recurrent-shape bugs in a model of yours.

Exit code 1 if there is one.

Examples:

  lstm-shapes check mymodels.tagger:Tagger --input int:8,20

  lstm-shapes check model.py:make --input 64,28,28 --json

  lstm-shapes check model.py:make --input 20,8,28 --batch-dim 1
"""

from __future__ import annotations

from argparse import ArgumentTypeError

from lstm_shapes.lab.target import load_inputs, load_lengths, load_model

from . import _screen
from ._parser import Parser

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.model()
    parser.add_argument(
        "--batch-dim", metavar="0", type=_batch_dim, help="batch axis of the inputs, or none (default: 0)"
    )
    parser.lengths()
    parser.json()


def main(
    model: str,
    *,
    input: tuple[str, ...] = (),
    batch_dim: int | None = 0,
    lengths: tuple[int, ...] | None = None,
    dtype: str = "float32",
    json: bool = False,
) -> int:
    with _screen.loading("Loading torch and the model …"):
        made = load_model(model)
        given = load_inputs(list(input), made, dtype)
        from lstm_shapes.lab.check_old import check

    with _screen.waiting("Experimenting …"):
        report = check(made, *given, batch_dim=batch_dim, lengths=load_lengths(lengths))
    if json:
        _screen.data(report.to_dict())
    else:
        _screen.put(report)
    return 0 if report.ok else 1


def _batch_dim(word: str) -> int | None:
    if word.lower() == "none":
        return None
    if not word.isascii() or not word.isdecimal():
        raise ArgumentTypeError(f"{word[:40]!r} is not 0, 1, … or none")
    return int(word)
