"""The catalogue of the method zoo: each method of the literature as a rule, an oracle and a base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch.optim import SGD, Optimizer

from manypaths.games.analytic.base import AnalyticGame
from manypaths.optim.negative_momentum import NegativeMomentumSGD
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.saga import SAGA
from manypaths.oracles.snapshot_schedule import ScheduleName
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
from manypaths.rules.alternating import Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation
from manypaths.rules.anchored import Anchored
from manypaths.rules.base import Rule
from manypaths.rules.competitive import CompetitiveGradientDescent
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient
from manypaths.sources.base import Source
from manypaths.studies.method_zoo import step_maps as maps
from manypaths.studies.method_zoo.games import Arena
from manypaths.studies.method_zoo.step_maps import StepMap
from manypaths.testing import closed_forms

FAR = 8.0
"""c of stochastic two-step-size extragradient: contracts on N = 10 coordinates where 2c - c^2 eta^2 > 10."""


@dataclass(frozen=True)
class Seat:
    """What an oracle is made for: a game, a source of its component functions, a seed."""

    arena: Arena
    source: Source
    seed: int = 0

    @property
    def weight(self) -> float:
        """Of a second-order term: 1 / L makes it as large as the field."""
        return 1.0 / self.arena.lipschitz


@dataclass(frozen=True)
class Method:
    """One method of the literature.

    Attributes:
        rule: made from the players' names, in the order of their moves.
        oracle: how the field is estimated; the whole sum by default.
        base: the optimiser of each player.
        step: what a step is on a linear field, where it is one fixed matrix; over ``period`` steps.
        samples: draws component functions one by one. Such methods play games that have component functions, and their
            unit of step size is 1 / mean L_i; that of the others is 1 / L.
        restart: probability at a snapshot of going on from the uniform average.
        alone: serves no ``Population``.
    """

    rule: Callable[[tuple[str, ...]], Rule]
    oracle: Callable[[Seat], Oracle] = lambda seat: FullBatch(seat.source)
    base: Callable[..., Optimizer] = SGD
    step: StepMap | None = None
    period: int = 1
    samples: bool = False
    restart: float = 0.0
    alone: bool = False

    def plays(self, arena: Arena) -> AnalyticGame:
        """The game, or the mean field alone where nothing else is seen."""
        return arena.game if self.samples or arena.still is None else arena.still

    def unit(self, arena: Arena) -> float:
        """The step size that counts as 1."""
        return 1.0 / (float(arena.components.mean()) if self.samples else arena.lipschitz)


def _stochastic(seat: Seat) -> Oracle:
    return Stochastic(seat.source, batch=1)


def _svrg(seat: Seat, schedule: ScheduleName = "geometric", store: Literal["none", "game"] = "none") -> SVRG:
    return SVRG(seat.source, batch=1, schedule=schedule, store=store, seed=seat.seed)


def _saga(seat: Seat) -> Oracle:
    return SAGA(seat.source, batch=1, seed=seat.seed)


def _accelerated(seat: Seat) -> Oracle:
    """tau = L / sqrt(n), with the mean L_i for L."""
    return AcceleratedSVRG(_svrg(seat), tau=float(seat.arena.components.mean()) / len(seat.arena.components) ** 0.5)


def _importance(seat: Seat) -> Oracle:
    return Importance(_svrg(seat), seat.arena.components.tolist(), seat.seed)


_sampled = partial(Method, samples=True)
_lonely = partial(Method, samples=True, alone=True)
_extra, _turns, _optimistic = maps.extragradient(), maps.alternating, maps.joint(closed_forms.optimistic)

METHODS: dict[str, Method] = {
    # ---- the whole sum at every evaluation ----
    # Arrow, Hurwicz and Uzawa 1958
    "simultaneous": Method(lambda p: Simultaneous(), step=maps.simultaneous),
    "alternating": Method(Alternating, step=_turns),
    # Korpelevich 1976
    "extragradient": Method(lambda p: Extragradient(), step=_extra),
    # Hsieh et al. 2020
    "extragradient, two step sizes": Method(lambda p: Extragradient(extrapolation=2.0), step=maps.extragradient(2.0)),
    # Popov 1980
    "past extragradient": Method(lambda p: PastExtragradient(), step=maps.joint(closed_forms.past_extragradient)),
    # Daskalakis et al. 2018; the two differ with other optimizers than plain gradient steps
    "optimistic gradient": Method(lambda p: Optimistic(), step=_optimistic),
    "optimistic update": Method(lambda p: Optimistic(of="update"), step=_optimistic),
    # Yoon and Ryu 2021 (EAG-C), and Halpern 1967
    "anchored extragradient": Method(lambda p: Anchored()),
    "Halpern": Method(lambda p: Anchored(extrapolate=False)),
    # Chavdarova et al. 2021
    "lookahead, alternating": Method(lambda p: Lookahead(Alternating(p)), step=maps.lookahead(_turns), period=5),
    "lookahead, extragradient": Method(lambda p: Lookahead(Extragradient()), step=maps.lookahead(_extra), period=5),
    "nested lookahead": Method(
        lambda p: Lookahead(Lookahead(Alternating(p)), k=25), step=maps.lookahead(maps.lookahead(_turns)), period=25
    ),
    # Lee, Cho and Yun 2024 (Alex-GDA)
    "alternating extrapolation": Method(
        lambda p: AlternatingExtrapolation(),
        step=maps.in_turns(lambda lr: closed_forms.alternating_extrapolation(lr, 2.0, 2.0)),
    ),
    # Gidel et al. 2019, Negative momentum
    "negative momentum": Method(
        Alternating,
        base=partial(NegativeMomentumSGD, momentum=-0.5),
        step=maps.in_turns(lambda lr: closed_forms.negative_momentum(lr, -0.5)),
    ),
    # Schaefer and Anandkumar 2019
    "competitive": Method(lambda p: CompetitiveGradientDescent(), step=maps.competitive, alone=True),
    # Mescheder, Nowozin and Geiger 2017
    "consensus": Method(
        lambda p: Simultaneous(), lambda s: Consensus(FullBatch(s.source), s.weight), step=maps.consensus, alone=True
    ),
    # Balduzzi et al. 2018
    "symplectic": Method(
        lambda p: Simultaneous(), lambda s: Symplectic(FullBatch(s.source), s.weight), step=maps.symplectic, alone=True
    ),
    # ---- one component function at a time ----
    # Robbins and Monro 1951
    "stochastic": _sampled(lambda p: Simultaneous(), _stochastic),
    "stochastic alternating": _sampled(Alternating, _stochastic),
    # Juditsky, Nemirovski and Tauvel 2011
    "stochastic extragradient": _sampled(lambda p: Extragradient(), _stochastic),
    # Mishchenko et al. 2020
    "same-sample extragradient": _sampled(lambda p: Extragradient(fresh_sample=False), _stochastic),
    # Hsieh et al. 2020
    "stochastic two step sizes": _sampled(lambda p: Extragradient(extrapolation=FAR), _stochastic),
    # ---- variance reduced ----
    # Palaniappan and Bach 2016
    "SVRG": _sampled(lambda p: Simultaneous(), _svrg),
    "accelerated SVRG": _lonely(lambda p: Simultaneous(), _accelerated),
    "SAGA": _lonely(lambda p: Simultaneous(), _saga),
    # Chavdarova et al. 2019: with a geometric number of draws, their restarts, a coin per draw, their code's coin per
    # step, and draws in proportion to L_i
    "SVRE": _sampled(lambda p: Extragradient(), _svrg),
    "SVRE, restarted": _sampled(lambda p: Extragradient(), _svrg, restart=0.1),
    "SVRE, loopless": _sampled(lambda p: Extragradient(), partial(_svrg, schedule="loopless")),
    "SVRE, a coin per step": _sampled(lambda p: Extragradient(), partial(_svrg, schedule="svre")),
    "SVRE, importance": _lonely(lambda p: Extragradient(), _importance),
    # Alacaoglu and Malitsky 2022
    "extragradient with VR": _sampled(lambda p: VarianceReducedExtragradient(), partial(_svrg, schedule="loopless")),
    # SVRE that stores the component functions' gradients instead of a point: each at its last visit, or all at a
    # snapshot
    "SVRE, stored at visits": _lonely(lambda p: Extragradient(), _saga),
    "SVRE, stored at snapshots": _lonely(lambda p: Extragradient(), partial(_svrg, store="game")),
}
"""Name -> method, in the order in which they are drawn; the comment above an entry says whose it is."""
