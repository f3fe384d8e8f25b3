"""Which cells, inputs and initial states an expression reads of one call of one layer.

All that is computed is asked for, and each operation says which elements of its operands it takes them from
(`_operations.py`), down to X, Y, h0, c0, hn and cn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise, product
from math import lcm
from typing import Any

from lstm_shapes.language import say

from ._operations import Box, Step, between
from .predict import Prediction


@dataclass(frozen=True, slots=True)
class Part:
    """What is read of one tensor: of these layers and of one direction, these steps of these rows of the batch.

    `name` says what: h or c of a cell (Y and hn hold h, cn holds c), X, h0 or c0. `own`: not these steps, but the last
    one that each row has.
    """

    name: str
    layers: range
    direction: int
    steps: range
    rows: range
    features: range
    own: bool = False

    @property
    def computed(self) -> bool:
        """Whether the layer computed it: beyond the end of a row there is none, only padding."""
        return self.name in ("h", "c")

    def steps_of(self, length: int) -> range:
        """The steps that are read in a row of this length, padding included."""
        return range(length - 1, length) if self.own else self.steps

    def cells_of(self, length: int) -> range:
        """The steps that are read in a row of this length and are there: X has all, its padding included."""
        steps = self.steps_of(length)
        return range(steps.start, min(steps.stop, length), steps.step) if self.computed else steps


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression reads of one call of one layer.

    >>> from .expression import Expression
    >>> from .predict import predict
    >>> reads = Expression.of("Y[:, -1]").reads(predict(28, 256, 3, N=2, L=20))
    >>> reads.states(layer=2, direction=0, t=19, n=0), reads.states(layer=1, direction=0, t=19, n=0)
    (('h',), ())
    """

    prediction: Prediction
    expression: str
    parts: tuple[Part, ...]

    def rows(self, name: str, layer: int, direction: int, t: int, length: int) -> list[range]:
        """The rows, if they have this length, for which h or c of a cell, X, h0 or c0 is read: one range a part."""
        return [
            part.rows
            for part in self.parts
            if part.name == name and layer in part.layers and direction == part.direction and t in part.cells_of(length)
        ]

    def states(self, layer: int, direction: int, t: int, n: int) -> tuple[str, ...]:
        """Which states of a cell are read in row n: `("h",)`, `("c",)`, both or none."""
        names, length = self.prediction.spec.kind.states, self.prediction.call.length(n)
        return tuple(name for name in names if any(n in rows for rows in self.rows(name, layer, direction, t, length)))

    def padding(self, n: int, t: int | None = None) -> bool:
        """Whether Y is read beyond the end of row n (at step t), where it holds zeros that nobody computed."""
        end = self.prediction.call.length(n)
        steps = (part.steps_of(end) for part in self.parts if part.computed and n in part.rows)
        return any(one[-1] >= end and (t is None or (t >= end and t in one)) for one in steps)

    def rows_of(self, part: Part, backwards: bool = False) -> Iterator[int]:
        """The rows of which a part reads anything that is there."""
        order = part.rows[::-1] if backwards else part.rows
        return iter(order) if not part.computed else (n for n in order if part.cells_of(self.prediction.call.length(n)))

    def hidden(self, layers: Collection[int], steps: Collection[int], rows: Collection[int] | None) -> tuple[str, ...]:
        """What is also read besides these: other layers, steps or rows; rows None: all of them are drawn as one.

        >>> from .expression import Expression
        >>> from .predict import predict
        >>> reads = Expression.of("Y[:, 9]").reads(predict(28, 256, 3, L=20))
        >>> reads.hidden((0, 1, 2), (0, 1, 18, 19), None), reads.hidden((0, 1, 2), (0, 9, 19), None)
        (('steps',), ())
        """
        missing: set[str] = set()
        for part in self.parts:
            if rows is not None and any(n not in rows for n in self.rows_of(part)):
                missing.add("rows")
            drawn = [None] if rows is None else [n for n in rows if n in part.rows]
            shown = [layer for layer in layers if layer in part.layers]
            if drawn and part.name != "X" and len(part.layers) > len(shown):
                missing.add("layers")
            # Counted, not listed: as cheap for a billion steps as for ten.
            cells = [part.cells_of(length) for length in set(map(self.prediction.call.length, drawn))]
            if part.name == "X" or (part.computed and shown):
                missing |= {"steps" for one in cells if len(one) > sum(t in one for t in set(steps))}
        return tuple(name for name in ("layers", "steps", "rows") if name in missing)


