"""The panels of the page, in their order: one file and one line each."""

from manypaths.report.panels import losses, noise, scores

PANELS = (scores.PANEL, losses.PANEL, noise.PANEL)
