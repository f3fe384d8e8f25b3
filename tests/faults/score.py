"""What `lstm_shapes.check` says of right programs and of their mutants."""

from __future__ import annotations

import signal
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import lstm_shapes

from .families import program
from .oracle import UnsureError, load, problem, wrong
from .program import KINDS, WARNED, Mutant, Program

__all__ = ["Score", "Trial", "Verdict", "run", "trials"]

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first error of check, or the first warning, or nothing; `crash` if check itself raised or hung."""

    level: str = ""
    text: str = ""
    lines: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Trial:
    """One program or mutant, and the verdict. `outcome`: right, mutant, raises, harmless, or thrown (out)."""

    seed: int
    family: str
    outcome: str
    path: str = ""
    mutant: Mutant | None = None
    verdict: Verdict = Verdict()

    @property
    def found(self) -> bool:
        enough = ("error", "warning") if self.mutant and self.mutant.kind in WARNED else ("error",)
        return self.verdict.level in enough

    @property
    def at_line(self) -> bool:
        return self.found and self.mutant is not None and not self.mutant.lines.isdisjoint(self.verdict.lines)


def run(
    seeds: Iterable[int],
    *,
    keep: Path | None = None,
    kinds: frozenset[str] = frozenset(),
    jobs: int = 1,
    device: str = "cpu",
) -> Iterator[Trial]:
    """The trials of the programs of these seeds, each program's together."""
    with TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        work = [(seed, folder, kinds, device) for seed in seeds]
        if jobs == 1:
            for one in work:
                yield from _of_seed(one)
            return
        # An assertion on a GPU ends a process's use of it; elsewhere a process imports torch once for all its programs.
        most = None if device == "cpu" else 1
        with get_context("spawn").Pool(jobs, maxtasksperchild=most) as pool:
            for some in pool.imap(_of_seed, work):
                yield from some


def _of_seed(work: tuple[int, Path, frozenset[str], str]) -> list[Trial]:
    torch.set_num_threads(1)
    seed, folder, kinds, device = work
    with torch.device(device):
        return list(trials(program(seed), folder, kinds))


def trials(right: Program, folder: Path, kinds: frozenset[str] = frozenset()) -> Iterator[Trial]:
    """The right program and its mutants, written to `folder` and checked. Mutants that raise are not checked."""
    seed, family = right.seed, right.family
    try:
        with torch.backends.cudnn.flags(enabled=False):  # which goes backward in training only
            fault = problem(right.text, right.facts)
    except Exception as error:
        fault = f"raises {error!r}"
    if fault:
        yield Trial(seed, family, "thrown", verdict=Verdict("", fault))
        return
    path = folder / f"p{seed}_{family}.py"
    yield Trial(seed, family, "right", str(path), None, _verdict(path, right.text))
    for number, mutant in enumerate(right.mutants):
        if kinds and mutant.kind not in kinds and KINDS[mutant.kind] not in kinds:
            continue
        path = folder / f"p{seed}_{family}_{number}_{mutant.kind}.py"
        try:
            with torch.backends.cudnn.flags(enabled=False):
                outcome = "mutant" if wrong(mutant, right) else "harmless"
        except UnsureError:
            outcome = "harmless"
        except Exception:
            outcome = "raises"
        text = mutant.of(right.text)
        verdict = _verdict(path, text) if outcome == "mutant" else Verdict()
        yield Trial(seed, family, outcome, str(path), mutant, verdict)


def _verdict(path: Path, text: str) -> Verdict:
    path.write_text(text)

    def late(*_: Any) -> None:
        raise TimeoutError(f"check took more than {_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = load(text, str(path))
            options = {
                "batch_dim": names.get("batch_dim", 0),
                "lengths": names.get("lengths"),
                "target": names.get("target"),
            }
            report = lstm_shapes.check(names["model"], *names["inputs"], **options, **names.get("kwargs", {}))
    except Exception as error:
        return Verdict("error", f"crash: {error!r}")
    finally:
        signal.alarm(0)
    for level in ("error", "warning"):
        some = [finding for finding in report.findings if finding.level == level]
        if some:
            first = next((f for f in some if f.where is not None), some[0])
            lines = {f.where.line for f in (some[0], first) if f.where is not None and str(f.where.file) == str(path)}
            return Verdict(level, str(some[0]).split("\n")[0], frozenset(lines))
    return Verdict()


@dataclass(slots=True)
class Score:
    """Counts over trials, kind by kind."""

    trials: list[Trial]

    @property
    def rights(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.outcome == "right"]

    @property
    def alarms(self) -> list[Trial]:
        return [trial for trial in self.rights if trial.found]

    @property
    def mutants(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.outcome == "mutant"]

    def share_found(self) -> float:
        return sum(trial.found for trial in self.mutants) / max(len(self.mutants), 1)

    def share_at_line(self) -> float:
        found = [trial for trial in self.mutants if trial.found]
        return sum(trial.at_line for trial in found) / max(len(found), 1)

    def table(self) -> str:
        """Programs, then found, warned and lines for each kind."""
        outcomes = Counter(trial.outcome for trial in self.trials)
        warned = sum(trial.verdict.level == "warning" for trial in self.rights)
        lines = [
            f"right programs {len(self.rights)}: false alarms {len(self.alarms)}, warnings {warned}; "
            f"thrown out {outcomes['thrown']}; mutants {outcomes['mutant']}, "
            f"raising {outcomes['raises']}, harmless {outcomes['harmless']}",
            f"{'kind':<20}{'oracle':<9}{'mutants':>8}{'found':>7}{'warned':>8}{'at line':>9}{'share':>8}{'line':>7}",
        ]
        groups = [(kind, oracle, {kind}) for kind, oracle in KINDS.items()]
        groups += [
            (oracle, "all", {k for k in KINDS if KINDS[k] == oracle}) for oracle in dict.fromkeys(KINDS.values())
        ]
        groups += [("every kind", "all", set(KINDS))]
        for name, oracle, kinds in groups:
            some = [trial for trial in self.mutants if trial.mutant and trial.mutant.kind in kinds]
            if some:
                part, found = Score(some), sum(trial.found for trial in some)
                warned = sum(trial.verdict.level == "warning" for trial in some)
                at = sum(trial.at_line for trial in some)
                lines.append(
                    f"{name:<20}{oracle:<9}{len(some):>8}{found:>7}{warned:>8}{at:>9}"
                    f"{part.share_found():>8.0%}{part.share_at_line():>7.0%}"
                )
        return "\n".join(lines)
