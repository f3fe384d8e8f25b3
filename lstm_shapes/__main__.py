"""`python -m lstm_shapes` is the command `lstm-shapes`."""

from .cli import main

if __name__ == "__main__":
    main()
