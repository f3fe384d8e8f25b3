"""The one table of symbols; every legend, formula and message reads it.

Source: the `nn.LSTM` documentation for torch's own letters. Beware: torch's docs use D for the number
of directions, this library uses D for the hidden width, as most lecture notes do.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SYMBOLS", "Symbol", "legend"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """One letter: what it stands for here, and what torch calls it.

    `argument` is torch's constructor argument, `torch_symbol` the letter in torch's documentation.
    """

    letter: str
    argument: str
    torch_symbol: str
    meaning: str


SYMBOLS: dict[str, Symbol] = {
    symbol.letter: symbol
    for symbol in (
        Symbol("N", "", "N", "sequences in the batch"),
        Symbol("L", "", "L", "steps in a sequence"),
        Symbol("Q", "input_size", "H_in", "features of one input step"),
        Symbol("D", "hidden_size", "H_cell", "width of the cell state"),
        Symbol("K", "num_layers", "", "stacked layers"),
        Symbol("R", "bidirectional", "D (!)", "reading directions, 1 or 2"),
        Symbol("P", "proj_size", "", "width of the projected hidden state, 0 = none"),
        Symbol("H", "", "H_out", "width of the hidden state: P if projected, else D"),
        Symbol("G", "", "", "gates: LSTM 4, GRU 3, RNN 1"),
        Symbol("T", "", "", "steps of all sequences together, padding left out (packed input)"),
    )
}


def legend(letters: str) -> str:
    """The meanings of some letters on one line, in the table's order.

    >>> legend("LN")
    'N = sequences in the batch, L = steps in a sequence'
    """
    return ", ".join(f"{s.letter} = {s.meaning}" for s in SYMBOLS.values() if s.letter in letters)
