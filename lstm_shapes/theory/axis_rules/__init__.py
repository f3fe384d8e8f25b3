"""What operations do to axes: pure functions from Axes to Axes, named after the torch functions."""
