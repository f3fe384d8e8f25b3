"""What `lstm-shapes inspect` shows: the recurrent layers of a file."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.lab.checkpoint import Checkpoint, Mismatch
from lstm_shapes.language import say
from lstm_shapes.theory.spec import UNTOLD, headline, printable

from .predicted import number_of_bytes


@view.register(Checkpoint)
def checkpoint_view(checkpoint: Checkpoint) -> Page:
    """What `read_checkpoint` returns. Names come from a file, so none is read as markup."""
    rows: list[tuple[Cell, ...]] = []
    problems = []
    for layer in checkpoint.layers:
        spec = layer.found.spec
        if spec is None:
            # The problem names the weight with its prefix.
            problems.append(f"{layer.tables} {layer.found.problem}".strip())
        else:
            about = f"{headline(spec)}\n{say('size', size=number_of_bytes(layer.bytes), dtype=layer.dtype)}"
            rows.append((code(layer.at), Mark(about, "symbol"), f"{layer.parameters:,}"))
    columns = (Column(say("prefix"), whole=False), Column(say("a layer"), whole=False))
    caption = say("untold", names=", ".join(UNTOLD[:-1]), last=UNTOLD[-1])
    sheet = Sheet(
        say("recurrent layers"), (*columns, Column(say("parameters"), right=True)), tuple(rows), caption=caption
    )
    nothing = Lines(say("recurrent layers"), (say("no layer in it"),))
    broken = (Lines(say("fit no layer"), tuple(problems)),) if problems else ()
    shown = (sheet,) if rows else () if problems else (nothing,)
    about = say("tensors in it", format=checkpoint.format, tensors=checkpoint.tensors)
    return Page(printable(checkpoint.path, 200), about, (*shown, *broken))


def mismatches_view(checkpoint: Checkpoint, mismatches: tuple[Mismatch, ...]) -> Page:
    """The layers of a file beside those of a model, where one does not fit the other."""
    path = printable(checkpoint.path, 200)
    if not mismatches:
        return Page(path, "every recurrent layer of the model has its weights in the file", ())
    columns = (Column(""), Column("", whole=False))
    rows: list[tuple[Cell, ...]] = []
    for mismatch in mismatches:
        rows.append((Mark(mismatch.kind, "bad"), printable(mismatch.message, 1000)))
        if mismatch.fix:
            rows.append((Mark("fix", "bad"), code(mismatch.fix)))
    return Page(path, "the file does not fit the model", (Sheet("Recurrent layers", columns, tuple(rows)),))
