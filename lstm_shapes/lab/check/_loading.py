"""Loading a state_dict: what a model refuses, and what strict=False passes over without a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from traceback import walk_tb
from types import TracebackType
from typing import Any

from torch import nn

from lstm_shapes.lab.checkpoint import Mismatch, compare, loaded
from lstm_shapes.lab.trace import Where, here, raised_at
from lstm_shapes.theory.spec import find_layers

from .report import Finding
from .rule import RULES


class Loading:
    """Context manager that sees every call of `nn.Module.load_state_dict` in this thread; `findings` are what it says.

    torch has hooks for the loading of one module and none for that of all, so the method is replaced, here and
    nowhere else: by the first that is entered, and put back by the last.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.thread = 0

    def __enter__(self) -> Loading:
        self.thread = threading.get_ident()
        with _METHOD.lock:
            _METHOD.open.append(self)
            if len(_METHOD.open) == 1:
                _METHOD.original = nn.Module.load_state_dict
                _METHOD.ours = nn.Module.load_state_dict = _seen(_METHOD.original)  # type: ignore[method-assign]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _METHOD.lock:
            _METHOD.open.remove(self)
            if not _METHOD.open and nn.Module.load_state_dict is _METHOD.ours:
                nn.Module.load_state_dict = _METHOD.original  # type: ignore[method-assign]


class _Method:
    """torch's method, what stands in its place, and who sees the calls."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), threading.local()
        self.open: list[Loading] = []
        self.original: Callable[..., Any] = nn.Module.load_state_dict
        self.ours: Callable[..., Any] = self.original


_METHOD = _Method()


def _seen(original: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which tells every `Loading` of its thread what there is to say."""

    def load_state_dict(module: nn.Module, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        seeing = [one for one in tuple(_METHOD.open) if one.thread == threading.get_ident()]
        if not seeing or getattr(_METHOD.inside, "now", False):
            return original(module, state_dict, *args, **kwargs)
        said: list[Finding] = []
        _METHOD.inside.now = True
        try:
            result = original(module, state_dict, *args, **kwargs)
            if not kwargs.get("strict", args[0] if args else True):
                said += _passed_over(state_dict, module, here())
        except Exception as error:
            said += filter(None, [explain_load_error(error)])
            raise
        finally:
            _METHOD.inside.now = False
            for one in seeing:
                one.findings += said
        return result

    return load_state_dict


def explain_load_error(error: BaseException) -> Finding | None:
    """What `load_state_dict` refused of recurrent layers, read from the exception's own frames; None for others."""
    given: dict[str, Any] = {}
    for frame, _ in walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_name == "load_state_dict" and code.co_filename.replace("\\", "/").endswith("nn/modules/module.py"):
            given = frame.f_locals
    module, state = given.get("self"), given.get("state_dict")
    if not isinstance(module, nn.Module) or not isinstance(state, Mapping):
        return None
    model = module.state_dict()
    mismatches = compare(state, model) if find_layers(model) else ()
    where, title = raised_at(error.__traceback__), "the file does not fit the model"
    return _finding("LS114", title, mismatches, state, where, cause=error) if mismatches else None


def _passed_over(state: Mapping[str, Any], module: nn.Module, where: Where | None) -> Iterator[Finding]:
    """Recurrent weights that strict=False left as they were."""
    model = module.state_dict()
    count, total = loaded(state, model)
    if count == total or (not find_layers(state) and any(key in model for key in state)):
        return  # all of it, or a file that has none and is loaded for the rest
    level, part = ("warning", "the recurrent layers were loaded in part") if count else ("error", "")
    nothing = part or "nothing of the recurrent layers was loaded"
    title = f"{nothing}: {count} of {total} weights, and strict=False says nothing of it"
    yield _finding("LS215", title, compare(state, model), state, where, level=level)


def _finding(
    code: str, title: str, mismatches: tuple[Mismatch, ...], state: Mapping[str, Any], where: Where | None, **more: Any
) -> Finding:
    # One change of keys often mends all layers; each layer of other sizes is built anew.
    fixes = list(dict.fromkeys(_fix(one) for one in mismatches if one.fix))
    inner = next((key for key, value in state.items() if isinstance(value, Mapping) and find_layers(value)), None)
    if inner is not None:
        fixes = [f"load saved[{inner!r}]: the weights lie one level deeper in the file"]
    measured = " ".join(one.message for one in mismatches[:3])
    return RULES[code].finding(title, measured, "; or ".join(fixes[:2]), where, **more)


def _fix(one: Mismatch) -> str:
    if one.kind == "sizes" and one.model is not None:
        return f"build {one.model.prefix or 'the layer'} as {one.fix}, and the other layers as the file has them"
    return f"model.load_state_dict({one.fix}), with saved as the file's state_dict"
