"""The table of symbols is complete, and says what torch says."""

from __future__ import annotations

import inspect
import re

from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import SYMBOLS, legend


def test_every_letter_is_there_once() -> None:
    """Each symbol of the library has a row under its own letter."""
    assert "".join(SYMBOLS) == "NLQDKRPHGT"
    assert all(letter == symbol.letter and symbol.meaning for letter, symbol in SYMBOLS.items())


def test_arguments_are_torchs_own() -> None:
    """Each row that names a torch argument names one that the LSTM really takes."""
    from torch.nn.modules.rnn import RNNBase

    taken = set(inspect.signature(RNNBase.__init__).parameters)
    named = {symbol.argument for symbol in SYMBOLS.values() if symbol.argument}
    assert named == {"input_size", "hidden_size", "num_layers", "bidirectional", "proj_size"}
    assert named <= taken


def test_torch_symbols_are_those_of_its_documentation() -> None:
    """Each torch symbol of the table stands in the docstring of nn.LSTM."""
    from torch import nn

    page = (nn.LSTM.__doc__ or "").replace("\\text{hidden\\_size}", "")
    for symbol in SYMBOLS.values():
        for letter in re.findall(r"[A-Z](?:_\w+)?", symbol.torch_symbol):
            stem, _, below = letter.partition("_")
            assert (f"{stem}_{{{below}}}" if below else f" {stem} ") in page, letter


def test_the_clash_with_torch_is_marked() -> None:
    """torch writes D for directions: the row of R says so with an exclamation mark."""
    assert SYMBOLS["R"].torch_symbol == "D (!)"


def test_letters_of_a_spec_are_in_the_table() -> None:
    """What Spec can be asked for by letter has a meaning."""
    letters = {name for name in dir(Spec) if len(name) == 1 and name.isupper()}
    assert letters == {"Q", "D", "K", "R", "P", "H", "G"}
    assert letters <= set(SYMBOLS)


def test_legend_keeps_the_tables_order() -> None:
    """A legend says each letter once, in the same order wherever it stands."""
    assert legend("DN") == legend("NDD") == "N = sequences in the batch; D = width of the cell state"
    assert legend("") == ""
    assert legend("XYZ") == ""
