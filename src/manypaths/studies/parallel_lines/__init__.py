"""A displaced line that no divergence can tell how far away it is."""
