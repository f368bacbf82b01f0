"""Every method on every small game."""
