"""Reading: which elements of which tensor an expression reads, as products of ranges.

A view of X, Y, h0, c0, hn or cn keeps for each axis of that tensor the range of positions it reaches. Indexing
narrows a range, a transpose reorders axes, a sum takes an axis away and still reads all of it. So a reading costs
the same for L = 20 and for L = 20 million.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lstm_shapes.errors import ShapeError

from .call import Call
from .spec import Spec

__all__ = ["Part", "Reading", "TensorView", "view_of"]

NEW = "1"
# Index items beyond int, slice, None and Ellipsis: one entry a row.
ALL_ROWS = "torch.arange(N)"
LAST_STEPS = "lengths - 1"


@dataclass(frozen=True, slots=True)
class Part:
    """The elements of one tensor: a range for each of its axes; `paired` where row n is read at step lengths[n] - 1.

    Axes are N, L, F (features) and KR (layers × directions), or K and R after a view that tells them apart.
    """

    source: str
    ranges: tuple[tuple[str, range], ...]
    paired: bool = False

    def has(self, axis: str, position: int) -> bool:
        """Whether a position of that axis is read; true for an axis the tensor does not have."""
        return all(position in found for name, found in self.ranges if name == axis)

    def meets(self, axis: str, low: int, high: int) -> bool:
        """Whether any of the positions low … high - 1 is read."""
        return all(_meets(found, low, high) for name, found in self.ranges if name == axis)

    @property
    def empty(self) -> bool:
        return any(not len(found) for _, found in self.ranges)


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor on its way through an expression: what is read so far, and the axes that are left."""

    part: Part
    axes: tuple[str, ...]

    def _range(self, axis: str) -> range:
        return range(1) if axis == NEW else dict(self.part.ranges)[axis]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes that are left."""
        return tuple(len(self._range(axis)) for axis in self.axes)

    def _narrow(self, axis: str, found: range) -> Part:
        ranges = tuple((name, found if name == axis else old) for name, old in self.part.ranges)
        return replace(self.part, ranges=ranges)

    def index(self, items: tuple[object, ...]) -> TensorView:
        """`tensor[items]` for integers, slices, None and `...`."""
        taken = [item for item in items if item is not None and item is not Ellipsis]
        if len(taken) > len(self.axes) or sum(item is Ellipsis for item in items) > 1:
            raise _wrong(f"at most {len(self.axes)} indices and one ...", items)
        if ALL_ROWS in taken or LAST_STEPS in taken:
            return self._pair(items)
        part, left = self.part, list(self.axes)
        kept: list[str] = []
        for item in items:
            if item is None:
                kept.append(NEW)
            elif item is Ellipsis:
                after = items[items.index(item) + 1 :]
                rest = len(left) - sum(1 for later in after if later is not None)
                kept += [left.pop(0) for _ in range(rest)]
            else:
                axis = left.pop(0)
                part = TensorView(part, ())._narrow(axis, self._pick(axis, item))
                if isinstance(item, slice):
                    kept.append(axis)
        return TensorView(part, (*kept, *left))

    def _pick(self, axis: str, item: object) -> range:
        found = self._range(axis)
        if isinstance(item, slice):
            if item.step is not None and item.step < 1:
                raise _wrong("a step of at least 1, as torch wants", item)
            return found[item]
        assert isinstance(item, int)
        if not -len(found) <= item < len(found):
            raise _wrong(f"an index from {-len(found)} to {len(found) - 1} on axis {axis}", item)
        place = item % len(found)
        return found[place : place + 1]

    def _pair(self, items: tuple[object, ...]) -> TensorView:
        """Y[torch.arange(N), lengths - 1]: of each row its own last step."""
        want = {"N": ALL_ROWS, "L": LAST_STEPS}
        if self.axes[:2] not in (("N", "L"), ("L", "N")) or [want[axis] for axis in self.axes[:2]] != list(items[:2]):
            order = ", ".join(want[axis] for axis in self.axes[:2] if axis in want)
            raise _wrong(f"rows and steps in pairs: [{order or 'no such axes here'}]", items)
        view = TensorView(replace(self.part, paired=True), ("N", *self.axes[2:]))
        return view.index((slice(None), *items[2:]))

    def permute(self, order: tuple[int, ...]) -> TensorView:
        """The axes in another order."""
        places = [self._axis(axis) for axis in order]
        if sorted(places) != list(range(len(self.axes))):
            raise _wrong(f"each of the {len(self.axes)} axes once", order)
        return TensorView(self.part, tuple(self.axes[place] for place in places))

    def transpose(self, a: int, b: int) -> TensorView:
        """Two axes exchanged."""
        order = list(range(len(self.axes)))
        first, second = self._axis(a), self._axis(b)
        order[first], order[second] = second, first
        return self.permute(tuple(order))

    def reduce(self, dims: tuple[int, ...] | None, keep: bool) -> TensorView:
        """A sum or mean: reads the whole axis and takes it away."""
        places = set(range(len(self.axes))) if dims is None else {self._axis(dim) for dim in dims}
        kept = [NEW if place in places else axis for place, axis in enumerate(self.axes) if keep or place not in places]
        return TensorView(self.part, tuple(kept))

    def squeeze(self, dim: int) -> TensorView:
        """One axis of size 1 taken away; torch leaves another as it is."""
        place = self._axis(dim)
        if self.shape[place] != 1:
            return self
        return TensorView(self.part, (*self.axes[:place], *self.axes[place + 1 :]))

    def unsqueeze(self, dim: int) -> TensorView:
        """A new axis of size 1."""
        if not -len(self.axes) - 1 <= dim <= len(self.axes):
            raise _wrong(f"an axis from {-len(self.axes) - 1} to {len(self.axes)}", dim)
        place = dim % (len(self.axes) + 1)
        return TensorView(self.part, (*self.axes[:place], NEW, *self.axes[place:]))

    def view(self, sizes: tuple[int, ...], spec: Spec) -> TensorView:
        """`hn.view(K, R, N, H)`: the first axis taken apart; any other reshape has no cells to point at."""
        whole = self.axes[:1] == ("KR",) and len(self._range("KR")) == spec.K * spec.R
        wanted = (spec.K, spec.R, *self.shape[1:])
        if not whole or len(sizes) != len(wanted) or any(a not in (-1, b) for a, b in zip(sizes, wanted, strict=True)):
            raise _wrong("hn.view(K, R, N, H), the one reshape that keeps layers, directions and rows apart", sizes)
        ranges = tuple(pair for pair in self.part.ranges if pair[0] != "KR")
        part = replace(self.part, ranges=(("K", range(spec.K)), ("R", range(spec.R)), *ranges))
        return TensorView(part, ("K", "R", *self.axes[1:]))

    def _axis(self, dim: int) -> int:
        if not -len(self.axes) <= dim < len(self.axes):
            raise _wrong(f"an axis from {-len(self.axes)} to {len(self.axes) - 1}", dim)
        return dim % len(self.axes)


def view_of(spec: Spec, call: Call, source: str) -> TensorView | None:
    """The whole of X, Y, h0, c0, hn or cn; None where the layer does not have it."""
    step, batch = spec.kind.step, ("N",) if call.batched else ()
    if source in ("X", "Y"):
        if step and source == "Y":
            return None
        middle = () if step else ("L",)
        axes = (*batch, *middle, "F") if spec.batch_first else (*middle, *batch, "F")
        width = spec.Q if source == "X" else spec.R * spec.H
    elif source[:1] in spec.kind.states and source[1:] in ("0", "n"):
        axes = (*(() if step else ("KR",)), *batch, "F")
        width = spec.H if source[0] == "h" else spec.D
    else:
        return None
    sizes = {"N": call.N or 1, "L": call.L, "KR": spec.K * spec.R, "F": width}
    return TensorView(Part(source, tuple((axis, range(sizes[axis])) for axis in axes)), axes)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression reads of one call of one layer."""

    spec: Spec
    call: Call
    expression: str
    parts: tuple[Part, ...]

    def length(self, n: int) -> int:
        """Steps of row n."""
        return self.call.lengths[n] if self.call.lengths else self.call.L

    def states(self, layer: int, direction: int, t: int, n: int) -> tuple[str, ...]:
        """Which states of a cell are read: `("h",)`, `("c",)`, both or none."""
        if t >= self.length(n):
            return ()
        read = {part.source[0].replace("Y", "h") for part in self.parts if self._reads(part, layer, direction, t, n)}
        return tuple(state for state in self.spec.kind.states if state in read)

    def _reads(self, part: Part, layer: int, direction: int, t: int, n: int) -> bool:
        if part.empty or not part.has("N", n):
            return False
        if part.source == "Y":
            H = self.spec.H
            at = t == self.length(n) - 1 and part.has("L", t) if part.paired else part.has("L", t)
            return layer == self.spec.K - 1 and at and part.meets("F", direction * H, (direction + 1) * H)
        end = 0 if direction else self.length(n) - 1
        return part.source in ("hn", "cn") and t == end and self._has_row(part, layer, direction)

    def _has_row(self, part: Part, layer: int, direction: int) -> bool:
        row = layer * self.spec.R + direction
        return part.has("KR", row) and part.has("K", layer) and part.has("R", direction)

    def initial(self, layer: int, direction: int, n: int) -> tuple[str, ...]:
        """Which initial states are read: of h0 and c0."""
        return tuple(
            name
            for name in ("h0", "c0")
            if any(
                part.source == name and not part.empty and part.has("N", n) and self._has_row(part, layer, direction)
                for part in self.parts
            )
        )

    def inputs(self, t: int, n: int) -> bool:
        """Whether X is read at that step of that row."""
        return any(
            part.source == "X"
            and not part.empty
            and part.has("N", n)
            and (part.has("L", t) and (not part.paired or t == self.length(n) - 1))
            for part in self.parts
        )

    def padding(self, n: int) -> bool:
        """Whether Y is read beyond the end of row n, where it holds zeros that nobody computed."""
        return any(
            part.source == "Y"
            and not part.paired
            and not part.empty
            and part.has("N", n)
            and part.meets("L", self.length(n), self.call.L)
            for part in self.parts
        )


def _meets(found: range, low: int, high: int) -> bool:
    """Whether a range with a positive step has a member in low … high - 1."""
    if not found or low >= high:
        return False
    first = max(0, -(-(low - found.start) // found.step))
    return first < len(found) and found[first] < high


def _wrong(rule: str, got: object) -> ShapeError:
    return ShapeError("highlight", rule, got=got)
