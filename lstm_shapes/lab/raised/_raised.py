"""What a program raised: the call that stopped, the operand at fault, and a fix that was tried on the operands."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from traceback import walk_tb
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab._private import CALL_OF_MODULE, keywords_of_call
from lstm_shapes.lab._words import LONGEST, covering, named_shape, tree_of_file, value_name
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, Where, layer_calls, substituted, tensors_of, theirs
from lstm_shapes.lab.trace._families import names_in
from lstm_shapes.lab.trace._record import in_library, resolve

RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)
TYPES = re.compile(r"dtype|scalar type|not implemented for|bool|expected .* (Long|Int|Float|Double)|type (Long|Float)")
"""Words of torch's messages on data types."""
_MOST_ELEMENTS = 20_000_000
_MOST_WEIGHTS = 5_000_000
_MOVES = names_in("contiguous clone detach to float double half dropout identity requires_grad_ data cpu cuda")

# Python 3.10 does not keep which columns of a line an instruction belongs to.
_POSITIONS: Callable[[CodeType], Iterator[tuple[int | None, ...]]] | None = getattr(CodeType, "co_positions", None)


@dataclass(frozen=True, slots=True)
class Try:
    """What to write, and whether the call then runs; True where that is certain, None where it cannot be tried.

    `rank`: the likelier are lower.
    """

    text: str
    holds: Callable[[], bool] | bool | None = None
    rank: float = 0.0

    def runs(self) -> bool:
        """Try it; a change that the call does not take is no fix."""
        if not callable(self.holds):
            return bool(self.holds)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.holds()
        except Exception:
            return False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a program raised: the rule's code and title, what was measured, fixes, and tensors whose making matters."""

    code: str
    title: str
    measured: str
    fixes: Sequence[Try] = ()
    operands: Sequence[Value] = ()
    layer: str = ""
    where: Where | None = None

    @property
    def fix(self) -> str:
        """The likeliest fix that was tried and held, and a second that is about as likely; else "probably" one."""
        ordered = sorted(self.fixes, key=lambda one: one.rank)
        good: list[Try] = []
        for one in ordered:
            if good and (len(good) == 2 or one.rank > good[0].rank + 1.8):
                break
            if not (good and one.text.startswith(good[0].text)) and one.runs():
                good.append(one)
        if good:
            return "; or ".join(one.text for one in good)
        return next((f"probably {one.text}" for one in ordered if one.holds is None), "")


@dataclass(frozen=True, slots=True, eq=False)
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
    def x(self) -> Any:
        return self.args[0] if self.args else self.kwargs.get("input")

    @property
    def state(self) -> Any:
        """The state, where it is a recurrent layer."""
        return self.args[1] if len(self.args) > 1 else self.kwargs.get("hx")


