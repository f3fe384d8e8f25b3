"""explain: theory and lab together, as one value that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from .display import as_document, page_of
from .errors import SpecError
from .language import speaking
from .theory._given import Given, LayerPlaced, Placed, takes
from .theory.laws import Laws, laws
from .theory.notes import Notes, notes
from .theory.predict import Prediction
from .theory.slices import Slices, slices
from .theory.spec import Source

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .lab._calling import State, X
    from .lab.proof import Proof

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, repr=False)
class Explanation(Prediction):
    """Everything about one call of one layer: a `Prediction`, with slices, laws, notes, and the proof of them."""

    proof: Proof | None = None
    training: bool = True
    """Whether dropout is at work: False for a layer of yours in eval mode."""

    @classmethod
    def of(cls, prediction: Prediction, proof: Proof | None = None, training: bool = True) -> Explanation:
        """What is predicted, and what was proved of it."""
        return cls(prediction.spec, prediction.call, prediction.dtype, prediction.lang, proof, training)

    @property
    def prediction(self) -> Prediction:
        """The shapes and counts alone."""
        return Prediction(self.spec, self.call, self.dtype, self.lang)

    @property
    def total(self) -> int:
        """Parameters in all."""
        return self.counts.total

    @property
    def slices(self) -> Slices:
        """What the usual slices of Y and hn give."""
        with speaking(self.lang):
            return slices(self)

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
            **super().to_dict(),
            "slices": [one.to_dict() for one in self.slices],
            "laws": [law.to_dict() for law in self.laws],
            "notes": list(self.notes),
            "proof": None if self.proof is None else self.proof.to_dict(),
        }

    def save(self, file: str | PathLike[str]) -> Path:
        """Write the whole explanation as a self-contained page (`.html`) or its picture (`.svg`).

        Raises: SpecError for another ending, or for no file name; OSError where the file cannot be written.
        """
        ending = Path(file).suffix.lower() if isinstance(file, (str, PathLike)) else ""
        if ending not in (".html", ".svg"):
            got = str(file) if isinstance(file, PathLike) else file
            raise SpecError("file", "a name that ends in .html or .svg", got)
        drawn = page_of(self).picture if ending == ".svg" else None
        path = Path(file)
        path.write_text(drawn() if drawn else as_document(self), encoding="utf-8")
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

    Args: those of a layer and a call, as help(explain) lists them
        proof: run the layer and check every number; False predicts only, and never loads torch

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
        predicted = Prediction(proved.spec, proved.call, proved.dtype)
        return Explanation.of(predicted, proved, given.training)
    if given.x is not None:
        from .lab.run import run_given

        return Explanation.of(run_given(given).prediction, training=given.training)
    return Explanation.of(Prediction(given.spec, given.call, given.precision), training=given.training)
