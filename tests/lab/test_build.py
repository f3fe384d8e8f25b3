"""build makes torch's own layer, the same on every device, and refuses what cannot be."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from torch import nn

from lstm_shapes import Spec, build
from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab._build import as_device, as_dtype, bytes_of_call, generator, require_memory
from lstm_shapes.theory.call import DTYPES, Call
from lstm_shapes.theory.counts import Counts
from tests.strategies import cases, dropping_specs, specs


@given(dropping_specs())
def test_build_and_spec_of_are_inverse(spec: Spec) -> None:
    """The layer has every field that was asked for."""
    assert Spec.of(build(spec, device="meta")) == spec


@given(specs())
def test_it_is_a_plain_torch_layer(spec: Spec) -> None:
    """Of torch's own class, in train mode, every weight trainable, finite, and within ±1/√D."""
    layer = build(spec)
    assert type(layer) is getattr(nn, spec.cell)
    assert layer.training
    for parameter in layer.parameters():
        assert parameter.requires_grad
        assert parameter.is_leaf
        assert parameter.abs().max() <= spec.D**-0.5


def test_weights_are_spread_over_their_range(device: torch.device) -> None:
    """Uniform in (-1/√D, 1/√D): what torch's own constructor draws."""
    weight = dict(build(28, 256, device=device).named_parameters())["weight_hh_l0"]
    assert weight.std().item() == pytest.approx(256**-0.5 / 3**0.5, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)


def test_weights_follow_from_the_seed(device: torch.device) -> None:
    """The same seed gives the same numbers on every device; another seed others."""
    here, there, other = build(7, 5, 2, device=device), build(7, 5, 2), build(7, 5, 2, seed=1)
    for a, b, c in zip(here.parameters(), there.parameters(), other.parameters(), strict=True):
        assert a.device.type == device.type
        assert torch.equal(a.cpu(), b)
        assert not torch.equal(b, c)


def test_cuda_weights_are_one_block(device: torch.device) -> None:
    """No warning about weights that are not contiguous, which tests turn into an error."""
    build(7, 5, 2, device=device)(torch.zeros(2, 3, 7, device=device))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype(dtype: str, shape_device: torch.device) -> None:
    """By torch's name or as torch's value."""
    for given_ in (dtype, getattr(torch, dtype)):
        layer = build(7, 5, device=shape_device, dtype=given_)
        assert {p.dtype for p in layer.parameters()} == {getattr(torch, dtype)}
        assert {p.device.type for p in layer.parameters()} == {shape_device.type}


def test_useless_dropout_does_not_warn() -> None:
    """torch warns that one layer has no dropout; here a note says it. The attribute stays what was asked for."""
    assert build(7, 5, dropout=0.5).dropout == 0.5


def test_a_giant_is_built_on_meta() -> None:
    """275 billion parameters in no memory at all."""
    layer = build(65_536, 65_536, 8, device="meta")
    assert sum(p.numel() for p in layer.parameters()) == 274_882_101_248


def test_a_giant_is_refused_elsewhere(device: torch.device) -> None:
    """Before anything is allocated, with what still works."""
    with pytest.raises(ShapeError, match=r"must be within the .* GiB of .*got '1,024.0 GiB'. predict, count"):
        build(65_536, 65_536, 8, device=device)


