"""A row's place and the batch's size: the first sample once more in front, and no other row may change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab.trace import DRAWS, ENTERS, Call, Value
from lstm_shapes.lab.trace._families import broadcasts, names_in

from ._blame import turning_view, wider_of
from ._compare import far
from ._experiments import Experiments
from ._layout import Layout, Track
from ._samples import samples_of, tracks_of

__all__ = ["Placed", "placed_of"]


_REDUCES = names_in("max amax any all min amin sum mean prod")


@dataclass(frozen=True, slots=True)
class Placed:
    """A result whose rows depend on their place or on N. `call` is the first whose rows differ.

    `laid`: an operand of it that was counted along the batch; `extra`: a call that one sample more makes once more;
    `turned`: a view before it that was to exchange two axes of equal sizes; `crossed`: it lays samples over an axis
    of equal size; `shared`: it makes one flag of those of all samples.
    """

    call: Call
    result: Value
    laid: Value | None = None
    extra: Call | None = None
    turned: Call | None = None
    crossed: bool = False
    shared: bool = False


def placed_of(lab: Experiments) -> Placed | None:
    """What depends on a row's place in the batch or on the number of rows, where samples were found apart."""
    samples = lab.ask(samples_of)
    if samples.kind != "apart" or samples.statistics or lab.baseline.error is not None or lab.slack:
        return None
    tensors = [slot.value for slot in lab.inputs.slots if isinstance(slot.value, torch.Tensor)]
    if any(tensor.layout != torch.strided for tensor in tensors):
        return None
    if any(slot.uneven or isinstance(slot.value, PackedSequence) for slot in lab.inputs.slots):
        return None
    if any(call.name in DRAWS for call in lab.baseline.calls) or any(
        _from_outside(lab, v) for v in lab.baseline.values
    ):
        return None  # what is drawn, by torch or elsewhere, differs from place to place
    tracks = samples.rows or samples.tracks
    layouts = {v.index: t.layout() for _, v in lab.results if (t := tracks.get(v.index)) is not None and t.in_place()}
    for _, value in lab.results:
        if value.shape.count(lab.N) > 1 and (view := turning_view(lab, value)) is not None:
            return Placed(view, value, turned=view)
    if (found := _crossed(lab, tracks) or _shared_flags(lab, layouts)) is not None:
        return found
    wanted = {index: layout for index, layout in layouts.items() if layout is not None}
    if not wanted:
        return None
    lab.says("one sample more")
    extra: list[Call] = []
    differing = _differing(lab, wanted, 1, extra=extra)
    if not differing:
        return None
    again = _differing(lab, wanted, 2)
    if again is None:  # a loop that runs over the batch's size may find no third step
        again = _differing(lab, wanted, 1, front=False)
    if again is None or not differing & again:
        return None
    lab.says("one sample more, call by call")
    result = next(value for _, value in lab.results if value.index in differing)
    everywhere = {k: layout for k, t in lab.ask(tracks_of).items() if (layout := t.layout()) is not None}
    bad = differing | (_differing(lab, everywhere, 1) or set())
    way = lab.baseline.ancestors(result)
    for call in lab.baseline.calls:
        wrong = any(v.index in bad and v.index in way for v in call.outputs)
        if wrong and not any(v.index in bad for v in call.inputs):
            turned = next((view for v in call.inputs if (view := turning_view(lab, v)) is not None), None)
            return Placed(call, result, _counted(lab, call), extra[0] if extra else None, turned)
    return None


def _from_outside(lab: Experiments, value: Value) -> bool:
    """Whether it is a row of numbers for each sample that came from another library, which may have drawn them."""
    entered = value.maker is None or value.maker.name in ENTERS
    own = value.parameter or value in lab.baseline.inputs or bool(value.bases)
    return entered and not own and lab.N in value.shape and value.tensor.is_floating_point()


