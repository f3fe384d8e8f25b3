"""Measure every budget and show it beside what is allowed; ends with 1 where one is missed."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from . import arithmetic, checking, huge, layers, startup
from .budget import Budget, SkipError


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the budgets whose name has one of these in it")
    parser.add_argument("--huge", action="store_true", help="also LSTM(65536, 65536, 8): a minute and 9 GB of memory")
    asked = parser.parse_args()
    budgets: list[Budget] = [*startup.BUDGETS, *arithmetic.BUDGETS, *layers.BUDGETS, *checking.BUDGETS]
    budgets += huge.BUDGETS if asked.huge else ()
    if asked.words:
        budgets = [budget for budget in budgets if any(word in budget.what for word in asked.words)]

    console = Console()
    table = Table("what", "at most", "measured", "", title="Budgets", title_justify="left")
    missed = 0
    for budget in budgets:
        with console.status(budget.what):
            try:
                measured, note = budget.measure()
            except SkipError as reason:
                table.add_row(budget.what, budget.allowed(), f"[dim]skipped: {reason}[/dim]", "")
                continue
        ok = measured <= budget.limit
        missed += not ok
        number = f"1/{1 / measured:,.0f}" if 0 < measured < 0.5 and "ms" not in budget.unit else f"{measured:.2f}"
        table.add_row(budget.what, budget.allowed(), f"{number}\n[dim]{note}[/dim]", "✓" if ok else "[bold red]✗")
    console.print(table)
    if missed:
        console.print(f"[bold red]{missed} of {len(budgets)} budgets missed.[/bold red] On a busy machine, try again.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
