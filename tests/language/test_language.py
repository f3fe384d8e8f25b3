"""English and Korean say the same things: the same keys and gaps, and no English left where a page is in Korean."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import string
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import lstm_shapes as ls
from lstm_shapes import _explorer
from lstm_shapes._views.canvas import padded, wrapped
from lstm_shapes._views.explanation import every_block
from lstm_shapes.display import as_document, as_text, page_of
from lstm_shapes.display.page import Drawing, Lines, Mark, Page, Tree
from lstm_shapes.explanation import Explanation
from lstm_shapes.language import LANGUAGES, gloss, language, say, speaking
from lstm_shapes.language._english import SENTENCES
from lstm_shapes.language._korean import SENTENCES as KOREAN
from lstm_shapes.language._korean import TERMS
from lstm_shapes.theory._quiz import deal
from tests.command_line import here, process, refused

# What keeps its name in Korean: torch and what torch calls its things, other tools, units.
_NAMES = """
    torch Keras cuDNN oneDNN autograd Embedding Linear LSTM GRU RNN MACs MAC FLOPs AttributeError meta CPU float64
    float32 layer.eval X.transpose x_ h_
    input_size hidden_size embedding_dim num_layers bidirectional proj_size output units reset_after True False
    hn cn hn, h0 c0 h_n c_n b_hn lengths length batch_first dropout layer eval tanh view data packed X.data
    batch_sizes batch_indices torchinfo flop_registry FlopCounterMode picture time_major transpose
    weight_ih weight_hh weight_hr bias_ih bias_hh W_i W_h W_hr W_ih
    None Enter Ctrl in_features packed_data reshape permute forward walk jit compile torch.compile torch.jit eval h_ x.T
    b_ih b_hh weight_ih_l0 weight_hh_l0 relu exp sum lengths yes true no false