def _crossed(lab: Experiments, tracks: dict[int, Track]) -> Placed | None:
    """A table of samples against samples of which one axis is another of equal size: with one sample more it raises."""
    tables = [v for _, v in lab.results if (t := tracks.get(v.index)) is not None and t.paired and not t.in_place()]
    wide = lab.ask(wider_of) if tables else None
    if wide is not None and wide.error is None:
        turned = next(((table, view) for table in tables if (view := turning_view(lab, table)) is not None), None)
        return None if turned is None else Placed(turned[1], turned[0], turned=turned[1])
    if wide is None or not wide.calls or wide.calls[-1].error is None:
        return None
    at = wide.calls[-1]
    sizes = [set(value.shape) for value in at.inputs]
    inputs = {value.index for value in wide.inputs}
    made = all(wide.ancestors(value) & inputs for value in at.inputs)
    grown = [lab.N + 1 in some for some in sizes]
    if not made or len(grown) < 2 or not any(grown) or at.index >= len(lab.baseline.calls):
        return None
    call = lab.baseline.calls[at.index]
    return Placed(call, tables[0], crossed=True) if call.name == at.name and broadcasts(call.name) else None


def _shared_flags(lab: Experiments, layouts: dict[int, Layout | None]) -> Placed | None:
    """A call that makes one flag of those of all samples: with the others' flags off a row is another one."""
    flags = {f"input {slot.index}" for slot in lab.inputs.masks}
    inputs = {value.index: value.origin for value in lab.baseline.inputs}
    for call in lab.baseline.calls if flags else ():
        if call.name not in _REDUCES or not call.inputs or not any(v.index in lab.on_path for v in call.outputs):
            continue
        given = {inputs[k] for k in lab.baseline.ancestors(call.inputs[0]) & inputs.keys()}
        if given and given <= flags and lab.N in call.inputs[0].shape and lab.N not in call.outputs[0].shape:
            for sample in (0, lab.N - 1):
                result = _moved_row(lab, sample, layouts)
                if result is not None:
                    return Placed(call, result, shared=True)
            return None
    return None


def _moved_row(lab: Experiments, sample: int, layouts: dict[int, Layout | None]) -> Value | None:
    """The first result whose row of one sample is another one with the flags of all others off."""
    moved: list[Value] = []

    def compare(value: Value, tensor: Tensor) -> None:
        layout, before = layouts.get(value.index), value.elements
        if layout is None or before is None or tensor.shape != before.shape or before.shape[layout.axis] != lab.N:
            return
        rows = [t.detach().select(layout.axis, sample) for t in (before, tensor)]
        if bool(far(*rows).any()):
            moved.append(value)

    outcome = lab.follow(lab.inputs.alone(sample), compare)
    return moved[0] if moved and outcome.error is None else None


def _differing(
    lab: Experiments, layouts: dict[int, Layout], more: int, *, front: bool = True, extra: list[Call] | None = None
) -> set[int] | None:
    """The values whose rows are others in a batch with one sample `more` times more; None if it cannot run."""
    found: set[int] = set()
    grown: set[int] = set()

    def compare(value: Value, tensor: Tensor) -> None:
        layout, before = layouts.get(value.index), value.elements
        if layout is None or before is None or tensor.layout != torch.strided:
            return
        axis, N, repeat = layout.axis, layout.N, layout.repeat
        size = before.shape[axis] // N
        if tensor.shape != (*before.shape[:axis], size * (N + more), *before.shape[axis + 1 :]):
            grown.add(value.index)
            return
        one, other = (t.reshape(*t.shape[:axis], size // repeat, -1, *([repeat] * (repeat > 1)), *t.shape[axis + 1 :])
                      for t in (before, tensor.detach()))  # fmt: skip
        rows = ((one.select(axis + 1, k), other.select(axis + 1, k + more * front)) for k in range(N))
        if any(bool(far(*pair).any()) for pair in rows):  # row by row: a result may be large
            found.add(value.index)

    outcome = lab.follow(lab.inputs.wider(more, front=front), compare, realign=True)
    if outcome.error is not None:
        return None
    if outcome.repeated is not None:
        found |= grown  # with each turn of the loop another step
        if extra is not None:
            extra.append(outcome.repeated)
    return found


def _counted(lab: Experiments, call: Call) -> Value | None:
    """An operand with an axis of N that no sample moves and whose rows differ: numbers counted along the batch."""
    tracks = lab.ask(tracks_of)
    for value in call.inputs:
        track, elements = tracks.get(value.index), value.elements
        if (
            value.parameter
            or elements is None
            or elements.layout != torch.strided
            or (track is not None and track.touched)
        ):
            continue
        for axis, size in enumerate(value.shape):
            if size == lab.N and bool((elements != elements.narrow(axis, 0, 1)).any()):
                return value
    return None
