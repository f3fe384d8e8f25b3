"""Everything of torch that is used here and not documented there, in one place.

A release of torch may take any of it away. `tests/lab/test_private.py` tries each name by what it is for, so that a
release without it fails there, by name; and it finds a private name that is used anywhere else.
"""

from __future__ import annotations

from functools import cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# ---------------------------------------------------------------- following what torch does
# Inside, no tensor subclass is asked what a function does, and function modes still are.
without_subclasses = torch._C.DisableTorchFunctionSubclass
# Inside, neither is asked.
without_functions = torch._C.DisableTorchFunction
# Hands every operation over, below autograd: the flop counter of torch is one.
DispatchMode = TorchDispatchMode
# Where functions live that torch's own Python calls and does not show: _pack_padded_sequence above all.
FUNCTIONS: Any = torch._C._VariableFunctions


def operation_of(function: Any) -> Any:
    """The operation whose overload a dispatch mode was handed: the key of `flop_registry`."""
    return function._overloadpacket


@cache
def pointwise_operators() -> frozenset[str]:
    """The names of the operations that torch tags as elementwise.

    Asking `torch.ops.aten` for each loads every operator, which takes a second; its table is read instead.
    """
    names = set()
    for operator in torch._C._dispatch_get_all_op_names():
        space, _, name = operator.partition("::")
        name, _, overload = name.partition(".")
        known = torch._C._get_operation_overload(operator.partition(".")[0], overload) if space == "aten" else None
        if known is not None and torch.Tag.pointwise in known[2]:
            names.add(name.strip("_"))
    return frozenset(names)


# ---------------------------------------------------------------- where a program is
def in_backward() -> bool:
    """Whether autograd is at work in this thread: a checkpoint that recomputes its forward."""
    return torch._C._current_graph_task_id() != -1


def is_traced() -> bool:
    """Whether torch.jit.trace is writing down what is called."""
    return torch._C._get_tracing_state() is not None


def in_transform() -> bool:
    """Whether a transform of torch.func (vmap, grad) runs."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def dispatch_is_followed() -> bool:
    """Whether a dispatch mode sees every operation."""
    return torch._C._len_torch_dispatch_stack() > 0


def not_compiled(code: CodeType) -> None:
    """torch.compile does not begin at this code nor at what it calls, and may still follow it on its way.

    `torch.compiler.disable` would forbid both, and load the compiler; this is what it is made of.
    """
    frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    if frames is not None:  # a torch without a compiler compiles nothing
        skip = frames._FrameAction.SKIP
        frames.set_code_exec_strategy(code, frames._FrameExecStrategy(skip, skip))


# ---------------------------------------------------------------- tensors
def storage_of(tensor: Tensor) -> int:
    """A number for the memory that a tensor lies in; one of its own where it has none (sparse, meta)."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError, AttributeError):
        return -id(tensor)


def version_of(tensor: Tensor) -> int:
    """How often its elements were written in place; -1 where torch does not count (inference mode)."""
    try:
        return int(tensor._version)
    except (RuntimeError, AttributeError):
        return -1


# ---------------------------------------------------------------- modules
# Where a module keeps what is in it.
BUFFERS, MODULES = "_buffers", "_modules"
MODULE_TABLES = ("_parameters", BUFFERS, MODULES, "training")
# Where it keeps its hooks.
PRE_HOOKS = "_forward_pre_hooks"
HOOKS = ("_forward_hooks", PRE_HOOKS, "_backward_hooks", "_backward_pre_hooks")
# The list that a recurrent layer hands to its kernel.
FLAT_WEIGHTS = "_flat_weights"
# What runs a module's hooks and its forward: one frame of it for each module that is being called.
CALL_OF_MODULE: CodeType = nn.Module._call_impl.__code__


def keywords_of_call(frame: FrameType) -> dict[str, Any]:
    """What a module is called with by name, of a frame of CALL_OF_MODULE: global hooks are not given it."""
    return dict(frame.f_locals.get("kwargs") or {})


def saw_unbatched(frame: FrameType) -> bool:
    """Whether the forward of a recurrent layer, of which this is the frame, was given an x without a batch axis."""
    return frame.f_locals.get("is_batched") is False


def compiled_from(model: Any) -> Any:
    """The module or function that torch.compile was given, None where nothing was compiled."""
    return getattr(model, "_orig_mod", None)
