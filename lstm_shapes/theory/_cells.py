"""The one table of recurrent layers: what distinguishes an LSTM from a GRU is a row here, never an `if`.

Source: `torch/nn/modules/rnn.py` (classes RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell); gate orders from the
"Variables" sections of their documentation: LSTM (W_ii|W_if|W_ig|W_io), GRU (W_ir|W_iz|W_in).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CellKind:
    """One row of the table.

    `gates`: names in torch's order of the blocks stacked in each weight. `states`: what is fed back from
    step to step. `step`: true for the `…Cell` classes, which do one step of one layer and return no Y.
    `projects`: takes `proj_size`. `nonlinearities`: what the `nonlinearity` argument may be.
    `keras_biases`: bias vectors Keras keeps per gate in its default configuration.
    `equations`: one step, as (name, right side) in the order in which it is computed. `x_i` is the input's
    contribution to gate i (x·W_ii + b_ii), `h_i` the recurrent one (h'·W_hi + b_hi), a prime is the state
    before the step. lab/gates/recurrence.py holds the same equations as functions.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    step: bool = False
    projects: bool = False
    nonlinearities: tuple[str, ...] = ()
    keras_biases: int = 1
    equations: tuple[tuple[str, str], ...] = ()

    @property
    def layer(self) -> str:
        """The sequence layer this row belongs to: `"LSTM"` for both LSTM and LSTMCell."""
        return self.name.removesuffix("Cell")


_LSTM = (
    ("i", "σ(x_i + h_i)"),
    ("f", "σ(x_f + h_f)"),
    ("g", "tanh(x_g + h_g)"),
    ("o", "σ(x_o + h_o)"),
    ("c", "f ⊙ c' + i ⊙ g"),
    ("h", "o ⊙ tanh(c)"),
)
_GRU = (
    ("r", "σ(x_r + h_r)"),
    ("z", "σ(x_z + h_z)"),
    # r gates the recurrent contribution with its bias inside: torch's variant, and not Cho et al.'s.
    ("n", "tanh(x_n + r ⊙ h_n)"),
    ("h", "(1 − z) ⊙ n + z ⊙ h'"),
)
_RNN = (("h", "tanh(x_h + h_h)"),)  # or relu, as `nonlinearity` says

CELLS: dict[str, CellKind] = {
    kind.name: kind
    for kind in (
        CellKind("LSTM", ("i", "f", "g", "o"), ("h", "c"), projects=True, equations=_LSTM),
        # Keras' GRU default reset_after=True, the variant torch computes, keeps both bias vectors.
        CellKind("GRU", ("r", "z", "n"), ("h",), keras_biases=2, equations=_GRU),
        CellKind("RNN", ("h",), ("h",), nonlinearities=("tanh", "relu"), equations=_RNN),
        CellKind("LSTMCell", ("i", "f", "g", "o"), ("h", "c"), step=True, equations=_LSTM),
        CellKind("GRUCell", ("r", "z", "n"), ("h",), step=True, keras_biases=2, equations=_GRU),
        CellKind("RNNCell", ("h",), ("h",), step=True, nonlinearities=("tanh", "relu"), equations=_RNN),
    )
}
