"""Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.

>>> import lstm_shapes as ls
>>> ls.predict(28, 256, 3, N=2, L=20).Y
(N=2, L=20, D=256)
>>> ls.count(28, 256, 3).total
1345536

Importing this module loads neither torch nor rich; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module

from .display import load_when_shown, loading

__version__ = "0.1.0"


# Public name -> the module that holds it, as the stub beside this file has them: type checkers read the same.
with open(f"{__path__[0]}/__init__.pyi", encoding="utf-8") as _stub:
    _HOMES = {name: home for _, home, _, name, *_ in (line.split() for line in _stub if line.startswith("from ."))}
__all__ = sorted(_HOMES)


def _views_without_torch() -> None:
    from ._views import checkpoint, explanation, pictures, predicted, quiz  # noqa: F401


def _views_of_tensors() -> None:
    from ._views import measured, programs  # noqa: F401


# Each registers the types that it draws. They are loaded when a result is first looked at.
load_when_shown(_views_without_torch, _views_of_tensors)


def load_ipython_extension(shell: object) -> None:
    """`%load_ext lstm_shapes`: exceptions are explained, as after `install()`."""
    from .lab.check.session import load_ipython_extension

    load_ipython_extension(shell)


def unload_ipython_extension(shell: object) -> None:
    """`%unload_ext lstm_shapes`."""
    from .lab.check.session import unload_ipython_extension

    unload_ipython_extension(shell)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with loading:
        value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
