"""Losses: what is compared with what, and where each side's elements come from, read from a recorded run alone.

Every element of a tensor carries the place that it belongs to: the index on each axis of one source (what comes from
outside, the ids that an embedding reads, what a recurrent layer reads), and the index among the features that a weight
made. Functions that move elements are run on these indices; a product with a weight makes new features of the last
axis; what adds and scales keeps the places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, Where, is_loss, layer_calls
from lstm_shapes.lab.trace._families import MOVES, SAME, names_in

from ._experiments import Experiments
from ._replay import moved, written

__all__ = ["CLASSES", "DIFFERENCES", "ELEMENTWISE", "Losses", "Origins", "Pair", "Places", "losses_in", "losses_of"]

ELEMENTWISE = names_in(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
    "poisson_nll_loss soft_margin_loss"
)
CLASSES = names_in("cross_entropy nll_loss")
DIFFERENCES = names_in("sub __sub__ __rsub__ rsub subtract")
_ORDERS = names_in("sort argsort topk cumsum unique nonzero msort")
_REDUCES = names_in("sum mean amax amin max min logsumexp prod")
_LAYERS = names_in(
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell quantized_lstm quantized_gru"
)
_LARGEST = 2**24  # elements of a tensor whose places are still followed


@dataclass(eq=False, slots=True)
class Places:
    """Where the elements of one tensor come from.

    `at[k]` holds for each element its index on axis k of the source, -1 for none; None where that is lost. `feature`
    is its index among the features that the last weight made, None where no weight made any.
    """

    source: Value
    at: tuple[Tensor | None, ...]
    feature: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Places:
        """The same change of all indices."""
        at = tuple(None if t is None else change(t) for t in self.at)
        return Places(self.source, at, None if self.feature is None else change(self.feature))

    def varying(self, axis: int) -> list[int]:
        """The axes of the source whose index changes along an axis."""
        return [k for k, t in enumerate(self.at) if t is not None and _varies(t, axis)]

    def cut_on(self, axis: int) -> bool:
        """Whether a view cut across two axes of the source: more pairs of indices than a grid of its size holds."""
        lines = []
        for k in self.varying(axis):
            t = self.at[k]
            assert t is not None
            for other in reversed([a for a in range(t.dim()) if a != axis]):
                t = t.select(other, 0)
            lines.append(t)
        if len(lines) != 2 or any(bool((t < 0).any()) for t in lines):
            return False
        return int(torch.unique(lines[0]).numel()) * int(torch.unique(lines[1]).numel()) > len(lines[0])

    def features_on(self) -> list[int]:
        """The axes along which the features lie."""
        t = self.feature
        return [] if t is None else [axis for axis in range(t.dim()) if _varies(t, axis)]


@dataclass(eq=False, slots=True)
class Pair:
    """What a call compares; without a call, the result with the target that check was given."""

    call: Call | None
    name: str
    output: Value
    target: Value

    @property
    def where(self) -> Where | None:
        """The line that compares; that of the result where check compares."""
        place = self.call or self.output.maker
        return place.where if place is not None else None


def _varies(t: Tensor, axis: int) -> bool:
    if t.size(axis) < 2 or t.stride(axis) == 0 or not t.numel():
        return False
    for other in range(t.dim()):
        if t.stride(other) == 0:
            t = t.narrow(other, 0, 1)
    return bool((t != t.narrow(axis, 0, 1)).any())


class Origins:
    """The places of all values on the way to some of them."""

    def __init__(self, trace: Trace, wanted: list[Value]) -> None:
        self._places: dict[int, Places] = {}
        self._lost: set[int] = set()
        # What recurrent layers read a source's axes as: "N", "L".
        self.read_as: dict[tuple[int, int], set[str]] = {}
        way = trace.ancestors(*wanted)
        layers = {id(layer.call): layer for layer in layer_calls(trace, {})}
        for call in trace.calls:
            if call.error is None and any(v.index in way for v in call.outputs):
                try:
                    made = self._through(call, layers.get(id(call)))
                except (RuntimeError, IndexError, TypeError, ValueError, AttributeError):
                    made = {}
                self._note(call, made)

    def of(self, value: Value) -> Places | None:
        """The places of a value; what comes from outside is its own source."""
        found = self._places.get(value.index)
        if found is None and value.index not in self._lost and not value.parameter:
            return self._source(value)
        return found

    def batch_and_time(self, places: Places, axis: int) -> str:
        """N or L where all recurrent layers read what varies along an axis so."""
        names = {name for k in places.varying(axis) for name in self.read_as.get((places.source.index, k), {"?"})}
        return names.pop() if len(names) == 1 else ""

    # ------------------------------------------------------------------ one call
    def _source(self, value: Value) -> Places | None:
        shape = value.shape
        if value.tensor.numel() > _LARGEST:
            return None
        at = []
        for axis, size in enumerate(shape):
            line = torch.arange(size, dtype=torch.int32, device="cpu").view(-1, *[1] * (len(shape) - axis - 1))
            at.append(line.expand(shape))
        made = self._places[value.index] = Places(value, tuple(at))
        return made

    def _note(self, call: Call, made: dict[int, Places]) -> None:
        fresh = not made and all(not v.parameter and self._is_data(v) for v in call.inputs)
        for value in call.outputs:
            found = made.get(value.index)
            if found is not None and all(t is None or tuple(t.shape) == value.shape for t in found.at):
                self._places[value.index] = found
            elif not fresh:
                self._lost.add(value.index)

    def _is_data(self, value: Value) -> bool:
        """Whether no weight had a part in it."""
        places = self._places.get(value.index)
        return value.index not in self._lost and (places is None or places.feature is None)

    def _through(self, call: Call, layer: LayerCall | None) -> dict[int, Places]:
        name, out = call.name, call.outputs[0]
        if name in ("embedding", "one_hot"):
            ids = next(v for v in call.inputs if not v.tensor.is_floating_point())
            self._places.pop(ids.index, None)  # the ids that are read are the source
            source = self._source(ids)
            return {} if source is None else {out.index: _weighted(source.mapped(lambda t: t.unsqueeze(-1)), out.shape)}
        if layer is not None or name in _LAYERS:
            return self._layer(call, layer)
        winner = self._winner(call)
        if winner is None:
            return {}
        value, places = winner
        if name == "__setitem__":
            return self._written(call)
        if name in MOVES:
            return self._moved(call, places)
        if name in SAME:
            return {out.index: places}
        if name in _REDUCES and (dim := call.argument(1, "dim")) is not None:
            return _reduced(call, places, dim)
        if name in _ORDERS:
            return {}
        weighted = name == "linear" or any(v.parameter and len(v.shape) > 1 for v in call.inputs if v is not value)
        product = weighted and not name.startswith("conv") and name not in ("layer_norm", "batch_norm")
        if product and value.shape[:-1] == out.shape[:-1]:
            return {out.index: _weighted(places, out.shape)}
        if weighted and name == "conv1d" and (value.shape[0], *value.shape[2:]) == (out.shape[0], *out.shape[2:]):
            turned = places.mapped(lambda t: t.transpose(1, -1))
            shape = (*out.shape[:1], *out.shape[2:], out.shape[1])
            return {out.index: _weighted(turned, shape).mapped(lambda t: t.transpose(1, -1))}
        if value.shape != out.shape and len(out.shape) < len(value.shape):
            return {}
        return {out.index: places.mapped(lambda t: t.broadcast_to(out.shape))}

    def _winner(self, call: Call) -> tuple[Value, Places] | None:
        """The input whose places go on: one that a weight made, of the output's shape, the first."""
        found = [(v, p) for v in call.inputs if not v.parameter and (p := self.of(v)) is not None]
        shape = call.outputs[0].shape
        order = lambda f: (f[1].feature is None, f[0].shape != shape, -f[0].tensor.numel())  # noqa: E731
        return min(found, key=order, default=None)

    def _layer(self, call: Call, layer: LayerCall | None) -> dict[int, Places]:
        X = call.inputs[0]
        places = self._places.get(X.index) or (None if X.index in self._lost and layer is None else self._source(X))
        if places is None:
            return {}
        if layer is not None and not layer.cell and not layer.packed and not layer.unbatched:
            for axis, meaning in ((layer.batch_axis, "N"), (layer.time_axis, "L")):
                for k in places.varying(axis or 0):
                    self.read_as.setdefault((places.source.index, k), set()).add(meaning)
        made = {call.outputs[0].index: _weighted(places, call.outputs[0].shape)}
        for state in call.outputs[1:]:
            if layer is None or layer.cell:
                made[state.index] = _weighted(places, state.shape)
            elif not layer.packed:
                rows = _weighted(_at_step(places, layer.time_axis or 0), (layer.N, state.shape[-1]))
                made[state.index] = rows.mapped(lambda t, state=state: t.expand(state.shape))  # type: ignore[misc]
        return made

    def _moved(self, call: Call, places: Places) -> dict[int, Places]:
        """The same function on the indices."""
        results = [self._run(call, places, lambda p, k=k: p.at[k]) for k in range(len(places.at))]  # type: ignore[misc]
        features = self._run(call, places, lambda p: p.feature)
        made = {}
        for j, value in enumerate(call.outputs):
            at = tuple(None if r is None else r[j] for r in results)
            made[value.index] = Places(places.source, at, None if features is None else features[j])
        return made

    def _run(self, call: Call, places: Places, part: Callable[[Places], Tensor | None]) -> list[Tensor] | None:
        mine = part(places)
        if mine is None:
            return None
        joins = call.name in ("cat", "concat", "concatenate")
        dim = call.argument(1, "dim", call.kwargs.get("axis", 0))

        def index_of(item: Value) -> Tensor:
            known = self._places.get(item.index)
            if known is not None and known.source is places.source:
                index = part(known)
                if index is None:
                    raise ValueError
                return index
            if joins and not _varies(mine, dim):
                return mine.narrow(dim, 0, 1).expand(item.shape)  # beside features of the same place
            return torch.full(item.shape, -1, dtype=torch.int32, device="cpu")

        return moved(call, index_of, fill=-1, only_first=True)

    def _written(self, call: Call) -> dict[int, Places]:
        """A buffer with a part of it overwritten."""
        target, value = call.args[0], call.args[2]
        places = self.of(value) if isinstance(value, Value) else None
        if places is None:
            return {}
        before = self._places.get(target.index)
        if before is None or before.source is not places.source:
            before = Places(places.source, (None,) * len(places.at))
        pairs = [*zip(before.at, places.at, strict=True), (before.feature, places.feature)]
        *at, feature = (None if new is None else written(call, old, new, -1) for old, new in pairs)
        return {call.outputs[0].index: Places(places.source, tuple(at), feature)}


