"""The explorer: what it answers, who may reach it, and how it behaves in a real browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_shapes as ls
from lstm_shapes import _explorer
from lstm_shapes._explorer.answer import Answer, answer, stepped, too_large
from lstm_shapes.display import as_text, number
from lstm_shapes.pictures import KINDS
from lstm_shapes.theory.symbols import CELLS, CellKind
from tests.browser import Page, browser
from tests.command_line import here, refused
from tests.language.test_language import english
from tests.scale import examples

ROOT = Path(__file__).parent.parent
LESSON = {"Q": 28, "D": 256, "K": 3, "N": 2, "L": 20, "proj_size": 0, "cell": "LSTM", "batch_first": True, "bias": True}


# ---------------------------------------------------------------- what it answers


def test_lesson() -> None:
    """The lesson's layer: the very tables that explain shows."""
    page = answer(LESSON)
    assert (page.sizes, page.highlight) == ("", "")
    assert "<h3>Shapes</h3>" in page.shapes
    assert "(2, 20, 256)" in page.shapes
    for sheet in ("Parameters", "Reading it", "Mind"):
        assert f"<h3>{sheet}</h3>" in page.rest
    for sheet in ("Slices", "Notes", "Laws", "Kept for backward"):
        assert f"<summary>{sheet}</summary>" in page.rest
    assert "1,345,536" in page.rest


def whole(page: Answer) -> str:
    """All pieces of the page."""
    return page.sizes + page.highlight + page.shapes + page.rest


@pytest.mark.parametrize(
    ("moved", "shown", "gone"),
    [
        ({"bidirectional": True}, "(6, 2, 256)", "(3, 2, 256)"),
        ({"batch_first": False}, "(20, 2, 28)", "(2, 20, 28)"),
        ({"proj_size": 64}, "(2, 20, 64)", "(2, 20, 256)"),
        ({"cell": "GRU"}, "GRU(Q=28", "<span class=\"code\">cn</span>"),
        ({"cell": "GRU", "proj_size": 64}, "GRU does not have: P.", "(2, 20, 64)"),
        ({"cell": "LSTMCell"}, "LSTMCell does not have: K, L.", "(2, 20, 28)"),
        ({"cell": "LSTMCell", "highlight": "Y[:, -1]"}, "about a tensor of LSTMCell", "What can be written"),
        ({"cell": "GRU", "highlight": "cn[-1]"}, "about a tensor of GRU", "What can be written"),
        ({"cell": "GRUCell", "bidirectional": True, "lengths": "3,2"}, "K, directions, L, lengths.", "Slices"),
        ({"unbatched": True}, "(20, 28)", "(2, 20, 28)"),
        ({"lengths": "5, 3, 2"}, "packed: 10 real steps", "(2, 20, 28)"),
        ({"lengths": "5,3,2,"}, "(3, 5, 28)", "(2, 20, 28)"),
        ({"lengths": "5, 3", "unbatched": True}, "(20, 28)", "packed"),
        ({"bias": False}, "4·(Q·D + D·D)", "2D"),
    ],
)  # fmt: skip
def test_each_control(moved: dict[str, Any], shown: str, gone: str) -> None:
    """Every control changes what it is named after; one that does not concern the cell is said to be left out."""
    page = whole(answer({**LESSON, **moved}))
    assert shown in page
    assert gone not in page


@pytest.mark.parametrize(
    ("moved", "title"),
    [
        ({}, "LSTM(Q=28, D=256, K=3), unrolled over time"),
        ({"picture": "cell"}, "LSTM(Q=28, D=256, K=3), inside one cell of layer 0"),
        ({"picture": "packed", "lengths": "3, 2"}, "LSTM(Q=28, D=256, K=3), packed rows"),
        ({"cell": "RNNCell"}, "RNNCell(Q=28, D=256), one step"),
    ],
)
def test_each_picture(moved: dict[str, Any], title: str) -> None:
    """The picture that was chosen stands above the tables that follow the shapes."""
    page = answer({**LESSON, **moved}).rest
    assert f"<title>{title}</title>" in page
    assert page.index("<svg") < page.index("<table>")


