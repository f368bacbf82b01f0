"""P1.4, P1.5, P1.7 on CelebA, which has no labels; at smoke scale on drawn pictures where it is absent."""

from __future__ import annotations

from manypaths.experiments.base import Study
from manypaths.studies.pictures.study import Pictures, picture_study


def study() -> Study:
    """At how many settings does each game learn CelebA at 64 pixels? (P1.4, P1.5, P1.7)"""
    return picture_study(Pictures(name="celeba", title="CelebA", side=64, labelled=False, stands_in=True, steps=1000))
