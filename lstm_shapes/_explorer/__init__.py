"""The explorer: a page with a control for every symbol, and what the library says beside it.

answer  the values of the controls -> the pieces of the page; loads no torch
steps   one step of a real layer in numbers; loads torch, when somebody asks for a step
app     the marimo app: controls, and nothing else; explorer.css lays it out. `lstm-shapes explore` serves it
"""