"""  # the last four: answers that are understood

NAMES = {*_NAMES.replace(",", " ").split()}


def gaps(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def words(sentence: str) -> set[str]:
    """Latin words of two letters and more outside code and gaps, without those that keep their name."""
    plain = re.sub(r"`[^`]*`|\{[^{}]*\}", " ", sentence)
    found = {word.rstrip(".") for word in re.findall(r"[A-Za-z][A-Za-z_.0-9]+", plain)}
    return {word for word in found if len(word) > 1 and word not in NAMES}


def test_both_have_every_key_and_every_gap() -> None:
    """A sentence that is missing in one of them, or that says less, is found here."""
    assert set(KOREAN) == set(SENTENCES)
    assert not {key for key in SENTENCES if gaps(SENTENCES[key]) != gaps(KOREAN[key])}


def test_every_sentence_is_asked_for() -> None:
    """Each key stands in the code, whole or as the end of one that is put together."""
    root = Path(ls.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py") if path.parent.name != "language")
    starts = {*re.findall(r'say\(\s*f"([a-z ]+)\{', code)} | {
        "call",
        "is ",
        "slice ",
        "also ",
        "tool ",
        "law",
    }
    unasked = {key for key in SENTENCES if f'"{key}"' not in code and f"'{key}'" not in code}
    assert not {key for key in unasked if not any(key.startswith(start) for start in starts)}


def test_sentences_are_korean() -> None:
    """No English word but names and code; code is the same in both; no particle that depends on a gap."""
    for key, korean in KOREAN.items():
        assert not words(korean), key
        codes = [sorted(re.findall("`([^`]*)`", sentence)) for sentence in (SENTENCES[key], korean)]
        assert codes[0] == codes[1], key
        assert not re.search(r"\}`?(은|는|이|가|을|를|과|와|으로|로)(?![가-힣])", korean), key


def test_a_wrong_table_is_found() -> None:
    """What the test above looks for, it sees."""
    assert words("상태는 zeros if left out입니다") == {"zeros", "if", "left", "out"}
    assert not words("`zeros` {last} torch의 hn")


# ---------------------------------------------------------------------- whole pages

KINDS: dict[str, dict[str, Any]] = {
    "lesson": {"K": 3},
    "GRU": {"cell": "GRU", "K": 2, "batch_first": False},
    "RNN": {"cell": "RNN", "bidirectional": True, "nonlinearity": "relu"},
    "bidirectional": {"K": 2, "bidirectional": True},
    "projected": {"K": 2, "proj_size": 3, "bidirectional": True},
    "packed": {"K": 2, "lengths": (5, 3, 3)},
    "packed, two directions": {"lengths": (5, 3), "bidirectional": True, "cell": "RNN"},
    "unbatched": {"N": None, "cell": "GRU", "bias": False},
    "LSTMCell": {"cell": "LSTMCell"},
    "GRUCell": {"cell": "GRUCell", "N": None},
    "RNNCell": {"cell": "RNNCell", "bias": False},
    "deep": {"K": 40, "dropout": 0.5},
    "dropout of nothing": {"dropout": 0.5},
    "one step": {"bidirectional": True, "N": 1, "L": 1},
    "long": {"L": 1000, "bidirectional": True, "dropout": 1, "K": 2},
}


def made(kind: str, **options: Any) -> Any:
    fields = dict(KINDS[kind])
    cells = "Cell" in fields.get("cell", "")
    sizes = {} if cells or "L" in fields or "lengths" in fields else {"L": 5}
    return ls.explain(7, 6, **{**sizes, **fields}, lang="ko", **options)


def texts(page: Page) -> list[str]:
    """All that a page says, but for code, symbols and numbers."""
    every = [page.title, page.subtitle, page.more]
    for block in (*page.blocks, *page.folded):
        every.append(block.title)
        if isinstance(block, Lines):
            every += block.items
        elif isinstance(block, Drawing):
            every.append(block.at(80))
        elif isinstance(block, Tree):
            rows = [cell for row in block.sheet.rows for cell in row if isinstance(cell, Mark)]
            # The program stays as it is written, and so does a comment of its own.
            every += [
                cell.text.partition(": ")[2] if "#" in cell.text else cell.text for cell in rows if cell.role == "bad"
            ]
            every += [cell.text for cell in rows if cell.role == "quiet" and "?" in cell.text[:8]]
        else:
            every += [column.name for column in block.columns] + [block.caption]
            every += [cell for row in (*block.rows, *block.totals) for cell in row if isinstance(cell, str)]
            # Laws that no expression says are sentences in a cell of code.
            every += [cell.text for row in block.rows for cell in row if isinstance(cell, Mark) and cell.role == "code"]
    return every


def english(text: str) -> list[str]:
    """Two small Latin words side by side, or a plain word of English alone."""
    plain = re.sub(r"`[^`]*`", " ", text)
    for term in TERMS.values():
        plain = plain.replace(f"({term})", " ")
    alone = r"\b(?:the|of|is|are|and|or|layers?|steps?|rows?|read|none|axis|wide)\b(?![(.,])"
    return re.findall(rf"\b[a-z]{{3,}} [a-z]{{2,}}\b|{alone}", plain)


@pytest.mark.parametrize("kind", KINDS)
def test_no_english_is_left(kind: str) -> None:
    """On the first screen, behind it, in the proof, in the picture and its words."""
    explanation = made(kind)
    assert explanation.proof.ok
    pages = [page_of(one) for one in (explanation, explanation.prediction, explanation.counts, explanation.proof)]
    pages += [page_of(one) for one in (explanation.slices, explanation.laws, explanation.notes)]
    pages.append(page_of(ls.count(explanation.spec, lang="ko")))
    with speaking("ko"):
        pages.append(Page("", "", every_block(Explanation.of(explanation.prediction))))
    sizes = {"N": explanation.call.N, "L": explanation.call.L, "lengths": explanation.call.lengths}
    sizes = {name: size for name, size in sizes.items() if not (explanation.spec.kind.step and name == "L")}
    pictures = [ls.picture(explanation.spec, kind="cell", lang="ko", **sizes)]
    for read in ("hn", "hn[-1]", *(() if explanation.spec.kind.step else ("Y[0]", "Y[-1]"))):
        pictures.append(ls.picture(explanation.spec, highlight=read, lang="ko", **sizes))
    if explanation.call.lengths:
        pictures.append(ls.picture(explanation.spec, kind="packed", lang="ko", **sizes))
    svgs = [page_of(explanation).picture, *(lambda one=one: one.svg for one in pictures)]
    found = [part for page in [*pages, *map(page_of, pictures)] for text in texts(page) for part in english(text)]
    found += [part for svg in svgs if svg for text in re.findall(">([^<{]+)<", svg()) for part in english(text)]
    found += [part for law in explanation.laws for part in english(law.condition)]
    assert not found


def test_the_english_word_stands_behind_the_first_korean_one() -> None:
    """Once a page, in sentences; on the next page again."""
    explanation = made("lesson", proof=False)
    for _ in range(2):
        text = as_text(explanation, width=200)
        assert [text.count(f"({english})") for english in ("hidden state", "cell state", "layer")] == [1, 1, 1]
    assert "(hidden state)" in as_text(explanation.notes, width=200)
    assert "(" not in explanation.slices[0].meaning
    with speaking("en"):
        assert gloss("은닉 상태") == "은닉 상태"


def test_tables_stay_straight() -> None:
    """As wide in a terminal as asked for, nothing cut off, and columns that begin below each other."""
    for kind in KINDS:
        explanation = made(kind, proof=False)
        for value in (explanation, explanation.laws, explanation.slices, explanation.notes):
            for width in (60, 80, 120):
                lines = as_text(value, width=width).splitlines()
                assert max(map(cell_len, lines)) <= width
                assert not [line for line in lines if line.endswith("…")]
    head, _, first = as_text(made("lesson", proof=False), width=80).splitlines()[4:7]
    assert cell_len(head.partition("크기")[0]) == cell_len(first.partition("(2, 5, 7)")[0])


def test_cells_of_a_picture_stand_below_each_other() -> None:
    """Where a label and a mark are as wide as two letters for each syllable."""
    for width in (40, 80):
        rows = page_of(ls.picture(3, 5, 2, L=6, lengths=(6, 2), lang="ko")).blocks[0].at(width).splitlines()  # type: ignore[union-attr]
        assert max(map(cell_len, rows)) <= width
        arrows = {cell_len(row.partition("↑")[0]) for row in rows if "↑" in row}
        assert len(arrows) == 1
        assert {cell_len(row.partition("Y  ")[0] + "Y") for row in rows if row.startswith("Y")} == {1}


def test_columns_are_those_of_a_terminal() -> None:
    """As rich counts them, for all that the table has."""
    for sentence in (" ".join(sentence.split()) for sentence in KOREAN.values()):
        assert all(cell_len(line) <= 40 for line in wrapped(sentence, 40) if " " in line)
        assert " ".join(wrapped(sentence, 40)) == sentence
    assert [padded("층 1", 6, side) for side in "<>^"] == ["층 1  ", "  층 1", " 층 1 "]


# ---------------------------------------------------------------------- which language


@pytest.fixture
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No language in the environment."""
    for name in ("LSTM_SHAPES_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "kok_IN"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR", "LSTM_SHAPES_LANG": "en"}, "en"),
        ({"LSTM_SHAPES_LANG": "ko"}, "ko"),
    ],
)
def test_the_environment_asks(environment: dict[str, str], expected: str, nothing_asked: pytest.MonkeyPatch) -> None:
    """The variable first, then the locale of messages, Korean only if it says so."""
    for name, value in environment.items():
        nothing_asked.setenv(name, value)
    assert language() == expected
    assert ls.predict(28, 256).lang == expected
    assert ls.predict(28, 256, lang="en").lang == "en"


