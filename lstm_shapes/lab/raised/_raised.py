"""What a program raised: the call that stopped, the operand at fault, and a fix that was tried on the operands.

An exception has one first cause, so there is one explanation. It is looked for from the inside out: a layer that
cannot be built, a backward through a graph that is gone, the contract of a recurrent layer, packing, a tuple in the
place of a tensor, a loss, any other function of torch, and what a library or the program itself refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab._private import CALL_OF_MODULE, keywords_of_call
from lstm_shapes.lab._words import named_shape, value_name
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, Where, layer_calls, substituted, tensors_of
from lstm_shapes.lab.trace._families import names_in

from ._spelling import Spelling

__all__ = [
    "RECURRENT_MODULES",
    "TYPES",
    "Entered",
    "Explanation",
    "Raised",
    "Try",
]

RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)
TYPES = re.compile(r"dtype|scalar type|not implemented for|bool|expected .* (Long|Int|Float|Double)|type (Long|Float)")
"""Words of torch's messages on data types."""
_MOST_ELEMENTS = 20_000_000
_MOST_WEIGHTS = 5_000_000
_TURNS = names_in("transpose permute t T mT movedim swapaxes flip roll view reshape")
_MOVES = names_in("contiguous clone detach to float double half dropout identity requires_grad_ data cpu cuda")


@dataclass(frozen=True, slots=True)
class Try:
    """What to write, and whether the call then runs; None where nobody can try it. `rank`: the likelier are lower."""

    text: str
    holds: Callable[[], bool] | None = None
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The code of the rule, its title, what was measured, the fixes, and the tensors whose making matters."""

    code: str
    title: str
    measured: str
    fixes: Sequence[Try] = ()
    operands: Sequence[Value] = ()
    layer: str = ""
    where: Where | None = None
    certain: str = ""

    @property
    def fix(self) -> str:
        """The likeliest fix that was tried and held, and a second that is about as likely; else "probably" one."""
        if self.certain:
            return self.certain
        ordered = sorted(self.fixes, key=lambda one: one.rank)
        good: list[Try] = []
        for one in ordered:
            if good and (len(good) == 2 or one.rank > good[0].rank + 1.8):
                break
            if one.holds is not None and not (good and one.text.startswith(good[0].text)) and _holds(one):
                good.append(one)
        if good:
            return "; or ".join(one.text for one in good)
        untried = [one.text for one in ordered if one.holds is None]
        return f"probably {untried[0]}" if untried else ""


def _holds(one: Try) -> bool:
    assert one.holds is not None
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(one.holds())
    except Exception:  # a change that the call does not take is no fix
        return False


@dataclass(frozen=True, slots=True)
class Entered:
    """A module whose forward never came back, and what it was called with."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    depth: int

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    @property
    def of_torch(self) -> bool:
        """Whether it is a module of torch's own."""
        return type(self.module).__module__.startswith("torch.")


