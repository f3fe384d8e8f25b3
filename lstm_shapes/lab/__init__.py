"""What is true: measured on torch itself. The only place that imports torch."""
