"""`pytest --lstm-shapes`: failing tests carry the explanation of their recurrent shapes.

`--lstm-shapes-experiments` also examines the models that tests call, and a test whose model is found wrong fails.
Without a flag this plugin loads nothing and does nothing.
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
    group.addoption(
        "--lstm-shapes-experiments",
        action="store_true",
        help="also examine the recurrent models that tests call; a test whose model is found wrong fails",
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    experiments = item.config.getoption("--lstm-shapes-experiments")
    if not (experiments or item.config.getoption("--lstm-shapes")):
        yield
        return
    from lstm_shapes.display import as_text
    from lstm_shapes.lab.check.watch import watch

    watched = watch(experiments=experiments)
    with watched:
        outcome = yield
    if outcome.excinfo is not None:
        # The exception went into the outcome and not through the with block.
        watched.explain(outcome.excinfo[1], note=False)
        if watched.worth_saying:
            item.add_report_section("call", "lstm_shapes", as_text(watched))
    elif not watched.ok:
        item.add_report_section("call", "lstm_shapes", as_text(watched))
        wrong = "\n".join(str(finding) for finding in watched.report.errors)
        outcome.force_exception(AssertionError(f"lstm_shapes found errors in a model that this test calls:\n{wrong}"))
