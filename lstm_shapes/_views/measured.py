"""What was measured: a proof, prediction and measurement side by side, and the tensors of a run."""

from __future__ import annotations

from importlib.metadata import version

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Mark, Page, Sheet, code, tick
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.lab.run import Run
from lstm_shapes.language import say
from lstm_shapes.theory.spec import headline

from .pictures import overview
from .titles import sizes, subtitle

# Of many layers that hold, these many are shown; a check that fails is always shown.
_SHOWN = 40


@view.register(Proof)
def proof_view(proof: Proof) -> Page:
    return Page(say("proof of", layer=headline(proof.spec)), subtitle(proof.spec, proof.call), (proof_sheet(proof),))


def proof_lines(proof: Proof) -> tuple[Block, ...]:
    """A proof in one line; claims that failed, if there are any, as a table below it."""
    held = sum(check.ok for check in proof.checks)
    told = say(
        "claims hold",
        held=held,
        all=len(proof.checks),
        version=version("torch").partition("+")[0],
        device=proof.device,
        dtype=proof.dtype,
    )
    line = Sheet("", (Column(""), Column("", whole=False)), ((tick(proof.ok), told),), caption=_on_a_twin(proof))
    failed = tuple(check for check in proof.checks if not check.ok)
    return (line, _checks_sheet(say("claims fail"), failed)) if failed else (line,)


def proof_sheet(proof: Proof) -> Sheet:
    """Every check; where there are very many, the ones that failed and the first of the rest."""
    shown = [check for position, check in enumerate(proof.checks) if position < _SHOWN or not check.ok]
    held = sum(check.ok for check in proof.checks)
    caption = say("held", held=held, all=len(proof.checks), device=proof.device, dtype=proof.dtype)
    caption = f"{caption} {_on_a_twin(proof)}".rstrip()
    return _checks_sheet(say("proof"), tuple(shown), len(proof.checks) - len(shown), caption)


def _on_a_twin(proof: Proof) -> str:
    """That another layer was run, where one was."""
    return "" if proof.twin is None else say("twin", twin=headline(proof.twin))


def _checks_sheet(title: str, checks: tuple[Check, ...], hidden: int = 0, caption: str = "") -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        (tick(check.ok), check.claim, _value(check), check.by + (f" ({check.note})" if check.note else ""))
        for check in checks
    ]
    if hidden:
        rows.append((tick(True), say("more alike", hidden=hidden), "", ""))
    columns = (
        Column(""),
        Column(say("predicted"), whole=False),
        Column(say("measured"), right=True),
        Column(say("by"), whole=False),
    )
    return Sheet(title, columns, tuple(rows), caption=caption)


def _value(check: Check) -> str:
    """What was measured, and what had been predicted where that differs."""
    measured = f"{check.measured:,}" if isinstance(check.measured, int) else str(check.measured)
    return measured if check.ok else say("but predicted", measured=measured, predicted=str(check.predicted))


@view.register(Run)
def run_view(run: Run) -> Page:
    """What `run` returns: the tensors it holds, not their numbers."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            code(name),
            Mark(tensor.axes.formula, "symbol"),
            sizes(tensor.axes),
            str(tensor.dtype).removeprefix("torch."),
            str(tensor.device),
        )
        for name, tensor in run.tensors.items()
    )
    columns = tuple(Column(say(name)) for name in ("name", "axes", "sizes", "dtype", "device"))
    tensors = Sheet(say("tensors"), columns, rows)
    return Page(headline(run.spec), subtitle(run.spec, run.call), (tensors,), overview(run.prediction))
