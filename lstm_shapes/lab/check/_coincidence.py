"""One sample and two steps more, asked only where equal sizes hide a layout, or samples were mixed already."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lstm_shapes.lab.trace import KERNELS, LayerCall, Where

from ._blame import blame_of
from ._experiments import Experiments


@dataclass(frozen=True, slots=True)
class Coincidence:
    """A state that a layer accepts only because sizes are equal."""

    title: str
    measured: str
    fix: str
    where: Where | None
    layer: str


def coincidence_of(lab: Experiments) -> Coincidence | None:
    """The state that did not follow the batch when it grew, in torch's own words: expected (…), got […]."""
    N, blame = lab.N, lab.ask(blame_of)
    if lab.batch_dim is None or N < 1 or lab.baseline.error is not None:
        return None
    suspects = [layer for layer in lab.layers if not layer.cell and _equal(lab, layer)]
    suspects += [blame.layer] if blame is not None and blame.layer is not None and not blame.layer.cell else []
    if not suspects:
        return None
    lab.says("one sample and one step more")
    trace = lab.record(lab.inputs.wider(1, 2))
    failed = next((call for call in trace.calls if call.error is not None), None)
    match = re.search(r"Expected hidden(?:\[\d\])? size \(([\d, ]+)\), got \[([\d, ]+)\]", str(trace.error))
    if match is None or (failed is not None and failed.name not in KERNELS):
        return None
    expected, got = (tuple(int(n) for n in part.split(",")) for part in match.groups())
    layer = suspects[0]
    if len(got) != 3 or got == expected or expected[1] != N + 1:
        return None
    if got[0] == N + 1:
        title = f"the state is (N, K, H), and is accepted only because N == {'K·R' if layer.R == 2 else 'K'} == {N}"
        fix = "h0.transpose(0, 1).contiguous(): h0 and c0 are (K·R, N, H), with batch_first too; permute(1, 0, 2)"
    elif got[1] in (layer.L, layer.L + 2):
        title = f"the state is made with the number of steps, and is accepted only because N == L == {N}"
        fix = f"x.size({0 if layer.batch_first else 1}) for the batch: h0 and c0 are (K·R, N, H)"
    else:
        return None
    measured = f"with N = {N + 1} samples the same program raises: expected {expected}, got {got}"
    return Coincidence(title, measured, fix, layer.call.where, layer.name)


def _equal(lab: Experiments, layer: LayerCall) -> bool:
    state = layer.states.get("h0")
    given = state is not None and (state.maker is None or state.maker.owner is not layer.module)
    return given and not layer.packed and lab.N in (layer.K * layer.R, layer.L) and layer.N == lab.N
