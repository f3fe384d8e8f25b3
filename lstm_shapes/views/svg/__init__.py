"""Pictures as accessible SVG: a title and a description, light and dark, self-contained, everything escaped."""
