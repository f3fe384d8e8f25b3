"""Runs a case of tests/data/*.jsonl: a program as text that defines model, inputs and what check is told about them."""

from __future__ import annotations

import json
import linecache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import rnn as packing

from lstm_shapes.lab.check import Report, check

DATA = Path(__file__).parents[2] / "data"


def load(name: str) -> list[dict[str, Any]]:
    """The cases of a file."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line]


def space() -> dict[str, Any]:
    """The names that a program may use without importing them."""
    names = ("pack_padded_sequence", "pad_packed_sequence", "pack_sequence", "pad_sequence", "PackedSequence")
    return {"torch": torch, "nn": nn, "F": F, "np": np, **{name: getattr(packing, name) for name in names}}


def run(program: str, *, file: str = "<case>", source: bool = True) -> Report:
    """check what a program defines; with `source` the lines can be read back, without they cannot."""
    names = space()
    if source:
        linecache.cache[file] = (len(program), None, program.splitlines(True), file)
    else:
        linecache.cache.pop(file, None)
    torch.manual_seed(7)
    exec(compile(program, file, "exec"), names)
    return check(
        names["model"],
        *names["inputs"],
        batch_dim=names.get("batch_dim", 0),
        lengths=names.get("lengths"),
        target=names.get("target"),
    )


def plain(text: str) -> str:
    """Lower case, single blanks."""
    return " ".join(text.lower().split())
