"""The explorer's controls. marimo runs the cells again that a moved control concerns; `answer` does the rest."""

# marimo's cells get their arguments by name from each other; they are not for calling.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

# /// script
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

app = marimo.App(width="medium", app_title="lstm_shapes explorer")


@app.cell
def _():
    import marimo as mo

    from lstm_shapes.explorer.answer import answer
    from lstm_shapes.pictures import KINDS
    from lstm_shapes.theory.cells import CELLS
    from lstm_shapes.theory.symbols import SYMBOLS

    return CELLS, KINDS, SYMBOLS, answer, mo


# Shown where they are made: a cell that used `controls` to show them would run, and send them, at every move.
@app.cell
def _(CELLS, KINDS, SYMBOLS, mo):
    def slider(letter, value, stop, start=1):
        label = f"**{letter}** {SYMBOLS[letter].meaning}"
        return mo.ui.slider(start, stop, value=value, label=label, include_input=True, full_width=True)

    controls = mo.ui.dictionary(
        {
            "Q": slider("Q", 28, 512),
            "D": slider("D", 256, 1024),
            "K": slider("K", 3, 12),
            "N": slider("N", 2, 128),
            "L": slider("L", 20, 200),
            "proj_size": slider("P", 0, 512, start=0),
            "cell": mo.ui.dropdown(list(CELLS), value="LSTM", label="cell"),
            "bidirectional": mo.ui.switch(label="two directions"),
            "batch_first": mo.ui.switch(value=True, label="batch_first"),
            "bias": mo.ui.switch(value=True, label="bias"),
            "unbatched": mo.ui.switch(label="one sequence, unbatched"),
            "lengths": mo.ui.text(placeholder="5, 3, 2", label="lengths (in place of N and L)"),
            "picture": mo.ui.dropdown(list(KINDS), value="grid", label="picture"),
            "highlight": mo.ui.text(value="Y[:, -1]", placeholder="Y[:, -1]", label="highlight"),
        }
    )
    sizes = mo.hstack(
        [mo.vstack([controls[name] for name in row]) for row in (("Q", "D", "K"), ("N", "L", "proj_size"))],
        widths="equal",
        gap=2,
    )
    switches = mo.hstack(
        [controls[name] for name in ("cell", "bidirectional", "batch_first", "bias", "unbatched")],
        justify="start",
        wrap=True,
        gap=1.5,
    )
    texts = mo.hstack([controls[name] for name in ("lengths", "picture", "highlight")], justify="start", wrap=True)
    mo.vstack([mo.md("# What goes in, what comes out"), sizes, switches, texts])
    return (controls,)


@app.cell
def _(answer, controls, mo):
    mo.Html(answer(controls.value))
    return


if __name__ == "__main__":
    app.run()