# ---------------------------------------------------------------------- the words of the user's line
class Spelling:
    """The innermost line of the user's own code on a traceback, and what it calls the tensors that it handled."""

    def __init__(self, error: BaseException) -> None:
        steps, step = list[TracebackType](), error.__traceback__
        while step is not None:
            steps.append(step)
            step = step.tb_next
        files = [step.tb_frame.f_code.co_filename for step in steps]
        outside = [k for k, file in enumerate(files) if theirs(file)]
        own = [k for k in outside if not in_library(files[k])] or outside
        self.depth = own[-1] if own else -1
        self.beyond = [step.tb_frame for step in steps[self.depth + 1 :]]
        """The frames that the user's line called."""
        self._at = steps[self.depth] if own else None
        self.frame = self._at.tb_frame if self._at is not None else None
        self.where = resolve((self._at.tb_frame.f_code, self._at.tb_lineno)) if self._at is not None else None
        self._texts: dict[int, str] = {}
        self._nodes: list[tuple[ast.expr, Tensor]] = []

    @cached_property
    def node(self) -> ast.AST | None:
        """The expression that was being evaluated; where the interpreter does not say it, the only one of the line."""
        if self._at is None:
            return None
        if _POSITIONS is None:
            calls = covering(self.where, ast.Call, ast.BinOp)
            calls = [node for node in calls if node.lineno == self._at.tb_lineno or len(calls) == 1]
            return calls[0] if len(calls) == 1 else None
        code = self._at.tb_frame.f_code
        place = list(_POSITIONS(code))[self._at.tb_lasti // 2]
        fields = ("lineno", "end_lineno", "col_offset", "end_col_offset")
        nodes = ast.walk(tree_of_file(code.co_filename))
        return next((n for n in nodes if tuple(getattr(n, f, None) for f in fields) == place), None)

    @property
    def function(self) -> str:
        """What is called there, in the user's words: self.rnn."""
        return ast.unparse(self.node.func) if isinstance(self.node, ast.Call) else ""

    def argument(self, k: int, keyword: str = "") -> ast.expr | None:
        """The k-th argument of the call, as it is written."""
        if not isinstance(self.node, ast.Call):
            return None
        given = next((one.value for one in self.node.keywords if one.arg == keyword), None)
        return given or (self.node.args[k] if k < len(self.node.args) else None)

    def learn(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pair what the line says with the objects that it handed over."""
        node = self.node
        written: list[ast.expr] = []
        if isinstance(node, (ast.BinOp, ast.AugAssign, ast.Compare, ast.Subscript, ast.Attribute)):
            written = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        elif isinstance(node, ast.Call):
            written = list(node.args)
            if isinstance(node.func, ast.Attribute) and len(args) == len(written) + 1:
                written.insert(0, node.func.value)
            for keyword in node.keywords:
                if keyword.arg in kwargs:
                    self._pair(keyword.value, kwargs[keyword.arg])
        if len(written) <= len(args) and not any(isinstance(one, ast.Starred) for one in written):
            for one, given in zip(written, args, strict=False):
                self._pair(one, given)

    def _pair(self, node: ast.expr, given: Any) -> None:
        text = ast.unparse(node)
        if isinstance(given, Tensor):
            self._nodes.append((node, given))
            if len(text) <= LONGEST:
                self._texts.setdefault(id(given), text)
        elif isinstance(given, (tuple, list)):
            if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == len(given):
                for one, item in zip(node.elts, given, strict=True):
                    self._pair(one, item)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                for k, item in enumerate(given):
                    if isinstance(item, Tensor):
                        self._texts.setdefault(id(item), f"{text}[{k}]")

    def descend(self, trace: Trace) -> None:
        """Name what the operands were made from, too: in `h.t().view(4)` also h.t() and h."""
        while self._nodes:
            node, given = self._nodes.pop()
            if isinstance(node, ast.Subscript):
                inner, name = node.value, "__getitem__"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                inner, name = node.func.value, node.func.attr
            else:
                continue
            value = trace.value_of(given)
            maker = value.maker if value is not None else None
            if maker is not None and maker.name == name and maker.inputs:
                self._pair(inner, maker.inputs[0].tensor)

    def say(self, tensor: Tensor, text: str) -> None:
        """Give a tensor a name that no line has."""
        self._texts[id(tensor)] = text

    def text(self, given: Any) -> str:
        """What the line, or a variable of its function, calls an object; "" where neither names it."""
        text = self._texts.get(id(given), "")
        return text or next((name for name, value in self.variables() if value is given), "")

    def variables(self) -> Iterator[tuple[str, Any]]:
        """The variables of the user's function, and the items of its tuples."""
        if self.frame is None or self.frame.f_code.co_name == "<module>":
            return
        own = [(name, value) for name, value in self.frame.f_locals.items() if name.isidentifier() and name != "self"]
        yield from own
        for name, group in own:
            if isinstance(group, (tuple, list)) and len(group) < 50:
                yield from ((f"{name}[{k}]", item) for k, item in enumerate(group))

    def mentioned(self) -> Iterator[tuple[str, Any]]:
        """The variables that the failing expression names, or all of its statement where it is not known."""
        words: Any = self.where.source if self.where is not None else ""
        if self.node is not None:
            words = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)}
        if self.frame is not None:
            yield from ((name, value) for name, value in list(self.frame.f_locals.items()) if name in words)


def arguments_of(frame: FrameType) -> dict[str, Any]:
    """What a function was given by place, under the names that it has for it."""
    return {name: frame.f_locals.get(name) for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]}


