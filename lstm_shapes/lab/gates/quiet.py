"""quiet: a layer without what is random or somebody else's: no dropout, no hooks; the weights are shared."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lstm_shapes.lab.private import FLAT_WEIGHTS, HOOKS, PRE_HOOKS

__all__ = ["left_out", "make_weights", "quiet"]

# Hooks of torch's own that work the weights out before each call: without them a layer computes with old ones.
_MAKERS = (BasePruningMethod, SpectralNorm, WeightNorm)


def quiet(layer: nn.Module) -> Any:
    """The same layer in eval mode, with the hooks that make its weights and no others. The layer stays as it is."""
    twin: nn.Module = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__["training"] = False
    if hasattr(layer, FLAT_WEIGHTS):  # what a hook sets by name is entered there, too
        twin.__dict__[FLAT_WEIGHTS] = list(getattr(layer, FLAT_WEIGHTS))
    for name in HOOKS:
        twin.__dict__[name] = OrderedDict()
    makers = {key: hook for key, hook in getattr(layer, PRE_HOOKS).items() if isinstance(hook, _MAKERS)}
    twin.__dict__[PRE_HOOKS] = OrderedDict(makers)
    return twin


def make_weights(twin: nn.Module) -> None:
    """Let the hooks that make weights do so once more, in the grad mode there is."""
    for hook in getattr(twin, PRE_HOOKS).values():
        hook(twin, ())


def left_out(layer: nn.Module) -> int:
    """How many hooks of a layer `quiet` leaves out."""
    every = [hook for name in HOOKS for hook in getattr(layer, name).values()]
    return sum(not isinstance(hook, _MAKERS) for hook in every)
