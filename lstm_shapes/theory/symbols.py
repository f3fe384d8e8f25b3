"""The one table of symbols; every legend, formula and message reads it.

Source: the `nn.LSTM` documentation for torch's own letters. Beware: torch's docs use D for the number
of directions, this library uses D for the hidden width, as most lecture notes do.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_shapes.language import say


@dataclass(frozen=True, slots=True)
class Symbol:
    """One letter: what it stands for here, and what torch calls it."""

    letter: str
    argument: str
    torch_symbol: str

    @property
    def meaning(self) -> str:
        """What it stands for."""
        return say(f"symbol {self.letter}")


_ROWS = (
    ("N", "", "N"),
    ("L", "", "L"),
    ("Q", "input_size", "H_in"),
    ("D", "hidden_size", "H_cell"),
    ("K", "num_layers", ""),
    ("R", "bidirectional", "D (!)"),
    ("P", "proj_size", ""),
    ("H", "", "H_out"),
    ("G", "", ""),
    ("T", "", ""),
)
SYMBOLS: dict[str, Symbol] = {row[0]: Symbol(*row) for row in _ROWS}


def legend(letters: str) -> str:
    """The meanings of some letters on one line, in the table's order.

    >>> legend("LN")
    'N = sequences in the batch; L = steps in a sequence'
    """
    return "; ".join(f"{s.letter} = {s.meaning}" for s in SYMBOLS.values() if s.letter in letters)
