"""Rates on strongly monotone finite sums."""
