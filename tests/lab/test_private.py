"""Every undocumented name of torch that the library uses, tried by what it is for; and none is used elsewhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import flop_registry

from lstm_shapes.lab import _private as private
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate

PACKAGE = Path(private.__file__).parents[1]


class Names(TorchFunctionMode):
    """Notes the name of every torch function that it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_without_subclasses_a_mode_is_asked_and_a_subclass_is_not() -> None:
    """A plain tensor comes out of an operation on a named one, and a recorder still sees the call."""
    x = annotate(torch.zeros(2, 3), "N L")
    with Names() as mode, private.without_subclasses():
        made = torch.sum(x, 0)
    assert mode.names == ["sum"]
    assert not hasattr(made, "_axes")
    assert isinstance(torch.sum(x, 0), AnnotatedTensor)


def test_without_functions_nobody_is_asked() -> None:
    """A mode does not see what is called inside."""
    with Names() as mode, private.without_functions():
        torch.zeros(2).sum()
    assert mode.names == []


def test_a_dispatch_mode_is_handed_operations_that_the_flop_registry_knows() -> None:
    """The key of torch's formulas is the operation without its overload, and the mode stands on torch's stack."""
    seen: list[Any] = []
    followed: list[bool] = []

    class Mode(private.DispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(private.operation_of(func))
            return func(*args, **(kwargs or {}))

    with Mode():
        followed.append(private.dispatch_is_followed())
        torch.zeros(2, 3) @ torch.zeros(3, 4)
    assert torch.ops.aten.mm in seen
    assert torch.ops.aten.mm in flop_registry
    assert (followed, private.dispatch_is_followed()) == ([True], False)


def test_the_hidden_functions_of_packing_are_there_and_recorded_by_these_names() -> None:
    """Two functions behind pack_padded_sequence and its like are called by names that readers of a trace look for."""
    with Names() as mode:
        padded, _ = pad_packed_sequence(pack_sequence([torch.ones(3, 2), torch.ones(2, 2)]))
    assert padded.shape == (3, 2, 2)
    for name in ("_pack_padded_sequence", "_pad_packed_sequence"):
        assert name in mode.names
        assert callable(getattr(private.FUNCTIONS, name))


def test_torch_tags_elementwise_operations() -> None:
    """The tags are read from the table of operators, more than a hundred, and they tell add from matmul."""
    names = private.pointwise_operators()
    assert {"add", "mul", "tanh", "sigmoid", "where"} <= names
    assert not {"matmul", "cat", "transpose", "lstm"} & names
    assert len(names) > 150


def test_a_backward_pass_is_noticed() -> None:
    """Inside a hook of autograd, and only there."""
    seen = []
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda grad: seen.append(private.in_backward()))
    x.sum().backward()
    assert (seen, private.in_backward()) == ([True], False)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_tracing_is_noticed() -> None:
    """While torch.jit.trace runs a function, and only there."""
    seen = []

    def function(x: Tensor) -> Tensor:
        seen.append(private.is_traced())
        return x + 1

    torch.jit.trace(function, (torch.zeros(2),), check_trace=False)
    assert (seen, private.is_traced()) == ([True], False)


def test_a_transform_is_noticed() -> None:
    """Inside vmap and grad, and only there."""
    seen = []

    def function(x: Tensor) -> Tensor:
        seen.append(private.in_transform())
        return x.sum()

    torch.func.vmap(function)(torch.zeros(2, 3))
    torch.func.grad(function)(torch.zeros(3))
    assert (seen, private.in_transform()) == ([True, True], False)


def test_code_is_kept_from_the_compiler() -> None:
    """A function that is marked is not compiled, one beside it is. Compilers are slow to load: in a process."""
    code = """
import torch, torch._dynamo
from lstm_shapes.lab._private import not_compiled
compiled = []
def backend(graph, inputs):
    compiled.append(graph)
    return graph.forward
def marked(x):
    return inner(x) + 1
def inner(x):
    return x * 2
def plain(x):
    return x * 3
not_compiled(marked.__code__)
x = torch.ones(2)
assert torch.equal(torch.compile(marked, backend=backend)(x), torch.full((2,), 3.0))
before = len(compiled)
torch.compile(plain, backend=backend)(x)
print(before, len(compiled))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_memory_has_a_number_and_writes_are_counted() -> None:
    """A view shares its base's number and another tensor does not; a write in place raises the version."""
    x = torch.zeros(4, 3)
    assert private.storage_of(x) == private.storage_of(x[1:]) != private.storage_of(x.clone())
    before = private.version_of(x)
    x[0] = 1
    assert before >= 0
    assert private.version_of(x) > before
    with torch.inference_mode():
        assert private.version_of(torch.zeros(2)) == -1


@pytest.mark.parametrize("module", [nn.LSTM(3, 4), nn.GRUCell(3, 4), nn.BatchNorm1d(3)], ids=["LSTM", "cell", "norm"])
def test_a_module_keeps_its_parts_under_these_names(module: nn.Module) -> None:
    """The tables of a module, its hooks, and the list of weights of a layer are attributes of these names."""
    assert set(private.MODULE_TABLES) <= set(vars(module))
    assert {private.BUFFERS, private.MODULES} <= set(private.MODULE_TABLES)
    assert vars(module)[private.BUFFERS].keys() == dict(module.named_buffers()).keys()
    assert {*private.HOOKS, private.PRE_HOOKS} <= set(vars(module))
    known = {name: len(vars(module)[name]) for name in private.HOOKS}
    module.register_forward_hook(lambda *_: None)
    module.register_forward_pre_hook(lambda *_: None)
    module.register_full_backward_hook(lambda *_: None)
    module.register_full_backward_pre_hook(lambda *_: None)
    assert {name: len(vars(module)[name]) for name in private.HOOKS} == {name: n + 1 for name, n in known.items()}
    if isinstance(module, nn.RNNBase):
        flat = getattr(module, private.FLAT_WEIGHTS)
        assert [id(weight) for weight in flat] == [id(weight) for weight in module.parameters()]


