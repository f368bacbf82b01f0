"""P1.4, P1.5, P1.7 on pictures: four games at settings that all of them share, whatever the data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, below
from manypaths.experiments.rank_agreement import RankAgreement
from manypaths.experiments.runs import require_net
from manypaths.experiments.statistics import Bootstrap, PairedShares, lead_of_the_last
from manypaths.metrics.frechet import Frechet
from manypaths.metrics.inception_score import InceptionScore
from manypaths.metrics.label_histogram import LabelHistogram
from manypaths.metrics.ms_ssim import MsSsim
from manypaths.metrics.transport import SlicedWasserstein
from manypaths.metrics.wasserstein_critic import WassersteinCritic
from manypaths.specs import Spec
from manypaths.studies.many_paths import TITLES
from manypaths.studies.pictures import results
from manypaths.studies.pictures.figures import draw_settings, draw_spread
from manypaths.studies.pictures.runs import GAMES, Setting, Size, recipe, settings

CELLS = "manypaths.studies.pictures.runs"
MANY_STEPS = 5
"""Critic steps at which WGAN-GP is said to be the strongest."""
SOME = 0.15
"""What is called some settings: about the smallest share that 24 settings without one refute."""
DISCORDANT = 0.3
SPREADS = {"quality": 0.25, "diversity": 0.2, "tau": 1.5}
"""Assumed: the share of settings that only one of two games trains at, and standard deviations over settings."""

LABELLED = {
    "smoke": (Spec(WassersteinCritic, steps=4, batch=8, width=4), Spec(MsSsim, samples=8, batches=1)),
    "laptop": (
        *(Spec(InceptionScore), Spec(Frechet), Spec(LabelHistogram), Spec(MsSsim)),
        Spec(WassersteinCritic, steps=200, width=16),
    ),
    "paper": (Spec(InceptionScore), Spec(Frechet), Spec(LabelHistogram), Spec(MsSsim), Spec(WassersteinCritic)),
}
"""The first decides. At smoke scale nothing reads a feature net, whose training takes minutes."""
UNLABELLED = {
    "smoke": (Spec(SlicedWasserstein, space="pixels", directions=16), *LABELLED["smoke"]),
    "laptop": (Spec(SlicedWasserstein, space="pixels"), *LABELLED["laptop"][3:]),
    "paper": (Spec(SlicedWasserstein, space="pixels"), *LABELLED["paper"][3:]),
}
"""Without labels there is no classifier to look through."""
DECIDING = {
    InceptionScore: "inception score",
    SlicedWasserstein: "sliced wasserstein",
    WassersteinCritic: "wasserstein critic",
}
SECONDS = {28: (0.021, 0.041, 0.018), 32: (0.028, 0.049, 0.025), 64: (0.11, 0.22, 0.095)}
"""Of a step of the critic, of a penalised critic, of the generator; width 16, batch 64; by the images' side."""
SECONDS_PER_CELL = {"smoke": 8.0, "laptop": 30.0, "paper": 300.0}
"""For the data and the scores."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A data set to study.

    Attributes:
        name: of the study and, before the game's, of the recipes.
        title: as in a sentence.
        side: of the images.
        labelled: whether it has a feature net.
        stands_in: whether drawn pictures take the data set's place at smoke scale where it is absent.
        steps: of the generator at laptop scale.
    """

    name: str
    title: str
    side: int
    labelled: bool = True
    stands_in: bool = False
    steps: int = 2000

    def size(self, scale: str) -> Size:
        """How large the runs are."""
        metrics = (LABELLED if self.labelled else UNLABELLED)[scale]
        if scale == "smoke":
            return Size(settings=2, width=4, steps=4, batch=8, metrics=metrics, samples=32, held_out=64, limit=512)
        if scale == "laptop":
            return Size(settings=24, width=16, steps=self.steps, batch=32, metrics=metrics, samples=2000)
        return Size(settings=30, width=64, steps=50_000, batch=64, metrics=metrics, samples=10_000)


def picture_study(pictures: Pictures) -> Study:
    """The study of one data set."""
    return Study(
        name=pictures.name,
        question=f"At how many settings does each game learn {pictures.title}, which one scores best, and do the games "
        "rank as on synthetic data?",
        cells=partial(cells, pictures),
        claims=partial(claims, pictures),
        figures={"spread": draw_spread, "settings": draw_settings},
        pages={"thresholds": results.thresholds},
        ready=partial(ready, pictures),
    )


def ready(pictures: Pictures, scale: str) -> None:
    """The images, and the feature net where a score reads one."""
    size = pictures.size(scale)
    data = recipe(pictures.name, "ns-gan", settings(1)[0], size).data.build()
    if pictures.labelled and scale != "smoke":
        require_net(data)
    elif not (pictures.stands_in and scale == "smoke"):
        data.load()


# ---- cells -------------------------------------------------------------------------------------------------------


