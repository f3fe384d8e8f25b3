"""`pytest --lstm-shapes`: failing tests carry the explanation of their recurrent shapes.

Without the flag this plugin loads nothing and does nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_runtest_call"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lstm_shapes")
    group.addoption(
        "--lstm-shapes", action="store_true", help="explain failing tests whose recurrent layers' shapes are wrong"
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    if not item.config.getoption("--lstm-shapes"):
        yield
        return
    from lstm_shapes.display import as_text
    from lstm_shapes.lab.check_old.watch import watch

    watched = watch()
    with watched:
        outcome = yield
    if outcome.excinfo is None:
        return
    # The exception went into the outcome and not through the with block.
    watched.explain(outcome.excinfo[1], note=False)
    if watched.findings:
        item.add_report_section("call", "lstm_shapes", as_text(watched))
