"""Draw: a random layer and call to ask about, harder from level to level. The sizes are all different."""

from __future__ import annotations

from random import Random
from typing import Any

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

__all__ = ["LETTERS", "LEVELS", "Draws", "symbols_of"]

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

# From which level on a layer may be so, and how often.
_CHANCES = {
    "packed": (4, 0.4),
    "bidirectional": (3, 0.6),
    "step": (4, 0.25),
    "alone": (2, 0.2),
    "projected": (4, 0.5),
    "time_major": (2, 0.5),
    "deep": (6, 0.0),
}


def symbols_of(prediction: Prediction) -> dict[str, int]:
    """What a learner may write in place of a number."""
    spec, call = prediction.spec, prediction.call
    sizes = {"N": call.N or 0, "L": 0 if spec.kind.step else call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R}
    sizes = {name: size for name, size in {**sizes, "P": spec.P}.items() if size}
    return {**sizes, "H": spec.H, "G": spec.G, **({"T": call.T} if call.lengths else {})}


class Draws:
    """Layers for one level, from one source of chance.

    >>> draws = Draws(Random("seed"), level=1)
    >>> draws.draw(deep=True).spec.R
    1
    """

    def __init__(self, random: Random, level: int) -> None:
        self.random = random
        self.level = level

    def draw(self, **wanted: bool) -> Prediction:
        """A layer and a call. `wanted` says what the topic needs; the level decides the rest.

        bidirectional; deep: K above 1; projected; step: a cell; alone: unbatched; packed; time_major.
        """
        while True:
            prediction = self._layer(wanted)
            if _distinct(prediction.spec, prediction.call):
                return prediction

    def _layer(self, wanted: dict[str, bool]) -> Prediction:
        chance = self.random
        cell = chance.choice(("LSTM",) if self.level == 1 else ("LSTM", "LSTM", "GRU", "RNN"))

        def has(name: str, possible: bool = True) -> bool:
            start, share = _CHANCES[name]
            return possible and bool(wanted.get(name, self.level >= start and chance.random() < share))

        packed, two_way = has("packed"), has("bidirectional")
        step, alone = has("step", not packed and not two_way), has("alone", not packed)
        D = chance.choice((4, 5, 6, 8, 10, 12, 16, 20, 32))
        fields: dict[str, Any] = {
            "batch_first": not has("time_major") or step,
            "cell": cell + "Cell" * step,
            "bidirectional": two_way,
            "proj_size": chance.randint(2, D - 1) if has("projected", cell == "LSTM" and not step) else 0,
        }
        K = 1 if step else chance.randint(2 if has("deep") else 1, 4 if self.level > 2 else 3)
        spec, N, L = Spec(chance.randint(3, 16), D, K, **fields), chance.randint(2, 9), chance.randint(4, 12)
        if not packed:
            return Prediction(spec, Call.of(spec, N=None if alone else N, L=L))
        # One row has all L steps, so that Y padded back is as long as X, and at least one is shorter.
        lengths = [L, *(chance.randint(1, L) for _ in range(N - 2)), chance.randint(1, L - 1)]
        chance.shuffle(lengths)
        return Prediction(spec, Call.of(spec, lengths=lengths))


def _distinct(spec: Spec, call: Call) -> bool:
    """Whether every size, also of a composite axis, is its own: equal sizes would hide a swap."""
    sizes = [spec.Q, spec.D, *([spec.K] if spec.K > 1 else []), *([spec.P] if spec.P else [])]
    if spec.R == 2:
        sizes += [2, 2 * spec.D, *([2 * spec.K] if spec.K > 1 else []), *([2 * spec.P] if spec.P else [])]
    sizes += ([] if spec.kind.step else [call.L]) + ([call.N] if call.N else [])
    return len(sizes) == len(set(sizes))
