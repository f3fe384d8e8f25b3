"""What operations do to axes: pure functions from axes to axes, entered in one table under torch's names."""

from . import combining, joining, positions  # noqa: F401
