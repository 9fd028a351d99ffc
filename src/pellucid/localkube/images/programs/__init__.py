"""Programs of the built-in images. Each runs alone, with nothing but Python's standard library."""