@pytest.mark.parametrize("wrong", ["de", "KO", "", 7])
def test_an_unknown_language_is_one_error(wrong: Any, nothing_asked: pytest.MonkeyPatch) -> None:
    """With what there is; also in the environment, and on the command line."""
    for call in (ls.predict, ls.explain, ls.count, ls.laws, ls.picture):
        with pytest.raises(ls.SpecError, match="lang must be one of en, ko"):
            call(28, 256, lang=wrong)
    nothing_asked.setenv("LSTM_SHAPES_LANG", "de")
    with pytest.raises(ls.SpecError, match="LSTM_SHAPES_LANG must be one of en, ko, got 'de'"):
        ls.count(28, 256)


def test_results_remember_their_language() -> None:
    """Looked at anywhere, also from another thread; what they hand out is in it, too."""
    explanation, seen = made("bidirectional"), list[str]()
    parts = (explanation.prediction, explanation.counts, explanation.proof, explanation.laws, explanation.notes)
    assert {part.lang for part in (*parts, explanation.slices, ls.run(explanation.spec, lang="ko").prediction)} == {
        "ko"
    }
    thread = threading.Thread(target=lambda: seen.append(as_text(explanation)))
    with speaking("en"):
        thread.start()
        assert "형상" in as_text(explanation)
        assert "슬라이스" in repr(explanation.slices)
        assert "읽는 셀" in ls.picture(3, 5, highlight="hn", lang="ko").text
    thread.join()
    assert "형상" in seen[0]
    assert explanation.prediction == ls.predict(explanation.spec, L=5)  # the same prediction in other words
    assert "Shapes" in as_text(ls.explain(7, 6, proof=False, lang="en"))
    html = as_document(explanation)
    assert '<html lang="ko">' in html
    assert '<html lang="en">' in as_document(ls.predict(7, 6, lang="en"))