def _weighted(places: Places, shape: tuple[int, ...]) -> Places:
    """Behind a product with a weight: the last axis holds new features, and no place that varied along it."""
    at = tuple(None if t is None or _varies(t, -1) else t[..., :1].expand(shape) for t in places.at)
    return Places(places.source, at, torch.arange(shape[-1], dtype=torch.int32, device="cpu").expand(shape))


def _at_step(places: Places, axis: int) -> Places:
    """The places of a final state: what varied along time is lost."""
    at = tuple(None if t is None or _varies(t, axis) else t.select(axis, 0) for t in places.at)
    return Places(places.source, at)


def _reduced(call: Call, places: Places, dim: Any) -> dict[int, Places]:
    axes = sorted((d % len(call.inputs[0].shape) for d in ((dim,) if isinstance(dim, int) else dim)), reverse=True)
    keep = bool(call.argument(2, "keepdim", False))

    def kept(t: Tensor | None) -> Tensor | None:
        for axis in axes:
            if t is None or _varies(t, axis):
                return None
            t = t.narrow(axis, 0, 1) if keep else t.select(axis, 0)
        return t

    found = Places(places.source, tuple(kept(t) for t in places.at), kept(places.feature))
    return {value.index: found for value in call.outputs}


# ---------------------------------------------------------------------- what is compared
@dataclass(eq=False, slots=True)
class Losses:
    """The comparisons of a run, each line once, and the places of what they compare."""

    trace: Trace
    pairs: list[Pair] = field(default_factory=list)
    _origins: Origins | None = None

    @property
    def origins(self) -> Origins:
        """Computed when it is first asked for."""
        if self._origins is None:
            wanted = [v for pair in self.pairs for v in (pair.output, pair.target) if v.index >= 0]
            self._origins = Origins(self.trace, wanted + [v for _, v in self.trace.results])
        return self._origins

    def places(self, value: Value) -> Places | None:
        return self.origins.of(value)

    def meaning(self, value: Value, axis: int) -> str:
        """What the recurrent layers read an axis of a value as: N, L, or "" where that is not known."""
        places = self.places(value)
        return self.origins.batch_and_time(places, axis) if places is not None else ""

    def batch_first(self, call: Call) -> bool:
        """Whether ctc_loss is given (N, T, C): the layers read its axis 0 as the batch and axis 1 as time."""
        value = call.argument(0, "log_probs")
        if call.name != "ctc_loss" or not call.outputs or not isinstance(value, Value) or len(value.shape) != 3:
            return False
        return [self.meaning(value, axis) for axis in (0, 1)] == ["N", "L"]


