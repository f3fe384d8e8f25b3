"""Changes theory/ in small ways, one at a time, and lists the changes that no test notices.

    make mutants ARGS="counts axes"
    make mutants ARGS="--sample 400 --seed 7"
    make mutants ARGS="--again .mutants/survivors.txt"

cosmic-ray makes the changes. A change is tried by the tests that run the line, the quickest first, in a process
forked from one that has loaded all but this package. Nothing is written but the lists in `.mutants`.

Changes that are no fault are left out, and here is which and why: `LEFT_OUT` for kinds of change, `NO_FAULT` for lines.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import importlib
import importlib.machinery
import io
import json
import os
import random
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import pytest

try:
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
except ImportError:
    sys.exit("pip install cosmic-ray")

ROOT = Path(__file__).resolve().parent.parent
THEORY = ROOT / "lstm_shapes" / "theory"
OUT = ROOT / ".mutants"
# Tests elsewhere of what theory says, for changes that its own tests do not notice.
ALSO = {
    "_axis_rules": ["tests/lab/test_tensors.py", "tests/lab/test_names_kept.py", "tests/lab/test_tensors_oracle.py"],
    "_quiz": ["tests/test_quiz.py", "tests/commands/test_quiz.py"],
    "_arithmetic": ["tests/theory/test_quiz.py"],
    "theory": ["tests/views/test_pictures.py", "tests/views/test_picture_oracle.py", "tests/lab/test_calling.py"],
    "axes": [
        "tests/lab/test_axis_names.py",
        "tests/lab/test_tensors.py",
        "tests/lab/test_names_kept.py",
        "tests/lab/test_tensors_oracle.py",
    ],
    "_contract": ["tests/lab/test_calling.py", "tests/lab/test_run.py"],
    "counts": [
        "tests/theory/test_other_tools.py",
        "tests/lab/test_macs.py",
        "tests/views/test_predicted.py",
        "tests/commands/test_count.py",
    ],
    "_given": ["tests/test_explanation.py", "tests/lab/test_run.py"],
    "laws": ["tests/lab/test_laws.py"],
    "notes": ["tests/lab/test_notes.py"],
    "slices": ["tests/lab/test_slices.py"],
    "spec": ["tests/lab/test_build.py", "tests/test_explanation.py"],
}
# What the tests of one change may take together, as they took while lines were counted.
SECONDS = 40.0
OPTIONS = [
    "-q",
    "--no-header",
    "--tb=no",
    "-pno:cacheprovider",
    "-pno:xdist",
    "-pno:cov",
    "--hypothesis-profile=mutants",
    "--assert=plain",  # the other kind has a loader of its own
]

LEFT_OUT = re.compile(
    # One replacement of each operator is enough, and | stands in annotations too.
    r"ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Add|Div_Mul|FloorDiv_Mul|Mod_Add)"
    r"|ReplaceComparisonOperator_(?!Eq_NotEq|NotEq_Eq|Gt_GtE|GtE_Gt|Lt_LtE|LtE_Lt|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_(?!USub_UAdd|Delete_Not)"
    # These need names to be given.
    r"|VariableReplacer|VariableInserter"
)
NO_FAULT = re.compile(
    r"^\s*@(cache|cached_property|lru_cache|overload|runtime_checkable)\b"  # without it the same is worked out again
    r"|^\s*(if TYPE_CHECKING|from |import )"
    r"|^\s*@dataclass"  # a test of the house asks that all are frozen and have slots
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file: the `occurrence`-th place of an operator of cosmic-ray."""

    path: Path
    operator: str
    occurrence: int
    line: int

    def code(self) -> str:
        """The changed file."""
        source = self.path.read_text(encoding="utf-8")
        return str(mutate_code(source, plugins.get_operator(self.operator)(), self.occurrence))

    def diff(self) -> list[str]:
        """The lines that differ."""
        old, new = self.path.read_text(encoding="utf-8").splitlines(), self.code().splitlines()
        return [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]

    def stands_in(self, survivors: str) -> bool:
        """Whether a list of survivors holds it; lines may have moved since."""
        line = self.path.read_text(encoding="utf-8").splitlines()[self.line - 1]
        quick = self.operator in survivors and f"\n-{line}\n" in survivors
        return quick and "\n".join(["", *self.diff(), ""]) in survivors


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change of a file, but for those that are no fault; a number is made larger by one."""
    source = path.read_text(encoding="utf-8")
    lines, tree, types = source.splitlines(), get_ast(source), for_type_checkers(source)
    for name in plugins.operator_names():
        if LEFT_OUT.search(name):
            continue
        operator = plugins.get_operator(name)()
        places = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for occurrence, ((line, column), _) in enumerate(places):
            smaller = name.endswith("NumberReplacer") and occurrence % 2
            if not (smaller or line in types or NO_FAULT.search(lines[line - 1]) or of_strict(lines[line - 1], column)):
                yield Mutant(path, name, occurrence, line)


def for_type_checkers(source: str) -> set[int]:
    """The lines that only type checkers read: overloads, protocols and dictionaries with typed keys."""
    lines = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            words = [*node.decorator_list, *getattr(node, "bases", []), *getattr(node, "keywords", [])]
            if {"overload", "Protocol", "TypedDict", "total=False"} & set(map(ast.unparse, words)):
                lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def of_strict(line: str, column: int) -> bool:
    """Whether the change is of zip's `strict=True`, which guards against our own mistakes: no right program differs."""
    return line[:column].endswith("strict=")


