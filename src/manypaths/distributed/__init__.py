"""One game on many processes."""
