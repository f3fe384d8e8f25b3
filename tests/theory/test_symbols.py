"""The tables of symbols and of recurrent layers are complete, and say what torch says and does."""

from __future__ import annotations

import inspect
import re

import pytest

from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import CELLS, SYMBOLS, CellKind, legend


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


def test_the_table_has_every_recurrent_layer_of_torch() -> None:
    """Six rows, for the six classes of torch.nn; keys and names agree."""
    from torch import nn

    of_torch = {name for name in dir(nn) if re.fullmatch(r"(LSTM|GRU|RNN)(Cell)?", name)}
    assert set(CELLS) == of_torch
    assert all(name == kind.name for name, kind in CELLS.items())


@pytest.mark.parametrize("name", CELLS)
def test_gates_count_the_blocks_of_torchs_weights(name: str) -> None:
    """weight_hh has one D×D block a gate."""
    from torch import nn

    layer = getattr(nn, name)(7, 5)
    rows = dict(layer.named_parameters())["weight_hh" + ("" if CELLS[name].step else "_l0")].shape[0]
    assert len(CELLS[name].gates) * 5 == rows


@pytest.mark.parametrize("name", CELLS)
def test_states_are_what_torch_returns(name: str) -> None:
    """An LSTM feeds back (h, c), the others h alone; only sequence layers return Y before them."""
    import torch
    from torch import nn

    kind = CELLS[name]
    returned = getattr(nn, name)(7, 5)(torch.zeros(2, 7) if kind.step else torch.zeros(2, 3, 7))
    states = returned if kind.step else returned[1]
    assert (len(states) if isinstance(states, tuple) else 1) == len(kind.states)
    assert kind.states[0] == "h"
    assert kind.states[1:] in ((), ("c",))


@pytest.mark.parametrize("name", CELLS)
def test_projects_and_nonlinearities_are_arguments_torch_takes(name: str) -> None:
    """torch refuses proj_size and nonlinearity where the row does not have them."""
    from torch import nn

    kind, torch_class = CELLS[name], getattr(nn, name)
    if kind.projects:
        assert torch_class(7, 5, proj_size=2).proj_size == 2
    else:
        with pytest.raises((TypeError, ValueError), match="proj_size"):
            torch_class(7, 5, proj_size=2)
    for nonlinearity in kind.nonlinearities:
        assert torch_class(7, 5, nonlinearity=nonlinearity).nonlinearity == nonlinearity
    if not kind.nonlinearities:
        with pytest.raises(TypeError, match="nonlinearity"):
            torch_class(7, 5, nonlinearity="relu")


def test_a_cell_shares_all_but_the_step_with_its_layer() -> None:
    """GRUCell is one step of GRU: same gates, states and equations."""
    for kind in CELLS.values():
        layer = CELLS[kind.layer]
        assert not layer.step
        assert (kind.gates, kind.states, kind.keras_biases) == (layer.gates, layer.states, layer.keras_biases)
        assert kind.equations == layer.equations
        assert kind.nonlinearities == layer.nonlinearities


@pytest.mark.parametrize("kind", CELLS.values(), ids=list(CELLS))
def test_equations_define_every_name_before_it_is_used(kind: CellKind) -> None:
    """Each equation uses only inputs, earlier states and what stands above it; all states come out."""
    known = {f"{side}_{gate}" for side in "xh" for gate in kind.gates}
    known |= {f"{state}'" for state in kind.states}
    for name, right in kind.equations:
        used = set(re.findall(r"\b(?!tanh\b|σ)[a-z](?:_[a-z])?'?", right))
        assert used
        assert used <= known, (name, used - known)
        known.add(name)
    assert set(kind.states) <= {name for name, _ in kind.equations}