class Chosen:
    """A pytest plugin that runs the tests of `order` in that order, none for much longer than it takes."""

    def __init__(self, order: dict[str, float]) -> None:
        self.order = order

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {name: index for index, name in enumerate(self.order)}
        items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        signal.setitimer(signal.ITIMER_PROF, 5 + 10 * self.order[nodeid])


class Watched:
    """A pytest plugin that takes down which lines each test runs, and for how long it runs."""

    def __init__(self, measure: coverage.Coverage) -> None:
        self.measure, self.seconds, self.failed = measure, dict[str, float](), set[str]()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.measure.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.add(report.nodeid)


def in_a_fork(work: Callable[[], int], loud: bool = False) -> int:
    """What `work` returns in a process of its own; a signal that ends it is a negative number."""
    child = os.fork()
    if child == 0:
        try:
            sink = sys.stdout if loud else io.StringIO()
            with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
                code = work()
        except BaseException as error:
            code = 99
            if loud:
                print(repr(error))
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def survey() -> tuple[dict[str, float], dict[str, dict[int, list[str]]]]:
    """How long each test takes, and which tests run each line of theory."""
    kept = OUT / "survey.json"
    sources = [path for folder in (THEORY, ROOT / "tests" / "theory") for path in folder.rglob("*.py")]
    if not kept.exists() or kept.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        in_a_fork(lambda: _survey(kept), loud=True)
    known = json.loads(kept.read_text(encoding="utf-8"))
    for module in known["modules"]:
        with contextlib.suppress(BaseException):
            importlib.import_module(module)
    lines = {path: {int(line): tests for line, tests in found.items()} for path, found in known["lines"].items()}
    return known["seconds"], lines


def _survey(kept: Path) -> int:
    measure = coverage.Coverage(data_file=None, config_file=False, include=[f"{THEORY}/*"])
    watched = Watched(measure)
    measure.start()
    pytest.main([*OPTIONS, "tests/theory", "lstm_shapes/theory"], plugins=[watched])
    measure.stop()
    data = measure.get_data()
    lines = {path: data.contexts_by_lineno(path) for path in data.measured_files()}
    ours = ("lstm_shapes", "tests", "test_", "conftest", "__")
    modules = [name for name in sys.modules if not name.startswith(ours)]
    print("Left out, for they fail while lines are counted:", *watched.failed)
    seconds = {name: took for name, took in watched.seconds.items() if name not in watched.failed}
    kept.write_text(json.dumps({"seconds": seconds, "lines": lines, "modules": modules}), encoding="utf-8")
    return 0