def covers(ranges: Iterable[range], count: int) -> bool:
    """Whether every position 0 … count - 1 is in one of the ranges, whose steps are positive.

    Between two ends of ranges what is covered repeats after the least common multiple of the steps; and n
    progressions that cover 2ⁿ positions in a row cover all (Crittenden and Vanden Eynden, 1970).

    >>> covers([range(0, 10**9, 2), range(1, 10**9, 2)], 10**9), covers([range(1, 9)], 9)
    (True, False)
    """
    given = {one for one in ranges if len(one)}
    cuts = sorted({0, count, *(end for one in given for end in (one.start, one[-1] + 1) if end in range(count))})
    for low, high in pairwise(cuts):
        here = [one for one in given if one.start <= low and high <= one[-1] + 1]
        if any(one.step == 1 for one in here):
            continue
        enough = min(high - low, lcm(*(one.step for one in here)), 2 ** len(here))
        if not all(any(place in one for one in here) for place in range(low, low + enough)):
            return False
    return True


def what_reads(step: Step, prediction: Prediction, expression: str) -> Reads:
    """The cells that are read for all elements of an expression's value; of a claim, for both sides."""
    leaves = step.leaves(map(range, step.shape))
    parts = [part for name, box in leaves for part in _parts(name, box, prediction)]
    return Reads(prediction, expression, tuple(_merged(parts, prediction)))


def same_elements(left: Step, right: Step, prediction: Prediction) -> bool:
    """Whether two tensors are equal whatever weights and inputs are: zeros of padding are equal to each other."""

    def made_of(step: Step, index: Sequence[int]) -> set[Part]:
        leaves = step.leaves(range(place, place + 1) for place in index)
        parts = (part for name, box in leaves for part in _parts(name, box, prediction))
        return {part for part in parts if part.cells_of(prediction.call.length(part.rows[0]))}

    places = product(*map(range, left.shape))
    return left.shape == right.shape and all(made_of(left, index) == made_of(right, index) for index in places)


