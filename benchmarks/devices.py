"""How exact laws, gates and check are on a device, and what check costs there: `python -m benchmarks.devices cuda`.

Prints the tables of docs/devices.md. It needs no idle machine but for the times, which are ratios.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.check import Report
from lstm_shapes.lab.run import random_run
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.laws import TOLERANCES, largest, laws
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import CELLS

from .checking import MODELS, Decoder, LanguageModel, Reader, Tagger, Translator, made, training_step

PRECISIONS = {name: name.replace("tf32", "float32") for name in ("float64", "float32", "tf32", "float16", "bfloat16")}


@contextmanager
def multiplied_by(precision: str) -> Iterator[None]:
    """float32 with TF32 or without, in layers and in matrix products."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32, matmul.allow_tf32 = precision == "tf32", precision == "tf32"
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def drawn(seed: int) -> tuple[Spec, Call]:
    """A layer of any kind, up to 64 wide, and a call of it."""
    draws = random.Random(seed)
    kind = CELLS[draws.choice(list(CELLS))]
    Q, D = draws.randint(1, 64), draws.randint(4, 64)
    fields: dict[str, Any] = {"cell": kind.name, "bias": draws.random() < 0.7}
    if kind.projects and draws.random() < 0.3:
        fields["proj_size"] = draws.randint(1, D - 1)
    N, L = draws.randint(2, 9), draws.randint(2, 40)
    if kind.step:
        return Spec(Q, D, **fields), Call(N, L)
    fields |= {"batch_first": draws.random() < 0.5, "bidirectional": draws.random() < 0.5}
    lengths = (L, *(draws.randint(1, L) for _ in range(N - 1))) if draws.random() < 0.4 else None
    return Spec(Q, D, draws.randint(1, 3), **fields), Call(N, L, lengths)


def exactness(device: str, precision: str, layers: int) -> tuple[float, int, float, int]:
    """The largest residual of laws and of gates, relative to the largest value, and how many claims were not true."""
    of_laws, false, of_gates, refused = 0.0, 0, 0.0, 0
    with multiplied_by(precision):
        for seed in range(layers):
            spec, call = drawn(seed)
            run = random_run(spec, call, device=device, dtype=PRECISIONS[precision], seed=seed)
            for law in laws(run.layer, call=run.call):
                residual = law.residual(run)
                if (residual <= law.tolerance(run)) != law.holds:
                    false += 1
                    print(
                        f"  {law.name} of {spec!r}, {call!r}: {residual:.1e} of {largest(run):.1e}, claimed {law.holds}"
                    )
                if law.holds and not law.exact:
                    of_laws = max(of_laws, residual / largest(run))
            try:
                given = run.X if run.packed_X is None else run.packed_X
                of_gates = max(of_gates, ls.gates(run.layer, given).residual)
            except ShapeError as error:
                refused += 1
                print(f"  gates of {spec!r}: {error}")
    return of_laws, false, of_gates, refused


class LastStep(nn.Module):
    """The lesson's classifier."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(28, 128, 2, batch_first=batch_first), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(x)[0][:, -1])
        return scores


def wrong_twins() -> dict[str, tuple[nn.Module, Callable[[], tuple[Tensor, ...]]]]:
    """The models of the budgets with one thing made wrong, and the lesson's without batch_first."""
    word, translator, reader = LanguageModel(), Translator(), Reader()
    word.rnn.batch_first = False
    reader.rnn.batch_first = True
    translator.encoder.batch_first = False
    inputs = {name: make for name, (_, make) in MODELS.items()}

    class ReadsPadding(Tagger):
        def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
            scores: Tensor = self.head(self.rnn(self.embedding(tokens))[0])
            return scores

    class MixesRows(Decoder):
        def forward(self, z: Tensor) -> Tensor:
            return super().forward(z.softmax(dim=0))

    return {
        "word language model, batch_first left out": (word, inputs["word language model"]),
        "tagger that reads padding": (ReadsPadding(), inputs["BiLSTM tagger, packed"]),
        "seq2seq, encoder's batch_first left out": (translator, inputs["seq2seq with attention"]),
        "CRNN, batch_first for (L, N, Q)": (reader, inputs["CRNN"]),
        "decoder, softmax over the batch": (MixesRows(), inputs["LSTMCell decoder, 200 steps"]),
        "last step, batch_first left out": (LastStep(False), lambda: (torch.randn(16, 28, 28),)),
    }


