"""One table from torch functions to the rules of their axes.

`AnnotatedTensor` and `walk` both read it. A rule is called with what the function returned and the arguments
it was called with, and answers with axes: one Axes for each tensor returned, or None for no claim. A function
without a row has no rule, and what it returns is a plain tensor: wrong names are worse than none.
"""

from __future__ import annotations

from lstm_shapes.lab.torch_rules import elementwise, joining, layers, moving, products, reducing
from lstm_shapes.lab.torch_rules.table import (
    Answer,
    Rule,
    axes_of,
    rule_keeps_record,
    rule_of,
    tensors_in,
)

__all__ = ["Answer", "Rule", "axes_of", "rule_keeps_record", "rule_of", "tensors_in"]

# Importing a module fills its rows.
_FILLED = (elementwise, joining, layers, moving, products, reducing)
