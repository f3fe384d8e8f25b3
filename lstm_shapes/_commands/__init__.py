"""The commands of `lstm-shapes`: of a layer, and of a program; a command is a function whose docstring is its help."""
