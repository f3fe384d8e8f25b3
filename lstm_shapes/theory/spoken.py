"""Spoken: what an expression reads, in words."""

from __future__ import annotations

from lstm_shapes.language import say

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
    key = "reads more" if more > 0 else "reads" if told else "reads nothing"
    lines = [say(key, expression=reads.expression, items="; ".join(told[:_PARTS_TOLD]), more=more)]
    if n is not None and reads.parts and not any(n in part.rows for part in reads.parts):
        lines.append(say("reads nothing of", n=n))
    padded = reads.padded_rows(6)
    if padded:
        rows = ", ".join(map(str, padded[:5])) + (", …" if len(padded) > 5 else "")
        lines.append(say("reads padding, rows" if len(padded) > 1 else "reads padding", rows=rows))
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
    told: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for parts in items:
        where = {**_where(reads, parts), "rows": _rows(reads, parts[0])}
        names = told.setdefault(tuple(where.items()), [])
        names += [parts[0].name] if parts[0].name not in names else []
    return [say("reads item", names="+".join(names), **dict(where)) for where, names in told.items()]


def _halves(one: Part, other: Part) -> bool:
    """Whether these are the forward and the backward half of the same cells."""
    same = (one.name, one.layers, one.rows) == (other.name, other.layers, other.rows)
    return same and (one.direction, other.direction) == (0, 1)


def _where(reads: Reads, parts: list[Part]) -> dict[str, str]:
    """Of which layers and directions, and at which steps: what goes into the gaps of `reads item`."""
    spec, part = reads.prediction.spec, parts[0]
    where = {"layers": "", "side": "", "steps": ""}
    if spec.kind.step:
        return {**where, "steps": say("after the step") if part.computed else ""}
    if part.name == "X":
        return {**where, "steps": _steps(reads, part)}
    every = len(part.layers) == spec.K > 1
    key = "of every layer" if every else "of layers" if len(part.layers) > 1 else "of layer"
    where["layers"] = say(key, layers=_listed(part.layers))
    apart = part.computed and len({_steps(reads, one) for one in parts}) == 2
    if spec.R == 2:
        both = "both directions, apart" if apart else "both directions"
        where["side"] = say(both if len(parts) == 2 else "reverse" if part.direction else "forward")
    if apart:
        forward, reverse = (_listed(_cells(reads, one)[0]) for one in parts)
        gaps = {"reverse": reverse} if part.own else {"forward": forward, "reverse": reverse}
        where["steps"] = say("at both, own last" if part.own else "at both", **gaps)
    elif part.computed:
        where["steps"] = _steps(reads, part)
    return where


def _steps(reads: Reads, part: Part) -> str:
    if part.own:
        return say("at own last")
    steps, longest = _cells(reads, part)
    return say("at every step") if len(steps) == longest > 1 else say("at steps", steps=_listed(steps))


def _cells(reads: Reads, part: Part) -> tuple[range, int]:
    """The steps that are read, and how many the longest row has of which any is."""
    lengths, longest = reads.prediction.call.lengths, reads.prediction.call.L
    if lengths and part.computed:
        longest = max(lengths[n] for n in reads.rows_of(part))
    return part.cells_of(longest), longest


def _rows(reads: Reads, part: Part) -> str:
    """`, of row n=2 only`; nothing where all rows are read."""
    if covers([part.rows], reads.prediction.call.N or 1):
        return ""
    return say("only rows" if len(part.rows) > 1 else "only row", rows=_listed(part.rows))


def _listed(places: range) -> str:
    """`3`, `3 and 5`, `3 to 9`, `0, 2, …, 98`."""
    if len(places) == 1:
        return f"{places[0]}"
    if len(places) == 2:
        return say("and", one=places[0], other=places[1])
    if places.step == 1:
        return say("to", first=places[0], last=places[-1])
    return f"{places[0]}, {places[1]}, {'…, ' if len(places) > 3 else ''}{places[-1]}"
