"""gates(layer, x): what happens inside a layer, recomputed from its weights and equal to what it returns.

`tracing.py` calls the layer, with each layer's own output kept (`layer_by_layer.py`) and nothing random or foreign
left in it (`quiet.py`). A `GateTrace` (`trace.py`) holds a `CellTrace` for each layer and direction, which replays
its gates when somebody looks (`replay.py`; with a graph beforehand, `unroll.py`) and compares them (`agreement.py`).
`steps.py` has the equations of a kind of cell, once. `step.py`, `feedback.py` and `heatmap.py` read off a trace.
"""

from .tracing import gates

__all__ = ["gates"]
