"""One file a command of `lstm-shapes`. Each function is plain: its annotations are what typer reads."""
