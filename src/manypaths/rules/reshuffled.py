"""Stochastic extragradient without replacement: recipes of existing parts."""

from __future__ import annotations

from manypaths.errors import InvalidValue
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead


def seg_rr(*, bilinear: bool = False) -> Extragradient:
    """SEG-RR (Emmanouilidis et al. 2024): the same sample in both half-steps, extrapolations of twice the update's
    length (four times on bilinear games); for a source with ``order="shuffled"``."""
    return Extragradient(fresh_sample=False, extrapolation=4.0 if bilinear else 2.0)


def seg_ffa(batches: int) -> Lookahead:
    """SEG-FFA (NeurIPS 2024): same-sample steps of half extrapolation along a permutation and back, then half-way to
    where the epoch began; for a source with ``order="flip-flop"`` of so many mini-batches."""
    if batches < 1:
        raise InvalidValue(f"batches is {batches}: expected the mini-batches of one epoch, at least 1")
    return Lookahead(Extragradient(fresh_sample=False, extrapolation=0.5), k=2 * batches, alpha=0.5)