def _parts(name: str, box: Box, prediction: Prediction) -> Iterator[Part]:
    """A box of X, Y or a state as what of the layer it holds, one part for each direction."""
    spec, call = prediction.spec, prediction.call
    roles = [role if role in "NL" else "KR" for role in prediction.tensors[name].names[:-1]]
    places = dict(zip([*roles, "features"], box, strict=True))
    steps, rows, features = places.get("L", range(1)), places.get("N", range(1)), places["features"]
    if name == "X":
        yield Part("X", range(1), 0, steps, rows, features)
        return
    for direction in range(spec.R):
        if name == "Y":
            half = between(features, direction * spec.H, (direction + 1) * spec.H)
            if half:
                yield Part("h", range(spec.K - 1, spec.K), direction, steps, rows, half)
            continue
        # The rows of hn are layer-major: those of a direction are as many apart as there are directions.
        states = places.get("KR", range(1))
        of_direction = [row for row in states[: spec.R] if row % spec.R == direction]
        if not of_direction:
            continue
        every = range(of_direction[0], states[-1] + 1, lcm(states.step, spec.R))
        layers = range(every[0] // spec.R, every[-1] // spec.R + 1, every.step // spec.R)
        if name in ("h0", "c0"):
            yield Part(name, layers, direction, range(1), rows, features)
        elif direction:
            yield Part(name[0], layers, direction, range(1), rows, features)
        elif len(rows) > 1 and call.short:
            yield Part(name[0], layers, direction, range(call.L), rows, features, own=True)
        else:
            end = call.length(rows[0])
            yield Part(name[0], layers, direction, range(end - 1, end), rows, features)


def _merged(parts: Iterable[Part], prediction: Prediction) -> Iterator[Part]:
    """Parts that are read alike as one where they are evenly spaced, single rows at their own last step among them."""
    # How short the rows are is looked up once: a batch may have as many as there are parts.
    call, short = prediction.call, prediction.call.short

    def last(part: Part) -> range:
        return range(call.length(part.rows[0]))[-1:]

    def own(part: Part) -> Part:
        ends = short and part.computed and len(part.rows) == 1 and part.steps == last(part)
        return replace(part, steps=range(call.L), own=True) if ends else part

    merged: Iterable[Part] = dict.fromkeys(map(own, parts))
    for field in ("features", "rows", "layers", "steps"):
        merged = list(_joined(merged, field))
    for part in merged:
        yield replace(part, steps=last(part), own=False) if part.own and len(part.rows) == 1 else part


def _joined(parts: Iterable[Part], field: str) -> Iterator[Part]:
    """Parts that differ in a single place of one field as one, where the places are evenly spaced."""

    def at(part: Part, places: range) -> Part:
        changed: dict[str, Any] = {field: places}
        return replace(part, **changed)

    alike: dict[Part, list[range]] = {}
    for part in parts:
        places = getattr(part, field)
        alike.setdefault(at(part, range(0)) if len(places) == 1 else part, []).append(places)
    for part, ranges in alike.items():
        steps = {after[0] - before[0] for before, after in pairwise(ranges)} or {1}
        if not getattr(part, field) and len(steps) == 1 and min(steps) > 0:
            ranges = [range(ranges[0][0], ranges[-1][0] + 1, min(steps))]
        yield from (at(part, places) for places in ranges)


_PARTS_TOLD = 4


def reads_in_words(reads: Reads, n: int | None = None) -> tuple[str, ...]:
    """Sentences on what is read; `n`: the one row that is drawn.

    >>> from .expression import Expression
    >>> from .predict import predict
    >>> reads_in_words(Expression.of("Y[:, -1]").reads(predict(28, 256, 3, batch_first=False, N=3, L=20)))
    ('Y[:, -1] reads h of layer 2 at every step, of row n=2 only.',)
    """
    told = _told(reads)
    more = len(told) - _PARTS_TOLD
    key = "reads more" if more > 0 else "reads" if told else "reads nothing"
    lines = [say(key, expression=reads.expression, items="; ".join(told[:_PARTS_TOLD]), more=more)]
    if n is not None and reads.parts and not any(n in part.rows for part in reads.parts):
        lines.append(say("reads nothing of", n=n))
    padded: set[int] = set()
    for part in reads.parts if reads.prediction.call.lengths else ():
        padded |= set(islice((row for row in part.rows if reads.padding(row)), 6))
    if padded:
        rows = ", ".join(map(str, sorted(padded)[:5])) + (", …" if len(padded) > 5 else "")
        lines.append(say("reads padding, rows" if len(padded) > 1 else "reads padding", rows=rows))
    return tuple(lines)


def _told(reads: Reads) -> list[str]:
    """What is read; both directions of a layer together, and h and c of the same cells."""
    items: list[list[Part]] = []
    for part in reads.parts:
        if part.computed and not any(True for _ in reads.rows_of(part)):
            continue
        before = items[-1] if items else []
        halves = [(one.direction, one.name, one.layers, one.rows) for one in (*before, part)]
        if halves == [(0, *halves[-1][1:]), (1, *halves[-1][1:])]:
            before.append(part)
        else:
            items.append([part])
    told: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for parts in items:
        names = told.setdefault(tuple(_where(reads, parts).items()), [])
        names += [parts[0].name] if parts[0].name not in names else []
    return [say("reads item", names="+".join(names), **dict(where)) for where, names in told.items()]


def _where(reads: Reads, parts: list[Part]) -> dict[str, str]:
    """The layers, directions, rows and steps of some cells, in words, for the gaps of the sentence `reads item`."""
    spec, part, rows = reads.prediction.spec, parts[0], ""
    if not covers([part.rows], reads.prediction.call.N or 1):
        rows = say("only rows" if len(part.rows) > 1 else "only row", rows=_listed(part.rows))
    said = [_steps(reads, one) for one in parts]
    where = {"layers": "", "side": "", "steps": said[0][1] if part.name == "X" or part.computed else "", "rows": rows}
    if spec.kind.step:
        return {**where, "steps": say("after the step") if part.computed else ""}
    if part.name == "X":
        return where
    every = len(part.layers) == spec.K > 1
    key = "of every layer" if every else "of layers" if len(part.layers) > 1 else "of layer"
    where["layers"] = say(key, layers=_listed(part.layers))
    apart = part.computed and len({phrase for _, phrase in said}) == 2
    if spec.R == 2:
        both = "both directions, apart" if apart else "both directions"
        where["side"] = say(both if len(parts) == 2 else "reverse" if part.direction else "forward")
    if apart:
        (forward, _), (reverse, _) = said
        gaps = {"reverse": reverse} if part.own else {"forward": forward, "reverse": reverse}
        where["steps"] = say("at both, own last" if part.own else "at both", **gaps)
    return where


def _steps(reads: Reads, part: Part) -> tuple[str, str]:
    """The steps that are read of the longest row of which any is: listed, and in a phrase."""
    lengths, longest = reads.prediction.call.lengths, reads.prediction.call.L
    if lengths and part.computed:
        longest = max(lengths[n] for n in reads.rows_of(part))
    steps = part.cells_of(longest)
    every = "at own last" if part.own else "at every step" if len(steps) == longest > 1 else ""
    return _listed(steps), say(every) if every else say("at steps", steps=_listed(steps))


def _listed(places: range) -> str:
    """`3`, `3 and 5`, `3 to 9`, `0, 2, …, 98`."""
    if len(places) == 1:
        return f"{places[0]}"
    if len(places) == 2:
        return say("and", one=places[0], other=places[1])
    if places.step == 1:
        return say("to", first=places[0], last=places[-1])
    return f"{places[0]}, {places[1]}, {'…, ' if len(places) > 3 else ''}{places[-1]}"