@dataclass(eq=False)
class Raised:
    """An exception beside the calls that led to it. `batch`: the batch axis of inputs, by the index of their value."""

    error: BaseException
    trace: Trace
    names: dict[int, str]
    batch: dict[int, int] = field(default_factory=dict)

    # ------------------------------------------------------------------ what stopped
    @cached_property
    def chain(self) -> list[BaseException]:
        """The exception and what it was raised from."""
        found: list[BaseException] = []
        error: BaseException | None = self.error
        while error is not None and error not in found and len(found) < 8:
            found.append(error)
            error = error.__cause__ or error.__context__
        return found

    @cached_property
    def call(self) -> Call | None:
        """The torch function that raised, if one did."""
        for call in reversed(self.trace.calls):
            if call.error is not None and any(call.error is error for error in self.chain):
                return call
        return None

    @cached_property
    def failed(self) -> Call | None:
        """What did not come back: a module of torch's with an eye on its own input, else the function of torch."""
        entered = self.module
        if entered is None or entered.depth <= self.spelling.depth or not entered.of_torch:
            return self.call
        if self.call is not None and entered.kind != "MultiheadAttention":
            owner = entered.module if self.call.owner is None else self.call.owner
            return replace(self.call, owner=owner)
        return None if isinstance(entered.module, nn.Sequential) else self.called_module(entered)

    def called_module(self, entered: Entered) -> Call:
        """The call of a module as if it were a function of torch; trying it runs a copy."""

        def run(*args: Any, **kwargs: Any) -> Any:
            return self.copy_of(entered.module)(*args, **kwargs)

        return self.called_with(entered.kind, run, entered.args, entered.kwargs, entered.module)

    def called_with(
        self, name: str, func: Any, args: Any, kwargs: dict[str, Any] | None = None, owner: nn.Module | None = None
    ) -> Call:
        """A call that no recorder saw."""
        inputs = tuple(self._seen(tensor) for tensor in tensors_of((args, kwargs or {})))
        given, count = (self._seen(args), self._seen(kwargs or {})), len(self.trace.calls)
        return Call(count, name, None, *given, inputs, None, owner, error=self.error, func=func)

    def copy_of(self, module: nn.Module) -> nn.Module:
        """A module that may be run without a trace in the program: its buffers and counters are others."""
        if sum(p.numel() for p in module.parameters()) > _MOST_WEIGHTS:
            raise MemoryError
        return deepcopy(module)

    def _seen(self, given: Any) -> Any:
        """Values in the place of tensors; what no recorder saw gets one."""
        if isinstance(given, Tensor):
            if self.value(given) is None:
                shape, count = tuple(given.shape), len(self.trace.values)
                self.trace.values.append(Value(count, given, None, 0, 0, shape=shape))
                self.trace._known[id(given)] = self.trace.values[-1]
            return self.value(given)
        if type(given) in (tuple, list):
            return tuple(map(self._seen, given))
        return {name: self._seen(one) for name, one in given.items()} if type(given) is dict else given

    @cached_property
    def spelling(self) -> Spelling:
        """The user's line, with what it calls the tensors."""
        spelling = Spelling(self.error)
        direct = next((one for one in self.entered if one.depth > spelling.depth), None)
        if direct is not None:
            spelling.learn(direct.args, direct.kwargs)
        elif self.call is not None:
            spelling.learn(*substituted((self.call.args, self.call.kwargs), lambda value: value.tensor))
        for frame in spelling.beyond[:1]:
            code = frame.f_code
            spelling.learn(tuple(frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]), {})
        spelling.descend(self._made_from)
        return spelling

    def _made_from(self, tensor: Tensor, name: str) -> Tensor | None:
        maker = value.maker if (value := self.value(tensor)) is not None else None
        return maker.inputs[0].tensor if maker is not None and maker.name == name and maker.inputs else None

    @cached_property
    def entered(self) -> list[Entered]:
        """The modules on the traceback, outermost first."""
        found: list[Entered] = []
        trace, depth = self.error.__traceback__, 0
        while trace is not None:
            frame = trace.tb_frame
            entered = _entered(frame, depth)
            again = entered is not None and found and entered.module is found[-1].module
            if entered is not None and not (again and frame.f_code.co_name == "forward"):
                found.append(entered)
            trace, depth = trace.tb_next, depth + 1
        return found

    @property
    def module(self) -> Entered | None:
        """The innermost module."""
        return self.entered[-1] if self.entered else None

    @cached_property
    def where(self) -> Where | None:
        return self.spelling.where

    @cached_property
    def functions(self) -> list[FrameType]:
        """The frames of torch's own functions and of libraries, behind the user's line."""
        return self.spelling.beyond

    @property
    def message(self) -> str:
        return str(self.error).strip()

    # ------------------------------------------------------------------ words and axes
    @cached_property
    def layers(self) -> list[LayerCall]:
        return layer_calls(self.trace, self.names)

    @cached_property
    def axes(self) -> AxisNames:
        """The named axes of everything before the exception."""
        states = {id(tensor) for layer in self.layers for value in layer.states.values() for tensor in [value.tensor]}
        module = self.module
        if module is not None and isinstance(module.module, RECURRENT_MODULES):
            given = (*module.args[1:], module.kwargs.get("hx"))
            states |= {id(tensor) for tensor in tensors_of(given)}
        batch = {k: axis for k, axis in self.batch.items() if id(self.trace.values[k].tensor) not in states}
        return AxisNames(self.trace, batch)

    def value(self, tensor: Any) -> Value | None:
        """The recorded value of a tensor."""
        return self.trace.value_of(tensor) if isinstance(tensor, Tensor) else None

    def name(self, value: Value) -> str:
        """What the user calls a tensor."""
        text = self.spelling.text(value.tensor)
        maker = value.maker
        if text or maker is None:
            return text or value_name(value)
        frame = self.spelling.frame
        here = frame is not None and maker.line is not None and maker.line[0] is frame.f_code
        nested = any(reader.line == maker.line for reader in value.readers)
        # A variable of the running function would have been seen; an inner call's result has no name.
        return f"the result of {maker.name}" if here or nested else value_name(value)

    def code(self, value: Value, stand_in: str = "x") -> str:
        """The same as an expression that can be written."""
        name = self.name(value)
        return stand_in if name.startswith(("the result", "a tensor", "input ")) or not name else name

    def shape(self, value: Value) -> str:
        return self.axes.shape(value)

    def shape_of(self, tensor: Tensor) -> str:
        """A tensor's shape with named axes, seen by the recorder or not."""
        value = self.value(tensor)
        return self.axes.shape(value) if value is not None else named_shape(tensor.shape, ("",) * tensor.dim())

    def described(self, value: Value) -> str:
        """y (N=4, L=7, D=8)."""
        return f"{self.name(value)} {self.shape(value)}"

    def products(self, *places: tuple[Value, int]) -> str:
        """How the sizes of some axes come about: `24 = R·D = 2·12, the two directions side by side`."""
        said = []
        for value, axis in places:
            product = self.axes.product(value, axis) or self._joined(value, axis)
            if product and product not in said:
                says = " (two directions)" if "R" in self.axes.atoms(value, axis) else ""
                said.append(product + says)
        return "; ".join(said)

    def _joined(self, value: Value, axis: int) -> str:
        """`10 = 8 + 2, joined at line 7` where an axis was put together of several tensors."""
        size, rank = value.shape[axis], len(value.shape)
        for _, maker in islice(value.way_back(), 6):
            made = maker.outputs[0].shape if maker.outputs else ()
            if len(made) != rank or made[axis] != size or maker.name in _TURNS:
                return ""
            dim = maker.argument(1, "dim", maker.kwargs.get("axis", 0))
            if maker.name in ("cat", "concat", "concatenate") and isinstance(dim, int) and len(maker.inputs) > 1:
                if dim % len(value.shape) != axis:
                    return ""
                sizes = [part.shape[axis] for part in maker.inputs]
                alike = len(set(sizes)) == 1 and len(sizes) > 2
                sums = f"{len(sizes)}·{sizes[0]}" if alike else " + ".join(map(str, sizes))
                line = f" at line {maker.where.line}" if maker.where is not None else ""
                return f"{size} = {sums}, {len(sizes)} tensors joined along axis {axis}{line}"
        return ""

    def from_layer(self, *values: Value) -> LayerCall | None:
        """The recurrent layer that values descend from last."""
        way = self.trace.ancestors(*values)
        return next((layer for layer in reversed(self.layers) if any(v.index in way for v in layer.call.outputs)), None)

    def output_of(self, value: Value | None) -> tuple[LayerCall, str] | None:
        """The layer and the role (Y, hn, cn) where a value is a layer's whole output, perhaps moved or cast."""
        while value is not None:
            outputs = ((layer, role) for layer in self.layers for role, out in layer.outputs.items() if out is value)
            found = next(outputs, None)
            if found is not None or value.maker is None or value.maker.name not in _MOVES:
                return found
            value = next(iter(value.maker.inputs), None)
        return None

    def state(self, value: Value) -> bool:
        """Whether a value is all rows of a layer's final state."""
        made = self.output_of(value)
        return made is not None and made[1] != "Y" and not made[0].cell and len(value.shape) == 3

    def called(self, entered: Entered) -> str:
        """What a module is called: by the line that calls it, else by its place in the model."""
        first = next((one for one in self.entered if one.depth > self.spelling.depth), None)
        if first is entered and self.spelling.function:
            return self.spelling.function
        return self.names.get(id(entered.module), "") or f"the {entered.kind}"

    # ------------------------------------------------------------------ trying
    def runs(
        self,
        call: Call,
        changes: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
        *,
        func: Callable[..., Any] | None = None,
        places: Mapping[int | str, Any] | None = None,
    ) -> bool:
        """Whether the call runs with some operands changed, or other plain arguments; what it raises is raised."""
        changed = changes or {}
        large = sum(v.tensor.numel() for v in call.inputs) > _MOST_ELEMENTS

        def tensor(value: Value) -> Tensor:
            data = value.tensor.detach()
            data = data.to("meta") if large else data.clone()
            return changed[value.index](data) if value.index in changed else data

        args, kwargs = list(substituted(call.args, tensor)), substituted(call.kwargs, tensor)
        for place, given in (places or {}).items():
            new = substituted(given, tensor)
            if isinstance(place, int):
                args[place] = new
            else:
                kwargs[place] = new
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            (func or call.func)(*args, **kwargs)
        return True


def _entered(frame: FrameType, depth: int) -> Entered | None:
    code, here = frame.f_code, frame.f_locals
    module = here.get("self")
    if not isinstance(module, nn.Module):
        return None
    if code is CALL_OF_MODULE and isinstance(here.get("args"), tuple):
        return Entered(module, here["args"], keywords_of_call(frame), depth)
    if code.co_name == "forward" and isinstance(module, RECURRENT_MODULES) and "input" in here:
        state = here.get("hx")
        return Entered(module, (here["input"],) if state is None else (here["input"], state), {}, depth)
    return None
