"""The explorer: a page with a control for every symbol, and what the library says below it. Loads no torch.

answer  the values of the controls -> the page below them
app     the marimo app: controls, and nothing else
server  serves it on this machine alone
"""
