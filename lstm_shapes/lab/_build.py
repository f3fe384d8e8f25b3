"""build: a plain torch layer from a Spec, with weights that follow from the seed alone."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast, overload

import torch
from torch import nn

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory._given import Built, Given, LayerBuilt, takes
from lstm_shapes.theory.call import DTYPES, Call, dtype_name, kind_of
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Source, Spec, whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Named wherever numbers are drawn: the caller may have set another device or dtype for all of torch.
PLAIN: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}


@overload
def build(
    Q: int = ..., D: int = ..., K: int = 1, batch_first: bool = True, **words: Unpack[LayerBuilt]
) -> nn.RNNBase | nn.RNNCellBase: ...
@overload
def build(source: Source, /, *, layer: str = "", **words: Unpack[Built]) -> nn.RNNBase | nn.RNNCellBase: ...
@takes(LayerBuilt)
def build(given: Given) -> nn.RNNBase | nn.RNNCellBase:
    """A plain `torch.nn` layer: weights uniform in (-1/√D, 1/√D), as torch initialises them.

    The weights follow from `seed` and are the same on every device; torch's global random state is neither
    read nor moved. On the meta device the layer has shapes and no numbers.

    Args: those of a layer, as help(build) lists them
        device: where the weights are: cpu unless given, cuda, meta, …
        seed: what the weights are drawn from

    >>> build(28, 256, 3)
    LSTM(28, 256, num_layers=3, batch_first=True)

    Raises: SpecError; ShapeError where the weights exceed the memory of this machine.
    Source: `RNNBase.reset_parameters` in torch/nn/modules/rnn.py.
    """
    return new_layer(given.spec, "cpu" if given.device is None else given.device, given.precision, given.seed)


def new_layer(spec: Spec, device: Any, dtype: Any, seed: int = 0) -> nn.RNNBase | nn.RNNCellBase:
    where, kind = as_device(device), as_dtype(dtype)
    require_memory(Counts(spec, None, dtype_name(dtype)).bytes, where, f"The weights of {spec!r}")
    torch_class = getattr(nn, spec.cell)
    # On meta the constructor's own initialisation draws nothing, so the global random state stays put.
    layer: nn.RNNBase | nn.RNNCellBase = torch_class(**spec.arguments, device="meta", dtype=kind)
    if isinstance(layer, nn.RNNBase):
        layer.dropout = spec.dropout
    if where.type == "meta":
        return layer
    allocate(layer, where)
    numbers, bound = generator(seed), float(spec.D) ** -0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            drawn = torch.empty(parameter.shape, **PLAIN).uniform_(-bound, bound, generator=numbers)
            parameter.copy_(drawn)
    if isinstance(layer, nn.RNNBase):
        layer.flatten_parameters()  # one block for cuDNN, which else warns at every call; nothing on the CPU
    return layer


def allocate(layer: nn.Module, device: torch.device) -> None:
    """Give a layer that was made on meta its memory, all zeros; `to_empty` would load torch's compiler."""
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(torch.zeros(parameter.shape, dtype=parameter.dtype, device=device)))


def generator(seed: int) -> torch.Generator:
    """A private source of random numbers, on the CPU so that every device gets the same ones."""
    return torch.Generator("cpu").manual_seed(whole("seed", seed, at_least=0))


def as_device(device: Any) -> torch.device:
    """The device, present on this machine, with the index that its tensors have."""
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        raise SpecError("device", "one of cpu, cuda, cuda:0, mps or meta", device) from None
    if place.type in ("cpu", "meta"):
        return torch.device(place.type)
    try:
        # What a build of torch without this device raises differs from device to device.
        return torch.empty(0, device=place).device
    except Exception:
        hint = f"torch sees {torch.cuda.device_count()} CUDA devices here; leave device out for the CPU"
        raise SpecError("device", "a device of this machine", str(device), hint) from None


def as_dtype(dtype: Any) -> torch.dtype:
    return cast(torch.dtype, getattr(torch, dtype_name(dtype)))


def precision_of(tensor: torch.Tensor) -> str:
    """The row of `theory.laws.TOLERANCES` for what a layer on this tensor's device makes of its dtype.

    >>> precision_of(torch.zeros(1))
    'float32'
    """
    name = kind_of(tensor.dtype)
    if name != "float32" or tensor.device.type != "cuda":
        return name
    # cuDNN's layers, or the matrix products of cells, may multiply with TF32's 10 bits of mantissa.
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if hasattr(cudnn, "rnn"):  # since torch 2.9; where one of these was set, allow_tf32 raises
        tf32 = "tf32" in (getattr(switch, "fp32_precision", "") for switch in (cudnn.rnn, matmul))
    else:
        tf32 = cudnn.allow_tf32 or matmul.allow_tf32
    return "tf32" if tf32 else "float32 on cuda"


def require_memory(needed: int, device: torch.device, what: str) -> None:
    """Refuse more than the memory there is before it is allocated: the system may end the process without a message."""
    limit = None
    if device.type == "cuda":
        limit = torch.cuda.get_device_properties(device).total_memory
    elif device.type == "cpu":
        with suppress(AttributeError, ValueError, OSError):  # not a POSIX system: the size is unknown
            limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if limit is not None and needed > limit:
        raise ShapeError(
            what,
            f"within the {limit / 2**30:,.1f} GiB of {device}",
            got=f"{needed / 2**30:,.1f} GiB",
            hint="predict, count and explain need no memory for it, and device='meta' builds it without numbers",
        )


def bytes_of_call(spec: Spec, call: Call, dtype: str) -> int:
    """A lower bound for what one call keeps alive: X, Y and the states before and after."""
    return DTYPES[dtype] * sum(math.prod(axes.sizes) for axes in Prediction(spec, call).tensors.values())
