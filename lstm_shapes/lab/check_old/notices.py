"""What one run shows without a second: a warning where check would have to prove it, for watch."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.axis_rules.reshaping import scramble_of

from .calls import LayerCall
from .record import Observation
from .report import Finding
from .rule import registry
from .rules.ls212 import ELEMENTWISE
from .trace import Op
from .words import output_name, state_names

__all__ = ["notices"]


def notices(seen: Observation) -> list[Finding]:
    """Every finding of one observation, each once a line."""
    return [*_dropout(seen), *_losses(seen), *_operations(seen)]


def _dropout(seen: Observation) -> Iterator[Finding]:
    """LS301: dropout on a one-layer module."""
    for call in {id(call.module): call for call in seen.calls}.values():
        rate = float(getattr(call.module, "dropout", 0.0) or 0.0)
        if rate > 0 and call.K == 1 and not call.step:
            yield registry()["LS301"].finding(
                f"dropout={rate:g} sits between stacked layers, and {call.name or 'this'} has one layer",
                f"nn.Dropout({rate:g}) behind the layer, num_layers=2 or more, or dropout=0",
                level="note",
                layer=call.name,
                where=call.where,
            )


def _losses(seen: Observation) -> Iterator[Finding]:
    """LS212: an elementwise loss whose two sides broadcast. Nothing is left to prove: it happened."""
    for loss in seen.losses:
        if loss.target is not None and loss.name in ELEMENTWISE and loss.prediction.shape != loss.target.shape:
            output, target = tuple(loss.prediction.shape), tuple(loss.target.shape)
            yield registry()["LS212"].finding(
                f"{loss.name} compares the output {output} with the target {target}; they broadcast, and every output "
                "meets every target",
                "bring both to one shape: output.squeeze(-1), or target.unsqueeze(-1)",
                where=loss.where,
            )


def _operations(seen: Observation) -> Iterator[Finding]:
    """What was done to Y and hn themselves, recognised by where they came from and by their shape."""
    calls = {call.index: call for call in seen.calls if call.done}
    for op in seen.trace.ops if seen.trace is not None else ():
        origin = op.origins[0] if op.origins and op.shapes else frozenset()
        if len(origin) != 1:
            continue
        kind, index, role = next(iter(origin))
        call = calls.get(index)
        axes = None if kind != "call" or call is None else _axes(call, role)
        if axes is None or call is None or axes.sizes != op.shapes[0]:
            continue
        if op.name in ("view", "reshape") and op.result:
            yield from _reshaped(op, call, role, axes)
        elif op.name == "__getitem__" and role == "Y" and call.R == 2:
            yield from _half_read(op, call, axes)


def _axes(call: LayerCall, role: str) -> Axes | None:
    """The named axes of Y or of a state of a batched call."""
    if call.step or call.packed is not None or call.layout == "unbatched" or call.N < 2:
        return None
    sizes = {"K": call.K, "R": call.R, "N": call.N, "L": call.L, "H": call.H, "D": call.D}
    width = "D" if role == "cn" else "H"
    names = f"K·R N {width}" if role in ("hn", "cn") else ("N L R·H" if call.batch_first else "L N R·H")
    return Axes.of(names, None, **sizes) if role in ("Y", "hn", "cn") else None


def _reshaped(op: Op, call: LayerCall, role: str, axes: Axes) -> Iterator[Finding]:
    """LS202: the algebra of atoms says that this view mixes samples with something else."""
    scramble = scramble_of(axes, op.result)
    if scramble is None or "N" not in scramble.mixed:
        return
    name = output_name(call) if role == "Y" else state_names(call)[role == "cn"]
    yield registry()["LS202"].finding(
        f"{name} is {axes}, and {op.name} to {op.result} mixes elements of {' and '.join(scramble.mixed)}",
        f"{name}{scramble.hint.removeprefix('probably meant: ')}" if scramble.permute else scramble.hint,
        level="warning",
        layer=call.name,
        where=op.where,
    )


def _half_read(op: Op, call: LayerCall, axes: Axes) -> Iterator[Finding]:
    """LS203: both halves of a bidirectional Y are taken at one end of the sequence."""
    key = op.note[1] if len(op.note) > 1 else None
    keys = key if isinstance(key, tuple) else (key,)
    place = axes.names.index("L")
    if len(keys) <= place or (len(keys) > 2 and keys[2] != slice(None)) or call.L < 2:
        return
    if (
        keys[place] in (-1, 0)
        and not isinstance(keys[place], bool)
        and keys[1 - place : 2 - place] in ((), (slice(None),))
    ):
        half = "backward" if keys[place] == -1 else "forward"
        name = state_names(call)[0]
        yield registry()["LS203"].finding(
            f"{output_name(call)} is {axes}: at step {keys[place]} its {half} half has read one step only",
            f"torch.cat(({name}[-2], {name}[-1]), dim=-1) has read everything in both directions",
            level="warning",
            layer=call.name,
            where=op.where,
        )
