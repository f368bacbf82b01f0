"""What the studies of *Many Paths to Equilibrium* share: its games, their settings, where a run ends."""

from __future__ import annotations

from manypaths.experiments.tables import Table

TITLES = {"ns-gan": "NS-GAN", "gan-gp": "GAN-GP", "dragan-ns": "DRAGAN-NS", "wgan-gp": "WGAN-GP"}
"""The games, by the names that the studies' tables have, and as in a sentence."""
BETA2 = 0.999
"""Adam's second coefficient, at all settings; the first one is a setting."""
LAST = 0.9
"""A run's end is the mean over its marks after this share of its steps: it must arrive and stay."""


def end(run: Table) -> float:
    """The Frechet distance at which a run ends."""
    return float(run["frechet"][run["step"] > LAST * run["step"].max()].mean())
