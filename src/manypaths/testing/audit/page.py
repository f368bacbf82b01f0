"""The page that an audit writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.games.findings import Finding
from manypaths.oracles.base import Oracle
from manypaths.sources.base import Source
from manypaths.sources.loader import LoaderSource
from manypaths.testing.audit import batches, evaluation, meaning, penalties, weights
from manypaths.testing.audit.measurements import noise, stable_steps
from manypaths.testing.audit.subject import Subject
from manypaths.testing.untouched import untouched

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    evaluation.numbers,
    evaluation.evaluates,
    evaluation.purity,
    batches.sums,
    batches.coupling,
    penalties.penalties_and_batchnorm,
    penalties.penalty_norms,
    meaning.objective,
    weights.parameters,
    meaning.fits,
    meaning.latents,
    evaluation.modes,
)


@dataclass(frozen=True)
class Audit:
    """What was found, and what was measured on the way; ``str()`` is one page."""

    findings: tuple[Finding, ...]
    facts: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"]
        for finding in self.findings:
            lines += ["", f"[{finding.name}] {finding.what}", f"    what to do: {finding.remedy}"]
        return "\n".join([*lines, "", "measured", *(f"  {fact}" for fact in self.facts)])


def audit(game: Game, source: Source, *, oracle: Oracle | None = None, batch: int = 32, measure: bool = True) -> Audit:
    """Check a game and its source for the mistakes that GAN code is known for.

    Numbers, purity, sums and coupling of samples, shapes of scores, objectives that are not what they say, penalties
    whose norm is per pixel or per batch, parameters that nobody or everybody trains, sizes, ranges and logits; with the
    ``oracle`` that will train it also latents that are frozen for nothing. With ``measure``, SVRG's variance ratio and
    the largest stable step of each rule, on a few small batches of a part of the data. Whatever it moves comes
    back, also between its own measurements.
    """
    findings: list[Finding] = []
    facts: list[str] = []
    if isinstance(source, LoaderSource):
        batch = source.loader.batch_size or batch
    with untouched(game, source):
        subject = Subject(game, _drawn(source, batch), source, oracle)
        for check in CHECKS:
            findings += check(subject)
            if any(finding.fatal for finding in findings):
                break
    if measure and not any(finding.fatal for finding in findings):
        with untouched(game, source):
            facts += noise(game, source, batch)
        with untouched(game, source):
            facts += stable_steps(game, source, batch)
    return Audit(tuple(findings), tuple(facts))


def _drawn(source: Source, batch: int) -> Any:
    try:
        return source.sample(batch)
    except InvalidValue:
        if source.size is None:
            raise
        return source.sample(min(batch, source.size))