def losses_in(trace: Trace) -> Losses:
    """The comparisons of a recorded run."""
    found: dict[Any, Pair] = {}
    for call in trace.calls:
        pair = _pair(call)
        if pair is not None:
            found.setdefault((call.name, call.line, pair.output.shape, pair.target.shape), pair)
    return Losses(trace, list(found.values()))


def losses_of(lab: Experiments) -> Losses:
    """The comparisons of the program; where check was given a target and no loss, also the result with the target."""
    losses = losses_in(lab.baseline)
    results = [v for _, v in lab.baseline.results if v.tensor.is_floating_point()]
    if isinstance(lab.target, Tensor) and lab.loss is None and len(results) == 1 and lab.baseline.error is None:
        target = Value(-1, lab.target, None, 0, 0, "target", shape=tuple(lab.target.shape))
        losses.pairs.append(Pair(None, "a loss", results[0], target))
    return losses


def _pair(call: Call) -> Pair | None:
    if not call.inputs:
        return None
    output = call.argument(0, "input", call.argument(0, "log_probs"))
    target = call.argument(1, "target", call.argument(1, "targets", call.argument(1, "other")))
    if call.name in ("gather", "take_along_dim"):
        target = call.argument(2, "index")
    elif not is_loss(call.name) and call.name not in DIFFERENCES:
        return None
    if not isinstance(output, Value) or not isinstance(target, Value):
        return None
    return Pair(call, call.name, output, target)


def pairs_of(losses: Losses, names: frozenset[str]) -> Iterator[Pair]:
    """The comparisons by some functions."""
    return (pair for pair in losses.pairs if pair.name in names)
