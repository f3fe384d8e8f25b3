"""The commands about a layer: explain, count, quiz, explore. Loads no torch before the first table is on the screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_shapes.display import as_document
from lstm_shapes.language import language, say
from lstm_shapes.theory._given import LayerTyped, Placed
from lstm_shapes.theory.predict import count as counted
from lstm_shapes.theory.predict import predict

from . import _screen
from ._parser import Parser, argument, command, decimal, html, switch, whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lstm_shapes.display.page import Block


@command(
    Parser.layer,
    argument(
        "--time-major", dest="batch_first", action="store_false", help="X is (L, N, Q): torch's batch_first=False"
    ),
    argument("--dropout", type=decimal, help="between layers, 0 to 1 (default: 0)"),
    argument("--nonlinearity", help="tanh or relu, RNN only (default: tanh)"),
    argument("--device", help="where the proof runs: cpu, cuda, … (default: cpu)"),
    Parser.lang,
    Parser.json,
    html(),
    switch("proof", "run the layer and check every number"),
    argument("--full", action="store_true", help="also slices, notes, laws, counts and every line of proof"),
)
def explain(
    *,
    device: str = "cpu",
    json: bool = False,
    html: Path | None = None,
    proof: bool = True,
    full: bool = False,
    **layer: Unpack[LayerTyped],
) -> int:
    """Shapes, parameters and slices of a layer: predicted, then proved.

    The prediction is on the screen at once, the proof when torch has loaded.
    --full shows all slices, notes, laws, counts and every line of the proof.

    Examples:

      lstm-shapes explain 28 256 3 --batch 2 --steps 20

      lstm-shapes explain 28 256 3 --time-major --bidirectional --lengths 20,17,4

      lstm-shapes explain 28 64 2 --cell GRU --json | jq .counts.total

      lstm-shapes explain 28 256 3 --full --html lstm.html

      lstm-shapes explain 28 256 3 --lang ko
    """
    prediction = predict(**layer)
    if not json:
        from lstm_shapes._views.predicted import shapes_view

        _screen.put(shapes_view(prediction))  # on the screen before the rest is even imported
    from lstm_shapes.explanation import Explanation

    explanation = Explanation.of(prediction)
    if not json:
        from lstm_shapes._views.explanation import every_block, first_blocks

        _put_below(*(every_block(explanation) if full else first_blocks(prediction)))
    if proof:
        with _screen.loading(say("loading")):  # torch takes seconds
            from lstm_shapes.lab.proof import prove

            call = prediction.call
            sizes = Placed(N=call.N, L=call.L, lengths=call.lengths, device=device, dtype=prediction.dtype)
            explanation = Explanation.of(prediction, prove(prediction.spec, **sizes))
    if json:
        _screen.data(explanation.to_dict())
    else:
        blocks: tuple[Block, ...] = ()
        if explanation.proof is not None:
            from lstm_shapes._views.measured import proof_lines, proof_sheet

            blocks = (proof_sheet(explanation.proof),) if full else proof_lines(explanation.proof)
        if blocks or not full:
            _put_below(*blocks, more="" if full else say("more on the command line"))
    if html is not None:
        _screen.write(html, as_document(explanation))
    return 0 if explanation.proof is None or explanation.proof.ok else 1


def _put_below(*blocks: Block, more: str = "") -> None:
    from lstm_shapes.display.page import Page

    _screen.say()
    _screen.put(Page("", "", blocks, more=more))


@command(Parser.layer, Parser.lang, Parser.json)
def count(*, json: bool = False, **layer: Unpack[LayerTyped]) -> int:
    """Parameters layer by layer, with the formula.

    With --batch and --steps also multiply-accumulates, memory, and what other
    tools print.

    Examples:

      lstm-shapes count 28 256 3

      lstm-shapes count 28 256 3 --batch 2 --steps 20 --dtype bfloat16
    """
    _screen.show(counted(**layer), json)
    return 0


@command(
    argument("--level", metavar="1..5", type=whole, help="1 is one direction, 5 is everything (default: 1)"),
    argument("--rounds", metavar="N", type=whole, help="how many questions (default: 10)"),
    argument("--seed", metavar="S", type=whole, help="the same seed asks the same questions"),
    Parser.lang,
    html("ask nothing: write the questions to FILE, to be printed, and their key below them"),
)
def quiz(*, level: int = 1, rounds: int = 10, seed: int | None = None, html: Path | None = None) -> int:
    """Questions about random layers; a wrong answer is derived.

    Shapes are answered as 7,1 or (7, 1) or Q,1; numbers as 1,234 or 3*(Q - 20).
    The score comes by topic. Every quiz is another one, unless --seed is given.

    Examples:

      lstm-shapes quiz

      lstm-shapes quiz --level 3 --seed 7 --rounds 5

      lstm-shapes quiz --level 2 --html quiz.html
    """
    from lstm_shapes._quiz import play

    if html is None:
        _screen.put(play(level, rounds, seed, command=True))
        return 0
    from lstm_shapes._views.quiz import sheet_view
    from lstm_shapes.display.html import document

    _screen.write(html, document(sheet_view(level, rounds, seed)))
    return 0


@command(
    argument("--port", metavar="PORT", type=whole, help="0 takes a free one (default: 0)"),
    switch("browser", "open the page, or only print its address"),
    Parser.lang,
)
def explore(*, port: int = 0, browser: bool = True) -> int:
    """Sliders for the sizes of a layer, in the browser; its tables follow.

    Needs the extra [explore]. Only this machine reaches the page, and nothing is
    fetched from elsewhere.

    Examples:

      lstm-shapes explore

      lstm-shapes explore --port 2718 --no-browser

      lstm-shapes explore --lang ko
    """
    from lstm_shapes import _explorer  # which loads sockets

    os.environ["LSTM_SHAPES_LANG"] = language()  # for the threads of the server

    def ready(url: str) -> None:
        _screen.say(say("ends it", url=url))
        if browser:
            import webbrowser

            webbrowser.open(url)

    _explorer.serve(port, ready)
    return 0
