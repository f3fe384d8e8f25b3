"""Follows one run line by line: which statement runs, which names it binds, what torch did meanwhile.

Statements are folded as they come: the same line in the same function, called from the same line, is one step with
a count, so that a loop of any length is as long as its body.

While a trace function runs, coverage's own is off: what runs in here is marked `no cover` for that reason alone.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from inspect import CO_GENERATOR
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from lstm_shapes.lab.tensors import AnnotatedTensor, on_call
from lstm_shapes.lab.torch_rules import rule_of, tensors_in
from lstm_shapes.lab.torch_rules.scrambles import on_scramble
from lstm_shapes.theory.axis_rules.reshaping import Scramble

from .frames import blanks, followed, packing, tensors_of
from .nodes import Node, fold, mark, operation
from .opened import opened
from .result import Made, Mixed, Step, made_of
from .statements import Statement, statements_of

__all__ = ["Tracer"]

# Functions that make tensors from the shape of another: nothing is lost in them.
_FRESH = ("_like", "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor")
_DEEPEST = 12
# Shown as layers, opened.
_OPENED = ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")


@dataclass(eq=False, slots=True)
class _Frame:
    """A function that is running: its node, its statement under way, its names before that statement."""

    node: Node
    statements: dict[int, Statement]
    now: Statement | None = None
    line: Node | None = None
    names: dict[str, Any] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    """What torch returned last while this statement ran."""


class Tracer:
    """A context in which lines are followed; `steps()` afterwards."""

    def __init__(self, names: dict[int, str], own: str = "") -> None:
        self._names = names
        self._own = own
        self._root = Node(Step(-1, "", 0, ""))
        self._frames: dict[FrameType, _Frame] = {}
        self._stack: list[FrameType] = []
        self._exit = ExitStack()
        self._kept: dict[CodeType, bool] = {}
        self._outer = sys.gettrace()

    # ------------------------------------------------------------------ entering and leaving
    def __enter__(self) -> Tracer:
        scrambled, told = on_scramble.set(self._scramble), on_call.set(self._torch)
        self._exit.callback(on_scramble.reset, scrambled)
        self._exit.callback(on_call.reset, told)
        self._exit.callback(register_module_forward_hook(self._module, with_kwargs=True).remove)
        linecache.checkcache()
        self._outer = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._outer)
        self._exit.close()
        for frame in list(self._frames):
            self._finish(frame, self._frames[frame], f"{kind.__name__}: {error}" if kind else "")
        self._frames.clear()
        self._stack.clear()

    def steps(self) -> tuple[Step, ...]:
        """Everything in order, with its depth."""
        out: list[Step] = []

        def visit(node: Node) -> None:
            for inner in node.inner.values():
                fold(inner)
                out.append(inner.step)
                visit(inner)

        visit(self._root)
        return tuple(out)

    # ------------------------------------------------------------------ Python's events
    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:  # pragma: no cover
        code = frame.f_code
        wanted = self._kept.get(code)
        if wanted is None:
            wanted = self._kept[code] = followed(code, self._own)
        if not wanted or len(self._stack) >= _DEEPEST:
            return None
        statements = statements_of(code, frame.f_globals)
        parent = self._here()
        node = parent.inner.get(code)
        if node is None:
            depth = parent.step.depth + 1
            title = self._title(frame)
            node = Node(Step(depth, code.co_filename, code.co_firstlineno, title, 0, kind="call"), title=title)
            parent.inner[code] = node
        elif (title := self._title(frame)) != node.title:
            # Layers of one class, one after the other at one line: the first and the latest.
            node.step.source = f"{node.title.partition(':')[0]} … {title}"
        # A generator is entered anew for each of its values; it was called once.
        node.step.count += 1 if not code.co_flags & CO_GENERATOR or node.step.count == 0 else 0
        names = tensors_of(frame)
        if node.step.count == 1 and node.step.depth > 0:
            node.step.made = [made for name, value in names.items() for made in made_of(name, value)]
        self._frames[frame] = _Frame(node, statements, names=names)
        self._stack.append(frame)
        return self._local

    def _local(self, frame: FrameType, event: str, argument: Any) -> Any:  # pragma: no cover
        state = self._frames.get(frame)
        if state is None:
            return self._local
        if event == "line":
            statement = state.statements.get(frame.f_lineno)
            # An expression over several lines comes back to its first one: still the same round.
            if statement is not None and statement is not state.now:
                self._finish(frame, state)
                self._start(frame, state, statement)
        elif event == "return":
            self._finish(frame, state, returned=argument)
            self._frames.pop(frame, None)
            if frame in self._stack:
                del self._stack[self._stack.index(frame) :]
        elif event == "exception" and state.line is not None:
            kind, value, _ = argument
            # A StopIteration that ends a for loop is no failure; the last exception of a line stays on it.
            if kind is not StopIteration:
                state.made = []
                state.line.step.raised = f"{kind.__name__}: {str(value).splitlines()[0] if str(value) else ''}"
        return self._local

    def _start(self, frame: FrameType, state: _Frame, statement: Statement) -> None:  # pragma: no cover
        if state.line is not None:
            state.line.step.raised = ""  # the program went on
        key = statement.line
        node = state.node.inner.get(key)
        if node is None:
            step = Step(state.node.step.depth + 1, frame.f_code.co_filename, statement.line, statement.source, 0)
            node = state.node.inner[key] = Node(
                step, body=statement.body, siblings=state.node.inner, twice=statement.twice
            )
        node.step.count += 1
        state.now, state.line, state.made = statement, node, []

    def _finish(
        self, frame: FrameType, state: _Frame, raised: str = "", returned: Any = None
    ) -> None:  # pragma: no cover
        """The statement is over: what names are bound now that were not, or were to something else."""
        if state.line is None or state.now is None:
            return
        names = tensors_of(frame)
        made: list[Made] = []
        for name, value in names.items():
            if name != "_" and state.names.get(name) is not value:
                made += made_of(name, value)
        for owner, attribute in state.now.attributes:
            held = getattr(frame.f_locals.get(owner), "__dict__", {}).get(attribute)
            made += made_of(f"{owner}.{attribute}", held)
        if state.now.returns and returned is not None:
            made += made_of("return", returned)
        elif not made and state.made:
            made = state.made[-1:]
        node = state.line
        if node.step.count == 1 or not node.step.made:
            node.step.made = made
        node.last = made
        state.names, state.now, state.made = names, None, []

    # ------------------------------------------------------------------ torch's side
    def _here(self) -> Node:  # pragma: no cover
        """The step that is running now."""
        if not self._stack:
            return self._root
        state = self._frames[self._stack[-1]]
        return state.line or state.node

    def _torch(self, function: Any, args: Sequence[Any], out: Any) -> None:  # pragma: no cover
        found = tensors_in(out)
        if not found:
            return
        name = getattr(function, "__name__", "")
        node = self._here()
        result = found[0]
        if isinstance(result, AnnotatedTensor):
            if self._stack and self._frames[self._stack[-1]].statements:
                self._frames[self._stack[-1]].made = made_of("", result)
            else:
                node = operation(node, _called(name), made_of("", out)) if name not in _OPENED else node
        if name.startswith("__") and name != "__getitem__":
            return
        if not isinstance(result, AnnotatedTensor):
            given = any(result is one for one in args)
            if not given and rule_of(function) is None and not name.endswith(_FRESH) and not packing():
                mark(node, f"names end here: there is no rule for {name}")
            return
        blank = sum(text.startswith("?") for text in made_of("", result)[0].text.strip("(,)").split(", "))
        if blank > blanks(args) and not node.step.mixed and not packing() and not name.endswith(_FRESH):
            mark(node, f"{_called(name)} makes an axis that no name is true of")

    def _scramble(self, scramble: Scramble) -> None:  # pragma: no cover
        mark(self._here(), Mixed(scramble))

    def _module(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # pragma: no cover
        if isinstance(module, torch.jit.ScriptModule):
            mark(self._here(), f"{self._names.get(id(module), 'a scripted module')} is scripted: not followed")
        if not isinstance(module, nn.RNNBase | nn.RNNCellBase):
            return
        follow = sys.gettrace()
        sys.settrace(None)  # what happens in here is none of the user's lines
        try:
            title, rows = opened(module, self._names.get(id(module), ""), args, kwargs, output)
        finally:
            sys.settrace(follow)
        parent = self._here()
        node = parent.inner.get(("layer", id(module)))
        if node is None:
            step = Step(parent.step.depth + 1, "", 0, title, 0, rows, kind="layer")
            node = parent.inner[("layer", id(module))] = Node(step)
        node.step.count += 1
        node.last = rows

    def _title(self, frame: FrameType) -> str:  # pragma: no cover
        """`encoder.forward(…)`: the submodule's name where the frame is a method of one."""
        owner = frame.f_locals.get("self")
        code = frame.f_code
        if isinstance(owner, nn.Module):
            name = self._names.get(id(owner), "")
            return f"{name}: {type(owner).__name__}.{code.co_name}".removeprefix(": ")
        return f"{getattr(code, 'co_qualname', code.co_name)}"


def _called(name: str) -> str:  # pragma: no cover
    return "indexing" if name == "__getitem__" else name
