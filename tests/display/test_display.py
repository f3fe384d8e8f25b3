"""Every result shows itself: coloured on a terminal that wants it, plain elsewhere."""

from __future__ import annotations

import io
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import nn

import lstm_shapes
from lstm_shapes import Spec, check, count, explain, gates, laws, picture, predict, prove, run, walk
from lstm_shapes.display import Drawn, Several, Shown, as_text, view
from lstm_shapes.theory.counts import Counts

ESCAPE = re.compile("\x1b")

RESULTS: dict[str, Callable[[], Any]] = {
    "Counts": lambda: count(28, 256, 3, N=2, L=20),
    "Prediction": lambda: predict(28, 256, 3),
    "Explanation": lambda: explain(28, 256, 3, proof=False),
    "Run": lambda: run(7, 5, 2),
    "Proof": lambda: prove(7, 5, 2, N=3, L=4),
    "Picture": lambda: picture(7, 5, 2, N=3, L=4),
    "GateTrace": lambda: gates(nn.LSTM(7, 5, 2), torch.ones(4, 3, 7)),
    "CellTrace": lambda: gates(nn.LSTM(7, 5, 2), torch.ones(4, 3, 7))[1],
    "GateStep": lambda: gates(nn.LSTM(7, 5, 2), torch.ones(4, 3, 7)).step(t=1),
    "Feedback": lambda: gates(nn.LSTM(7, 5, 2), torch.ones(4, 3, 7)).feedback,
    "Laws": lambda: laws(7, 5, 2),
    "Report": lambda: check(nn.LSTM(7, 5), torch.ones(4, 3, 7)),
    "Walk": lambda: walk(nn.LSTM(7, 5), torch.ones(4, 3, 7)),
}


class Terminal(io.StringIO):
    """A stdout that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_shows_itself(name: str) -> None:
    """As text, as HTML, and inside rich, with the same words."""
    from rich.console import Console

    value = RESULTS[name]()
    assert type(value).__name__ == name
    text = repr(value)
    assert not ESCAPE.search(text)
    page = io.StringIO()
    Console(file=page, width=80).print(value)
    assert page.getvalue().split() == text.split()
    assert value._repr_html_().startswith('<div class="lstm-shapes">')


def _below(kind: type) -> set[type]:
    """All that extend a class."""
    return set(kind.__subclasses__()).union(*map(_below, kind.__subclasses__()))


def test_every_kind_of_result_has_a_view() -> None:
    """Each class of the package that shows itself is registered."""
    for module in pkgutil.walk_packages(lstm_shapes.__path__, "lstm_shapes."):
        if module.name not in ("lstm_shapes.__main__", "lstm_shapes._explorer.app"):  # these start something
            import_module(module.name)
    # By name: a dataclass with slots is made twice.
    names = {(kind.__module__, kind.__name__) for kind in _below(Shown)}
    kinds = {getattr(sys.modules[place], name) for place, name in names if place.startswith("lstm_shapes.")}
    kinds -= {Drawn, Several}
    assert {kind.__name__ for kind in kinds} > RESULTS.keys()
    assert kinds <= view.registry.keys()


def test_a_result_without_a_view_says_so() -> None:
    """A class of one's own that extends none of ours."""

    class Mine(Shown):
        pass

    with pytest.raises(TypeError, match="no view draws a Mine"):
        repr(Mine())


@pytest.mark.parametrize(
    ("result", "torch_too"),
    [
        ("ls.predict(28, 256)", False),
        ("ls.count(28, 256)", False),
        ("ls.laws(28, 256)", False),
        ("ls.explain(28, 256, proof=False)", False),
        ("ls.picture(28, 256)", False),
        ("ls.run(7, 5)", True),
        ("ls.explain(7, 5)", True),
    ],
)
@pytest.mark.parametrize("way", ["repr(result)", "result._repr_html_()"])
def test_looking_loads_torch_only_where_the_result_has_it(result: str, torch_too: bool, way: str) -> None:
    """A fresh interpreter shows the result, though it has loaded no view before."""
    code = f"import sys, lstm_shapes as ls; result = {result}; {way}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{torch_too}\n"


@pytest.mark.parametrize(
    "way", ["repr(ls.count(3, 5))", "ls.picture(3, 5).svg", "ls.quiz(seed=0, ask=lambda prompt: 'q')"]
)
def test_the_first_look_leaves_random_alone(way: str) -> None:
    """Rich draws a number when it is imported: Python's random is put back, whatever shows something first."""
    code = f"import random, sys, lstm_shapes as ls; state = random.getstate(); {way}; "
    code += "assert 'rich.style' in sys.modules; assert random.getstate() == state"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_subclass_of_a_result_shows_itself() -> None:
    """By the view of what it extends."""

    class Mine(Counts):
        pass

    assert repr(Mine(Spec(28, 256))) == repr(count(28, 256))


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal has it; NO_COLOR, a dumb terminal, a pipe and no stdout at all have none."""
    value = count(28, 256)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert ESCAPE.search(repr(value))
    for name, setting in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as inner:
            inner.setenv(name, setting)
            assert not ESCAPE.search(repr(value))
    with monkeypatch.context() as inner:
        inner.setenv("NO_COLOR", "")
        assert ESCAPE.search(repr(value))
    for stdout in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdout", stdout)
        assert not ESCAPE.search(repr(value))


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_width_cuts_a_word(name: str, width: int) -> None:
    """At every width the same words, none cut; at 80 and above no line is too long."""
    value = RESULTS[name]()
    text = as_text(value, width=width)
    wide = as_text(value, width=400)
    assert text.count("…") == wide.count("…")
    if width >= 80:
        assert sorted(re.sub(r"─+", "", text).split()) == sorted(re.sub(r"─+", "", wide).split())
        assert max(map(len, text.splitlines())) <= width


def test_huge_sizes_are_not_cut() -> None:
    """What does not fit into a table is written row by row, in full."""
    Q, D, N = 2**60, 2**60 - 1, 2**60 - 2
    text = as_text(predict(Q, D, 2**59, N=N, L=2**60 - 3), width=80)
    assert f"({N}, {2**60 - 3}, {Q})" in text
    assert f"({2**59}, {N}, {D})" in text
    assert "…" not in text.replace("(K·R, N, …)", "")
    assert max(map(len, text.splitlines())) <= 80