def test_highlight_lights_its_cells() -> None:
    """The cells that an expression reads, as many as the picture itself lights."""
    lit = '"l-lit'
    for expression in ("Y[:, -1]", "hn", "cn[0]", ""):
        page = answer({**LESSON, "highlight": expression}).rest
        assert page.count(lit) == ls.picture(28, 256, 3, highlight=expression).svg.count(lit)
    assert (
        answer({**LESSON, "highlight": "hn"}).rest.count(lit)
        > answer({**LESSON, "highlight": "Y[:, -1]"}).rest.count(lit)
        > 0
    )


@pytest.mark.parametrize(
    ("moved", "sentence"),
    [
        ({"highlight": "Y[:, -1"}, "expression must be of this grammar, got &#x27;Y[:, -1&#x27;.</p><details>"),
        ({"highlight": "Y[:, 99]"}, "99"),
        ({"picture": "packed"}, "write lengths, such as 5, 3, 2, for a layer with a batch."),
        ({"picture": "packed", "cell": "LSTMCell", "lengths": "5, 3"}, "for a layer with a batch."),
    ],
)
def test_what_cannot_be_drawn_leaves_the_tables(moved: dict[str, Any], sentence: str) -> None:
    """The sentence stands beside the field, and the tables do not depend on it."""
    page = answer({**LESSON, **moved})
    assert sentence in page.highlight
    assert "unrolled over time" in page.rest or "one step" in page.rest
    assert "<h3>Shapes</h3>" in page.shapes


def test_bad_highlight_keeps_the_last_good_picture() -> None:
    """While somebody types, the cells stay lit that were lit before; where these are gone, too, none is."""
    good = answer({**LESSON, "highlight": "cn[1]"})
    assert good.lit == "cn[1]"
    typing = answer({**LESSON, "highlight": "cn[1"}, good.lit)
    assert typing.lit == "cn[1]"
    assert typing.rest == good.rest
    fewer = answer({**LESSON, "K": 1, "highlight": "cn[1"}, good.lit)
    assert fewer.lit == ""
    assert '"l-lit' not in fewer.rest
    assert "of this grammar" in fewer.highlight


@pytest.mark.parametrize(
    ("moved", "sentence"),
    [
        ({"D": 16, "proj_size": 16}, "P (proj_size) must be below D = 16 (0 for no projection), got 16."),
        ({"lengths": "5, x"}, "lengths must be whole numbers with commas between, such as 5, 3, 2"),
        ({"lengths": "5, 0"}, "lengths[1] must be a whole number of at least 1, got 0."),
        ({"lengths": "9" * 5000}, "lengths must be whole numbers"),
    ],
)
def test_bad_values_get_the_librarys_sentence(moved: dict[str, Any], sentence: str) -> None:
    """A sentence beside the field, never a traceback; the page is the one without the bad value."""
    page = answer({**LESSON, **moved})
    assert page.sizes.startswith("<p>")
    assert sentence in page.sizes
    good = answer({**LESSON, **moved, **{name: None for name in moved if name != "D"}})
    assert (page.shapes, page.rest) == (good.shapes, good.rest)


def test_two_bad_values() -> None:
    """Each has its sentence, once, and what is shown all the same."""
    page = answer({**LESSON, "D": 16, "proj_size": 16, "lengths": "5, " * 3 + "x"})
    assert page.sizes.count("<p>") == 4
    assert page.sizes.index("Shown without lengths:") < page.sizes.index("Shown without P:")
    assert "LSTM(Q=28, D=16, K=3)" in page.shapes


