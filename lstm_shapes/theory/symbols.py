"""Three tables: the symbols, which every legend and message reads, what others call them, and the recurrent layers.

What distinguishes an LSTM from a GRU is a row here, never an `if`.

Source: the `nn.LSTM` documentation for torch's own letters. Beware: torch's docs use D for the number
of directions, this library uses D for the hidden width, as most lecture notes do. For the layers
`torch/nn/modules/rnn.py`; gate orders from the "Variables" there: LSTM (W_ii|W_if|W_ig|W_io), GRU (W_ir|W_iz|W_in).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from lstm_shapes.errors import SpecError, nearest
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


# What other tools and other people call it, and what it is here.
ELSEWHERE = {
    word: meant
    for meant, words in {
        "proj_size (P)": "P",
        "bidirectional=True": "R directions num_directions",
        "hidden_size (D)": "H units hidden hidden_dim",
        "L": "T seq_len seq_length sequence_length timesteps time_steps steps",
        "N": "B batch batch_size",
        "input_size (Q)": "input_dim features",
        "N, L and Q": "input_shape",
        "num_layers (K)": "n_layers layers",
        "batch_first=False": "time_major",
        "cell": "mode kind rnn_type cell_type",
        "nonlinearity": "activation",
        "bias": "use_bias",
        "state": "initial_state hx h0 c0",
        "layer": "name prefix",
    }.items()
    for word in words.split()
}
_ALWAYS = {
    "return_sequences": "Y always holds every step; its last one is Y[:, -1]",
    "return_state": "hn and cn always come back beside Y",
    "stateful": "Give the last state as state=, or zeros by leaving it out",
}


def unknown_keyword(function: str, word: str, known: Collection[str]) -> SpecError:
    """The error for a keyword that a function has not, with the one that was probably meant.

    >>> unknown_keyword("Spec", "units", ("Q", "D", "K"))
    SpecError("a keyword must be one that Spec has, got 'units'. Did you mean D (hidden_size)?")
    """
    arguments = {s.argument: f"{s.argument} ({s.letter})" for s in SYMBOLS.values() if s.letter in "QDKP"}
    others = {name: told for name, meant in (ELSEWHERE | arguments).items() if (told := _known_as(meant, known))}
    meant = {name.lower(): told for name, told in (dict(zip(known, known, strict=True)) | others).items()}
    near = "" if word in ELSEWHERE and word not in others else nearest(word.lower(), meant)
    hint = _ALWAYS.get(word) or (f"Did you mean {meant[near]}?" if near else "")
    rule = f"one that {function} has" if hint else f"one of {', '.join(sorted(known))}"
    return SpecError("a keyword", rule, word, hint)


def _known_as(meant: str, known: Collection[str]) -> str:
    """`num_layers (K)`, or `K (num_layers)` where only the symbol is known; empty where neither is."""
    word, *rest = re.findall(r"\w+", meant)
    letter = rest[0] if "(" in meant else ""
    return meant if word in known else f"{letter} ({word})" if letter in known else ""


@dataclass(frozen=True, slots=True)
class CellKind:
    name: str
    gates: tuple[str, ...]
    """In torch's order of the blocks stacked in each weight."""
    states: tuple[str, ...]
    """What is fed back from step to step."""
    equations: tuple[tuple[str, str], ...]
    """One step, as (name, right side) in the order in which it is computed: `x_i` is the input's contribution to gate i
    (x·W_ii + b_ii), `h_i` the recurrent one, a prime is the state before the step. lab/gates computes the same."""
    step: bool = False
    """True for the `…Cell` classes, which do one step of one layer and return no Y."""
    projects: bool = False
    nonlinearities: tuple[str, ...] = ()
    keras_biases: int = 1
    """Bias vectors that Keras keeps for a gate in its default configuration."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What torch's constructor takes, in its order."""
        of_layers = () if self.step else ("batch_first", "dropout", "bidirectional")
        first = ("input_size", "hidden_size", *(() if self.step else ("num_layers",)))
        nonlinearity = ("nonlinearity",) if self.nonlinearities else ()
        return (*first, *nonlinearity, "bias", *of_layers, *(("proj_size",) if self.projects else ()))

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
_LAYERS = (
    CellKind("LSTM", ("i", "f", "g", "o"), ("h", "c"), _LSTM, projects=True),
    # Keras' GRU default reset_after=True, the variant torch computes, keeps both bias vectors.
    CellKind("GRU", ("r", "z", "n"), ("h",), _GRU, keras_biases=2),
    CellKind("RNN", ("h",), ("h",), _RNN, nonlinearities=("tanh", "relu")),
)
_STEPS = tuple(replace(kind, name=f"{kind.name}Cell", step=True, projects=False) for kind in _LAYERS)
CELLS: dict[str, CellKind] = {kind.name: kind for kind in (*_LAYERS, *_STEPS)}
