"""P1.4, P1.5, P1.7 on CelebA, which has no labels; at smoke scale on drawn pictures where it is absent."""

from __future__ import annotations

from manypaths.studies.base import Study
from manypaths.studies.picture_study import UNLABELLED, Pictures, picture_study, sizes


def study() -> Study:
    """At how many settings does each game learn CelebA at 64 pixels? (P1.4, P1.5, P1.7)"""
    scales = sizes(UNLABELLED, laptop=(24, 1000))
    return picture_study(Pictures(name="celeba", title="CelebA", side=64, sizes=scales, labelled=False, stands_in=True))
