"""What all tests share. Nothing here loads torch before a test asks for it: theory's tests run without."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.snapshot import Snapshot

pytest_plugins = ["pytester"]

if TYPE_CHECKING:
    import torch

# One thread a process: two test processes share two cores. torch reads it, here and in subprocesses.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is tested is the plain text; the terminal of whoever runs the tests must not change it.
for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR", "COLUMNS", "LINES"):
    os.environ.pop(name, None)

# Also its language.
os.environ["LSTM_SHAPES_LANG"] = "en"

# No deadlines: the first example pays for loading torch, and a busy machine is no bug.
settings.register_profile("local", deadline=None)
# Everyone's `make test` is the same run; `make fuzz` is where new seeds are drawn.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("fuzz", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# Whether a test fails is all that `make mutants` asks.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples=30, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-snapshots",
        action="store_true",
        help="write tests/snapshots again instead of comparing with it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the fixture `snapshot`, so that `make snapshots` need not run the rest."""
    for item in items:
        if "snapshot" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.snapshot)


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """`snapshot("name", text_or_renderable)` holds it against tests/snapshots/<path of the module>/name.txt."""
    return Snapshot(request.path, update=request.config.getoption("--update-snapshots"))


def _device(name: str) -> torch.device:
    import torch

    torch.set_num_threads(1)
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return torch.device(name)


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device that computes values."""
    return _device(request.param)


@pytest.fixture(params=["cpu", "meta", "cuda"])
def shape_device(request: pytest.FixtureRequest) -> torch.device:
    """Every device that has shapes: meta shows a tensor made on the wrong device without a GPU."""
    return _device(request.param)