def frames_of(module: nn.Module, *inputs: Any, **kwargs: Any) -> list[FrameType]:
    """The frames in which a module is called and runs, from a hook on its first torch function."""
    frames: list[FrameType] = []

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            frame: FrameType | None = sys._getframe()
            while frame is not None and not frames:
                if frame.f_locals.get("self") is module and frame.f_code.co_name in ("_call_impl", "forward"):
                    while frame is not None and frame.f_code.co_name != "frames_of":
                        frames.append(frame)
                        frame = frame.f_back
                else:
                    frame = frame.f_back
            return func(*args, **(kwargs or {}))

    with Mode():
        module(*inputs, **kwargs)
    return frames


def test_the_call_of_a_module_is_a_frame_that_knows_its_keywords() -> None:
    """Global hooks are given positional arguments only; the frame that calls them holds the others."""
    frames: list[FrameType] = []

    def hook(module: nn.Module, args: Any) -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code is private.CALL_OF_MODULE:
                frames.append(frame)
            frame = frame.f_back

    x = torch.zeros(5, 2, 3)
    handle = nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        nn.LSTM(3, 4)(x, hx=None)
    finally:
        handle.remove()
    (frame,) = frames
    assert private.keywords_of_call(frame) == {"hx": None}
    assert frame.f_locals["args"][0] is x  # read by lab/check/raised.py


@pytest.mark.parametrize("layer", [nn.LSTM(3, 4), nn.GRU(3, 4), nn.RNN(3, 4), nn.LSTMCell(3, 4), nn.GRUCell(3, 4)])
def test_a_forward_knows_whether_x_has_a_batch_axis(layer: nn.Module) -> None:
    """The layer adds a batch axis before its kernel runs: only its forward still knows."""
    shape = (2, 3) if isinstance(layer, nn.RNNCellBase) else (5, 2, 3)
    for x, expected in ((torch.zeros(shape), False), (torch.zeros(shape[1:]), True)):
        forward = [frame for frame in frames_of(layer, x) if frame.f_code.co_name == "forward"]
        assert [private.saw_unbatched(frame) for frame in forward] == [expected]


def test_a_compiled_module_holds_what_it_was_made_of() -> None:
    """torch.compile wraps a module; a plain one was made of nothing."""
    layer = nn.Linear(2, 2)
    assert private.compiled_from(torch.compile(layer, backend="eager")) is layer
    assert private.compiled_from(layer) is None


# ---------------------------------------------------------------- nowhere else
# Underscores of Python's own that are meant to be used.
_PYTHONS = {"_getframe", "_replace", "_fields", "_option_string_actions"}
_STRINGS = {*private.MODULE_TABLES, *private.HOOKS, private.FLAT_WEIGHTS, "_orig_mod", "is_batched"} - {"training"}


def private_names(tree: ast.AST, own: set[str]) -> list[str]:
    """What a module names of torch that begins with an underscore, in code and in strings."""
    said = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            root = ast.unparse(node).partition(".")[0]
            if root == "torch" or node.attr not in own | _PYTHONS:
                said.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            words = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            said += [word for word in words if word.startswith("_")]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _STRINGS:
            said.append(repr(node.value))
    return said


def names_of_ours(trees: list[ast.Module]) -> set[str]:
    """Every name that this package gives something: functions, classes, variables and attributes of self."""
    own: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            own.add(node.attr)
    return own


def test_no_other_module_uses_what_is_private() -> None:
    """lab/_private.py is the list: whoever needs one more name of torch puts it there, with its test."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    own = names_of_ours(list(trees.values()))
    said = {path.name: private_names(tree, own) for path, tree in trees.items() if path.name != "_private.py"}
    # theory reads checkpoints, whose keys are text; it never loads torch.
    said = {name: names for name, names in said.items() if names and name not in ("spec.py", "checkpoint.py")}
    assert said == {}


@pytest.mark.parametrize(
    "code",
    [
        "torch._C.x()",
        "from torch._dynamo import x",
        "import torch\nlayer._flat_weights",
        "getattr(m, '_forward_hooks')",
    ],
)
def test_the_search_finds_what_is_private(code: str) -> None:
    """The test above can fail."""
    assert private_names(ast.parse(code), {"own"})


def test_each_name_has_a_test() -> None:
    """Every name of the list is tried in this file."""
    tree = ast.parse(Path(private.__file__).read_text(encoding="utf-8"))
    names = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    names = {name for name in names if hasattr(private, name)}
    names |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    text = Path(__file__).read_text(encoding="utf-8")
    assert len(names) > 20
    assert [name for name in sorted(names) if f"private.{name}" not in text and f"import {name}" not in text] == []


def test_a_release_without_a_name_says_which() -> None:
    """Where torch has lost a name the import fails with it: no half of the library runs on."""
    code = "import torch; del torch._C._VariableFunctions; import lstm_shapes.lab._private"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert "_VariableFunctions" in done.stderr