def placed(
    model: nn.Module, inputs: tuple[Tensor, ...], device: str, dtype: str
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model and its inputs there; lengths stay on the CPU, where packing wants them."""
    kind = getattr(torch, dtype)
    moved = [x if x.dim() == 1 else x.to(device, kind) if x.is_floating_point() else x.to(device) for x in inputs]
    return model.to(device, kind), tuple(moved)


def checked(model: nn.Module, x: tuple[Tensor, ...]) -> Report:
    """The report, with the lengths where there are some."""
    lengths = next((value for value in x if value.dim() == 1), None)
    return ls.check(model, *x, lengths=lengths)


def verdicts(device: str, precision: str) -> list[str]:
    """What check says otherwise than it should: an alarm on a right model, nothing on a wrong one."""
    said = []
    with multiplied_by(precision):
        last = (lambda: LastStep(True), lambda: (torch.randn(16, 28, 28),))
        for name, (make, inputs) in {**MODELS, "last step": last}.items():
            torch.manual_seed(0)
            model, x = placed(make(), inputs(), device, PRECISIONS[precision])
            report = checked(model, x)
            if not report.ok:
                said.append(f"false alarm {name}: {report}")
        for name, (model, inputs) in wrong_twins().items():
            torch.manual_seed(0)
            model, x = placed(model, inputs(), device, PRECISIONS[precision])
            if checked(model, x).ok:
                said.append(f"missed {name}")
    return said


def memory_and_time(device: str, name: str) -> str:
    """The peak of check beside that of a training step, and its time."""
    model, x = placed(*made(name), device, "float32")

    def peak(call: Callable[[], Any]) -> tuple[float, float]:
        call()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        start, began = torch.cuda.memory_allocated(), time.perf_counter()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - start) / 2**20, time.perf_counter() - began

    (of_step, seconds), (of_check, longer) = peak(lambda: training_step(model, x)), peak(lambda: ls.check(model, *x))
    return (
        f"| {name} | {of_step:.0f} MiB | {of_check:.0f} MiB | {of_check / of_step:.2f} "
        f"| {seconds * 1e3:.1f} ms | {longer * 1e3:.0f} ms | {longer / seconds:.0f} |"
    )


def wrong_places(device: str) -> Iterator[str]:
    """What is said of h0 on the CPU, and of x there."""
    layer = nn.LSTM(4, 5, batch_first=True).to(device)
    x, h0 = torch.randn(3, 7, 4, device=device), torch.zeros(1, 3, 5)
    for call in (lambda: ls.run(layer, x, (h0, h0.to(device))), lambda: ls.run(layer, x.cpu())):
        try:
            call()  # type: ignore[no-untyped-call]
        except ShapeError as error:
            yield str(error)
    yield str(ls.check(lambda x: layer(x, (h0, h0))[0], x))


def main() -> None:
    """All of it, or the parts named."""
    parser = argparse.ArgumentParser("python -m benchmarks.devices", description=__doc__)
    parser.add_argument("device", help="cpu or cuda")
    parser.add_argument("--layers", type=int, default=200)
    asked = parser.parse_args()
    where = torch.device(asked.device)
    cuda = where.type == "cuda"
    name = torch.cuda.get_device_name() if cuda else platform.machine()
    cudnn = f", cuDNN {torch.backends.cudnn.version()}" if cuda else ""  # type: ignore[no-untyped-call]
    print(f"{name}, torch {torch.__version__}{cudnn}, Python {platform.python_version()}, {datetime.date.today()}\n")
    warnings.simplefilter("ignore")
    print("| precision | laws | gates | tolerance | claims that were not true | gates refused | check |")
    for precision in PRECISIONS:
        if precision == "tf32" and not cuda:
            continue
        of_laws, false, of_gates, refused = exactness(asked.device, precision, asked.layers)
        said = verdicts(asked.device, precision)
        row = "float32 on cuda" if cuda and precision == "float32" else precision
        print(
            f"| {precision} | {of_laws:.1e} | {of_gates:.1e} | {TOLERANCES[row]:.0e} "
            f"| {false} | {refused} | {len(said)} |",
            flush=True,
        )
        print(*(f"  {line}" for line in said), sep="\n")
    if cuda:
        print("\n| model | step | check | | step | check | |")
        for model in MODELS:
            print(memory_and_time(asked.device, model), flush=True)
        print("", *wrong_places(asked.device), sep="\n\n")


if __name__ == "__main__":
    main()
