"""explain: theory and lab together, as one value that shows itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .display import Shown, as_document, page_of
from .errors import SpecError
from .theory.call import DEFAULT_N, Call
from .theory.counts import Counts
from .theory.laws import Laws, laws
from .theory.notes import Notes, notes
from .theory.predict import Prediction, predict
from .theory.slices import Slices, slices
from .theory.spec import Spec

if TYPE_CHECKING:
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
    def spec(self) -> Spec:
        return self.prediction.spec

    @property
    def call(self) -> Call:
        return self.prediction.call

    @property
    def counts(self) -> Counts:
        """Parameters, MACs and bytes."""
        return self.prediction.counts

    @property
    def slices(self) -> Slices:
        """What the usual slices of Y and hn give."""
        return slices(self.prediction)

    @property
    def laws(self) -> Laws:
        """The identities that hold for this layer, and the false friends that do not."""
        return laws(self.spec, call=self.call, training=self.training)

    @property
    def notes(self) -> Notes:
        """Where learners slip with this layer."""
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


def explain(
    Q: Any,
    D: Any = None,
    K: Any = 1,
    batch_first: bool = True,
    *,
    N: int | None = DEFAULT_N,
    L: int | None = None,
    lengths: Iterable[int] | None = None,
    device: Any = None,
    dtype: Any = None,
    seed: int = 0,
    proof: bool = True,
    **fields: Any,
) -> Explanation:
    """What goes in, what comes out, how many parameters: predicted by algebra, proved against torch.

    Takes what `run` takes: numbers, a Spec, or your own layer, also with your x. Never prints: the value shows
    itself in a REPL, a notebook and a pipe. `proof=False` predicts only, and never loads torch.

    >>> explanation = explain(28, 256, 3, N=2, L=20)
    >>> explanation.prediction.Y
    (N=2, L=20, D=256)
    >>> explanation.proof.ok
    True

    Raises: SpecError, ShapeError.
    """
    where: dict[str, Any] = {"N": N, "L": L, "lengths": lengths}
    if hasattr(Q, "named_parameters") and (proof or D is not None):
        return _explain_yours(Q, D, K, batch_first, proof, {**where, "device": device, "seed": seed, **fields}, dtype)
    prediction = predict(Q, D, K, batch_first, **where, dtype=dtype, **fields)
    if not proof:
        return Explanation(prediction, None, getattr(Q, "training", True))
    from .lab.proof import prove

    call = prediction.call
    where = {"N": call.N, "L": call.L, "lengths": call.lengths, "device": device, "seed": seed}
    return Explanation(prediction, prove(prediction.spec, **where, dtype=prediction.dtype))


def _explain_yours(
    layer: Any, x: Any, K: Any, batch_first: bool, proof: bool, where: dict[str, Any], dtype: Any
) -> Explanation:
    """A layer of the caller's, perhaps with x: the call and the dtype are read off them."""
    if proof:
        from .lab.proof import prove

        found = prove(layer, x, K, batch_first, **where, dtype=dtype)
        return Explanation(Prediction(found.spec, found.call, found.dtype), found, layer.training)
    from .lab.run import run

    made = run(layer, x, K, batch_first, **where, dtype=dtype)
    return Explanation(made.prediction, None, layer.training)