def test_memory_that_nobody_can_tell_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without sysconf, and on a device of another kind, we ask nothing."""
    require_memory(2**80, torch.device("meta"), "It")

    def absent(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", absent)
    require_memory(2**80, torch.device("cpu"), "It")


def test_cuda_memory_is_the_cards_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is what the card reports."""
    from types import SimpleNamespace

    card = SimpleNamespace(total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    with pytest.raises(ShapeError, match=r"within the 1.0 GiB of cuda:0, got '2.0 GiB'"):
        require_memory(2**31, torch.device("cuda:0"), "It")


@pytest.mark.parametrize("device", ["cuda:99", "mps:9", "xla", "mkldnn"])
@pytest.mark.filterwarnings("ignore:'mkldnn' is no longer used")
def test_a_device_that_is_not_here(device: str) -> None:
    """torch knows it, this machine or this build of torch has none."""
    with pytest.raises(SpecError, match=rf"^device must be a device of this machine, got '{device}'"):
        build(7, 5, device=device)


@pytest.mark.parametrize("device", ["gpu", "", None, 3.5, []], ids=repr)
def test_a_device_that_does_not_exist(device: Any) -> None:
    """The message lists the usual ones."""
    with pytest.raises(SpecError, match=r"^device must be one of cpu, cuda, cuda:0, mps or meta"):
        as_device(device)


def test_a_device_has_the_index_of_its_tensors(shape_device: torch.device) -> None:
    """`cpu:0` and `cuda` are the device that a tensor there reports, so that comparing them works."""
    assert as_device(shape_device) == torch.empty(0, device=shape_device).device
    assert as_device("cpu:0") == torch.empty(0).device


@pytest.mark.parametrize("seed", [True, 1.0, "1", None, -1, 2**64], ids=repr)
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    """torch would take some of these, and fail on others in its own words."""
    with pytest.raises(SpecError, match=r"^seed must be a whole number"):
        generator(seed)


def test_as_dtype_refuses_integers() -> None:
    """Recurrent layers compute in floating point."""
    with pytest.raises(SpecError, match=r"^dtype must be one of float16"):
        as_dtype("int32")


@pytest.mark.parametrize("fields", [{"proj_size": 300}, {"cell": "lstm"}, {"num_layer": 2}, {"dropout": 2.0}], ids=str)
def test_bad_fields_are_spec_errors(fields: dict[str, Any]) -> None:
    """The same rules as everywhere."""
    with pytest.raises(SpecError, match="must be"):
        build(28, 256, **fields)


@given(cases())
def test_bytes_of_call_is_a_lower_bound(case: tuple[Spec, Call]) -> None:
    """X, Y and the states before and after, as torch would allocate them."""
    spec, call = case
    from lstm_shapes import run

    made = run(spec, N=call.N, L=call.L, lengths=call.lengths)
    real = sum(tensor.plain().nbytes for tensor in made.tensors.values())
    bound = bytes_of_call(spec, call, "float32")
    # A cell's Y is its hn: the bound counts it once more.
    assert real <= bound <= real + 4 * spec.H * (call.N or 1) * (made.Y is None)


def test_counts_guard_the_same_bytes() -> None:
    """What is refused is what count says."""
    layer = build(7, 5, 2, dtype="float64")
    assert Counts(Spec(7, 5, 2), None, "float64").bytes == sum(p.nbytes for p in layer.parameters())


SWITCHES = """
import torch
from types import SimpleNamespace
from lstm_shapes.lab._build import precision_of
cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
def precision(dtype=torch.float32, device="cuda"):
    return precision_of(SimpleNamespace(dtype=dtype, device=torch.device(device)))
assert precision() == "tf32"  # torch's default, for cuDNN
assert precision(torch.bfloat16) == "bfloat16" and precision(device="cpu") == "float32"
cudnn.allow_tf32 = False
assert precision() == "float32 on cuda"
matmul.allow_tf32 = True
assert precision() == "tf32"  # cells are matrix products
matmul.allow_tf32 = False
if hasattr(cudnn, "rnn"):
    cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = "ieee", "tf32"
    assert precision() == "tf32"
    cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = "tf32", "ieee"
    assert precision() == "float32 on cuda"  # torch.backends.cudnn.allow_tf32 raises here
"""


def test_tf32_is_a_precision_of_its_own() -> None:
    """float32 on CUDA while either switch allows TF32, the old switches or the new ones."""
    subprocess.run([sys.executable, "-W", "error", "-c", SWITCHES], check=True)