def test_plain_data_keeps_its_keys() -> None:
    """Only sentences differ: a program reads either."""
    korean, plain = made("packed", proof=False).to_dict(), ls.explain(7, 6, 2, lengths=(5, 3, 3), proof=False).to_dict()
    assert korean.keys() == plain.keys()
    assert korean["counts"] == plain["counts"]
    assert [law["holds"] for law in korean["laws"]] == [law["holds"] for law in plain["laws"]]
    assert all(re.search("[가-힣]", note) for note in korean["notes"])


# ---------------------------------------------------------------------- the command line


@pytest.mark.parametrize("arguments", [("explain", "28", "256", "3"), ("count", "28", "256", "--batch", "2")])
def test_english_words_of_a_page_in_parts(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, though the page is put on the screen in parts."""
    out = here(capsys, *arguments, "--lang", "ko", *(["--full"] if arguments[0] == "explain" else [])).out
    assert "매개변수" in out
    assert out.count("(gate)") == 1
    assert json.loads(here(capsys, *arguments, "--lang", "ko", "--json").out)


MODEL = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 8, 2, batch_first=True, bidirectional=True)

    def forward(self, x):
        Y, (hn, cn) = self.rnn(x)
        mixed = hn.view(x.size(0), -1)  # (batch, 9)
        return mixed[:, :16] + Y.sort(1).values[:, 0]

if __name__ == "__main__":
    Model()(torch.randn(2, 5, 4))
"""
SPEAKING: dict[str, tuple[str, ...]] = {
    "explain": ("28", "256", "3", "--full"),
    "count": ("28", "256", "--batch", "2"),
    "walk": ("spoken_model.py:Model", "--input", "2,5,4", "--html", "walk.html"),
    "inspect": ("spoken.pt",),
    "quiz": ("--level", "5", "--seed", "1", "--html", "quiz.html"),
    "explore": ("--no-browser",),
}
"""What every command is called with whose sentences are there in both languages."""
REPORTING: dict[str, tuple[str, ...]] = {
    "check": ("spoken_model.py:Model", "--input", "2,5,4"),
    "rules": ("LS201",),
    "run": ("spoken_model.py",),
}
"""What check finds is said in English, whole."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a program and its weights."""
    import torch

    (tmp_path / "spoken_model.py").write_text(MODEL)
    torch.save(torch.nn.LSTM(3, 4, 2).state_dict(), tmp_path / "spoken.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_explorer, "serve", lambda port, ready: ready("http://127.0.0.1:1"))
    monkeypatch.setenv("LSTM_SHAPES_LANG", "en")  # put back what explore leaves there
    return tmp_path


def spoken(out: str) -> str:
    """What a command prints, without the lines of the program that it shows."""
    return "\n".join(
        line for line in out.splitlines() if not any(word in line for word in ("Model.forward", "return "))
    )


@pytest.mark.parametrize("name", SPEAKING)
def test_commands_speak(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In Korean where that is asked for, with nothing of English in it, in 80 columns; in English else."""
    for by in ("word", "environment"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "80")
            patch.setenv("LSTM_SHAPES_LANG", "ko" if by == "environment" else "en")
            given = ("--lang", "ko") if by == "word" else ()
            ended = here(capsys, name, *given, *SPEAKING[name])
            said = ended.out + ended.err
            said += "".join(page.read_text(encoding="utf-8") for page in folder.glob("*.html"))
        assert re.search("[가-힣]", ended.out + ended.err)
        assert '<html lang="en">' not in said
        assert not [part for line in spoken(ended.out + ended.err).splitlines() for part in english(line)]
        assert max(map(cell_len, ended.out.splitlines()), default=0) <= 80
    ended = here(capsys, name, "--lang", "en", *SPEAKING[name])
    assert not re.search("[가-힣]", ended.out + ended.err)


@pytest.mark.parametrize("name", REPORTING)
def test_reports_are_in_english(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command takes --lang; a report that has no Korean has none in parts either."""
    env = {**os.environ, "LSTM_SHAPES_LANG": "ko", "PYTHONPATH": str(Path(ls.__file__).parent.parent)}
    for given in ((), ("--lang", "ko")):
        words = (word.replace("spoken", f"{folder}/spoken") for word in REPORTING[name])
        done = process(name, *given, *words, env=env)
        assert "LS2" in done.out + done.err
        assert not re.search("[가-힣]", done.out + done.err)


@pytest.mark.parametrize("level", range(1, 6))
def test_the_quiz_is_in_korean(level: int) -> None:
    """Every question, hint, remark and derivation; its answers can be given in either language."""
    with speaking("ko"):
        cards = list(deal(level, 60, 1)[1])
        for card in cards:
            said = [card.text, card.form, card.grade("??").remark, *card.remarks.values(), *card.derivation]
            said += [option for _, option in card.lettered if re.search("[가-힣]", option)]
            assert not [part for text in said for part in (*english(text), *words(text))], said
            assert all(re.search("[가-힣=]", text) for text in said)
    for word in ("yes", "예"):
        law = next(card for card in cards if card.topic == "laws") if level > 1 else None
        assert law is None or law.grade(word).right is not None


def test_walk_and_gates_are_in_korean(folder: Path) -> None:
    """What is said of lines, the steps of a cell, the ways back, and the heat map."""
    import torch
    from torch import nn

    spec = importlib.util.spec_from_file_location("spoken_model", folder / "spoken_model.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layer = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True, dropout=0.5)
    layer.register_forward_hook(lambda *_: None)
    trace = ls.gates(layer, torch.randn(2, 4, 3), lang="ko")
    steps = (
        trace.step(layer=1, direction=1, t=2),
        trace.step(),
        ls.gates(nn.GRU(2, 3), torch.ones(4, 2), lang="ko").step(),
    )
    walks = (
        ls.walk(module.Model(), torch.randn(2, 5, 4), lang="ko"),
        ls.walk(nn.Linear(2, 3), torch.ones(4, 2), lang="ko"),
    )
    for value in (trace, trace[0, 1], *steps, trace.feedback, trace.heatmap("f"), trace.heatmap("h", 1, 1), *walks):
        assert not [part for text in texts(page_of(value)) for part in english(text)]
        assert max(map(cell_len, as_text(value, width=80).splitlines())) <= 80
    assert not [part for text in re.findall(">([^<{]+)<", trace.heatmap("f").svg) for part in english(text)]
    head, _, first = as_text(trace, width=80).splitlines()[4:7]
    assert cell_len(head.partition("크기")[0]) == cell_len(first.partition("(2, 4, 5)")[0])


def test_warnings_are_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """As all errors, whatever the language."""
    monkeypatch.setenv("LSTM_SHAPES_LANG", "ko")
    with pytest.warns(ls.ScrambledAxesWarning, match="mixes elements of K, N and D; probably meant"):
        ls.run(3, 5, 2, N=4).hn.view(4, -1)


def test_the_lesson_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`lstm-shapes --lang ko` is the lesson's layer in Korean."""
    for words in (("--lang", "ko"), ("--lang=ko",)):
        assert "길이 L=20인 시퀀스" in here(capsys, *words).out
    assert "Every command takes --lang ko" in here(capsys, "--help").out


def test_an_unknown_language_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    refused(here(capsys, "count", "28", "256", "--lang", "fr"), "lang must be one of en, ko, got 'fr'")


def test_it_loads_nothing_large() -> None:
    """Two tables in Python: neither torch nor rich nor gettext."""
    code = "import sys, lstm_shapes.language; print(*({'torch', 'rich', 'gettext', 'locale'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
    assert say("call cell", N=1) == "N=1 sequence, one step"
    assert set(LANGUAGES) == {"en", "ko"}
