"""Loading a state_dict: what a model refuses, and what strict=False passes over without a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import wraps
from traceback import walk_tb
from typing import Any, ClassVar

from torch import nn

from lstm_shapes.lab.checkpoint import compare, loaded
from lstm_shapes.lab.trace import Where, here, raised_at
from lstm_shapes.theory.spec import find_layers

from .report import RULES, Finding


class Loading:
    """Context manager that sees every call of `nn.Module.load_state_dict` in this thread; `findings` are what it says.

    torch has hooks for the loading of one module and none for that of all, so the method is replaced, here and
    nowhere else: by the first that is entered, and put back by the last.
    """

    open: ClassVar[list[Loading]] = []
    lock, inside = threading.Lock(), threading.local()
    torchs: ClassVar[Callable[..., Any]]
    ours: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.thread = 0

    def __enter__(self) -> Loading:
        self.thread = threading.get_ident()
        with Loading.lock:
            Loading.open.append(self)
            if len(Loading.open) == 1:
                Loading.torchs = nn.Module.load_state_dict
                nn.Module.load_state_dict = Loading.ours = _seen(Loading.torchs)  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        with Loading.lock:
            Loading.open.remove(self)
            if not Loading.open and nn.Module.load_state_dict is Loading.ours:
                nn.Module.load_state_dict = Loading.torchs  # type: ignore[method-assign]


def _seen(original: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which tells every `Loading` of its thread what there is to say."""

    @wraps(original)
    def load_state_dict(module: nn.Module, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        seeing = [one for one in tuple(Loading.open) if one.thread == threading.get_ident()]
        if not seeing or getattr(Loading.inside, "now", False):
            return original(module, state_dict, *args, **kwargs)
        said: Finding | None = None
        Loading.inside.now = True
        try:
            result = original(module, state_dict, *args, **kwargs)
            if not kwargs.get("strict", args[0] if args else True):
                said = _passed_over(state_dict, module, here())
        except Exception as error:
            said = explain_load_error(error)
            raise
        finally:
            Loading.inside.now = False
            for one in seeing:
                one.findings += [said] if said is not None else []
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
    where, title = raised_at(error.__traceback__), "the file does not fit the model"
    return _finding("LS114", title, state, module.state_dict(), where, cause=error)


def _passed_over(state: Mapping[str, Any], module: nn.Module, where: Where | None) -> Finding | None:
    """Recurrent weights that strict=False left as they were."""
    model = module.state_dict()
    count, total = loaded(state, model)
    if count == total or (not find_layers(state) and any(key in model for key in state)):
        return None  # all of it, or a file that has none and is loaded for the rest
    level, part = ("warning", "the recurrent layers were loaded in part") if count else ("error", "")
    nothing = part or "nothing of the recurrent layers was loaded"
    title = f"{nothing}: {count} of {total} weights, and strict=False says nothing of it"
    return _finding("LS215", title, state, model, where, level=level)


def _finding(
    code: str, title: str, state: Mapping[str, Any], model: Mapping[str, Any], where: Where | None, **more: Any
) -> Finding | None:
    """What does not fit, with the first two things that mend it; None for a model without a recurrent layer."""
    mismatches = compare(state, model) if find_layers(model) else ()
    if not mismatches:
        return None
    fixes: list[str] = []  # one change of keys often mends all layers; each layer of other sizes is built anew
    for one in mismatches:
        fix = f"model.load_state_dict({one.fix}), with saved as the file's state_dict"
        if one.kind == "sizes" and one.model is not None:
            fix = f"build {one.model.prefix or 'the layer'} as {one.fix}, and the other layers as the file has them"
        fixes += [fix] if one.fix and fix not in fixes else []
    inner = next((key for key, value in state.items() if isinstance(value, Mapping) and find_layers(value)), None)
    if inner is not None:
        fixes = [f"load saved[{inner!r}]: the weights lie one level deeper in the file"]
    measured = " ".join(one.message for one in mismatches[:3])
    return RULES[code].finding(title, measured, "; or ".join(fixes[:2]), where, **more)
