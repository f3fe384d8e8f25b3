"""What operations do to axes: pure functions from axes to axes, entered in one table under torch's names."""

from . import broadcasting, contracting, indexing, joining, moving, reducing, reshaping, sequences, writing

__all__ = ["broadcasting", "contracting", "indexing", "joining", "moving", "reducing", "reshaping"]
__all__ += ["sequences", "writing"]
