"""A gate over time as a matplotlib Figure, for papers and slides. Needs the extra `[plot]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_shapes.lab.gates.heatmap import HeatMap

__all__ = ["heatmap_figure"]


def heatmap_figure(heatmap: HeatMap) -> Any:
    """A Figure of its own: no window opens, and pyplot's state is left alone.

    Raises: ImportError that says what to install.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError("a figure needs matplotlib: pip install 'lstm-shapes[plot]'") from error
    low, high = heatmap.bounds
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        heatmap.values,
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        # As in the SVG: blue is positive, and the warm end negative.
        cmap="Blues" if low == 0 else "RdBu",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(title=heatmap.title, xlabel="step t", ylabel="unit d")
    figure.colorbar(image, ax=axes)
    return figure
