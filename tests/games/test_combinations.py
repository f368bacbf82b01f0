"""Objective x penalty x networks x oracle, from the tables: the field by hand, and two steps of extragradient."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from manypaths import fields
from manypaths.errors import InputError
from manypaths.games.adversarial import Adversarial
from manypaths.games.structure import batch_coupling_layers
from manypaths.models import MODELS
from manypaths.objectives import OBJECTIVES
from manypaths.optim.base import Optimizers
from manypaths.oracles import ORACLES
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.mars import Mars
from manypaths.oracles.page import Page
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.storm import Storm
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
from manypaths.penalties import PENALTIES
from manypaths.penalties.base import Penalty
from manypaths.penalties.dragan import Dragan
from manypaths.randomness import counter_uniform
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.paired import PairedSource
from manypaths.training import Training

SIZE, BATCH = 4, 2
CHAINS: dict[str, Callable[[PairedSource], Oracle]] = {
    "stochastic": lambda source: Stochastic(source, batch=BATCH),
    "svrg": lambda source: SVRG(source, batch=BATCH),
    "full-batch": lambda source: FullBatch(source, batch=SIZE),
    "saga": lambda source: SAGA(source, batch=BATCH),
    "importance": lambda source: Importance(Stochastic(source, batch=BATCH), (1.0, 2.0)),
    "storm": lambda source: Storm(source, batch=BATCH),
    "page": lambda source: Page(source, batch=BATCH),
    "mars": lambda source: Mars(source, batch=BATCH),
    "accelerated-svrg": lambda source: AcceleratedSVRG(SVRG(source, batch=BATCH, every=1), tau=0.1),
    "consensus": lambda source: Consensus(Stochastic(source, batch=BATCH)),
    "symplectic": lambda source: Symplectic(Stochastic(source, batch=BATCH)),
}
ALWAYS, SOMETIMES = list(CHAINS)[:3], list(CHAINS)[3:]

# ---- losses and penalties, written out -----------------------------------------------------------------------------


def cross_entropy(r: Tensor, f: Tensor) -> Tensor:
    return -(r.sigmoid().log().mean() + (1 - f.sigmoid()).log().mean())


def against_means(r: Tensor, f: Tensor) -> Tensor:
    return cross_entropy(r - f.mean(), f - r.mean())


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, tuple[Loss, Loss]] = {  # (critic, generator) of the scores (real, fake)
    "minimax": (cross_entropy, lambda r, f: (1 - f.sigmoid()).log().mean()),
    "non-saturating": (cross_entropy, lambda r, f: -f.sigmoid().log().mean()),
    "non-saturating-probabilities": (cross_entropy, lambda r, f: -f.sigmoid().log().mean()),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "hinge": (lambda r, f: (1 - r).clamp_min(0).mean() + (1 + f).clamp_min(0).mean(), lambda r, f: -f.mean()),
    "least-squares": (lambda r, f: ((r - 1) ** 2 / 2 + f**2 / 2).mean(), lambda r, f: ((f - 1) ** 2 / 2).mean()),
    "relativistic-paired": (lambda r, f: -(r - f).sigmoid().log().mean(), lambda r, f: -(f - r).sigmoid().log().mean()),
    "relativistic-average": (against_means, lambda r, f: against_means(f, r)),
}
Critic = Callable[..., Tensor]


def slopes(critic: Critic, points: Tensor, label: tuple[Tensor, ...]) -> Tensor:
    points = points.detach().requires_grad_()
    return torch.autograd.grad(critic(points, *label).sum(), points, create_graph=True)[0].flatten(1)


def mixed(s: GanSample, fake: Tensor) -> Tensor:
    eps = counter_uniform(s.seed, (1,) * (fake.ndim - 1), "interpolated", dtype=fake.dtype)
    return eps * s.real + (1 - eps) * fake


def noisy(s: GanSample, std: float | Tensor) -> Tensor:
    shape = s.real.shape[1:]
    alpha = counter_uniform(s.seed, (1,) * len(shape), "dragan/alpha", dtype=s.real.dtype)
    return s.real + alpha * std / 2 * counter_uniform(s.seed, shape, "dragan", dtype=s.real.dtype)


def seldom(critic: Critic, s: GanSample, fake: Tensor, y: tuple[Tensor, ...]) -> Tensor:
    rows = [i for i in range(len(fake)) if counter_uniform(s.seed, (), "lazy")[i] < 0.5]
    if not rows:
        return torch.zeros(())
    own = slopes(critic, s.real[rows], tuple(label[rows] for label in y)).square().sum(1) / 2
    return 2 * own.sum() / len(fake)


PAID: dict[str, Callable[[Critic, GanSample, Tensor, tuple[Tensor, ...]], Any]] = {
    "none": lambda critic, s, fake, y: 0.0,
    "gradient-penalty": lambda critic, s, fake, y: (
        10 * (slopes(critic, mixed(s, fake), y).norm(dim=1) - 1).square().mean()
    ),
    "dragan": lambda critic, s, fake, y: (
        10 * (slopes(critic, noisy(s, s.real.std()), y).norm(dim=1) - 1).square().mean()
    ),
    "dragan, std": lambda critic, s, fake, y: 10 * (slopes(critic, noisy(s, 0.5), y).norm(dim=1) - 1).square().mean(),
    "r1": lambda critic, s, fake, y: slopes(critic, s.real, y).square().sum(1).mean() / 2,
    "r2": lambda critic, s, fake, y: slopes(critic, fake, y).square().sum(1).mean() / 2,
    "l2": lambda critic, s, fake, y: sum(1e-4 / 2 * p.square().sum() for p in critic.parameters()),
    "lazy": seldom,
}


def penalties(name: str) -> list[Penalty]:
    special = {
        "none": lambda: [],
        "dragan, std": lambda: [Dragan(std=0.5)],
        "lazy": lambda: [PENALTIES["lazy"](every=2)],
    }
    return special.get(name, lambda: [PENALTIES[name]()])()


def by_hand(game: Adversarial, loss: tuple[Loss, Loss], paid: Any, s: GanSample) -> dict[str, list[Tensor]]:
    """The field by separate forward passes and one plain backward for each player."""
    label = (s.label,) if game.conditional else ()
    buffers, field = [b.clone() for b in game.buffers()], {}
    for player, of_scores in zip(("critic", "generator"), loss, strict=True):
        with parametrize.cached():  # a spectral norm is computed once per evaluation
            fake = game.generator(s.latent, *label)
            value = of_scores(game.critic(s.real, *label), game.critic(fake, *label))
            if player == "critic":
                value = value + paid(game.critic, s, fake.detach(), label)
            field[player] = torch.autograd.grad(value, game.parameters(player), materialize_grads=True)
        for buffer, saved in zip(game.buffers(), buffers, strict=True):
            buffer.copy_(saved)
    return field


# ---- networks ------------------------------------------------------------------------------------------------------

PAIRS = [name.removesuffix("-critic") for name in MODELS if name.endswith("-critic")]
SMALLEST = {"latent": 3, "hidden": (4,), "width": 4, "channels": 1}


def smallest(name: str, classes: int | None) -> nn.Module:
    accepted = fields.accepted(MODELS[name])
    settings: dict[str, Any] = {key: value for key, value in SMALLEST.items() if key in accepted}
    if "size" in accepted:
        settings["size"] = min(get_args(accepted["size"]))
    return MODELS[name](**settings, **({} if classes is None else {"classes": classes})).double()


def subject(pair: str, classes: int | None) -> tuple[nn.Module, nn.Module, PairedSource]:
    generator, critic = smallest(f"{pair}-generator", classes), smallest(f"{pair}-critic", classes)
    labels = None if classes is None else torch.arange(SIZE) % classes
    with torch.no_grad():
        shape = generator(torch.randn(SIZE, 3).double(), *(() if labels is None else (labels,))).shape
    return generator, critic, PairedSource(torch.rand(shape).double() * 2 - 1, labels, latent=3)


def two_steps(game: Adversarial, name: str, source: PairedSource) -> bool:
    """Whether construction accepts the oracle; then two steps move everyone, and nothing diverges."""
    optimizers = Optimizers({player: torch.optim.SGD(game.parameters(player), lr=1e-3) for player in game.players})
    try:
        training = Training(game, CHAINS[name](source), Extragradient(), optimizers)
    except InputError:
        return False
    start = game.point()
    for _ in range(2):
        assert training.non_finite(training.step()) is None
    for player, weights in game.point().items():
        assert not all(map(torch.equal, weights, start[player])), f"{player} never moved"
    return True


def test_every_entry_of_the_tables_is_written_out() -> None:
    assert set(LOSSES) == set(OBJECTIVES)
    assert {name.partition(",")[0] for name in PAID} == {"none", *PENALTIES}
    assert set(CHAINS) == set(ORACLES)
    assert all(f"{pair}-generator" in MODELS for pair in PAIRS)


def cells(whole: bool, classes: int | None) -> Iterator[tuple[str, str, list[str]]]:
    """(penalty, objective, oracles): every one, with three oracles and a fourth in turn for small networks.

    Large networks take the three in turn, and with labels a third of the cells.
    """
    for i, paid in enumerate(PAID):
        for j, objective in enumerate(OBJECTIVES):
            if classes is None:
                yield (
                    paid,
                    objective,
                    [*ALWAYS, SOMETIMES[(i + j) % len(SOMETIMES)]] if whole else [ALWAYS[(i + j) % 3]],
                )
            elif (i + j) % 3 == 0:
                yield paid, objective, [ALWAYS[(i + 2 * j) % 3]]


@pytest.mark.parametrize("classes", [None, 2], ids=["plain", "conditional"])
@pytest.mark.parametrize("pair", PAIRS)
def test_combinations(pair, classes) -> None:
    if classes is not None and "classes" not in fields.accepted(MODELS[f"{pair}-critic"]):
        pytest.skip("this network takes no labels")
    generator, critic, source = subject(pair, classes)
    mixes = any("BatchNorm" in layer for layer in batch_coupling_layers(critic))
    for paid, objective, oracles in cells(source.real[0].numel() <= 64, classes):
        if mixes and paid == "lazy":
            with pytest.raises(InputError, match="Lazy evaluates the critic at a part of the batch"):
                Adversarial(generator, critic, objective=OBJECTIVES[objective](), penalties=penalties(paid))
            continue
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            game = Adversarial(
                generator,
                critic,
                objective=OBJECTIVES[objective](),
                penalties=penalties(paid),
                conditional=classes is not None,
            )
        assert bool(said) == (mixes and paid not in ("none", "l2")), (
            "a critic that mixes samples, under a penalty, is said so"
        )
        sample = source.sample(SIZE)
        field, expected = game.gradients(sample), by_hand(game, LOSSES[objective], PAID[paid], sample)
        for name in game.players:
            pairs = zip(field[name], expected[name], strict=True)
            error = torch.stack([(e if g is None else g - e).norm() for g, e in pairs]).norm()
            size = torch.stack([e.norm() for e in expected[name]]).norm()
            assert error <= 1e-12 * max(1.0, float(size)), f"{name}, {objective}, {paid}: {error:.1e} of {size:.1e}"
        for oracle in oracles:
            assert two_steps(game, oracle, source) or oracle in SOMETIMES, f"{oracle} was refused"
