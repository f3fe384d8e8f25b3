"""What random tests draw: the strategies that the library gives its users, and the few more that it needs itself.

Sizes that are drawn together are all different, so that swapped axes show.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lstm_shapes.testing import calls, cases, distinct_sizes, lengths, runs, specs
from lstm_shapes.theory.spec import Spec

__all__ = ["calls", "cases", "distinct_sizes", "dropping_specs", "lengths", "plain_specs", "runs", "specs"]


def plain_specs(**fixed: Any) -> st.SearchStrategy[Spec]:
    """The lesson's layer: an LSTM in one direction, in either layout, with or without bias."""
    return specs(cell="LSTM", bidirectional=False, proj_size=0, **fixed)


@st.composite
def dropping_specs(draw: st.DrawFn, /) -> Spec:
    """Any layer, also with dropout where there is a place for it."""
    spec = draw(specs())
    return spec if spec.kind.step else spec.replace(dropout=draw(st.sampled_from([0.0, 0.25, 1.0])))
