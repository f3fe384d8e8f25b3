"""TensorView: a tensor on its way through an expression: its shape, and which elements of X, Y, hn, … fill it.

What fills it are boxes: one for X itself, two after a cat or a sum of two tensors. Indexing narrows them, a transpose
reorders their axes, a sum takes an axis away and still reads all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lstm_shapes.errors import ShapeError

from .call import Call
from .reading import Part
from .spec import Spec
from .tensor_box import Box

__all__ = ["ALL_ROWS", "LAST_STEPS", "TensorView", "view_of", "wrong"]

# Index items beyond int, slice, None and Ellipsis: one entry a row.
ALL_ROWS = "torch.arange(N)"
LAST_STEPS = "lengths - 1"


@dataclass(frozen=True, slots=True)
class TensorView:
    """A shape and the boxes that fill it.

    >>> view_of(Spec(28, 256), Call(2, 20), "Y").index((slice(None), -1)).shape
    (2, 256)
    """

    shape: tuple[int, ...]
    boxes: tuple[Box, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is read, tensor by tensor."""
        return tuple(box.read() for box in self.boxes)

    def index(self, items: tuple[object, ...], lengths: tuple[int, ...] = ()) -> TensorView:
        """`tensor[items]` for integers, slices, None, `...` and a leading pair of rows and last steps."""
        taken = [item for item in items if item is not None and item is not Ellipsis]
        if len(taken) > len(self.shape) or sum(item is Ellipsis for item in items) > 1:
            raise wrong(f"at most {len(self.shape)} indices and one ...", items)
        if ALL_ROWS in taken or LAST_STEPS in taken:
            return self._pair(items, lengths).index((slice(None), *items[2:]))
        view, place = self, 0
        for item in items:
            if item is None:
                view = view.unsqueeze(place)
            elif item is Ellipsis:
                place += len(self.shape) - len(taken)
                continue
            elif isinstance(item, slice):
                view = view._slice(place, item)
            else:
                assert isinstance(item, int)
                view = view._select(place, item)
                continue
            place += 1
        return view

    def _slice(self, place: int, item: slice) -> TensorView:
        if item.step is not None and item.step < 1:
            raise wrong("a step of at least 1, as torch wants", item)
        picks = range(self.shape[place])[item]
        shape = (*self.shape[:place], len(picks), *self.shape[place + 1 :])
        return TensorView(shape, tuple(box.pick(place, picks) for box in self.boxes))

    def _select(self, place: int, item: int) -> TensorView:
        size = self.shape[place]
        if not -size <= item < size:
            known = {box.axes[place][0] for box in self.boxes}
            name = f" {name}" if len(known) == 1 and (name := known.pop()) else ""
            rule = f"an index from {-size} to {size - 1} on axis{name or f' {place}'}" if size else "no index: size 0"
            raise wrong(rule, item)
        at = item % size
        boxes = (box.pick(place, range(at, at + 1)) for box in self.boxes if at in box.axes[place][1])
        shape = (*self.shape[:place], *self.shape[place + 1 :])
        return TensorView(shape, tuple(box.without({place}, None) for box in boxes))

    def _pair(self, items: tuple[object, ...], lengths: tuple[int, ...]) -> TensorView:
        """Y[torch.arange(N), lengths - 1]: of each row its own last step."""
        want = {"N": ALL_ROWS, "L": LAST_STEPS}
        names = [name for name, _ in self.boxes[0].axes[:2]]
        if sorted(map(str, names)) != ["L", "N"] or [want[str(name)] for name in names] != list(items[:2]):
            order = ", ".join(want[name] for name in names if name in want)
            raise wrong(f"rows and steps in pairs: [{order or 'no such axes here'}]", items)
        if any(item in (ALL_ROWS, LAST_STEPS) for item in items[2:]):
            raise wrong("rows and steps in pairs, once", items)
        if any([name for name, _ in box.axes[:2]] != names or not self._fills(box) for box in self.boxes):
            raise wrong("rows and steps of one tensor in pairs", items)
        rows, steps = (self.shape[names.index(name)] for name in "NL")
        if rows != len(lengths) or max(lengths) > steps:
            rule = f"in pairs from {len(lengths)} rows of at least {max(lengths)} steps"
            raise ShapeError("highlight", f"rows and steps {rule}", got=self.shape)
        L = names.index("L")
        boxes = (Box(replace(box.part, paired=box.source("L")), box.without({L}, None).axes) for box in self.boxes)
        return TensorView((rows, *self.shape[2:]), tuple(boxes))

    def _fills(self, box: Box) -> bool:
        """Whether a box fills the first two axes."""
        return all(len(filled) == size for (_, filled), size in zip(box.axes[:2], self.shape, strict=False))

    def permute(self, order: tuple[int, ...]) -> TensorView:
        """The axes in another order."""
        places = [self.axis(axis) for axis in order]
        if sorted(places) != list(range(len(self.shape))):
            raise wrong(f"each of the {len(self.shape)} axes once", order)
        return TensorView(tuple(self.shape[place] for place in places), tuple(box.moved(places) for box in self.boxes))

    def transpose(self, a: int, b: int) -> TensorView:
        """Two axes exchanged."""
        order = list(range(len(self.shape)))
        first, second = self.axis(a), self.axis(b)
        order[first], order[second] = second, first
        return self.permute(tuple(order))

    def reduce(self, dims: tuple[int, ...] | None, keep: bool) -> TensorView:
        """A sum or mean: reads the whole axis and takes it away."""
        places = list(range(len(self.shape))) if dims is None else [self.axis(dim) for dim in dims]
        if len(set(places)) != len(places) or dims == ():
            raise wrong("a sum or mean over axes that are each named once", dims)
        # An empty axis still empties what is summed: read() must see it in the part's own ranges.
        boxes = tuple(Box(box.read(), box.axes) for box in self.boxes)
        sizes = (
            size if place not in places else 1 for place, size in enumerate(self.shape) if keep or place not in places
        )
        kept = (None, range(1)) if keep else None
        return TensorView(tuple(sizes), tuple(box.without(set(places), kept) for box in boxes))

    def squeeze(self, dims: tuple[int, ...] | None) -> TensorView:
        """Axes of size 1 taken away, all of them without `dims`; torch leaves others as they are."""
        places = list(range(len(self.shape))) if dims is None else [self.axis(dim) for dim in dims]
        if len(set(places)) != len(places) or dims == ():
            raise wrong("axes that are each named once", dims)
        gone = {place for place in places if self.shape[place] == 1}
        shape = tuple(size for place, size in enumerate(self.shape) if place not in gone)
        return TensorView(shape, tuple(Box(box.read(), box.axes).without(gone, None) for box in self.boxes))

    def unsqueeze(self, dim: int) -> TensorView:
        """A new axis of size 1."""
        place = self.new_axis(dim)
        boxes = (Box(box.part, (*box.axes[:place], (None, range(1)), *box.axes[place:])) for box in self.boxes)
        return TensorView((*self.shape[:place], 1, *self.shape[place:]), tuple(boxes))

    def view(self, sizes: tuple[int, ...], spec: Spec) -> TensorView:
        """`hn.view(K, R, N, H)`: the first axis taken apart; any other reshape has no cells to point at."""
        K, R = spec.K, spec.R
        whole = self.shape[:1] == (K * R,) and all(box.axes[0] == ("KR", range(K * R)) for box in self.boxes)
        shape = (K, R, *self.shape[1:])
        fits = len(sizes) == len(shape) and all(a in (-1, b) for a, b in zip(sizes, shape, strict=True))
        # torch cannot tell the size of a -1 where nothing is left to count.
        if not whole or not fits or sizes.count(-1) > 1 or (-1 in sizes and 0 in sizes):
            raise wrong("hn.view(K, R, N, H), the one reshape that keeps layers, directions and rows apart", sizes)
        pairs = (("K", range(K)), ("R", range(R)))
        return TensorView(shape, tuple(box.apart("KR", *pairs) for box in self.boxes))

    def axis(self, dim: int) -> int:
        """The place of an axis, counted from the end if negative."""
        if not -len(self.shape) <= dim < len(self.shape):
            raise wrong(f"an axis from {-len(self.shape)} to {len(self.shape) - 1}", dim)
        return dim % len(self.shape)

    def new_axis(self, dim: int) -> int:
        """The place of an axis that is to come."""
        count = len(self.shape)
        if not -count - 1 <= dim <= count:
            raise wrong(f"an axis from {-count - 1} to {count}", dim)
        return dim % (count + 1)


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
    whole = tuple((axis, range(sizes[axis])) for axis in axes)
    return TensorView(tuple(sizes[axis] for axis in axes), (Box(Part(source, whole), whole),))


def wrong(rule: str, got: object) -> ShapeError:
    """The error of an expression that torch would refuse."""
    return ShapeError("highlight", rule, got=got)
