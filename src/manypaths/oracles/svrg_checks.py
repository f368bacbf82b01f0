"""Which settings of SVRG do not go together, in words."""

from __future__ import annotations

from typing import Any

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue


def check_settings(svrg: Any) -> None:
    """At construction."""
    svrg.source.require_finite("SVRG")
    assert svrg.source.size is not None
    if svrg.batch > svrg.source.size:
        raise InvalidValue(
            f"batch is {svrg.batch}: expected at most the {svrg.source.size} component functions of the source"
        )
    if svrg.measures and svrg.probes < 2:
        raise InvalidValue(f"probes is {svrg.probes}: expected at least 2, for a variance needs two draws")
    if svrg.store != "none" and svrg.components in ("samples", "mixed"):
        raise InvalidValue(
            f"components is {svrg.components!r}, and store is {svrg.store!r}, which keeps one row per "
            "mini-batch: expected 'batches' or 'auto'"
        )
    if svrg.when == "helps" and svrg.coefficient != 1.0:
        raise InvalidValue(
            f"when is 'helps', which chooses between 0 and 1, and coefficient is {svrg.coefficient!r}: expected 1"
        )
    _expect_effect(svrg)


def _expect_effect(svrg: Any) -> None:
    """What only some choices read is left at its default beside the others."""
    if svrg.schedule != "adaptive":
        fields.expect_defaults(svrg, ["threshold"], f"schedule is {svrg.schedule!r}")
    if not svrg.measures:
        fields.expect_defaults(svrg, ["check_every", "probes"], "nothing is measured (schedule, when)")
    if svrg.store == "none":
        fields.expect_defaults(svrg, ["budget"], "store is 'none'")


def check_stacked(svrg: Any) -> None:
    """With a stack of games."""
    if svrg.when == "helps":
        raise InvalidType("when is 'helps', which is measured for one run at a time: expected 'always'")
    if svrg.store != "none":
        raise InvalidType(f"store is {svrg.store!r}, a table for one run: expected 'none' for a Population")
    if svrg.schedule == "adaptive":
        raise InvalidType("schedule is 'adaptive', which is measured for one run at a time: expected another")
