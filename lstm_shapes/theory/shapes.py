"""Shapes: the axes of X, the states and Y, by rule.

    X  (N, L, Q)      Y  (N, L, R·H)      batch_first=True
    X  (L, N, Q)      Y  (L, N, R·H)      batch_first=False
    h0, hn  (K·R, N, H)                   in both layouts
    c0, cn  (K·R, N, D)                   in both layouts
    one unbatched sequence: the same without N
    a single step of a cell: X (N, Q), h (N, D), c (N, D)

A factor of 1 is left out: K·R is called K when there is one direction.

Source: "Inputs" and "Outputs" of the RNN, LSTM, GRU and …Cell documentation in torch.
"""

from __future__ import annotations

from .axes import Axes
from .call import Call
from .spec import Spec, with_directions

__all__ = ["axes_of_X", "axes_of_Y", "axes_of_packed", "axes_of_state"]


def axes_of_X(spec: Spec, call: Call) -> Axes:
    """The input: (N, L, Q), or (L, N, Q) without batch_first.

    >>> axes_of_X(Spec(28, 256, batch_first=False), Call(N=2, L=20))
    (L=20, N=2, Q=28)
    """
    return _sequence(spec, call, "Q")


def axes_of_Y(spec: Spec, call: Call) -> Axes | None:
    """The output at every step, top layer only, forward half first; None for a cell, which returns states only.

    >>> axes_of_Y(Spec(28, 256, bidirectional=True), Call(N=2, L=20))
    (N=2, L=20, R·D=512)
    """
    return None if spec.kind.step else _sequence(spec, call, with_directions(spec, spec.width))


def axes_of_state(spec: Spec, call: Call, state: str) -> Axes | None:
    """h or c before or after the call: (K·R, N, H) and (K·R, N, D); None for a c the cell does not have.

    >>> axes_of_state(Spec(28, 256, 3, proj_size=64), Call(N=2, L=20), "h")
    (K=3, N=2, P=64)
    """
    if state not in spec.kind.states:
        return None
    rows = "" if spec.kind.step else with_directions(spec, "K", last=True)
    width = spec.width if state == "h" else "D"
    return _axes(spec, call, rows, "N" if call.batched else "", width)


def axes_of_packed(spec: Spec, call: Call, width: str) -> Axes:
    """`PackedSequence.data`: the real steps of all sequences in one axis, (T, Q) going in and (T, R·H) out.

    >>> axes_of_packed(Spec(28, 256), Call.of(Spec(28, 256), lengths=(5, 3)), "Q")
    (T=8, Q=28)
    """
    return _axes(spec, call, "T", width if width == "Q" else with_directions(spec, spec.width))


def _sequence(spec: Spec, call: Call, width: str) -> Axes:
    batch = "N" if call.batched else ""
    if spec.kind.step:
        return _axes(spec, call, batch, width)
    return _axes(spec, call, *((batch, "L") if spec.batch_first else ("L", batch)), width)


def _axes(spec: Spec, call: Call, *names: str) -> Axes:
    # Without a batch no name asks for N: a mutant of the 0 survives.
    return spec.axes(*names, N=call.N or 0, L=call.L, T=call.T)
