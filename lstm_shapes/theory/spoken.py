"""Spoken: what an expression reads, in words."""

from __future__ import annotations

from .reads import Part, Reads, covers

__all__ = ["spoken"]

_PARTS_TOLD = 4


def spoken(reads: Reads, n: int | None = None) -> tuple[str, ...]:
    """Sentences on what is read; `n`: the one row that is drawn.

    >>> from .expression import Expression
    >>> from .predict import predict
    >>> spoken(Expression.of("Y[:, -1]").reads(predict(28, 256, 3, batch_first=False, N=3, L=20)))
    ('Y[:, -1] reads h of layer 2 at every step, of row n=2 only.',)
    """
    told = _told(reads)
    more = len(told) - _PARTS_TOLD
    items = "; ".join(told[:_PARTS_TOLD]) + (f"; and {more} more" if more > 0 else "")
    lines = [f"{reads.expression} reads {items or 'no cell, no input and no initial state'}."]
    if n is not None and reads.parts and not any(n in part.rows for part in reads.parts):
        lines.append(f"Nothing of it is in row n={n}, which is drawn.")
    padded = reads.padded_rows(6)
    if padded:
        rows = ", ".join(map(str, padded[:5])) + (", …" if len(padded) > 5 else "")
        many = len(padded) > 1
        lines.append(
            f"Beyond {'their' if many else 'its'} own length row{'s' if many else ''} {rows} "
            f"hold{'' if many else 's'} zeros: there the expression reads padding."
        )
    return tuple(lines)


def _told(reads: Reads) -> list[str]:
    """What is read; both directions of a layer together, and h and c of the same cells."""
    items: list[list[Part]] = []
    for part in reads.parts:
        if not part.computed or any(True for _ in reads.rows_of(part)):
            before = items[-1] if items else []
            if before and _halves(before[-1], part):
                before.append(part)
            else:
                items.append([part])
    told: dict[str, list[str]] = {}
    for parts in items:
        names = told.setdefault(_where(reads, parts) + _rows(reads, parts[0]), [])
        names += [parts[0].name] if parts[0].name not in names else []
    return ["+".join(names) + where for where, names in told.items()]


def _halves(one: Part, other: Part) -> bool:
    """Whether these are the forward and the backward half of the same cells."""
    same = (one.name, one.layers, one.rows) == (other.name, other.layers, other.rows)
    return same and (one.direction, other.direction) == (0, 1)


def _where(reads: Reads, parts: list[Part]) -> str:
    """Of which layers and directions, and at which steps."""
    spec, part = reads.prediction.spec, parts[0]
    if spec.kind.step:
        return " after the step" if part.computed else ""
    if part.name == "X":
        return _steps(reads, part)
    every = len(part.layers) == spec.K > 1
    layers = " of every layer" if every else f" of layer{'s' if len(part.layers) > 1 else ''} {_listed(part.layers)}"
    sides = [" reverse" if one.direction else " forward" for one in parts]
    where = layers + ("" if spec.R == 1 else " in both directions" if len(parts) == 2 else sides[0])
    if not part.computed:
        return where
    steps = [_steps(reads, one) for one in parts]
    if len(set(steps)) == 1:
        return where + steps[0]
    return where + " and".join(f"{step} ({side.strip()})" for step, side in zip(steps, sides, strict=True)).replace(
        "and at", "and"
    )


def _steps(reads: Reads, part: Part) -> str:
    if part.own:
        return " at each row's last step"
    lengths, longest = reads.prediction.call.lengths, reads.prediction.call.L
    if lengths and part.computed:
        longest = max(lengths[n] for n in reads.rows_of(part))
    steps = part.cells_of(longest)
    return " at every step" if len(steps) == longest > 1 else f" at t={_listed(steps)}"


def _rows(reads: Reads, part: Part) -> str:
    """`, of row n=2 only`; nothing where all rows are read."""
    if covers([part.rows], reads.prediction.call.N or 1):
        return ""
    return f", of row{'s' if len(part.rows) > 1 else ''} n={_listed(part.rows)} only"


def _listed(places: range) -> str:
    """`3`, `3 and 5`, `3 to 9`, `0, 2, …, 98`."""
    if len(places) == 1:
        return f"{places[0]}"
    if len(places) == 2:
        return f"{places[0]} and {places[1]}"
    if places.step == 1:
        return f"{places[0]} to {places[-1]}"
    return f"{places[0]}, {places[1]}, {'…, ' if len(places) > 3 else ''}{places[-1]}"