def test_a_size_that_is_none_leaves_the_sentence() -> None:
    """The sliders have no 0; whoever calls with one gets told."""
    sentence = "<p>There is no such layer:</p><p>Q (input_size) must be a whole number of at least 1, got 0.</p>"
    assert answer({**LESSON, "Q": 0}) == Answer(sizes=sentence)


@pytest.mark.parametrize("field", ["lengths", "highlight"])
def test_hostile_text_is_escaped(field: str) -> None:
    """What is typed into the page comes back as text."""
    page = whole(answer({**LESSON, field: "<script>alert(1)</script><img src=x onerror=alert(1)>"}))
    assert "<script" not in page
    assert "<img" not in page


@pytest.mark.fuzz
@settings(max_examples=examples(150))
@given(
    st.fixed_dictionaries(
        {
            "Q": st.integers(1, 512),
            "D": st.integers(1, 1024),
            "K": st.integers(1, 12),
            "N": st.integers(1, 128),
            "L": st.integers(1, 200),
            "proj_size": st.integers(0, 512),
            "cell": st.sampled_from(sorted(CELLS)),
            "bidirectional": st.booleans(),
            "batch_first": st.booleans(),
            "bias": st.booleans(),
            "unbatched": st.booleans(),
            "lengths": st.one_of(
                st.just(""), st.text(max_size=12), st.from_regex(r"[1-9](, ?[1-9]){0,3}", fullmatch=True)
            ),
            "picture": st.sampled_from(KINDS),
            "highlight": st.text(max_size=12) | (st.sampled_from(["Y[:, -1]", "hn[-1]", "cn", "X[0]", "Y[-1"])),
        }
    )
)
def test_any_position_of_the_controls_has_an_answer(values: dict[str, Any]) -> None:
    """Every combination gives tables, or one sentence; the total is the one that count gives."""
    page = whole(answer(values))
    kind = CELLS[values["cell"]]
    fields = {"cell": values["cell"], "bias": values["bias"]}
    if not kind.step:
        fields["bidirectional"] = values["bidirectional"]
    if kind.projects and "P (proj_size) must be" not in page:
        fields["proj_size"] = values["proj_size"]
    assert f"{ls.count(values['Q'], values['D'], 1 if kind.step else values['K'], **fields).total:,}" in page


def test_in_korean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables, the picture, and what stands beside a field; an error of the library's is marked as English."""
    monkeypatch.setenv("LSTM_SHAPES_LANG", "ko")
    page = answer({**LESSON, "proj_size": 256, "lengths": "5, x", "highlight": "Y[:, -"}, "Y[:, -1]")
    assert "시점(time step)" in page.shapes
    assert "Y[:, -1]에서 읽는 것" in page.rest
    assert page.sizes.count('<p lang="en">') == 2
    assert page.highlight.startswith("<p>그릴 수 없는 식이어서 직전의 그림을 남겨 둡니다.")
    assert "GRU에는 없는 항목: P." in answer({**LESSON, "cell": "GRU", "proj_size": 4}).sizes
    assert "층이 너무 큽니다" in too_large(answer({**LESSON, "D": 1024, "K": 12, "L": 200}).explanation)  # type: ignore[arg-type]
    assert "유닛 d=1의 행" in stepped(ls.Spec(3, 5), 4, t=2, d=1)


# ---------------------------------------------------------------- a cell, step by step


@pytest.mark.parametrize("kind", CELLS.values(), ids=lambda kind: kind.name)
def test_a_step_is_the_librarys_own(kind: CellKind) -> None:
    """Numbers, equations and rows of the weights of a real layer, as `gates` gives them for the same seed."""
    spec = ls.Spec(5, 7, 1 if kind.step else 2, cell=kind.name)
    L, layer = (1, 0) if kind.step else (6, 1)
    page = stepped(spec, L, t=L - 1, layer=layer, d=3)
    ran = ls.run(spec, N=None) if kind.step else ls.run(spec, N=None, L=L)
    step = ls.gates(ran.layer, ran.X).step(layer, 0, L - 1, 0, 3)
    for equation in step.equations:
        assert escape(equation.substituted) in page
    told = page.partition("<desc>")[2].partition("</desc>")[0]
    for name, _ in kind.equations:
        (value,) = (one.value for one in step.equations if one.name == name)
        assert value is not None
        assert f"{name} = {number(value)}" in told
    for place, gate in enumerate(kind.gates):
        assert f"{place * 7}:{place * 7 + 7}" in page, gate


