"""`pytest --lstm-shapes`: failing tests carry the explanation of their recurrent shapes."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest


def test_pytest_flag_explains_failing_tests_only(pytester: pytest.Pytester) -> None:
    """With the flag a failing test carries a section; without it, and for a passing test, nothing changes."""
    pytester.makepyfile(
        """
        import torch

        def test_wrong():
            torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4), torch.zeros(1, 3, 8))

        def test_right():
            torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4))
        """
    )
    plugin = [] if _installed() else ["-p", "lstm_shapes.pytest_plugin"]
    told = pytester.runpytest_subprocess("--lstm-shapes", *plugin)
    told.assert_outcomes(failed=1, passed=1)
    told.stdout.fnmatch_lines(["*Captured lstm_shapes call*", "*LS104 error*"])
    silent = pytester.runpytest_subprocess(*plugin)
    silent.assert_outcomes(failed=1, passed=1)
    silent.stdout.no_fnmatch_line("*LS104*")


def _installed() -> bool:
    return any(point.name == "lstm_shapes" for point in entry_points(group="pytest11"))
