"""One file a command of `lstm-shapes`.

Its docstring is the command's help, `declare` adds its arguments to a parser, and `main` takes them as keywords and
returns the exit code. What is not given on the command line is not passed, so that defaults stand in `main` alone.
"""