def test_a_step_backwards_and_projected() -> None:
    """The reverse direction says so; a unit that the projected h does not have is left out of the drawing."""
    page = stepped(ls.Spec(5, 7, 2, bidirectional=True, proj_size=3), 6, t=2, layer=1, direction=1, d=3)
    assert "unit d=3 of layer 1 reverse" in page
    told = page.partition("<desc>")[2].partition("</desc>")[0]
    assert "c = " in told
    assert "h = " not in told


@pytest.mark.parametrize(("t", "times"), [(0, 1), (2, 2)])
def test_a_step_is_in_front_once(t: int, times: int) -> None:
    """Before all others, where a phone has it in sight; step 0 is that by itself."""
    assert stepped(ls.Spec(3, 5), 4, t=t).count(f">t={t}<") == times


def test_too_large_to_step_through() -> None:
    """A layer that would make the slider wait says so, with the numbers; the lesson's is not one."""
    assert [too_large(found.explanation) for found in [answer(LESSON)] if found.explanation] == [""]
    large = answer({**LESSON, "D": 1024, "K": 12, "L": 200}).explanation
    assert large is not None
    assert f"{large.counts.total:,} parameters times 200 steps" in too_large(large)


# ---------------------------------------------------------------- who may reach it


def test_bad_port() -> None:
    """A port beyond the last is refused before anything is opened."""
    with pytest.raises(ls.SpecError, match=r"--port must be 0 \(a free one\) to 65535, got 70000"):
        _explorer.serve(70000)


def test_without_marimo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra: what to install, in one line."""
    monkeypatch.setattr(_explorer, "find_spec", lambda name: None)
    refused(
        here(capsys, "explore"), "needs marimo, which is missing: install it with pip install 'lstm-shapes[explore]'"
    )


def test_app_loads_no_torch() -> None:
    """All cells run, in a fresh interpreter, and torch is not there afterwards."""
    code = (
        "import sys\n"
        "from lstm_shapes._explorer.app import app\n"
        "outputs, defined = app.run()\n"
        "assert any('LSTM(Q=28, D=256, K=3)' in one.text for one in outputs if one is not None)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """The address of a running explorer, ended the way a person ends it."""
    command = [sys.executable, "-m", "lstm_shapes", "explore", "--no-browser", *words]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background inherits an ignored SIGINT; somebody at a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert run.stdout is not None
        yield run.stdout.readline().split()[0]
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
        assert (run.returncode, errors) == (0, "")
    finally:
        run.kill()
        run.wait()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving("--lang", "en") as address:
        yield address


@pytest.fixture(scope="module")
def korean_url() -> Iterator[str]:
    with serving("--lang", "ko") as address:
        yield address


def test_loopback_only(url: str) -> None:
    """It listens on 127.0.0.1, and answers to no other host name: a foreign page cannot point its own name here."""
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url) as reply:
        assert reply.status == 200
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "example.org"}))
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    port = int(url.rpartition(":")[2])
    for address in others - {"127.0.0.1"}:
        if not str(address).startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((str(address), port), timeout=5).close()


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(tab: Page, url: str) -> Page:
    """The explorer as it opens, with its controls ready."""
    tab.open(url)
    tab.shows("LSTM(Q=28, D=256, K=3)", "1,345,536")
    tab.wait(lambda: len(controls(tab, "marimo-slider")) == 6, "six sliders")
    return tab


@pytest.fixture
def korean(tab: Page, korean_url: str) -> Page:
    """The same in Korean."""
    tab.open(korean_url)
    tab.shows("LSTM(Q=28, D=256, K=3)", "1,345,536", "매개변수")
    tab.wait(lambda: len(controls(tab, "marimo-slider")) == 6, "six sliders")
    return tab


def controls(page: Page, tag: str) -> list[Any]:
    return list(page.driver.find_elements("css selector", tag))


def labelled(page: Page, tag: str, label: str) -> Any:
    """A control by what stands beside it; marimo's controls keep their insides in a shadow root."""
    for control in controls(page, tag):
        inside = control.shadow_root
        if inside.find_element("css selector", "label, button, div").text.startswith(label):
            return inside
    raise AssertionError(f"no {tag} labelled {label}")


