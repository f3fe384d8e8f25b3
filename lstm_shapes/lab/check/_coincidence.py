"""One sample and one step more, asked only where equal sizes hide a layout, or samples were mixed already."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lstm_shapes.lab.trace import Call, LayerCall, Where

from ._blame import blame_of
from ._experiments import Experiments

__all__ = ["Coincidence", "coincidence_of"]


@dataclass(frozen=True, slots=True)
class Coincidence:
    title: str
    measured: str
    fix: str
    where: Where | None
    layer: str


def coincidence_of(lab: Experiments) -> Coincidence | None:
    """The call that accepts a state only because sizes are equal, shown by a run in which they are not."""
    N = lab.N
    if lab.batch_dim is None or N < 1 or lab.baseline.error is not None:
        return None
    suspects = [layer for layer in lab.layers if not layer.cell and _equal(lab, layer)]
    blame = lab.ask(blame_of)
    if blame is not None and blame.layer is not None and not blame.layer.cell:
        suspects.append(blame.layer)
    if not suspects:
        return None
    lab.says("one sample and one step more")
    trace = lab.record(lab.inputs.wider(1, 2))
    failed = next((call for call in trace.calls if call.error is not None), None)
    if trace.error is None or (failed is not None and failed.name not in ("lstm", "gru", "rnn_tanh", "rnn_relu")):
        return None
    return _named(lab, suspects, trace.error, failed)


def _equal(lab: Experiments, layer: LayerCall) -> bool:
    state = layer.states.get("h0")
    given = state is not None and (state.maker is None or state.maker.owner is not layer.module)
    return given and not layer.packed and lab.N in (layer.K * layer.R, layer.L) and layer.N == lab.N


def _named(lab: Experiments, suspects: list[LayerCall], error: Exception, failed: Call | None) -> Coincidence | None:
    """The state that followed the wrong size: read from torch's own words, expected (…), got [...]."""
    match = re.search(r"Expected hidden(?:\[\d\])? size \(([\d, ]+)\), got \[([\d, ]+)\]", str(error))
    if match is None:
        return None
    expected, got = (tuple(int(n) for n in part.split(",")) for part in match.groups())
    layer = suspects[0]
    N, more = lab.N, lab.N + 1
    if len(got) != 3 or got == expected:
        return None
    name = next((role for role in layer.states), "h0")
    if got[0] == more and expected[1] == more:
        equal = f"N == {'K·R' if layer.R == 2 else 'K'} == {N}"
        title = f"the state is (N, K, H), and is accepted only because {equal}"
        fix = f"{name}.transpose(0, 1).contiguous(): h0 and c0 are (K·R, N, H), with batch_first too; permute(1, 0, 2)"
    elif got[1] == layer.L + 2 or (got[1] != more and expected[1] == more and got[1] == layer.L):
        title = f"the state is made with the number of steps, and is accepted only because N == L == {N}"
        fix = f"x.size({0 if layer.batch_first else 1}) for the batch: h0 and c0 are (K·R, N, H)"
    else:
        return None
    measured = f"with N = {more} samples the same program raises: expected {expected}, got {got}"
    return Coincidence(title, measured, fix, layer.call.where, layer.name)
