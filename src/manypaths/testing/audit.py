"""A linter for a GAN of one's own: ``print(audit(game, source))`` before a long run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from manypaths.errors import InputError
from manypaths.games.base import Game
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Source
from manypaths.testing import audit_checks
from manypaths.testing.audit_checks import Finding, Subject
from manypaths.testing.untouched import untouched
from manypaths.training import Training
from manypaths.vectors import squared_norm

STEPS = tuple(10.0**k for k in (-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0))


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


def audit(game: Game, source: Source, *, batch: int = 32, measure: bool = True) -> Audit:
    """Check a game and its source for the mistakes that GAN code is known for.

    Purity, coupling of samples, shapes of scores, objectives that are not what they say, penalties whose norm is per
    pixel or per batch, parameters that nobody or everybody trains. With ``measure``, also SVRG's variance ratio and
    the largest stable step of each rule on a few batches. Whatever it moves comes back, also between
    its own measurements.
    """
    findings: list[Finding] = []
    facts: list[str] = []
    with untouched(game, source):
        subject = Subject(game, source.sample(batch))
        for check in audit_checks.CHECKS:
            findings += check(subject)
    if measure and not any(finding.fatal for finding in findings):
        with untouched(game, source):
            facts += _noise(game, source, batch)
        for name, make in _rules(game).items():
            with untouched(game, source):
                facts.append(_stable_step(game, source, batch, name, make))
    return Audit(tuple(findings), tuple(facts))


def _rules(game: Game) -> dict[str, Callable[[], Rule]]:
    return {
        "simultaneous": Simultaneous,
        "alternating": lambda: Alternating(tuple(game.players)),
        "extragradient": Extragradient,
        "extragradient at the opponent's extrapolated point": lambda: Extragradient(at="opponent"),
    }


def _noise(game: Game, source: Source, batch: int) -> list[str]:
    """The variance ratio of SVRG a few small steps after a snapshot, where the source is a finite sum."""
    if source.size is None:
        return ["variance reduction: not measured, for the source is infinite"]
    try:
        oracle = SVRG(source, batch=min(batch, source.size), schedule="fixed", every=10**9)
        training = Training(game, oracle, Extragradient(), _sgd(game, 1e-3))
    except InputError as error:
        return [f"variance reduction: not measured ({error})"]
    oracle.take_snapshot(game)
    lines = []
    for age in (1, 5, 20):
        while training.steps < age:
            training.step()
        ratios = {name: noise.ratio for name, noise in gradient_noise(game, oracle, draws=6).items()}
        shown = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items() if ratio is not None)
        lines.append(f"variance ratio SVRG / mini-batch, {age} SGD steps of 1e-3 after the snapshot: {shown}")
    return lines


def _stable_step(game: Game, source: Source, batch: int, name: str, make: Callable[[], Rule]) -> str:
    """The largest SGD step of the grid under which ten steps do not multiply the field's norm by ten."""
    largest = None
    for lr in STEPS:
        with untouched(game, source):
            training = Training(game, Stochastic(source, batch=batch), make(), _sgd(game, lr))
            first = _field_norm(training)
            for _ in range(10):
                training.step()
            last = _field_norm(training)
        if not last < 10.0 * first:
            break
        largest = lr
    found = "below 1e-4" if largest is None else f"about {largest:.2g}{' or more' if largest == STEPS[-1] else ''}"
    return f"largest stable SGD step of {name} over ten steps of batch {batch}: {found}"


def _field_norm(training: Training) -> float:
    with training.oracle.source.rewound():
        sample = training.oracle.source.sample(getattr(training.oracle, "batch", 32))
    gradients = training.game.gradients(sample)
    return sum(squared_norm(gradients[name]) for name in gradients) ** 0.5


def _sgd(game: Game, lr: float) -> Optimizers:
    return Optimizers({name: torch.optim.SGD(game.parameters(name), lr=lr) for name in game.players})