def slide(page: Page, letter: str, *keys: str) -> None:
    labelled(page, "marimo-slider", letter).find_element("css selector", "[role=slider]").send_keys(*keys)


def region(page: Page, name: str) -> Any:
    """A piece of the page."""
    return page.driver.find_element("css selector", f".explorer-{name}")


def step_by_step(page: Page) -> None:
    labelled(page, "marimo-button", "A cell").find_element("css selector", "button").click()


def write(page: Page, label: str, text: str) -> None:
    from selenium.webdriver.common.keys import Keys

    field = labelled(page, "marimo-text", label).find_element("css selector", "input")
    field.send_keys(Keys.BACKSPACE * len(field.get_attribute("value") or ""))
    field.send_keys(text, Keys.TAB)


def test_sliders_move_the_tables(page: Page) -> None:
    """Each of the sliders, by keyboard: the shapes that hold its symbol follow."""
    from selenium.webdriver.common.keys import Keys

    slide(page, "K:", Keys.ARROW_RIGHT)
    page.shows("LSTM(Q=28, D=256, K=4)", "(4, 2, 256)")
    slide(page, "N:", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.shows("(4, 20, 28)", "(4, 4, 256)")
    slide(page, "Q:", Keys.ARROW_LEFT)
    page.shows("(4, 20, 27)")
    slide(page, "L:", Keys.ARROW_LEFT)
    page.shows("(4, 19, 27)")
    slide(page, "D:", Keys.ARROW_LEFT)
    page.shows("(4, 4, 255)")
    slide(page, "P:", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.shows("P=2", "(4, 19, 2)")


def test_switches_cell_and_lengths(page: Page, tmp_path: Path) -> None:
    """Directions, layout, cell and lengths; then the same numbers as the library gives in Python."""
    labelled(page, "marimo-switch", "two directions").find_element("css selector", "button").click()
    page.shows("(6, 2, 256)", "K·R")
    labelled(page, "marimo-switch", "batch_first").find_element("css selector", "button").click()
    page.shows("(20, 2, 28)")
    write(page, "lengths", "7, 4, 4")
    page.shows("packed: 15 real steps", "(7, 3, 512)")
    labelled(page, "marimo-dropdown", "cell").find_element("css selector", "option[value=GRU]").click()
    page.shows("GRU(Q=28, D=256, K=3, bidirectional)")
    counts = ls.count(28, 256, 3, cell="GRU", bidirectional=True, lengths=(7, 4, 4))
    page.shows(f"{counts.total:,}")
    page.driver.execute_script("document.querySelectorAll('.lstm-shapes details').forEach(one => one.open = true)")
    page.shows(f"{counts.macs:,} MACs")
    write(page, "highlight", "hn[-1]")
    page.shows("hn[-1] reads h of layer 2 reverse at t=0", "row n=2, 4 of 7 steps")
    assert page.picture(tmp_path / "explorer.png").stat().st_size > 20_000


def test_errors_are_shown_and_gone_again(page: Page) -> None:
    """A bad entry gives the sentence in a region that is read out, a good one takes it away again."""
    write(page, "lengths", "5, many")
    page.shows("lengths must be whole numbers with commas between", "(2, 20, 256)")
    assert "Traceback" not in page.text
    assert "whole numbers" in region(page, "trouble").text
    write(page, "lengths", "5, 2")
    page.shows("packed: 7 real steps")
    assert region(page, "trouble").text == ""


def test_bad_highlight_beside_its_field(page: Page) -> None:
    """The sentence stands between the field and the picture, which stays as it was lit; the region was there before."""
    alert = region(page, "unread")
    assert alert.get_attribute("role") == "alert"
    write(page, "highlight", "cn[0")
    page.wait(lambda: "must be of this grammar" in alert.text, "the sentence in the region that was there")
    page.shows("Y[:, -1] reads h of layer 2 at t=19.")
    tops = [region(page, name).rect["y"] for name in ("reading", "unread", "rest")]
    assert tops == sorted(tops)
    write(page, "highlight", "cn[0]")
    page.shows("cn[0] reads c of layer 0 at t=19.")
    page.wait(lambda: alert.text == "", "the sentence gone")


def test_a_cell_step_by_step(page: Page) -> None:
    """The other view: numbers of unit d at step t, as stepped gives them; the sizes it is told are kept."""
    from selenium.webdriver.common.keys import Keys

    step_by_step(page)
    page.shows("Step t=0 of layer 0", "unit d=0 is row", "D:2D")
    slide(page, "t:", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.shows("Step t=2 of layer 0")
    slide(page, "layer,", Keys.ARROW_RIGHT)
    page.shows("Step t=2 of layer 1", "unit d=0 of layer 1")
    slide(page, "L:", Keys.ARROW_LEFT)
    page.shows("t=18")
    page.shows("Step t=2 of layer 1")
    for letter in ("D:", "K:", "L:"):
        slide(page, letter, Keys.END)
    page.shows("too large to be stepped through")
    labelled(page, "marimo-button", "Shapes").find_element("css selector", "button").click()
    page.shows("(12, 2, 1024)")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["page", "korean"])
def test_shapes_are_in_sight_with_the_sliders(
    lang: str, width: int, height: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    """Every slider and the table of shapes are on one screen, and nothing is wider than it; dark is dark."""
    page = request.getfixturevalue(lang)
    page.scheme(scheme)
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 1000},
    )
    try:
        page.wait(lambda: page.driver.execute_script("return innerWidth") == width, "the size")
        page.wait(lambda: region(page, "shapes").find_element("css selector", "table").rect["height"], "the table")
        seen = [*controls(page, "marimo-slider"), region(page, "shapes").find_element("css selector", "table")]
        for one in seen:
            assert one.rect["y"] >= 0
            assert one.rect["y"] + one.rect["height"] <= height
            assert one.rect["x"] + one.rect["width"] <= width
        assert page.driver.execute_script("return document.querySelector('#App').scrollWidth") <= width
        if scheme == "dark":
            back = "return getComputedStyle(document.querySelector('#App')).backgroundColor.match(/[\\d.]+/g)"
            assert max(float(part) for part in page.driver.execute_script(back)[:3]) < 60
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.scheme("light")


def test_keyboard_reaches_everything_in_order(page: Page) -> None:
    """Tab goes through sizes, views, picture, and what is folded; each has a name without markup, and nothing moves."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    names = []
    for _ in range(24):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        names.append(page.driver.execute_script(_FOCUSED))
    wanted = (
        "Q: features",
        "P: width",
        "cell",
        "two directions",
        "lengths",
        "Shapes",
        "A cell",
        "picture",
        "highlight",
    )
    places = [next(place for place, name in enumerate(names) if name.startswith(start)) for start in wanted]
    assert places == sorted(places), names
    assert "Slices" in names
    assert not [name for name in names if not name or "<" in name]
    page.shows("What a layer takes and gives")


# What a screen reader calls the focused control: its label, or the words on it; shadow roots are entered.
_FOCUSED = """
let one = document.activeElement;
while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement;
const root = one.getRootNode(), by = one.getAttribute('aria-labelledby');
const label = by ? root.getElementById(by) : one.id ? root.querySelector(`label[for="${one.id}"]`) : null;
return one.getAttribute('aria-label') || (label || one).innerText;
"""


def test_all_of_it_in_korean(korean: Page) -> None:
    """Controls, tabs, the sentence beside a field, a step: every line that has no Korean in it is code or numbers."""
    labels = [
        labelled(korean, "marimo-slider", letter).find_element("css selector", "label").text for letter in "QDKNLP"
    ]
    labels += [one.shadow_root.find_element("css selector", "button").text for one in controls(korean, "marimo-button")]
    assert all(re.search("[가-힣]", label) for label in labels), labels
    write(korean, "강조할 식", "cn[0")
    alert = region(korean, "unread")
    korean.wait(lambda: "직전의 그림을 남겨 둡니다" in alert.text, "the sentence beside the field")
    assert "must be of this grammar" in alert.find_element("css selector", "p[lang=en]").text
    write(korean, "강조할 식", "cn[0]")
    korean.shows("cn[0]에서 읽는 것")
    assert [part for line in korean.text.splitlines() for part in english(line)] == []
    labelled(korean, "marimo-button", "셀 하나를").find_element("css selector", "button").click()
    korean.shows("시점(time step) t=0", "유닛 d=0의 행")
    assert [part for line in korean.text.splitlines() for part in english(line)] == []
    assert korean.driver.execute_script("return document.querySelector('.explorer-rest').lang") == "ko"


def test_narrow_window_scrolls_the_picture(page: Page) -> None:
    """On a phone the picture keeps a size that can be read; it is scrolled, and the page is not."""
    page.driver.set_window_size(500, 900)  # Chromium's least
    try:
        widths = page.driver.execute_script(
            "const box = document.querySelector('.lstm-shapes .drawing'), svg = box.querySelector('svg');"
            "return [svg.getBoundingClientRect().width, svg.viewBox.baseVal.width, box.clientWidth, box.scrollWidth]"
        )
        shown, drawn, frame, inside = widths
        assert shown >= 0.7 * drawn > frame, widths
        assert inside >= shown - 1, widths
    finally:
        page.driver.set_window_size(1200, 2400)


def test_narrow_window_holds_every_table(page: Page) -> None:
    """On a phone no table is cut off, and marimo's menu goes up with the page instead of lying over it."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.wait(lambda: page.driver.execute_script("return innerWidth") == 390, "the size")
        page.driver.execute_script("document.querySelectorAll('.lstm-shapes details').forEach(one => one.open = true)")
        for table in region(page, "rest").find_elements("css selector", "table"):
            assert table.rect["x"] + table.rect["width"] <= 390, table.text
        page.driver.execute_script("document.querySelector('.explorer-rest').scrollIntoView()")
        menu = "return document.querySelector('[data-testid=notebook-actions-dropdown]').getBoundingClientRect().bottom"
        page.wait(lambda: page.driver.execute_script(menu) < 0, "a menu out of the way")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    """Every file of the page comes from this machine."""
    page.shows("Laws")
    assert page.foreign() == []
    assert any("/assets/" in address for address in page.addresses)


def test_same_text_as_in_the_console(page: Page) -> None:
    """The page shows what the console shows: each cell of every table."""
    explanation = ls.explain(28, 256, 3, N=2, L=20, proof=False)
    for block in explanation.__rich__().blocks:
        for row in getattr(block, "rows", ()):
            for cell in row:
                page.shows(" ".join(getattr(cell, "text", cell).replace("`", "").split("\n")[0].split()))
    assert as_text(explanation, width=80)
    assert os.environ.get("COLUMNS") is None
