"""`python -m tests.faults --seed 0 --programs 100`: how well `lstm_shapes.check` does on programs drawn at random."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .score import Score, Trial, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="programs have the seeds seed·100000, seed·100000 + 1, …")
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--only", type=int, help="the program of this one number")
    parser.add_argument("--kinds", nargs="*", default=[], help="kinds of mutants, or rows, padding, again, itself")
    parser.add_argument("--show", nargs="*", choices=["missed", "alarms", "lines", "thrown"], default=["alarms"])
    parser.add_argument("--keep", type=Path, help="keep the programs in this folder")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="where the tensors of the programs are")
    options = parser.parse_args()
    first = options.seed * 100_000
    seeds = [options.only] if options.only is not None else list(range(first, first + options.programs))
    trials: list[Trial] = []
    for trial in run(
        seeds, keep=options.keep, kinds=frozenset(options.kinds), jobs=options.jobs, device=options.device
    ):
        trials.append(trial)
        _show(trial, options.show)
        if sys.stderr.isatty() and trial.outcome in ("right", "thrown"):
            print(f"\rprogram {trial.seed - seeds[0] + 1} of {len(seeds)}", end="", file=sys.stderr, flush=True)
    print("\n" + Score(trials).table())


def _show(trial: Trial, what: list[str]) -> None:
    verdict, mutant = trial.verdict, trial.mutant
    if trial.outcome == "thrown" and "thrown" in what:
        print(f"thrown {trial.seed} {trial.family}: {verdict.text}")
    elif trial.outcome == "right" and trial.found and "alarms" in what:
        print(f"alarm  {trial.path}:{min(verdict.lines, default=0)}: {verdict.text}")
    elif mutant is not None and trial.outcome == "mutant":
        at = f"{trial.path}:{mutant.line} {mutant.kind}: {mutant.new.strip()}"
        if not trial.found and "missed" in what:
            print(f"missed {at}" + (f"  ({verdict.level}: {verdict.text})" if verdict.level else ""))
        elif trial.found and not trial.at_line and "lines" in what:
            named, wanted = sorted(verdict.lines), sorted(mutant.lines)
            print(f"line   {at}\n       named {named}, wanted {wanted}: {verdict.text}")


if __name__ == "__main__":
    main()
