"""Draw: a random layer and call to ask about, harder from level to level. The sizes are all different."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

__all__ = ["LETTERS", "LEVELS", "Draw", "Draws"]

LEVELS: dict[int, str] = {
    1: "one direction, batch first",
    2: "both layouts, GRU and RNN, one sequence alone",
    3: "two directions",
    4: "projections, cells, packed rows",
    5: "everything",
}
"""What each level adds to the one before."""

LETTERS: dict[int, str] = {1: "NLQDK", 2: "NLQDKRG", 3: "NLQDKRG", 4: "NLQDKRGPHT", 5: "NLQDKRGPHT"}
"""The symbols that the questions of a level are written with."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A layer, a call, and the source of chance for whoever asks about them."""

    random: Random
    level: int
    spec: Spec
    call: Call

    @property
    def prediction(self) -> Prediction:
        return Prediction(self.spec, self.call)

    @property
    def symbols(self) -> dict[str, int]:
        """What a learner may write in place of a number."""
        spec, call = self.spec, self.call
        sizes = {"N": call.N or 0, "L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P}
        if spec.kind.step:
            sizes["L"] = 0
        known = {name: size for name, size in sizes.items() if size}
        return {**known, "H": spec.H, "G": spec.G, **({"T": call.T} if call.lengths else {})}

    def shuffled(self, *options: str) -> tuple[tuple[str, ...], int]:
        """The options in random order, and where the first of them, the right one, went."""
        order = list(options)
        self.random.shuffle(order)
        return tuple(order), order.index(options[0])


class Draws:
    """Layers for one level, from one source of chance.

    >>> draws = Draws(Random("seed"), level=1)
    >>> draw = draws.draw()
    >>> draw.spec.cell, draw.spec.R, draw.spec.batch_first
    ('LSTM', 1, True)
    """

    def __init__(self, random: Random, level: int) -> None:
        self.random = random
        self.level = level

    def draw(self, **wanted: Any) -> Draw:
        """A layer and a call. `wanted` says what the topic needs; the level decides the rest.

        cell, bidirectional; deep: K above 1; projected; step: a cell; alone: unbatched; packed; time_major.
        """
        while True:
            spec, call = self._layer(wanted)
            if _distinct(spec, call):
                return Draw(self.random, self.level, spec, call)

    def _chance(self, wanted: dict[str, Any], name: str, from_level: int, share: float) -> bool:
        if name in wanted:
            return bool(wanted[name])
        return self.level >= from_level and self.random.random() < share

    def _layer(self, wanted: dict[str, Any]) -> tuple[Spec, Call]:
        draw = self.random
        cell = wanted.get("cell") or draw.choice(("LSTM",) if self.level == 1 else ("LSTM", "LSTM", "GRU", "RNN"))
        packed = self._chance(wanted, "packed", 4, 0.4)
        two_way = self._chance(wanted, "bidirectional", 3, 0.9 if self.level == 3 else 0.6)
        step = not packed and not two_way and self._chance(wanted, "step", 4, 0.25)
        alone = not packed and self._chance(wanted, "alone", 2, 0.2)
        projected = cell == "LSTM" and not step and self._chance(wanted, "projected", 4, 0.5)
        D = draw.choice((4, 5, 6, 8, 10, 12, 16, 20, 32))
        spec = Spec(
            draw.randint(3, 16),
            D,
            1 if step else draw.randint(2 if wanted.get("deep") else 1, 4 if self.level > 2 else 3),
            batch_first=step or not self._chance(wanted, "time_major", 2, 0.5),
            cell=cell + "Cell" * step,
            bidirectional=two_way,
            proj_size=draw.randint(2, D - 1) if projected else 0,
        )
        N, L = draw.randint(2, 9), draw.randint(4, 12)
        if not packed:
            return spec, Call.of(spec, N=None if alone else N, L=L)
        # One row has all L steps, so that Y padded back is as long as X, and at least one is shorter.
        lengths = [L, *(draw.randint(1, L) for _ in range(N - 2)), draw.randint(1, L - 1)]
        draw.shuffle(lengths)
        return spec, Call.of(spec, lengths=lengths)


def _distinct(spec: Spec, call: Call) -> bool:
    """Whether every size, also of a composite axis, is its own: equal sizes would hide a swap."""
    sizes = [spec.Q, spec.D, *([spec.K] if spec.K > 1 else []), *([spec.P] if spec.P else [])]
    if spec.R == 2:
        sizes += [2, 2 * spec.D, *([2 * spec.K] if spec.K > 1 else []), *([2 * spec.P] if spec.P else [])]
    if not spec.kind.step:
        sizes.append(call.L)
    if call.N is not None:
        sizes.append(call.N)
    return len(sizes) == len(set(sizes))
