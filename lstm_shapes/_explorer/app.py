"""The explorer's controls. marimo runs the cells again that a moved control concerns; `answer` and `stepped` answer.

A cell is a piece of the page: explorer.css finds it by the class of the region in it, and lays the pieces out.
"""

# marimo's cells get their arguments by name from each other; they are not for calling.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

# /// script
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

app = marimo.App(width="full", app_title="lstm_shapes explorer", css_file="explorer.css")


@app.cell
def _():
    import re

    import marimo as mo

    from lstm_shapes._explorer.answer import answer, stepped, too_large
    from lstm_shapes.language import language, say
    from lstm_shapes.pictures import KINDS
    from lstm_shapes.theory.symbols import CELLS, SYMBOLS

    def region(kind, content, label="", role="region"):
        """A piece of the page. Labels are plain: marimo reads out the markup of an input's label with its words."""
        html = content if isinstance(content, str) else re.sub(r"&#92;u003c.*?&#92;u003e", "", content.text)
        named = f' aria-label="{label}"' if label else ""
        return mo.Html(f'<div class="explorer-{kind}" lang="{language()}" role="{role}"{named}>{html}</div>')

    # What is to be remembered when controls are made again: the last highlight that was drawn, and the step.
    last = {"lit": "", "t": 0, "layer": 0, "direction": 0, "d": 0}
    return CELLS, KINDS, SYMBOLS, answer, last, mo, region, say, stepped, too_large


# Shown where they are made: a cell that used `controls` to show them would run, and send them, at every move.
@app.cell
def _(CELLS, SYMBOLS, mo, region, say):
    def slider(letter, value, stop, start=1):
        label = f"{letter}: {SYMBOLS[letter].meaning}"
        return mo.ui.slider(start, stop, value=value, label=label, include_input=True, full_width=True)

    controls = mo.ui.dictionary(
        {
            "Q": slider("Q", 28, 512),
            "D": slider("D", 256, 1024),
            "K": slider("K", 3, 12),
            "N": slider("N", 2, 128),
            "L": slider("L", 20, 200),
            "proj_size": slider("P", 0, 512, start=0),
            "cell": mo.ui.dropdown(list(CELLS), value="LSTM", label=say("control cell")),
            "bidirectional": mo.ui.switch(label=say("control bidirectional")),
            "batch_first": mo.ui.switch(value=True, label="batch_first"),
            "bias": mo.ui.switch(value=True, label="bias"),
            "unbatched": mo.ui.switch(label=say("control unbatched")),
            "lengths": mo.ui.text(placeholder="5, 3, 2", debounce=300, label=say("control lengths")),
        }
    )
    heading = mo.Html(f"<h1>{say('explorer')}</h1>")
    region("sizes", mo.vstack([heading, *controls.elements.values()], gap=0), say("region sizes"))
    return (controls,)


@app.cell
def _(answered, region):
    region("trouble", answered.sizes, role="alert")
    return


@app.cell
def _(mo):
    stepping, step = mo.state(False)
    return step, stepping


# Buttons, since the keyboard cannot reach the first of marimo's tabs or radio buttons, and takes the last as chosen.
@app.cell
def _(mo, region, say, step):
    tabs = mo.ui.array(
        [
            mo.ui.button(label=say("shapes"), on_click=lambda _: step(False)),
            mo.ui.button(label=say("tab steps"), on_click=lambda _: step(True)),
        ]
    )
    region("tabs", mo.hstack(list(tabs.elements), justify="start"), say("region tabs"), role="group")
    return


@app.cell
def _(region, say, stepping):
    region("told", say("told steps" if stepping() else "told shapes"), role="status")
    return


@app.cell
def _(answered, region, say, stepping):
    None if stepping() else region("shapes", answered.shapes, say("shapes"))
    return


@app.cell
def _(KINDS, mo, region, say):
    _kinds = {say(f"kind {kind}"): kind for kind in KINDS}
    reading = mo.ui.dictionary(
        {
            "picture": mo.ui.dropdown(_kinds, value=say("kind grid"), label=say("control picture")),
            "highlight": mo.ui.text(
                value="Y[:, -1]", placeholder="Y[:, -1]", debounce=300, label=say("control highlight")
            ),
        }
    )
    region("reading", mo.hstack(list(reading.elements.values()), justify="start", wrap=True), say("region picture"))
    return (reading,)


@app.cell
def _(answered, region):
    region("unread", answered.highlight, role="alert")
    return


@app.cell
def _(answer, controls, last, reading):
    answered = answer({**controls.value, **reading.value}, last["lit"])
    last["lit"] = answered.lit
    return (answered,)


@app.cell
def _(answered, last, mo, region, say, stepping, too_large):
    steps = None
    if stepping() and answered.explanation is not None and not too_large(answered.explanation):
        _spec, _L = answered.explanation.spec, answered.explanation.call.L

        def _index(name, label, count):
            last[name] = min(last[name], count - 1)
            kept = {"value": last[name], "label": label, "include_input": True, "full_width": True}
            return mo.ui.slider(0, count - 1, **kept) if count > 1 else None

        _made = {
            "t": _index("t", say("control t"), _L),
            "d": _index("d", say("control d"), _spec.D),
            "layer": _index("layer", say("control layer"), _spec.K),
        }
        last["direction"] = min(last["direction"], _spec.R - 1)
        if _spec.R > 1:
            _ways = {say(f"way {direction}"): direction for direction in range(2)}
            _chosen = say(f"way {last['direction']}")
            _made["direction"] = mo.ui.dropdown(_ways, value=_chosen, label=say("control direction"))
        steps = mo.ui.dictionary({name: one for name, one in _made.items() if one is not None})
    region("steps", mo.vstack(list(steps.elements.values()), gap=0), say("region step")) if steps is not None else None
    return (steps,)


@app.cell
def _(answered, last, mo, region, say, stepped, stepping, steps, too_large):
    if not stepping():
        _shown = answered.rest
    elif steps is None:
        _shown = too_large(answered.explanation) if answered.explanation else ""
    else:
        last.update(steps.value)
        with mo.status.spinner(say("loading torch"), remove_on_exit=True):
            from lstm_shapes._views import measured  # noqa: F401

        _at = {name: last[name] for name in ("layer", "direction", "t", "d")}
        _shown = stepped(answered.explanation.spec, answered.explanation.call.L, **_at)
    region("rest", _shown, say("region result"))
    return


if __name__ == "__main__":
    app.run()
