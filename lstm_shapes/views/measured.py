"""What was measured: a proof, prediction and measurement side by side, and the tensors of a run."""

from __future__ import annotations

from importlib.metadata import version

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Mark, Page, Sheet, code, tick
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.lab.run import Run

from .pictures import overview
from .titles import headline, sizes, subtitle

__all__ = ["proof_lines", "proof_sheet", "proof_view", "run_view"]

# Of many layers that hold, these many are shown; a check that fails is always shown.
_SHOWN = 40
_TWIN = "Run on a small twin of the same structure, {twin}: the layer itself is too large."


@view.register(Proof)
def proof_view(proof: Proof) -> Page:
    """What `prove` returns."""
    return Page(f"Proof for {headline(proof.spec)}", subtitle(proof.spec, proof.call), (proof_sheet(proof),))


def proof_lines(proof: Proof) -> tuple[Block, ...]:
    """A proof in one line; claims that failed, if there are any, as a table below it."""
    held = sum(check.ok for check in proof.checks)
    told = "{held:,} of {all:,} claims hold against torch {version} and torchinfo ({device}, {dtype})".format(
        held=held,
        all=len(proof.checks),
        version=version("torch").partition("+")[0],
        device=proof.device,
        dtype=proof.dtype,
    )
    twin = _TWIN.format(twin=headline(proof.twin)) if proof.twin is not None else ""
    line = Sheet("", (Column(""), Column("", whole=False)), ((tick(proof.ok), told),), caption=twin)
    failed = tuple(check for check in proof.checks if not check.ok)
    return (line, _checks_sheet("Claims that do not hold", failed)) if failed else (line,)


def proof_sheet(proof: Proof) -> Sheet:
    """Every check; where there are very many, the ones that failed and the first of the rest."""
    shown = [check for position, check in enumerate(proof.checks) if position < _SHOWN or not check.ok]
    held = sum(check.ok for check in proof.checks)
    caption = f"{held:,} of {len(proof.checks):,} hold, on {proof.device} in {proof.dtype}."
    if proof.twin is not None:
        caption = f"{caption} {_TWIN.format(twin=headline(proof.twin))}"
    return _checks_sheet("Proof", tuple(shown), len(proof.checks) - len(shown), caption)


def _checks_sheet(title: str, checks: tuple[Check, ...], hidden: int = 0, caption: str = "") -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        (tick(check.ok), check.claim, _value(check), check.by + (f" ({check.note})" if check.note else ""))
        for check in checks
    ]
    if hidden:
        rows.append((tick(True), f"… and {hidden:,} more of the same kind", "", ""))
    columns = (Column(""), Column("predicted", whole=False), Column("measured", right=True), Column("by", whole=False))
    return Sheet(title, columns, tuple(rows), caption=caption)


def _value(check: Check) -> str:
    """What was measured, and what had been predicted where that differs."""
    measured = f"{check.measured:,}" if isinstance(check.measured, int) else str(check.measured)
    return measured if check.ok else f"{measured}\nnot {check.predicted}"


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
    columns = tuple(Column(name) for name in ("name", "axes", "sizes", "dtype", "device"))
    tensors = Sheet("Tensors", columns, rows)
    return Page(headline(run.spec), subtitle(run.spec, run.call), (tensors,), overview(run.prediction))
