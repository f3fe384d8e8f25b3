"""The promises that the project makes about itself."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_shapes
from tests.circles import circles, imports, named_in_strings

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


def test_public_names_are_those_of_the_stub() -> None:
    """What type checkers see is what there is: `__all__` is sorted, has no doubles, and each name in it exists."""
    names = lstm_shapes.__all__
    assert list(names) == sorted(set(names))
    for name in names:
        assert getattr(lstm_shapes, name) is not None
        assert name in dir(lstm_shapes)
    stub = ast.parse((ROOT / "lstm_shapes" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = [alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    declared = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    declared |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert sorted(name for name in imported if name) == names
    assert all(hasattr(lstm_shapes, name) for name in declared)


def test_public_names_are_those_of_the_design() -> None:
    """Results are imported from their modules; what IPython calls is there and not listed."""
    calls = "explain predict count laws prove build run gates walk check watch install uninstall picture annotate quiz"
    types = "AnnotatedTensor Spec LstmShapesError ScrambledAxesWarning ShapeError SpecError"
    assert set(lstm_shapes.__all__) == {*calls.split(), *types.split()}
    assert callable(lstm_shapes.load_ipython_extension)


def test_public_names_are_documented() -> None:
    """Every public name has a docstring."""
    assert [name for name in lstm_shapes.__all__ if not getattr(lstm_shapes, name).__doc__] == []


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails like in any module."""
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        _ = lstm_shapes.predikt  # type: ignore[attr-defined]


def test_version_is_the_installed_one() -> None:
    """`__version__` and the package's metadata agree, and the changelog says when it was released."""
    assert lstm_shapes.__version__ == importlib.metadata.version("lstm-shapes")
    released = re.escape(f"## [{lstm_shapes.__version__}] - ") + r"\d{4}-\d{2}-\d{2}$"
    assert re.search(released, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


KNOWN_STRINGS = {
    "lstm_shapes",  # the table of public names
    "lstm_shapes.lab._target",  # the user's own model
}


def test_no_circle_of_imports() -> None:
    """Modules that need each other are one module, or a third is missing."""
    assert circles(imports(ROOT / "lstm_shapes")) == set()


def test_no_module_is_named_in_a_string() -> None:
    """An arrow that no tool sees is one that nobody draws."""
    assert named_in_strings(ROOT / "lstm_shapes") == KNOWN_STRINGS


def test_circles_are_found_wherever_they_hide(tmp_path: Path) -> None:
    """In a function, for type checkers only, through a package, over three modules; what only points there is none."""
    files = {
        "__init__": "from importlib import import_module\ndef f(): import_module('.a', __name__)",
        "a": "def f():\n    from .b import x",
        "b": "if TYPE_CHECKING:\n    from . import c",
        "c": "import rooms.a",
        "d": "from rooms.a import x\nimport_module('json')",
        "inner/__init__": "from .. import e\nfrom ..e import x",
        "inner/deep": "from ...rooms import d",
        "e": "from .inner import deep, name\nimport importlib\nimportlib.import_module(name)",
    }
    for name, code in files.items():
        file = tmp_path / "rooms" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    graph = imports(tmp_path / "rooms")
    assert graph["rooms.e"] == {"rooms.inner", "rooms.inner.deep"}
    assert circles(graph) == {
        frozenset({"rooms.a", "rooms.b", "rooms.c"}),
        frozenset({"rooms.e", "rooms.inner"}),
    }
    assert named_in_strings(tmp_path / "rooms") == {"rooms", "rooms.e"}


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
