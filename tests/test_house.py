"""The promises that the project makes about itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_shapes

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "lstm_shapes").rglob("*.py"))


def run_python(code: str) -> str:
    """The output of a fresh interpreter, which has loaded nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def heavy_after(code: str) -> set[str]:
    """Which of the slow libraries are loaded once this code has run."""
    loaded = run_python(f"import sys\n{code}\nprint(*({{'torch', 'torchinfo', 'rich', 'numpy'}} & set(sys.modules)))")
    return set(loaded.splitlines()[-1].split()) if loaded else set()


def test_import_loads_nothing_heavy() -> None:
    """`import lstm_shapes` loads no torch and not even rich."""
    assert heavy_after("import lstm_shapes") == set()


def test_prediction_loads_no_torch() -> None:
    """Predicting and counting, is arithmetic: torch stays where it is."""
    code = "import lstm_shapes as ls; ls.predict(28, 256, 3, N=2, L=20); ls.count(28, 256, 3)"
    assert "torch" not in heavy_after(code)


def test_the_probe_sees_torch() -> None:
    """The two tests above can fail: the same probe reports torch where it is loaded."""
    assert "torch" in heavy_after("import torch")


def test_public_names_are_sorted_and_resolve() -> None:
    """`__all__` is sorted, has no doubles, and each name in it exists and shows up in dir()."""
    names = lstm_shapes.__all__
    assert list(names) == sorted(set(names))
    for name in names:
        assert getattr(lstm_shapes, name) is not None
        assert name in dir(lstm_shapes)


def test_public_names_are_documented() -> None:
    """Every public name has a docstring."""
    assert [name for name in lstm_shapes.__all__ if not getattr(lstm_shapes, name).__doc__] == []


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails like in any module."""
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        _ = lstm_shapes.predikt


def test_version_is_the_installed_one() -> None:
    """`__version__` and the package's metadata agree."""
    assert lstm_shapes.__version__ == importlib.metadata.version("lstm-shapes")


def test_no_file_is_over_300_lines() -> None:
    """A file holds one idea."""
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert len(lines) == len(SOURCES)
    assert {name: count for name, count in lines.items() if count > 300} == {}


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a docstring: reading the folders explains the library."""
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_package_is_typed() -> None:
    """The types reach those who install the package."""
    assert (ROOT / "lstm_shapes" / "py.typed").exists()


def test_runtime_dependencies_are_four() -> None:
    """torch, torchinfo, rich and numpy, and no others."""
    listed = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    assert listed
    assert re.findall(r'^ *"([\w-]+)', listed[1], re.MULTILINE) == ["torch", "torchinfo", "rich", "numpy"]


def test_constraints_pin_torch_and_hold_no_addresses() -> None:
    """Everyone's test run uses the same torch, from whatever index they have."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert [line for line in pins if "==" not in line or "/" in line or "@" in line] == []


def test_layers_hold() -> None:
    """errors <- theory <- lab, views <- explain <- cli, as the contracts in pyproject.toml say."""
    linter = importlib.import_module("importlinter.cli")
    assert linter.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0
