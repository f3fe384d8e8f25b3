"""Tensors joined to one: torch.cat, torch.stack and the sum of two, each with the sizes that torch wants."""

from __future__ import annotations

from collections.abc import Sequence

from .tensor_box import Box
from .tensor_view import TensorView, wrong

__all__ = ["broadcast", "cat", "stack"]


def cat(views: Sequence[TensorView], dim: int) -> TensorView:
    """`torch.cat(views, dim)`: one after the other along an axis that they have."""
    shapes = tuple(view.shape for view in views)
    axes = {len(shape) for shape in shapes}
    if len(axes) > 1 or 0 in axes:
        raise wrong("tensors with the same axes, at least one, in torch.cat", shapes)
    place = views[0].axis(dim)
    if len({(*shape[:place], *shape[place + 1 :]) for shape in shapes}) > 1:
        raise wrong(f"tensors that differ in size only along dim={dim} in torch.cat", shapes)
    boxes, end = [], 0
    for view in views:
        for box in view.boxes:
            name, filled = box.axes[place]
            moved = (name, range(filled.start + end, filled.stop + end))
            boxes.append(Box(box.part, (*box.axes[:place], moved, *box.axes[place + 1 :])))
        end += view.shape[place]
    return TensorView((*shapes[0][:place], end, *shapes[0][place + 1 :]), tuple(boxes))


def stack(views: Sequence[TensorView], dim: int) -> TensorView:
    """`torch.stack(views, dim)`: side by side along a new axis."""
    if len({view.shape for view in views}) > 1:
        raise wrong("tensors of one shape in torch.stack", tuple(view.shape for view in views))
    place = views[0].new_axis(dim)
    return cat([view.unsqueeze(place) for view in views], place)


def broadcast(left: TensorView, right: TensorView) -> TensorView:
    """`left + right`: aligned at the last axis, with axes of size 1 repeated."""
    count = max(len(left.shape), len(right.shape))
    a, b = ((1,) * (count - len(view.shape)) + view.shape for view in (left, right))
    if any(1 not in (one, other) and one != other for one, other in zip(a, b, strict=True)):
        raise wrong("a sum of tensors that broadcast: from the right, sizes equal or 1", (left.shape, right.shape))
    shape = tuple(other if one == 1 else one for one, other in zip(a, b, strict=True))
    return TensorView(shape, tuple(_spread(view, box, shape) for view in (left, right) for box in view.boxes))


def _spread(view: TensorView, box: Box, shape: tuple[int, ...]) -> Box:
    """A box of a view that is repeated to a larger shape."""
    new = len(shape) - len(view.shape)
    axes = list(box.axes)
    for place, (size, wide) in enumerate(zip(view.shape, shape[new:], strict=True)):
        if size != wide:
            axes[place] = (None, range(wide if axes[place][1] else 0))
    return Box(box.part, (*((None, range(size)) for size in shape[:new]), *axes))
