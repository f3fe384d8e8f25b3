"""The commands about a program of yours, a file of weights and the rules: check, rules, walk, run, inspect."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from pathlib import Path

from lstm_shapes.display import as_document, as_text
from lstm_shapes.errors import SpecError
from lstm_shapes.lab._target import load_inputs, load_lengths, load_loss, load_model, load_target
from lstm_shapes.lab.checkpoint import read_checkpoint
from lstm_shapes.language import say

from . import _screen
from ._parser import Parser, argument, command, html


def _batch_dim(word: str) -> int | None:
    if word.lower() == "none":
        return None
    if not word.isascii() or not word.isdecimal():
        raise ArgumentTypeError(f"{word[:40]!r} is not 0, 1, … or none")
    return int(word)


@command(
    Parser.model,
    argument("--batch-dim", metavar="0", type=_batch_dim, help="batch axis of the inputs, or none (default: 0)"),
    Parser.lengths,
    argument("--target", metavar="int:64", help="sizes of what the output is compared with; int: for classes"),
    argument(
        "--loss",
        metavar="mse_loss",
        help="with what: a function of torch.nn.functional, or package.module:function",
    ),
    Parser.lang_of_check,
    Parser.json,
)
def check(
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
    """Find recurrent-shape bugs in a model of yours.

    Exit code 1 if there is one.

    Examples:

      lstm-shapes check mymodels.tagger:Tagger --input int:8,20

      lstm-shapes check model.py:make --input 64,28,28 --json

      lstm-shapes check model.py:make --input 20,8,28 --batch-dim 1

      lstm-shapes check model.py:make --input 64,28,28 --target int:64 --loss cross_entropy
    """
    with _screen.loading("Loading torch and the model …"):
        made = load_model(model)
        given = load_inputs(list(input), made, dtype)
        wanted, compare = load_target(target, dtype, loss), load_loss(loss)
        from lstm_shapes.lab.check.check import check

    with _screen.waiting("Experimenting …"):
        report = check(made, *given, batch_dim=batch_dim, lengths=load_lengths(lengths), target=wanted, loss=compare)
    _screen.show(report, json)
    return 0 if report.ok else 1


@command(
    argument("code", metavar="CODE", nargs="?", default=None, help="LS201 and the like; all if left out"),
    Parser.lang_of_check,
    Parser.json,
)
def rules(code: str | None = None, *, json: bool = False) -> int:
    """The rules of check; of one CODE with a wrong and a right program.

    Examples:

      lstm-shapes rules

      lstm-shapes rules LS201
    """
    with _screen.loading("Loading the rules …"):
        from lstm_shapes._views.programs import rule_view, rules_view
        from lstm_shapes.lab.check import RULES

        every = dict(sorted(RULES.items()))
    if code is not None and code.upper() not in every:
        raise SpecError("CODE", f"one of {', '.join(every)}", code)
    chosen = list(every.values()) if code is None else [every[code.upper()]]
    if json:
        fields = ("code", "name", "title", "why", "wrong", "right")
        _screen.data([{field: getattr(rule, field) for field in fields} for rule in chosen])
    else:
        _screen.put(rules_view(chosen) if code is None else rule_view(chosen[0]))
    return 0


@command(
    Parser.model,
    argument("--axes", "-a", action="append", metavar='"N L Q"', help="names of that input's axes; repeat; ? for none"),
    argument("--depth", type=int, metavar="1", help="leave out what is called further inside"),
    argument("--comments", action="store_true", help="a comment with a wrong shape is an error"),
    Parser.lang,
    Parser.json,
    html(),
)
def walk(
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
    """Show a model's forward line by line with named axes.

    Exit code 1 if it stops or mixes axes; with --comments, also if a comment
    gives a shape that is not so.

    Examples:

      lstm-shapes walk mymodels.tagger:Tagger --input int:8,20

      lstm-shapes walk lesson.py:make --input 64,28,28 --comments

      lstm-shapes walk model.py:make --input 64,28,28 --axes "N L Q" --html walk.html
    """
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


@command(
    argument("script", metavar="SCRIPT", type=Path, help="the Python file to run"),
    argument("arguments", metavar="ARGS", nargs="*", default=[], help="its own arguments"),
    Parser.lang_of_check,
    passes_on="arguments",
)
def run(script: Path, *, arguments: tuple[str, ...] = ()) -> int:
    """Run a script and check its recurrent models as they are called.

    The report comes on stderr at the end, after the traceback where there is
    one. The exit code is the script's own; 1 where it ends well and an error was
    found. Everything behind SCRIPT belongs to the script.

    Examples:

      lstm-shapes run train.py --epochs 2

      python -m lstm_shapes run train.py
    """
    if not script.is_file():
        raise SpecError("SCRIPT", "a Python file", str(script))
    from lstm_shapes.lab.check.session import run_script

    code, watched = run_script(str(script), arguments)
    if watched.worth_saying:
        sys.stdout.flush()
        sys.stderr.write(as_text(watched) + "\n")
    return code


@command(
    argument("file", metavar="FILE", help="a .safetensors file, or what torch.save wrote"),
    argument("--model", metavar="MODEL", help="package.module:factory, or file.py:factory, to set beside the file"),
    Parser.lang,
    Parser.json,
)
def inspect(file: str, *, model: str | None = None, json: bool = False) -> int:
    """The recurrent layers in a file of weights.

    They are recovered from names and shapes; nothing in the file is executed.
    With --model they stand beside the model's own layers, and the exit code is 1
    where one does not fit. Files of safetensors need the extra [safetensors].

    Examples:

      lstm-shapes inspect model.safetensors

      lstm-shapes inspect checkpoint.pt --json | jq '.layers[].spec'

      lstm-shapes inspect checkpoint.pt --model mymodels.py:Tagger
    """
    checkpoint = read_checkpoint(file)
    if model is None:
        _screen.show(checkpoint, json)
        return 0
    with _screen.loading(say("loading model")):
        made = load_model(model)
        if not hasattr(made, "state_dict"):
            raise SpecError("--model", "a torch module, or a class or function that makes one", type(made).__name__)
        mismatches = checkpoint.against(made.state_dict())
        from lstm_shapes._views.checkpoint import mismatches_view
    if json:
        rows = [{"kind": m.kind, "message": m.message, "fix": m.fix} for m in mismatches]
        _screen.data({**checkpoint.to_dict(), "mismatches": rows})
    else:
        _screen.put(mismatches_view(checkpoint, mismatches))
    return 1 if mismatches else 0
