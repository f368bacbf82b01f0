"""What is written down of claims before the first cell runs, and of verdicts afterwards."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from manypaths.experiments.claims import Claim, Verdict
from manypaths.experiments.power import power


def claim_record(claim: Claim) -> dict[str, Any]:
    """A claim, its rule and what it can decide, as plain data."""
    return {
        "prediction": claim.name,
        "statement": claim.statement,
        "method": str(claim.statistic),
        "rule": f"statistic {claim.expected}",
        "power": dataclasses.asdict(power(claim)),
    }


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its claim's record, as plain data."""
    estimate = {name: _number(value) for name, value in dataclasses.asdict(verdict.estimate).items()}
    return {
        **claim_record(verdict.claim),
        "statistic": estimate["value"],
        "interval": [estimate["low"], estimate["high"]],
        "verdict": verdict.ruling,
        "note": verdict.note,
        "n": verdict.claim.statistic.seeds,
    }


def _number(value: float) -> float | str:
    """JSON knows no infinity and no NaN."""
    return value if math.isfinite(value) else str(value)
