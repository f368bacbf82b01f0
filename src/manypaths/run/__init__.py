"""Runs: a recipe, a directory, and the only training loop."""
