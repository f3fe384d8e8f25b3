"""Results in another layout than the inputs: what was made step by step is joined along the batch, or before it.

Rows are right and lie elsewhere. Some programs return (L, N, ·) on purpose: what nothing in the program speaks
against is a warning, or a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import SAME, VIEWS, names_in

from ._experiments import Experiments
from ._layout import Layout
from ._samples import samples_of, tracks_of

__all__ = ["Laid", "laid_of"]

_JOINS = names_in("stack cat concat")
# What may follow without touching an axis: pointwise functions, layers over the last axis.
_THROUGH = SAME | names_in(
    "linear relu tanh sigmoid dropout softmax log_softmax layer_norm add __add__ __radd__ mul __mul__ sub __sub__ "
    "__truediv__ div index_select squeeze gelu silu leaky_relu elu exp softplus masked_fill neg __neg__ clamp "
    "logsigmoid normalize"
)


@dataclass(frozen=True, slots=True)
class Laid:
    """The call that put the samples on `axis` of its output, and what shows that they were meant elsewhere.

    `split`: one step's axis of size one is left beside the samples of all steps; `packed`: packed in one layout and
    padded in the other; `beside`: another result has them elsewhere; `else`: nothing but the inputs.
    """

    kind: Literal["split", "packed", "beside", "else"]
    call: Call
    value: Value
    axis: int
    meant: int
    other: str = ""


def laid_of(lab: Experiments) -> Laid | None:
    """The first result whose samples lie on another axis than those of the inputs, brought there by joining steps."""
    samples = lab.ask(samples_of)
    if samples.kind != "apart" or lab.batch_dim not in (0, 1) or lab.baseline.error is not None or lab.scalar:
        return None
    for call in lab.baseline.calls:
        if call.name in ("cat", "concat") and _may_split(call) and any(v.index in lab.on_path for v in call.outputs):
            before = lab.ask(tracks_of)[call.inputs[0].index].layout()
            if before is not None and _split(call, before):
                return Laid("split", call, call.outputs[0], before.axis, lab.batch_dim)
    quick = samples.rows or samples.tracks
    layouts = {v.index: t.layout() for _, v in lab.results if (t := quick.get(v.index)) is not None}
    for path, value in lab.results:
        layout = layouts.get(value.index)
        if (
            layout is None
            or len(value.shape) < 2
            or (layout.axis == lab.batch_dim and value.shape[layout.axis] == lab.N)
        ):
            continue
        found = _joined(lab, value)
        if found is None:
            continue
        call, after = found
        if after.repeat > 1 or call.outputs[0].shape[after.axis] != lab.N:
            continue
        if call.name == "_pad_packed_sequence":
            if after.axis != lab.batch_dim and not _for_ctc(lab, value) and _packed_otherwise(lab, call):
                return Laid("packed", call, value, after.axis, lab.batch_dim)
        elif after.axis != lab.batch_dim and after.axis in (0, 1):
            other = _beside(lab, layouts, path, value, layout)
            return Laid("beside" if other else "else", call, value, after.axis, lab.batch_dim, other)
    return None


def _joined(lab: Experiments, value: Value) -> tuple[Call, Layout] | None:
    """The call that joined steps into a result, behind which no axis was moved; how the samples lie since then."""
    between = [value]
    for made, call in value.way_back():
        between.append(made)
        if call.name in (*_JOINS, "_pad_packed_sequence") and call.inputs:
            if call.name in _JOINS and not _steps(call):
                return None
            tracks = lab.ask(tracks_of)
            layouts = [tracks[v.index].layout() for v in between if v.index in tracks]
            known = [layout for layout in layouts if layout is not None]
            return (call, known[-1]) if known else None
        if call.name not in _THROUGH:
            return None
    return None


def _steps(call: Call) -> bool:
    """Whether a list of steps is joined: three or more, each made by the same weights."""
    makers = [next((c for _, c in v.way_back() if any(w.parameter for w in c.inputs)), None) for v in call.inputs]
    weights = {tuple(w.index for w in c.inputs if w.parameter) for c in makers if c is not None}
    return (
        len(call.inputs) > 2 and None not in makers and len(weights) == 1 and len({v.shape for v in call.inputs}) == 1
    )


def _may_split(call: Call) -> bool:
    """Whether steps (1, N, ·) or (N, 1, ·) are joined, and no view takes the result apart again."""
    piece = call.inputs[0].shape if call.inputs else ()
    again = VIEWS | names_in("unflatten chunk split tensor_split unfold as_strided")
    made = call.outputs[0] if call.outputs else None
    whole = made is not None and not any(c.name in again for v in made.way_on(_moves_nothing) for c in v.readers)
    return whole and len(piece) > 2 and 1 in piece[:2] and piece[:2] != (1, 1) and _steps(call)


def _moves_nothing(call: Call, _: Value) -> bool:
    return call.name in SAME


def _split(call: Call, before: Layout) -> bool:
    """Whether the pieces were joined along the samples, and not along the axis of one step beside them."""
    dim = call.argument(1, "dim", 0)
    piece = call.inputs[0].shape
    return before.axis < 2 and piece[1 - before.axis] == 1 and isinstance(dim, int) and dim % len(piece) == before.axis


def _for_ctc(lab: Experiments, value: Value) -> bool:
    """Whether a result is what CTC takes, log-probabilities of (L, N, C)."""
    names = {call.name for _, call in value.way_back()}
    return "log_softmax" in names or any(is_loss(call.name) and "ctc" in call.name for call in lab.baseline.calls)


def _packed_otherwise(lab: Experiments, call: Call) -> bool:
    """Whether the rows were packed from the other layout than the one that they are padded to."""
    way = lab.baseline.ancestors(call.inputs[0])
    packs = [c for c in lab.baseline.calls if c.name == "_pack_padded_sequence" and c.outputs[0].index in way]
    return bool(packs) and bool(packs[-1].args[2]) != bool(call.args[2])


def _beside(lab: Experiments, layouts: dict[int, Layout | None], path: str, value: Value, layout: Layout) -> str:
    """Another result of as many samples and steps that has the samples where the inputs have them."""
    steps = value.shape[1 - layout.axis]
    for other_path, other in lab.results:
        lies = layouts.get(other.index)
        if other is value or lies is None or lies.axis != lab.batch_dim or len(other.shape) < 2 or lies.repeat > 1:
            continue
        if steps != lab.N and other.shape[1 - lies.axis] == steps:
            return f"the result{other_path} {other.shape}"
    return ""
