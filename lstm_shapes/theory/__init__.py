"""What must be true: shapes, counts and laws by algebra alone. No torch, no rich."""
