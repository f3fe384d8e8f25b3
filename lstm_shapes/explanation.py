"""explain: theory and lab together, as one value that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from .display import Shown, as_document, page_of
from .errors import SpecError
from .language import speaking
from .theory._given import Given, LayerPlaced, Placed, Source, takes
from .theory.axes import Axes
from .theory.call import Call
from .theory.counts import Counts
from .theory.laws import Laws, laws
from .theory.notes import Notes, notes
from .theory.predict import Prediction
from .theory.slices import Slices, slices
from .theory.spec import Spec

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .lab._calling import State, X
    from .lab.proof import Proof

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Shown):
    """Everything about one call of one layer: shapes, parameters, slices, laws, notes, and the proof of them."""

    prediction: Prediction
    proof: Proof | None = None
    training: bool = True
    """Whether dropout is at work: False for a layer of yours in eval mode."""

    @property
    def lang(self) -> str:
        """The language of its sentences."""
        return self.prediction.lang

    @property
    def spec(self) -> Spec:
        return self.prediction.spec

    @property
    def call(self) -> Call:
        return self.prediction.call

    @property
    def X(self) -> Axes:
        """The input."""
        return self.prediction.X

    @property
    def h0(self) -> Axes:
        """The hidden state before the first step."""
        return self.prediction.h0

    @property
    def c0(self) -> Axes | None:
        """The cell state before the first step; None where the layer has none."""
        return self.prediction.c0

    @property
    def Y(self) -> Axes | None:
        """The hidden state of the top layer after every step; None for a cell."""
        return self.prediction.Y

    @property
    def hn(self) -> Axes:
        """The hidden state of every layer at the end."""
        return self.prediction.hn

    @property
    def cn(self) -> Axes | None:
        """The cell state of every layer at the end; None where the layer has none."""
        return self.prediction.cn

    @property
    def counts(self) -> Counts:
        """Parameters, MACs and bytes."""
        return self.prediction.counts

    @property
    def total(self) -> int:
        """Parameters in all."""
        return self.counts.total

    @property
    def slices(self) -> Slices:
        """What the usual slices of Y and hn give."""
        with speaking(self.lang):
            return slices(self.prediction)

    @property
    def laws(self) -> Laws:
        """The identities that hold for this layer, and the false friends that do not."""
        return laws(self.spec, call=self.call, training=self.training, lang=self.lang)

    @property
    def notes(self) -> Notes:
        """Where learners slip with this layer."""
        with speaking(self.lang):
            return notes(self.spec, self.call)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `proof` is null where none was asked for."""
        return {
            **self.prediction.to_dict(),
            "slices": [one.to_dict() for one in self.slices],
            "laws": [law.to_dict() for law in self.laws],
            "notes": list(self.notes),
            "proof": None if self.proof is None else self.proof.to_dict(),
        }

    def save(self, file: str | PathLike[str]) -> Path:
        """Write the whole explanation as a self-contained page (`.html`) or its picture (`.svg`).

        Raises: SpecError for another ending, or for no file name; OSError where the file cannot be written.
        """
        if not isinstance(file, (str, PathLike)):
            raise SpecError("file", "a name that ends in .html or .svg", file)
        path = Path(file)
        ending = path.suffix.lower()
        if ending not in (".html", ".svg"):
            raise SpecError("file", "a name that ends in .html or .svg", str(file))
        page = page_of(self)
        assert page.picture is not None
        path.write_text(page.picture() if ending == ".svg" else as_document(self), encoding="utf-8")
        return path


@overload
def explain(
    Q: int = ...,
    D: int = ...,
    K: int = 1,
    batch_first: bool = True,
    *,
    proof: bool = True,
    **words: Unpack[LayerPlaced],
) -> Explanation: ...
@overload
def explain(
    source: Source,
    /,
    x: X | None = None,
    state: State | None = None,
    *,
    layer: str = "",
    proof: bool = True,
    **words: Unpack[Placed],
) -> Explanation: ...
@takes(LayerPlaced, x=True)
def explain(given: Given, *, proof: bool = True) -> Explanation:
    """What goes in, what comes out, how many parameters: predicted by algebra, proved against torch.

    Never prints: the value shows itself in a REPL, a notebook and a pipe.

    Args:
        Q: features of one input step (input_size); or a Spec, a torch layer, a model or a state_dict in their place
        D: width of the cell state (hidden_size)
        K: stacked layers (num_layers), 1 unless given
        batch_first: True: X is (N, L, Q). False, torch's own default: (L, N, Q)
        cell: LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell
        bidirectional: reading directions, 1 or 2: R is 2 where True
        proj_size: P, the width of the projected hidden state, 0 = none
        bias, dropout, nonlinearity: as torch has them
        input_size, hidden_size, num_layers: torch's words for Q, D and K
        N: sequences in the batch, 2 unless given; None is one sequence without a batch axis
        L: steps in a sequence, 20 unless given
        lengths: steps of each row: the rows are padded to L and packed
        lang: "en" or "ko", the language of its sentences; else that of LSTM_SHAPES_LANG, or of the locale if Korean
        x: beside a layer, the tensor or PackedSequence that it is called with; beside a model, what the model is
        state: h0, or (h0, c0), also in third place as torch has it; zeros if left out
        device: cpu unless given, cuda, meta, …; a layer of yours stays where it is
        dtype: float32, float64, float16 or bfloat16; that of a layer's weights unless given
        seed: what weights and X are drawn from
        proof: run the layer and check every number; False predicts only, and never loads torch
        layer: the name of the recurrent layer in a model that has several, such as "encoder.rnn"

    >>> explanation = explain(28, 256, 3, N=2, L=20)
    >>> explanation.Y
    (N=2, L=20, D=256)
    >>> explanation.proof.ok
    True

    Raises: SpecError, ShapeError.
    """
    if proof:
        from .lab.proof import prove_given

        proved = prove_given(given)
        return Explanation(Prediction(proved.spec, proved.call, proved.dtype), proved, given.training)
    if given.x is not None:
        from .lab.run import run_given

        return Explanation(run_given(given).prediction, None, given.training)
    return Explanation(Prediction(given.spec, given.call, given.precision), None, given.training)
