"""Data on a linear manifold, and at how many settings each game learns them."""
