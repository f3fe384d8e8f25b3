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
    told.stdout.fnmatch_lines(["*Captured lstm_shapes call*", "*LS104 state-kind*"])
    silent = pytester.runpytest_subprocess(*plugin)
    silent.assert_outcomes(failed=1, passed=1)
    silent.stdout.no_fnmatch_line("*LS104*")


def test_experiments_fail_a_test_that_calls_a_wrong_model(pytester: pytest.Pytester) -> None:
    """With --lstm-shapes-experiments, and not with --lstm-shapes alone."""
    pytester.makepyfile(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, **options):
                super().__init__()
                self.rnn = nn.LSTM(4, 8, **options)

            def forward(self, x):
                return self.rnn(x)[0][:, -1]

        def test_wrong():
            assert Net()(torch.randn(3, 5, 4)).shape == (3, 8)

        def test_right():
            assert Net(batch_first=True)(torch.randn(3, 5, 4)).shape == (3, 8)
        """
    )
    plugin = [] if _installed() else ["-p", "lstm_shapes.pytest_plugin"]
    told = pytester.runpytest_subprocess("--lstm-shapes-experiments", *plugin)
    told.assert_outcomes(failed=1, passed=1)
    told.stdout.fnmatch_lines(["*LS201*", "FAILED *test_wrong*"])
    explained = pytester.runpytest_subprocess("--lstm-shapes", *plugin)
    explained.assert_outcomes(passed=2)


def _installed() -> bool:
    return any(point.name == "lstm_shapes" for point in entry_points(group="pytest11"))
