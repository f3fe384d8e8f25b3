"""The recurrent layers in a file of weights.

They are recovered from names and shapes; nothing in the file is executed. With --model they stand beside the model's
own layers, and the exit code is 1 where one does not fit. Files of safetensors need the extra
[safetensors].

Examples:

  lstm-shapes inspect model.safetensors

  lstm-shapes inspect checkpoint.pt --json | jq '.layers[].spec'

  lstm-shapes inspect checkpoint.pt --model mymodels.py:Tagger
"""

from __future__ import annotations

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._target import load_model
from lstm_shapes.lab.checkpoint import read_checkpoint
from lstm_shapes.language import say

from . import _screen
from ._parser import Parser


def declare(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .safetensors file, or what torch.save wrote")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        default=None,
        help="package.module:factory, or file.py:factory, to set beside the file",
    )
    parser.lang()
    parser.json()


def main(file: str, *, model: str | None = None, json: bool = False) -> int:
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
