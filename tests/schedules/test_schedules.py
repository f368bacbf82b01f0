"""Numbers that follow schedules: their values, where they act, and that a resumed run follows on."""

from __future__ import annotations

import math

import pytest
import torch

from manypaths import EMA, R1, Alternating, Extragradient, PairedSource, Recipe, Run, Spec, Stochastic, Training
from manypaths.errors import InputError, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.recipes import RECIPES
from manypaths.schedules import Cosine, Linear, Steps

COSINE = Cosine(over=10, to=1.0)


def training(schedules, rule=None) -> Training:
    generator, critic = MlpGenerator(latent=2, shape=(2,), hidden=(4,)), MlpCritic(shape=(2,), hidden=(4,))
    game = Adversarial(generator, critic, objective=NonSaturating(), penalties=[R1(weight=2.0)])
    adam = {name: torch.optim.Adam(game.parameters(name), lr=0.01, betas=(0.0, 0.9)) for name in game.players}
    source = PairedSource(torch.randn(32, 2, generator=torch.Generator().manual_seed(0)), latent=2)
    oracle = Stochastic(source, batch=8)
    return Training(game, oracle, rule or Extragradient(), adam, averages={"ema": EMA(0.9)}, schedules=schedules)


@pytest.mark.parametrize(
    ("schedule", "at", "value"),
    [
        (COSINE, 0, 3.0),
        (COSINE, 5, 2.0),
        (COSINE, 2.5, 1 + (1 + math.cos(math.pi / 4))),
        (COSINE, 10, 1.0),
        (COSINE, 99, 1.0),
        (Cosine(over=10, after=4), 4, 3.0),
        (Cosine(over=10, after=4), 9, 1.5),
        (Linear(over=4, to=1.0), 1, 2.5),
        (Linear(over=4, to=1.0, after=2), 3, 2.5),
        (Steps(marks=(2, 5)), 1, 3.0),
        (Steps(marks=(2, 5)), 2, 0.3),
        (Steps(marks=(2, 5), factor=0.5), 5, 0.75),
    ],
)
def test_values(schedule, at, value) -> None:
    assert schedule.value(3.0, at) == pytest.approx(value, abs=1e-15)


def test_every_kind_of_number_follows() -> None:
    work = training(
        {
            "optimizers.critic.lr": Cosine(over=4, to=0.0),
            "optimizers.critic.betas.1": Linear(over=4, to=0.5),
            "game.penalties.0.weight": Linear(over=2, to=0.0),
            "averages.ema.decay": Linear(over=2, to=0.5),
            "rule.extrapolation": Steps(marks=(1,), factor=2.0),
        }
    )
    seen = []
    for _ in range(3):
        work.step()
        group = work.optimizers["critic"].param_groups[0]
        penalty, average = work.game.unwrapped.penalties[0], work.averages["ema"]
        seen.append((group["lr"], group["betas"][1], penalty.weight, average.decay, work.rule.extrapolation))
    want = [(0.01, 0.9, 2.0, 0.9, 1.0), (0.01 * (1 + 0.5**0.5) / 2, 0.8, 1.0, 0.7, 2.0), (0.005, 0.7, 0.0, 0.5, 2.0)]
    assert torch.tensor(seen).sub(torch.tensor(want)).abs().max() < 1e-7
    assert work.optimizers["generator"].param_groups[0]["lr"] == 0.01


def test_images_are_updates_times_the_batch() -> None:
    work = training({"optimizers.critic.lr": Linear(over=32, unit="images")})
    for _ in range(3):
        work.step()
    assert work.optimizers["critic"].param_groups[0]["lr"] == pytest.approx(0.01 * (1 - 16 / 32))


def test_a_scheduled_step_equals_torchs_own_scheduler() -> None:
    ours, theirs = (training(s, Alternating(("critic", "generator"))) for s in ({"optimizers.critic.lr": COSINE}, {}))
    theirs.load_state_dict(ours.state_dict())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(theirs.optimizers["critic"], 10, eta_min=1.0)
    for _ in range(6):
        ours.step()
        theirs.step()
        scheduler.step()
    for a, b in zip(ours.game.parameters("generator"), theirs.game.parameters("generator"), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_shared_parts_are_left_as_they_were() -> None:
    rule = Extragradient()
    training({"rule.extrapolation": Linear(over=1, to=2.0)}, rule).step()
    assert rule.extrapolation == 1.0


@pytest.mark.parametrize(
    ("path", "schedule", "message"),
    [
        ("optimizers.critik.lr", COSINE, "critik.*critic"),
        ("optimizers.critic.rate", COSINE, "unknown entry of the schedule optimizers.critic.rate: 'rate'"),
        ("optimizers.critic", COSINE, "expected a number, which a schedule can change"),
        ("oracle.batch", COSINE, "oracle.batch cannot follow a schedule: expected a number inside optimizers, game"),
        ("game.penalties.1.weight", COSINE, "'1' is no place among 1: expected 0 to 0"),
        ("game.penalties.0.weight", Linear(over=3, to=-1.0), "game.penalties.0.weight is -1.0: expected a number >= 0"),
        ("rule.fresh_sample", COSINE, "rule.fresh_sample is True: expected a number"),
        ("rule.extrapolate", COSINE, "unknown setting of Extragradient .*extrapolation"),
        ("optimizers.critic.lr", 3, "expected a Schedule"),
    ],
)
def test_what_cannot_follow_is_said_at_construction(path, schedule, message) -> None:
    with pytest.raises(InputError, match=message):
        training({path: schedule})


def test_marks_rise() -> None:
    with pytest.raises(InvalidValue, match=r"Steps.marks is \(5, 2\): expected at least one, rising"):
        Steps(marks=(5, 2))


def recipe() -> Recipe:
    changes = {"schedules.optimizers.generator.lr": "cosine", "schedules.optimizers.generator.lr.over": "8"}
    short = {"steps": 8, "noise_every": 0, "samples_every": 0, "checkpoint_every": 3}
    return RECIPES["digits-adam"]().with_({**short, **changes})


def test_a_recipe_with_a_schedule_is_plain_data() -> None:
    chosen = recipe()
    assert Recipe.from_plain(chosen.to_plain()) == chosen
    assert chosen.schedules == {"optimizers.generator.lr": Spec(Cosine, over=8)}
    assert "schedules" not in chosen.with_({"schedules.optimizers.generator.lr": "none"}).to_plain()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedules.rule.x": "cosine"}, "unknown number of a schedule: 'rule.x'"),
        ({"schedules.optimizers.critic.lr": "cosine"}, "cosine lacks over"),
        ({"schedules.optimizers.critic.lr": "cosin"}, "'cosin'.*cosine"),
        (
            {"schedules.game.penalties.0.weight": Spec(Linear, over=3, to=-1.0)},
            "r1.weight is -1.0: expected a number >= 0",
        ),
    ],
)
def test_a_recipe_says_before_data_are_read_what_cannot_follow(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        RECIPES["digits-adam"]().with_(settings).check()


def test_a_resumed_run_follows_on(tmp_path) -> None:
    whole = Run(recipe(), tmp_path / "whole")
    whole.train()
    first = Run(recipe().with_({"steps": 3}), tmp_path / "parts")
    first.train()
    second = Run(recipe(), tmp_path / "parts", resume=True)
    assert second.training.optimizers["generator"].param_groups[0]["lr"] < 1e-3
    second.train()
    for a, b in zip(*(w.training.game.parameters("generator") for w in (whole, second)), strict=True):
        assert torch.equal(a, b)
