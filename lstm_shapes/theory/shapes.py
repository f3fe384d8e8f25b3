"""Shapes: the axes of X, the states, Y and every weight, by rule.

    X  (N, L, Q)      Y  (N, L, R·H)      batch_first=True
    X  (L, N, Q)      Y  (L, N, R·H)      batch_first=False
    h0, hn  (K·R, N, H)                   in both layouts
    c0, cn  (K·R, N, D)                   in both layouts
    one unbatched sequence: the same without N
    a single step of a cell: X (N, Q), h (N, D), c (N, D)

A factor of 1 is left out: K·R is called K when there is one direction.

Source: "Inputs", "Outputs" and "Variables" of the RNN, LSTM, GRU and …Cell documentation in torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .axes import Axes
from .call import Call
from .spec import Spec

__all__ = ["Weights", "axes_of_X", "axes_of_Y", "axes_of_packed", "axes_of_state", "suffix"]


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
    return None if spec.kind.step else _sequence(spec, call, _directions(spec, spec.width))


def axes_of_state(spec: Spec, call: Call, state: str) -> Axes | None:
    """h or c before or after the call: (K·R, N, H) and (K·R, N, D); None for a c the cell does not have.

    >>> axes_of_state(Spec(28, 256, 3, proj_size=64), Call(N=2, L=20), "h")
    (K=3, N=2, P=64)
    """
    if state not in spec.kind.states:
        return None
    rows = "" if spec.kind.step else _directions(spec, "K", last=True)
    width = spec.width if state == "h" else "D"
    return _axes(spec, call, rows, "N" if call.batched else "", width)


def axes_of_packed(spec: Spec, call: Call, width: str) -> Axes:
    """`PackedSequence.data`: the real steps of all sequences in one axis, (T, Q) going in and (T, R·H) out.

    >>> axes_of_packed(Spec(28, 256), Call.of(Spec(28, 256), lengths=(5, 3)), "Q")
    (T=8, Q=28)
    """
    return _axes(spec, call, "T", width if width == "Q" else _directions(spec, spec.width))


def suffix(spec: Spec, layer: int, direction: int = 0) -> str:
    """How torch ends the names of a layer's weights: none for a cell.

    >>> suffix(Spec(28, 256, 3), 2), suffix(Spec(28, 256, 3, bidirectional=True), 2, 1)
    ('_l2', '_l2_reverse')
    >>> suffix(Spec(28, 256, cell="GRUCell"), 0)
    ''
    """
    return "" if spec.kind.step else f"_l{layer}" + ("_reverse" if direction else "")


class Weights(Mapping[str, Axes]):
    """torch's parameter names with their axes, in `named_parameters()` order.

    G·D rows: the gates' blocks are stacked in torch's order. Computed when asked for, so that a layer of any
    depth costs nothing to describe.

    >>> weights = Weights(Spec(28, 256, 3))
    >>> weights["weight_ih_l0"], weights["weight_hh_l2"]
    ((G·D=1024, Q=28), (G·D=1024, D=256))
    >>> len(weights)
    12
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def _parts(self) -> tuple[str, ...]:
        spec = self._spec
        biases = ("bias_ih", "bias_hh") if spec.bias else ()
        return ("weight_ih", "weight_hh", *biases, *(("weight_hr",) if spec.P else ()))

    def __iter__(self) -> Iterator[str]:
        spec = self._spec
        for layer in range(spec.K):
            for direction in range(spec.R):
                end = suffix(spec, layer, direction)
                yield from (part + end for part in self._parts())

    def __len__(self) -> int:
        return self._spec.K * self._spec.R * len(self._parts())

    def __getitem__(self, name: str) -> Axes:
        part, layer = self._parse(name)
        spec = self._spec
        gates = "D" if spec.G == 1 else "G·D"
        below = "Q" if layer == 0 else _directions(spec, spec.width)
        # One row a weight: what stands in torch's RNNBase.__init__.
        names = {
            "weight_ih": f"{gates} {below}",
            "weight_hh": f"{gates} {spec.width}",
            "bias_ih": gates,
            "bias_hh": gates,
            "weight_hr": "P D",
        }[part]
        return _axes(spec, None, *names.split())

    def _parse(self, name: str) -> tuple[str, int]:
        """The part and the layer that a parameter's name speaks of; KeyError for a name the layer lacks."""
        if not isinstance(name, str):
            raise KeyError(name)
        spec = self._spec
        stem = name.removesuffix("_reverse") if spec.R == 2 else name
        part, _, number = (stem, "", "0") if spec.kind.step else stem.partition("_l")
        canonical = number.isascii() and number.isdigit() and str(int(number[:9])) == number
        if part not in self._parts() or not canonical or int(number) >= spec.K:
            raise KeyError(name)
        return part, int(number)

    def __repr__(self) -> str:
        shown = [f"{name}: {self[name]}" for name, _ in zip(self, range(24), strict=False)]
        more = len(self) - len(shown)
        return "\n".join([*shown, *([f"… and {more} more"] if more else [])])


def _directions(spec: Spec, name: str, *, last: bool = False) -> str:
    """`name` with the directions it is crossed with, if there are two: R·D forward half first, K·R layer-major."""
    if spec.R == 1:
        return name
    return f"{name}·R" if last else f"R·{name}"


def _sequence(spec: Spec, call: Call, width: str) -> Axes:
    batch = "N" if call.batched else ""
    if spec.kind.step:
        return _axes(spec, call, batch, width)
    return _axes(spec, call, *((batch, "L") if spec.batch_first else ("L", batch)), width)


def _axes(spec: Spec, call: Call | None, *names: str) -> Axes:
    sizes = {"Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "G": spec.G}
    if call is not None:
        # Without a batch no name asks for N: a mutant of the 0 survives.
        sizes |= {"N": call.N or 0, "L": call.L, "T": call.T}
    present = [name for name in names if name]
    atoms = {atom: sizes[atom] for name in present for atom in name.split("·")}
    return Axes.of(" ".join(present), None, **atoms)
