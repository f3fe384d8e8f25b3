"""What `package.module:factory --input 64,28,28` means: somebody's model, and tensors to call it with."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_shapes.errors import ShapeError, SpecError

if TYPE_CHECKING:
    import torch


def load_model(target: str) -> Callable[..., Any]:
    """The model that `package.module:name` or `path/to/file.py:name` names: a module, or a call that makes one."""
    named = _named("the model", target)
    from torch import nn

    if isinstance(named, nn.Module):
        return named
    if not callable(named):
        raise SpecError("the model", "a torch module, or a class or function that makes one", type(named).__name__)
    try:
        made = named()
    except Exception as error:
        hint = f"{type(error).__name__}: {error}. A factory is called without arguments"
        raise SpecError("the model", f"made by {target}()", target, hint) from error
    if not callable(made):
        raise SpecError("the model", f"what {target}() returns, something that can be called", type(made).__name__)
    return made  # type: ignore[no-any-return]


def _named(what: str, target: str) -> Any:
    place, _, name = target.partition(":")
    if not place or not name:
        raise SpecError(what, "written as package.module:factory, or file.py:factory", target)
    try:
        value: Any = _module(place)
    except Exception as error:  # the user's module runs its own code, which may raise anything
        hint = f"{type(error).__name__}: {error}"
        raise SpecError(what, f"in a module that can be imported from here ({place})", target, hint) from error
    for part in name.split("."):
        if not hasattr(value, part):
            raise SpecError(what, f"a name in {place}", part, "Names are case-sensitive")
        value = getattr(value, part)
    return value


def load_loss(name: str | None) -> Callable[..., Any] | None:
    """The loss that a name of torch.nn.functional, `package.module:function` or `file.py:function` names."""
    if name is None:
        return None
    from torch.nn import functional

    named = _named("--loss", name) if ":" in name else getattr(functional, name, None)
    if isinstance(named, type):
        named = named()
    if not callable(named):
        raise SpecError("--loss", "a function of torch.nn.functional, or package.module:function", name)
    return named  # type: ignore[no-any-return]


def load_target(sizes: str | None, dtype: str, loss: str | None) -> torch.Tensor | None:
    """What the output is compared with: `64,1` is drawn from a normal distribution, `int:64` holds classes 0 and 1.

    For the binary cross entropies the numbers are 0.0 and 1.0.
    """
    if sizes is None:
        if loss is not None:
            raise SpecError("--loss", "given with --target, such as --target 64,1", loss)
        return None
    drawn = _tensor("--target", sizes, None, dtype, seed=1_000)
    return (drawn > 0).to(drawn.dtype) if loss is not None and loss.startswith("binary_cross") else drawn


def _module(place: str) -> Any:
    if place.endswith(".py"):
        from importlib.util import module_from_spec, spec_from_file_location

        path = Path(place)
        spec = spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise FileNotFoundError(f"no file {place}")
        module = module_from_spec(spec)
        sys.modules[path.stem] = module  # dataclasses and pickling look a class's module up there
        spec.loader.exec_module(module)
        return module
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(place)


def load_inputs(sizes: list[str], model: Any, dtype: str) -> tuple[torch.Tensor, ...]:
    """One tensor for each `--input`: `64,28,28` is drawn from a normal distribution, `int:64,28` holds tokens.

    Tokens stay below the smallest Embedding of the model.
    """
    if not sizes:
        raise ShapeError("--input", "given once for each argument of forward, such as --input 64,28,28")
    return tuple(_tensor("--input", text, model, dtype, seed=number) for number, text in enumerate(sizes))


def _tensor(option: str, text: str, model: Any, dtype: str, seed: int) -> torch.Tensor:
    import torch

    from lstm_shapes.lab._build import PLAIN, as_dtype, generator

    kind, _, numbers = text.rpartition(":")
    try:
        shape = tuple(int(number) for number in numbers.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1 or kind not in ("", "int", "float"):
        raise SpecError(option, "sizes of at least 1 such as 64,28,28, or int:64,28 for tokens", text)
    if kind != "int":
        return torch.randn(shape, generator=generator(seed), **PLAIN).to(as_dtype(dtype))
    tables = [m.num_embeddings for m in getattr(model, "modules", list)() if isinstance(m, torch.nn.Embedding)]
    return torch.randint(0, min(tables, default=2), shape, generator=generator(seed), device="cpu")


def load_lengths(rows: tuple[int, ...] | None) -> torch.Tensor | None:
    """The lengths as torch's own packing wants them."""
    import torch

    return None if rows is None else torch.tensor(rows, device="cpu")
