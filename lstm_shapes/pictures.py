"""picture: a layer drawn: unrolled over time, from inside one cell, or its packed rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from .display import Drawn
from .errors import ShapeError, SpecError
from .theory._given import Given, LayerSizes, Sizes, takes
from .theory.expression import Expression
from .theory.predict import Prediction
from .theory.reads import Reads
from .theory.spec import Source, whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["KINDS", "Picture", "picture"]

KINDS = ("grid", "cell", "packed")


@dataclass(frozen=True, repr=False)
class Picture(Drawn):
    """A drawing of one call of one layer: `.svg`, `.text` in characters, `.save(path)`; notebooks show it by itself."""

    prediction: Prediction
    kind: str = "grid"
    reading: Reads | None = None
    n: int | None = None
    layer: int = 0

    @property
    def lang(self) -> str:
        """The language of its words."""
        return self.prediction.lang

    def reads(self, layer: int, direction: int, t: int, n: int = 0) -> tuple[str, ...]:
        """The states of a cell that the highlighted expression reads: `("h",)`, `("c",)`, both or none."""
        return self.reading.states(layer, direction, t, n) if self.reading else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "kind": self.kind,
            "spec": self.prediction.spec.to_dict(),
            "highlight": self.reading.expression if self.reading else "",
            "svg": self.svg,
        }


@overload
def picture(
    Q: int = ...,
    D: int = ...,
    K: int = 1,
    batch_first: bool = True,
    *,
    highlight: str = "",
    kind: str = "grid",
    n: int | None = None,
    k: int = 0,
    **words: Unpack[LayerSizes],
) -> Picture: ...
@overload
def picture(
    source: Source,
    /,
    *,
    layer: str = "",
    highlight: str = "",
    kind: str = "grid",
    n: int | None = None,
    k: int = 0,
    **words: Unpack[Sizes],
) -> Picture: ...
@takes(LayerSizes)
def picture(given: Given, *, highlight: str = "", kind: str = "grid", n: int | None = None, k: int = 0) -> Picture:
    """Draw a layer: the unrolled grid of K × L cells, with the cells lit that `highlight` reads.

    Of what is long, deep or many both ends are shown and what is read first and last; what else is read is mentioned.

    Args: those of a layer and a call, as help(picture) lists them
        highlight: an expression such as "Y[:, -1]"; only for kind="grid"
        kind: "grid", "cell" (inside one cell: every weight block and every wire's shape) or "packed" (what lengths
            leave of a batch)
        n: the row of the batch that is drawn; rows that differ in length are drawn apart unless given
        k: the stacked layer whose cell is drawn, from 0; only for kind="cell"

    >>> print(picture(3, 5, 2, L=4, highlight="Y[:, -1]").text)
    Y                         Y     Y     Y     Y
                              ↑     ↑     ↑     ↑
    layer 1 → h0[1],c0[1] → [ ] → [ ] → [ ] → [h] → hn[1],cn[1]
                              ↑     ↑     ↑     ↑
    layer 0 → h0[0],c0[0] → [ ] → [ ] → [ ] → ( ) → hn[0],cn[0]
                              ↑     ↑     ↑     ↑
    X                         0     1     2     3
    <BLANKLINE>
    […] read, ( ) its states are what hn and cn hold.

    Raises: SpecError; ShapeError for an expression outside the grammar, which it shows.
    """
    if kind not in KINDS:
        raise SpecError("kind", f"one of {', '.join(KINDS)}", kind)
    spec, call = given.spec, given.call
    if kind == "packed" and call.lengths is None:
        raise ShapeError("lengths", "given for a picture of packed rows", hint="Pass lengths=(5, 3)")
    if n is not None and whole("n", n, at_least=0) >= (call.N or 1):
        raise ShapeError("n", f"a row of the batch, 0 to {(call.N or 1) - 1}", got=n)
    if whole("k", k, at_least=0) >= spec.K:
        raise ShapeError("k", f"one of the K = {spec.K} layers, 0 to {spec.K - 1}", got=k)
    if highlight and kind != "grid":
        raise SpecError("highlight", f"left out of kind={kind!r}", highlight, "Only kind='grid' has cells to light")
    prediction = Prediction(spec, call)
    reading = Expression.of(highlight).reads(prediction) if highlight else None
    return Picture(prediction, kind, reading, n, k)
