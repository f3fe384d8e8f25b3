"""Find recurrent-shape bugs in a model of yours.

Exit code 1 if there is one.

Examples:

  lstm-shapes check mymodels.tagger:Tagger --input int:8,20

  lstm-shapes check model.py:make --input 64,28,28 --json

  lstm-shapes check model.py:make --input 20,8,28 --batch-dim 1

  lstm-shapes check model.py:make --input 64,28,28 --target int:64 --loss cross_entropy
"""

from __future__ import annotations

from argparse import ArgumentTypeError

from lstm_shapes.lab._target import load_inputs, load_lengths, load_loss, load_model, load_target

from . import _screen
from ._parser import Parser


def declare(parser: Parser) -> None:
    parser.model()
    parser.add_argument(
        "--batch-dim", metavar="0", type=_batch_dim, help="batch axis of the inputs, or none (default: 0)"
    )
    parser.lengths()
    parser.add_argument(
        "--target", metavar="int:64", help="sizes of what the output is compared with; int: for classes"
    )
    about = "with what: a function of torch.nn.functional, or package.module:function"
    parser.add_argument("--loss", metavar="mse_loss", help=about)
    parser.lang(speaks=False)
    parser.json()


def main(
    model: str,
    *,
    input: tuple[str, ...] = (),
    batch_dim: int | None = 0,
    lengths: tuple[int, ...] | None = None,
    target: str | None = None,
    loss: str | None = None,
    dtype: str = "float32",
    json: bool = False,
) -> int:
    with _screen.loading("Loading torch and the model …"):
        made = load_model(model)
        given = load_inputs(list(input), made, dtype)
        wanted, compare = load_target(target, dtype, loss), load_loss(loss)
        from lstm_shapes.lab.check.check import check

    with _screen.waiting("Experimenting …"):
        report = check(made, *given, batch_dim=batch_dim, lengths=load_lengths(lengths), target=wanted, loss=compare)
    _screen.show(report, json)
    return 0 if report.ok else 1


def _batch_dim(word: str) -> int | None:
    if word.lower() == "none":
        return None
    if not word.isascii() or not word.isdecimal():
        raise ArgumentTypeError(f"{word[:40]!r} is not 0, 1, … or none")
    return int(word)