# ---------------------------------------------------------------------- the exception
@dataclass(eq=False)
class Raised:
    """An exception beside the calls that led to it. `batch`: the batch axis of inputs, by the index of their value."""

    error: BaseException
    trace: Trace
    names: dict[int, str]
    batch: dict[int, int] = field(default_factory=dict)

    # ------------------------------------------------------------------ what stopped
    @cached_property
    def call(self) -> Call | None:
        """The torch function that raised, if one did: this exception, or what it was raised from."""
        chain: list[BaseException] = []
        error: BaseException | None = self.error
        while error is not None and error not in chain:
            chain.append(error)
            error = error.__cause__ or error.__context__
        return next((call for call in reversed(self.trace.calls) if call.error in chain), None)

    @cached_property
    def failed(self) -> Call | None:
        """What did not come back: a module of torch's with an eye on its own input, else the function of torch."""
        entered, call = self.module, self.call
        if entered is None or entered not in self.below or not type(entered.module).__module__.startswith("torch."):
            return call
        if call is not None and entered.kind != "MultiheadAttention":
            return replace(call, owner=entered.module if call.owner is None else call.owner)
        if isinstance(entered.module, nn.Sequential):
            return None

        def run(*args: Any, **kwargs: Any) -> Any:
            return self.copy_of(entered.module)(*args, **kwargs)

        return self.called_with(entered.kind, run, entered.args, entered.kwargs, entered.module)

    def called_with(
        self, name: str, func: Any, args: Any, kwargs: dict[str, Any] | None = None, owner: nn.Module | None = None
    ) -> Call:
        """A call that no recorder saw, as if it were one of a function of torch."""
        inputs = tuple(self.seen(tensor) for tensor in tensors_of((args, kwargs or {})))
        given, count = (self.seen(args), self.seen(kwargs or {})), len(self.trace.calls)
        return Call(count, name, None, *given, inputs, None, owner, error=self.error, func=func)

    def copy_of(self, module: nn.Module) -> nn.Module:
        """A module that may be run without a trace in the program: its buffers and counters are others."""
        if sum(p.numel() for p in module.parameters()) > _MOST_WEIGHTS:
            raise MemoryError
        return deepcopy(module)

    def seen(self, given: Any) -> Any:
        """Values in the place of tensors; what no recorder saw gets one."""
        if isinstance(given, Tensor):
            if self.value(given) is None:
                self.trace.values.append(Value(len(self.trace.values), given, None, 0, 0, shape=tuple(given.shape)))
                self.trace._known[id(given)] = self.trace.values[-1]
            return self.value(given)
        if type(given) in (tuple, list):
            return tuple(map(self.seen, given))
        return {name: self.seen(one) for name, one in given.items()} if type(given) is dict else given

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
            spelling.learn(tuple(arguments_of(frame).values()), {})
        spelling.descend(self.trace)
        return spelling

    @cached_property
    def entered(self) -> list[Entered]:
        """The modules on the traceback, outermost first."""
        modules: list[Entered] = []
        for depth, (frame, _) in enumerate(walk_tb(self.error.__traceback__)):
            entered = _entered(frame, depth)
            again = entered is not None and modules and entered.module is modules[-1].module
            if entered is not None and not (again and frame.f_code.co_name == "forward"):
                modules.append(entered)
        return modules

    @property
    def module(self) -> Entered | None:
        return self.entered[-1] if self.entered else None

    @property
    def below(self) -> list[Entered]:
        """The modules that the user's line called."""
        return [one for one in self.entered if one.depth > self.spelling.depth]

    def within(self, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The functions of one of torch's files that the user's line called, with their variables."""
        for frame in self.spelling.beyond:
            if frame.f_code.co_filename.replace("\\", "/").endswith(file):
                yield frame.f_code.co_name, frame.f_locals

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
        states = {id(value.tensor) for layer in self.layers for value in layer.states.values()}
        if self.module is not None and isinstance(self.module.module, RECURRENT_MODULES):
            states |= {id(tensor) for tensor in tensors_of((self.module.args[1:], self.module.state))}
        batch = {k: axis for k, axis in self.batch.items() if id(self.trace.values[k].tensor) not in states}
        return AxisNames(self.trace, batch)

    def value(self, tensor: Any) -> Value | None:
        return self.trace.value_of(tensor) if isinstance(tensor, Tensor) else None

    def name(self, value: Value) -> str:
        text, maker = self.spelling.text(value.tensor), value.maker
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

    def shape(self, tensor: Tensor) -> str:
        """A tensor's shape with named axes, seen by the recorder or not."""
        value = self.value(tensor)
        return self.axes.shape(value) if value is not None else named_shape(tensor.shape, ("",) * tensor.dim())

    def described(self, value: Value) -> str:
        """y (N=4, L=7, D=8)."""
        return f"{self.name(value)} {self.axes.shape(value)}"

    def products(self, *values: Value) -> str:
        """How the sizes of axes come about: `24 = R·D = 2·12 (two directions)`."""
        said = []
        for one, axis in ((value, axis) for value in values for axis in range(len(value.shape))):
            product = self.axes.product(one, axis)
            says = " (two directions)" if "R" in self.axes.atoms(one, axis) else ""
            said += [product + says] if product else []
        return "; ".join(dict.fromkeys(said))

    def from_layer(self, *values: Value) -> LayerCall | None:
        """The recurrent layer that values descend from last."""
        way = self.trace.ancestors(*values)
        return next((layer for layer in reversed(self.layers) if any(v.index in way for v in layer.call.outputs)), None)

    def output_of(self, value: Value | None) -> tuple[LayerCall, str] | None:
        """The layer and the role (Y, hn, cn) where a value is a layer's whole output, perhaps moved or cast."""
        outputs = {out: (layer, role) for layer in self.layers for role, out in layer.outputs.items()}
        for one, maker in value.way_back() if value is not None else ():
            if one in outputs or maker.name not in _MOVES:
                return outputs.get(one)
        return None

    def is_state(self, value: Value) -> bool:
        """Whether a value is all rows of a layer's final state."""
        made = self.output_of(value)
        return made is not None and made[1] != "Y" and not made[0].cell and len(value.shape) == 3

    def called(self, entered: Entered) -> str:
        """What a module is called: by the line that calls it, else by its place in the model."""
        if self.below[:1] == [entered] and self.spelling.function:
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
        for place, given in substituted(dict(places or {}), tensor).items():
            if isinstance(place, int):
                args[place] = given
            else:
                kwargs[place] = given
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
