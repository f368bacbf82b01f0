"""P1.4, P1.5, P1.7 on Color MNIST."""

from __future__ import annotations

from manypaths.experiments.base import Study
from manypaths.studies.pictures.study import Pictures, picture_study


def study() -> Study:
    """At how many settings does each game learn Color MNIST, and which one scores best? (P1.4, P1.5, P1.7)"""
    return picture_study(Pictures(name="color-mnist", title="Color MNIST", side=28))
