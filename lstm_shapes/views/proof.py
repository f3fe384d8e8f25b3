"""A proof as a table: prediction and measurement side by side, with ticks."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Page, Sheet, tick
from lstm_shapes.lab.proof import Check, Proof

from .titles import headline, subtitle

__all__ = ["proof_sheet", "proof_view"]

# Of many layers that hold, these many are shown; a check that fails is always shown.
_SHOWN = 40


def proof_sheet(proof: Proof) -> Sheet:
    """Every check; where there are very many, the ones that failed and the first of the rest."""
    shown = [check for position, check in enumerate(proof.checks) if position < _SHOWN or not check.ok]
    rows: list[tuple[Cell, ...]] = [
        (tick(check.ok), check.claim, _value(check), check.by + (f" ({check.note})" if check.note else ""))
        for check in shown
    ]
    hidden = len(proof.checks) - len(shown)
    if hidden:
        rows.append((tick(True), f"… and {hidden:,} more of the same kind", "", ""))
    held = sum(check.ok for check in proof.checks)
    caption = f"{held:,} of {len(proof.checks):,} hold, on {proof.device} in {proof.dtype}."
    if proof.twin is not None:
        caption += f" Run on a small twin of the same structure, {headline(proof.twin)}: the layer itself is too large."
    return Sheet(
        "Proof",
        (
            Column(""),
            Column("predicted", whole=False),
            Column("measured", right=True),
            Column("by", whole=False),
        ),
        tuple(rows),
        caption=caption,
    )


def _value(check: Check) -> str:
    """What was measured, and what had been predicted where that differs."""
    measured = f"{check.measured:,}" if isinstance(check.measured, int) else str(check.measured)
    return measured if check.ok else f"{measured}\nnot {check.predicted}"


@view.register(Proof)
def proof_view(proof: Proof) -> Page:
    """What `prove` returns."""
    return Page(f"Proof for {headline(proof.spec)}", subtitle(proof.spec, proof.call), (proof_sheet(proof),))
