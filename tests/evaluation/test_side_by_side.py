"""Two concurrent evaluations against one evaluation after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from manypaths.evaluation import side_by_side, two_at_once
from manypaths.evaluation.execution import Execution
from manypaths.evaluation.side_by_side import SideBySide
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.layers import Norm
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.base import Objective
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import full_gradient
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.r1 import R1
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.paired import PairedSource
from manypaths.training import Training
from manypaths.vectors import flat

pytestmark = pytest.mark.usefixtures("two_threads")


def gan(norm: Norm = "batch", critic: nn.Module | None = None, **options: Any) -> tuple[Adversarial, PairedSource]:
    torch.manual_seed(0)
    generator = DcganGenerator(size=8, latent=4, width=4, norm=norm).double()
    critic = critic or DcganCritic(size=8, width=4, norm="spectral" if norm == "none" else norm).double()
    real = torch.randn(40, 1, 8, 8, dtype=torch.float64)
    return Adversarial(generator, critic, objective=NonSaturating(), **options), PairedSource(real, latent=4)


def trained(concurrent: str, norm: Norm) -> tuple[Game, Training]:
    penalties = () if norm == "batch" else (R1(),)
    game, source = gan(norm, penalties=penalties)
    Execution(concurrent=concurrent).prepare(game)
    optimizers = Optimizers({name: torch.optim.SGD(game.parameters(name), lr=1e-2) for name in game.players})
    training = Training(game, SVRG(source, batch=8, schedule="fixed", every=6), Extragradient(), optimizers)
    for _ in range(8):
        training.step()
    return game, training


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_svre_with_lanes_is_svre_without(norm: Norm) -> None:
    """Full passes and moved buffers included; ``none`` has a critic with spectral norm and a penalty."""
    beside, _ = trained("auto", norm)
    after, _ = trained("off", norm)
    assert SideBySide.of(beside)._trusted is True
    assert SideBySide.of(after)._trusted is None
    torch.testing.assert_close(flat(beside.point()), flat(after.point()), rtol=0, atol=1e-12)
    for one, other in zip(beside.buffers(), after.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunks", [1, 4, 5])
@pytest.mark.parametrize("moves_buffers", [False, True])
def test_a_full_pass_in_pairs_moves_buffers_once(chunks: int, moves_buffers: bool) -> None:
    found = []
    for concurrent in ("auto", "off"):
        game, source = gan()
        Execution(concurrent=concurrent).prepare(game)
        mean, samples = full_gradient(game, source.all(40 // chunks), equal=False, moves_buffers=moves_buffers)
        found.append(torch.cat([flat(mean), *[b.double().reshape(-1) for b in game.buffers()]]))
        assert samples == 40
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 1)).double()

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.layers(data).squeeze(1)


class Aliased(Dropping):
    """Keeps a way to its own layers that no copy of the module tree knows of."""

    def __init__(self) -> None:
        super().__init__()
        self.layers[2] = nn.Tanh()
        self.run = [self.layers]

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.run[0](data).squeeze(1)


@pytest.mark.parametrize("critic", [Dropping, Aliased])
def test_games_that_have_no_lanes_are_found_out(critic: type[nn.Module]) -> None:
    game, source = gan(critic=critic())
    sample = source.sample(8)
    concurrent = SideBySide.of(game)
    assert concurrent.available(sample) is False
    point = {name: [p + 0.1 for p in weights] for name, weights in game.point().items()}
    buffers = [b.clone() for b in game.buffers()]
    now, then = concurrent.here_and_there(sample, game.names(), point, buffers, game.names(), moves_buffers=False)
    with game.at(point):
        moved = game.gradients(sample)
    assert torch.equal(flat(then), flat(moved))
    assert torch.equal(flat(now), flat(game.gradients(sample)))


class Encoding(Adversarial):
    """A third player guesses the latent from what was generated."""

    def __init__(self, encoder: nn.Module, objective: Objective):
        super().__init__(MlpGenerator(latent=2, hidden=(16,)), MlpCritic(hidden=(16,)), objective=objective)
        self.encoder = encoder
        self.players = {**self.players, "encoder": encoder}

    def losses(self, sample: Any, players: tuple[str, ...]) -> dict[str, torch.Tensor]:
        losses = super().losses(sample, tuple(name for name in players if name != "encoder"))
        if "encoder" in players:
            guess = self.encoder(self.generator(sample.latent).detach())
            losses["encoder"] = (guess - sample.latent).square().mean()
        return losses


@pytest.mark.parametrize("objective", [NonSaturating(), Minimax()])
def test_a_game_with_a_third_player_has_lanes(objective: Objective) -> None:
    game = Encoding(nn.Linear(2, 2), objective)
    sample = PairedSource(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), latent=2).sample(8)
    assert SideBySide.of(game)._tried(sample)
    together = game.gradients(sample)
    for name in game.players:
        torch.testing.assert_close(together[name], game.gradients(sample, (name,))[name], rtol=0.0, atol=1e-6)


def test_from_losses_has_lanes_and_the_lanes_follow_the_callers_autocast() -> None:
    torch.manual_seed(0)
    generator, critic = MlpGenerator(latent=2, hidden=(16,)), MlpCritic(hidden=(16,))

    def critic_loss(sample: Any, generator: nn.Module, critic: nn.Module) -> torch.Tensor:
        return (critic(generator(sample.latent)) - critic(sample.real)).float().mean()

    def generator_loss(sample: Any, generator: nn.Module, critic: nn.Module) -> torch.Tensor:
        return -critic(generator(sample.latent)).float().mean()

    game = FromLosses({"critic": critic_loss, "generator": generator_loss}, {"critic": critic, "generator": generator})
    sample = PairedSource(torch.randn(8, 2), latent=2).sample(8)
    concurrent = SideBySide.of(game)
    assert concurrent.available(sample)

    def both() -> list[torch.Tensor]:
        found = concurrent.here_and_there(sample, game.names(), game.point(), [], game.names(), moves_buffers=False)
        return [flat(gradients) for gradients in found]

    plain = both()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = both()
    torch.testing.assert_close(plain[0], plain[1])
    assert float((rounded[0] - rounded[1]).norm() / plain[0].norm()) < 0.01
    assert 1e-4 < float((rounded[0] - plain[0]).norm() / plain[0].norm()) < 0.2


def test_an_error_in_a_lane_is_raised() -> None:
    game, source = gan()
    concurrent, sample = SideBySide.of(game), source.sample(8)
    assert concurrent.available(sample)
    broken = PairedSource(torch.randn(40, 1, 8, 2, dtype=torch.float64), latent=4).sample(8)
    with pytest.raises(Exception, match="[Kk]ernel"):
        concurrent.here_and_there(broken, game.names(), game.point(), game.buffers(), game.names(), moves_buffers=False)
    assert torch.get_num_threads() == 2


def test_a_lane_keeps_its_share_of_the_threads() -> None:
    """Also after operations that run in parallel, and the caller keeps all of them."""
    pool = two_at_once._two_threads(2)

    def inside() -> int:
        torch.ones(1_000_000).add_(1.0)
        return torch.get_num_threads()

    assert [job.result() for job in [pool.submit(inside) for _ in range(4)]] == [1, 1, 1, 1]
    assert torch.get_num_threads() == 2


def test_small_networks_have_no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiplications by hand: generator 4 -> 16 (2x2) -> 8 (4x4) -> 1 (8x8), the critic the way back, twice."""
    game, source = gan()
    sample = source.sample(8)
    generator = 8 * (4 * 16 * 4 + 16 * 4 * 8 * 16 + 8 * 16 * 1 * 16)
    critic = 2 * 8 * (16 * 4 * 16 + 4 * 8 * 64 + 8 * 4)
    assert side_by_side._convolved(game, sample) == generator + critic
    monkeypatch.setattr(side_by_side, "WORTH", generator + critic + 1)
    assert SideBySide.of(game).available(sample) is False