def cells(pictures: Pictures, scale: str) -> list[Cell]:
    size = pictures.size(scale)
    shared, score = settings(size.settings), DECIDING[size.metrics[0].target]
    stand_in = pictures.stands_in and scale == "smoke"
    compared = {
        "recipe": recipe(pictures.name, "ns-gan", shared[0], size).to_plain(),
        "settings": [[str(setting), setting.critic_steps] for setting in shared],
        "stand_in": stand_in,
    }
    found = [Cell(f"{CELLS}:anchors", compared, labels={"score": score}, seconds=2 * SECONDS_PER_CELL[scale])]
    for setting, game in product(shared, GAMES):
        plain = recipe(pictures.name, game, setting, size).to_plain()
        labels = {"game": game, "setting": str(setting), "score": score}
        place = {"lr": setting.lr, "beta1": setting.beta1, "critic_steps": setting.critic_steps}
        found.append(
            Cell(
                f"{CELLS}:play",
                {"recipe": plain, "stand_in": stand_in},
                labels={**labels, **place},
                evaluations=float(size.steps * size.batch * (setting.critic_steps + 1)),
                seconds=_seconds(pictures.side, game, setting, size) + SECONDS_PER_CELL[scale],
            )
        )
    return found


def _seconds(side: int, game: str, setting: Setting, size: Size) -> float:
    """Of a run on one core, from measured steps of narrow nets; the work grows with the square of the width."""
    plain, penalised, generator = SECONDS[side]
    step = setting.critic_steps * (plain if game == "ns-gan" else penalised) + generator
    return size.steps * step * (size.batch / 64) * (size.width / 16) ** 2


# ---- claims ------------------------------------------------------------------------------------------------------


def claims(pictures: Pictures, scale: str) -> list[Claim]:
    size = pictures.size(scale)
    strongest = [_strongest(size)] if pictures.labelled else []  # the paper says it of its labelled data sets
    return [*_wider(size), *_better(size), *strongest, _fails(size), _agreement(size, scale)]


def _wider(size: Size) -> Iterator[Claim]:
    for game, other in product(results.PENALISED, ("ns-gan", "wgan-gp")):
        yield Claim(
            name=f"P1.4 {TITLES[game]}, {TITLES[other]}",
            statement=f"{TITLES[game]} trains at more settings than {TITLES[other]} (difference of the shares; comes "
            f"{results.TRAINS:g} of the way from the mean image's score to real images')",
            statistic=PairedShares(per_trial=results.both_train(game, other), n=size.settings, discordant=DISCORDANT),
            expected=above(0.0),
        )


def _better(size: Size) -> Iterator[Claim]:
    """What the paper says beside robustness: better samples, and more diverse ones."""
    for game in results.PENALISED:
        yield Claim(
            name=f"P1.4 score, {TITLES[game]}",
            statement=f"{TITLES[game]} scores better than NS-GAN at the same setting (mean difference of "
            f"{DECIDING[size.metrics[0].target]}, from 0, the mean image, to 1, real images)",
            statistic=_bootstrap(results.gain(game, "ns-gan"), size, "quality"),
            expected=above(0.0),
        )
        yield Claim(
            name=f"P1.4 diversity, {TITLES[game]}",
            statement=f"{TITLES[game]}'s MS-SSIM is nearer to that of real images than NS-GAN's at the same setting",
            statistic=_bootstrap(results.less_similar(game, "ns-gan"), size, "diversity"),
            expected=below(0.0),
        )


def _strongest(size: Size) -> Claim:
    n = sum(setting.critic_steps == MANY_STEPS for setting in settings(size.settings))
    return Claim(
        name="P1.5 strongest",
        statement=f"at {MANY_STEPS} critic steps WGAN-GP's mean score is above that of the best other game",
        statistic=Bootstrap(
            per_seed=results.qualities,
            summary=lead_of_the_last,
            n=n,
            spread=SPREADS["quality"],
            by="setting",
            where={"critic_steps": MANY_STEPS},
        ),
        expected=above(0.0),
    )


def _fails(size: Size) -> Claim:
    return Claim(
        name="P1.5 fails",
        statement="WGAN-GP fails at some settings at which GAN-GP or DRAGAN-NS trains",
        statistic=results.BesideTraining(
            per_seed=results.fails_where_a_penalty_trains, n=size.settings, by="setting", least=SOME
        ),
        expected=above(SOME),
    )


def _agreement(size: Size, scale: str) -> Claim:
    return Claim(
        name="P1.7 ranking",
        statement=f"the games' mean ranks agree with those on {results.SYNTHETIC} (Kendall's tau)",
        statistic=RankAgreement(
            per_seed=results.ranks_here,
            elsewhere=partial(results.synthetic_ranks, scale),
            name=results.SYNTHETIC,
            n=size.settings,
            spread=SPREADS["tau"],
            by="setting",
        ),
        expected=above(0.0),
    )


def _bootstrap(per_setting: Any, size: Size, spread: str) -> Bootstrap:
    return Bootstrap(per_seed=per_setting, n=size.settings, spread=SPREADS[spread], by="setting")