def with_changed(mutant: Mutant, order: dict[str, float]) -> int:
    """What pytest says of these tests where one file is changed: 0 where nobody noticed."""
    get_code, text = importlib.machinery.SourceFileLoader.get_code, mutant.code()

    def changed(self: Any, fullname: str) -> CodeType | None:
        if Path(self.path) == mutant.path:
            code: CodeType = compile(text, self.path, "exec", dont_inherit=True)
            return code
        return get_code(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = changed  # type: ignore[method-assign]
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
    signal.setitimer(signal.ITIMER_PROF, 60)
    files = dict.fromkeys(name.partition("::")[0] for name in order)
    code = int(pytest.main([*OPTIONS, "-x", *files], plugins=[Chosen(order)])) if order else 0
    signal.setitimer(signal.ITIMER_PROF, 200)
    return code or int(pytest.main([*OPTIONS, "-x", *(ALSO.get(mutant.path.stem) or ALSO[mutant.path.parent.name])]))


def tests_of(mutant: Mutant, seconds: dict[str, float], lines: dict[int, list[str]]) -> dict[str, float]:
    """The tests that run a line, those of its own module first; all tests for what runs at import."""
    found = lines.get(mutant.line)
    if found is None:  # a line within a longer statement: the nearest one above
        found = lines.get(max((line for line in lines if line < mutant.line), default=0), [])
    if "" in found:
        found = list(seconds)
    name = mutant.path.stem.strip("_")
    known = [test for test in found if test in seconds]
    order, left = dict[str, float](), SECONDS
    for test in sorted(known, key=lambda test: (f"{name}.py" not in test, seconds[test])):
        if seconds[test] <= left:
            order[test] = seconds[test]
            left -= seconds[test]
    return order


def main(names: Sequence[str], sample: int | None, seed: int, again: Path | None) -> None:
    """The named modules of theory, all without names; a random sample, or those that nobody noticed in another run."""
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    OUT.mkdir(exist_ok=True)
    listed = None if again is None else again.read_text(encoding="utf-8")
    seconds, lines = survey()
    paths = [path for path in sorted(THEORY.rglob("*.py")) if not names or path.stem.strip("_") in names]
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    random.Random(seed).shuffle(mutants)
    mutants = [mutant for mutant in mutants if listed is None or mutant.stands_in(listed)][:sample]
    noticed: dict[str, list[bool]] = {path.stem: [] for path in paths}
    with open(OUT / "survivors.txt", "w", encoding="utf-8") as report:
        for mutant in mutants:
            order = tests_of(mutant, seconds, lines.get(str(mutant.path), {}))
            code = in_a_fork(lambda mutant=mutant, order=order: with_changed(mutant, order))  # type: ignore[misc]
            noticed[mutant.path.stem].append(code != 0)
            if code == 0:
                place = f"{mutant.path.relative_to(THEORY)}:{mutant.line} {mutant.operator}"
                report.write("\n".join([place, *mutant.diff(), ""]))
                report.flush()
            tried = {name: row for name, row in noticed.items() if row}
            tried["all"] = [one for row in tried.values() for one in row]
            rows = [
                f"{name:<16} {sum(row):5} of {len(row):5}, {100 * sum(row) / len(row):5.1f} %"
                for name, row in tried.items()
            ]
            (OUT / "score.txt").write_text("\n".join([f"seed {seed}", *rows, ""]), encoding="utf-8")
    for name in ("survivors.txt", "score.txt"):
        print((OUT / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="modules of theory, without their underscore")
    parser.add_argument("--sample", type=int, help="so many changes, drawn from all of them")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which they are tried")
    parser.add_argument("--again", type=Path, help="only the changes in this list of survivors")
    main(**vars(parser.parse_args()))
