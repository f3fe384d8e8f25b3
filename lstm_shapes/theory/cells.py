"""The one table of recurrent layers: what distinguishes an LSTM from a GRU is a row here, never an `if`.

Source: `torch/nn/modules/rnn.py` (classes RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell); gate orders from the
"Variables" sections of their documentation: LSTM (W_ii|W_if|W_ig|W_io), GRU (W_ir|W_iz|W_in).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CELLS", "CellKind"]


@dataclass(frozen=True, slots=True)
class CellKind:
    """One row of the table.

    `gates`: names in torch's order of the blocks stacked in each weight. `states`: what is fed back from
    step to step. `step`: true for the `…Cell` classes, which do one step of one layer and return no Y.
    `projects`: takes `proj_size`. `nonlinearities`: what the `nonlinearity` argument may be.
    `keras_biases`: bias vectors Keras keeps per gate in its default configuration.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    step: bool = False
    projects: bool = False
    nonlinearities: tuple[str, ...] = ()
    keras_biases: int = 1

    @property
    def layer(self) -> str:
        """The sequence layer this row belongs to: `"LSTM"` for both LSTM and LSTMCell."""
        return self.name.removesuffix("Cell")


CELLS: dict[str, CellKind] = {
    kind.name: kind
    for kind in (
        CellKind("LSTM", ("i", "f", "g", "o"), ("h", "c"), projects=True),
        # Keras' GRU default reset_after=True, the variant torch computes, keeps both bias vectors.
        CellKind("GRU", ("r", "z", "n"), ("h",), keras_biases=2),
        CellKind("RNN", ("h",), ("h",), nonlinearities=("tanh", "relu")),
        CellKind("LSTMCell", ("i", "f", "g", "o"), ("h", "c"), step=True),
        CellKind("GRUCell", ("r", "z", "n"), ("h",), step=True, keras_biases=2),
        CellKind("RNNCell", ("h",), ("h",), step=True, nonlinearities=("tanh", "relu")),
    )
}
