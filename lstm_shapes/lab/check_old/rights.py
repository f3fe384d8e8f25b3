"""Code that looks like a known mistake and is right: the identity that makes it so, proved on this run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .calls import LayerCall
from .gradients import Gradients, gradients
from .samples import of_layer
from .study import Study
from .trace import RESHAPES
from .words import input_name, output_name, state_names

__all__ = ["rights"]


def rights(study: Study) -> Iterator[str]:
    """One sentence for each suspicious-looking thing that the experiments acquitted."""
    grads = gradients(study)
    said: set[str] = set()
    for call in study.calls:
        for sentence in (*_one_step(study, call), *_states(study, grads, call), *_outputs(grads, call)):
            if sentence not in said:
                said.add(sentence)
                yield sentence
    yield from _whole(study)


def _one_step(study: Study, call: LayerCall) -> Iterator[str]:
    """x_t.unsqueeze(0) into a time-major layer."""
    X, placed = call.X, of_layer(study.maps(call, "X"))
    if X is not None and X.dim() == 3 and call.L == 1 and call.N > 1 and placed.kind == "right":
        order = "(N, 1, Q)" if call.batch_first else "(1, N, Q)"
        yield (
            f"{input_name(call)} {tuple(X.shape)} is one step of {call.N} samples, {order}, and the samples "
            "stay apart: its 1 is time, not the batch"
        )
    if X is not None and call.N > study.N > 1 and call.N % study.N == 0 and placed.kind == "right":
        yield (
            f"the batch of {call.call_name} is N × {call.N // study.N} = {call.N}: leading axes were merged "
            "in their order, so every row has one owner"
        )


def _states(study: Study, grads: Gradients | None, call: LayerCall) -> Iterator[str]:
    for role, state in call.states.items():
        if not call.step and state.numel() and not bool((state != 0).any()):
            yield (
                f"{role} is zeros, which is what {call.call_name} starts from when no state is given; the memory "
                "builds up inside the call"
            )
            break
    trace = study.first.seen.trace
    hn = state_names(call)[0]
    for op in trace.ops if trace is not None else ():
        mine = any(o[0] == "call" and o[1] == call.index and o[2] in ("hn", "cn") for o in op.origin)
        if (
            mine
            and op.name in RESHAPES
            and op.shapes
            and len(op.shapes[0]) == 3
            and op.shapes[0][0] == 1
            and len(op.result) == 2
        ):
            yield (
                f"{op.name} of {hn} {op.shapes[0]} to {op.result}: with K·R = 1 the state has one row, so this "
                f"is {hn}[-1]"
            )
            break
    if grads is not None and call.kind == "LSTM" and not call.step:
        cell, hidden, output = (grads.used(call, role) for role in ("cn", "hn", "Y"))
        if _any(cell) and (_any(hidden) or _any(output)):
            yield "cn is used beside the hidden state, as a feature or a decoder's start, not in its place"
        if hidden is not None and call.K > 1 and all(bool(row.any()) for row in hidden):
            yield f"all {call.K * call.R} rows of {hn} are used and each result row holds those of its own sample"


def _outputs(grads: Gradients | None, call: LayerCall) -> Iterator[str]:
    """out[:, -1] is hn[-1] where there is one direction and no padding."""
    if grads is None or call.step or call.R != 1 or call.packed is not None or call.L < 2:
        return
    used, Y, hn = grads.used(call, "Y"), call.taps.get("Y"), call.taps.get("hn")
    if used is None or Y is None or hn is None or torch.nonzero(used.any(2).any(0)).flatten().tolist() != [call.L - 1]:
        return
    if torch.equal(call.canon_sequence(Y)[:, -1], call.canon_state(hn)[-1]):
        out, name = output_name(call), state_names(call)[0]
        last = f"{out}[:, -1]" if call.layout == "batch_first" else f"{out}[-1]"
        yield (
            f"{last} is {name}[-1], element for element: one direction, no padding, so the last step is the "
            "final state of the top layer"
        )


def _whole(study: Study) -> Iterator[str]:
    if study.first.seen.mixing and study.moved:
        yield (
            "samples meet in batch statistics (BatchNorm) only: with those held, every result row depends "
            "on its own sample"
        )
    lengths = study.true_lengths
    if lengths is not None and len(lengths) == study.N and min(lengths) < study.L and study.moved:
        yield "padding does not reach the result: a row alone, cut to its own length, gives what it gives in the batch"


def _any(used: Tensor | None) -> bool:
    return used is not None and bool(used.any())
