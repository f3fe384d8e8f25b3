"""What random tests draw: sizes that are all different, layers of every kind, and calls of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.cells import CELLS
from lstm_shapes.theory.spec import Spec

__all__ = ["calls", "cases", "distinct_sizes", "plain_specs", "specs"]


def distinct_sizes(count: int, most: int = 40) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes of which no two are equal, so that swapped axes show; from 3, so that none equals R."""
    sizes = st.lists(st.integers(3, most), min_size=count, max_size=count, unique=True)
    return sizes.map(tuple)


@st.composite
def plain_specs(draw: st.DrawFn) -> Spec:
    """The lesson's layer: an LSTM in one direction, in either layout, with or without bias."""
    Q, D = draw(distinct_sizes(2))
    K = draw(st.integers(1, 4).filter(lambda K: K not in (Q, D)))
    return Spec(Q, D, K, draw(st.booleans()), bias=draw(st.booleans()))


@st.composite
def specs(draw: st.DrawFn, /, cells: tuple[str, ...] = tuple(CELLS), dropout: bool = False) -> Spec:
    """Any layer that torch has."""
    cell = draw(st.sampled_from(cells))
    kind = CELLS[cell]
    Q, D = draw(distinct_sizes(2))
    fields: dict[str, Any] = {"cell": cell, "bias": draw(st.booleans())}
    if kind.nonlinearities:
        fields["nonlinearity"] = draw(st.sampled_from(kind.nonlinearities))
    if kind.step:
        return Spec(Q, D, **fields)
    if kind.projects:
        fields["proj_size"] = draw(st.sampled_from([0, *range(1, D)]).filter(lambda P: P != Q))
    K = draw(st.integers(1, 4).filter(lambda K: K not in (Q, D, fields.get("proj_size"))))
    if dropout and K > 1:
        fields["dropout"] = draw(st.sampled_from([0.0, 0.5]))
    return Spec(Q, D, K, draw(st.booleans()), bidirectional=draw(st.booleans()), **fields)


@st.composite
def calls(draw: st.DrawFn, /, spec: Spec, packed: bool = True) -> Call:
    """A padded, packed or unbatched call, of sizes that the layer does not have."""
    taken = {spec.Q, spec.D, spec.P, spec.K, spec.R * spec.H, spec.K * spec.R}
    free = [size for size in range(2, 17) if size not in taken]
    N, L = draw(st.lists(st.sampled_from(free), min_size=2, max_size=2, unique=True))
    forms = ["padded", "unbatched"] + ["packed"] * (packed and not spec.kind.step)
    form = draw(st.sampled_from(forms))
    if form == "packed":
        lengths = draw(st.lists(st.integers(1, L), min_size=N, max_size=N))
        return Call.of(spec, L=L, lengths=lengths)
    return Call.of(spec, N=N if form == "padded" else None, L=L)


@st.composite
def cases(draw: st.DrawFn, /, packed: bool = True, **options: Any) -> tuple[Spec, Call]:
    """A layer and a call of it."""
    spec = draw(specs(**options))
    return spec, draw(calls(spec, packed=packed))
