"""Many games of one kind, stacked: each member moves as it would alone."""
