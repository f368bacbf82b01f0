"""Weight clipping: a projection after every move, wherever a rule asks for gradients."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.capabilities import seeds_of
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.weight_clipping import WeightClipping
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.recipes.digits import svre
from manypaths.rules.alternating import Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation
from manypaths.rules.anchored import Anchored
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.sources.base import IndexSource
from manypaths.testing.conformance import small_source
from manypaths.training import Training

LIMIT = 0.05


class Watched(Adversarial):
    """A GAN that looks at its critic's weights wherever it is evaluated."""

    def losses(self, sample, players):
        assert largest(self) <= LIMIT, "a gradient was asked for outside the box"
        return super().losses(sample, players)


def largest(game, player="critic") -> float:
    return max(float(p.detach().abs().max()) for p in game.parameters(player))


def gan(seed=0, kind=Watched) -> Adversarial:
    torch.manual_seed(seed)
    generator, critic = MlpGenerator(latent=4, hidden=(8,)).double(), MlpCritic(hidden=(8,)).double()
    return kind(generator, critic, objective=Wasserstein(), projection=WeightClipping(LIMIT))


RULES = {
    "simultaneous": Simultaneous,
    "alternating": lambda: Alternating(("critic", "critic", "generator"), Extragradient(extrapolation=3.0)),
    "extragradient": Extragradient,
    "extragradient, long": lambda: Extragradient(extrapolation=5.0, moments="rewind"),
    "extragradient, opponent": lambda: Extragradient(at="opponent", extrapolation=2.0),
    "past extragradient": PastExtragradient,
    "optimistic": Optimistic,
    "optimistic, update": lambda: Optimistic(of="update"),
    "anchored": Anchored,
    "halpern": lambda: Anchored(extrapolate=False),
    "alternating extrapolation": lambda: AlternatingExtrapolation(4.0),
    "lookahead": lambda: Lookahead(Optimistic(of="update"), k=2),
    "variance-reduced extragradient": VarianceReducedExtragradient,
}


@pytest.mark.parametrize("name", RULES)
def test_no_rule_asks_for_a_gradient_outside(name) -> None:
    """Large steps, from the first evaluation to the last; storage is kept and the generator is free."""
    game = gan()
    places = [p.data_ptr() for p in game.parameters("critic")]
    optimizers = Optimizers({n: torch.optim.Adam(game.parameters(n), lr=0.1) for n in game.players})
    oracle = SVRG(small_source(), batch=16, every=3)
    training = Training(game, oracle, RULES[name](), optimizers, averages=UniformAverage(restart=0.5))
    for _ in range(8):
        training.step()
        assert largest(game) <= LIMIT
    assert largest(game) == LIMIT, "nothing was clipped"
    assert largest(game, "generator") > 0.2
    assert places == [p.data_ptr() for p in game.parameters("critic")]


def test_projected_extragradient_by_hand() -> None:
    """min_x max_y xy with |x| <= 0.3: w' = P(w - eta F(w)), w <- P(w - eta F(w'))."""
    game = Bilinear(torch.ones(1, 1, dtype=torch.float64))
    first, second = game.players
    game.projections = {first: WeightClipping(0.3)}
    with torch.no_grad():
        game.parameters(first)[0].fill_(0.25)
        game.parameters(second)[0].fill_(1.0)
    optimizers = Optimizers({n: torch.optim.SGD(game.parameters(n), lr=0.5) for n in game.players})
    training = Training(game, FullBatch(IndexSource(1)), Extragradient(), optimizers)
    x, y = 0.25, 1.0
    clip = lambda v: max(-0.3, min(0.3, v))  # noqa: E731
    clipped = 0
    for _ in range(6):
        x_half, y_half = clip(x - 0.5 * y), y + 0.5 * x
        clipped += x_half in (-0.3, 0.3)
        x, y = clip(x - 0.5 * y_half), y + 0.5 * x_half
        training.step()
        assert float(game.parameters(first)[0].detach()) == pytest.approx(x, abs=1e-15)
        assert float(game.parameters(second)[0].detach()) == pytest.approx(y, abs=1e-15)
    assert clipped > 0


def test_members_of_a_population_are_clipped_as_alone() -> None:
    def weights(game, source) -> torch.Tensor:
        optimizers = Optimizers({n: torch.optim.SGD(game.parameters(n), lr=0.3) for n in game.players})
        training = Training(game, Stochastic(source, batch=8), Extragradient(), optimizers)
        for _ in range(4):
            training.step()
        members = len(seeds_of(game) or (0,))
        return torch.cat([p.detach().reshape(members, -1) for p in game.parameters("critic")], dim=1)

    alone = [weights(gan(i, Adversarial), small_source(seed=i)) for i in range(2)]
    games = [gan(i, Adversarial) for i in range(2)]
    stacked = weights(Population(games), PopulationSource([small_source(seed=i) for i in range(2)]))
    assert float(stacked.abs().max()) == LIMIT
    assert torch.allclose(stacked, torch.cat(alone), rtol=0, atol=1e-14)


def test_in_a_recipe() -> None:
    recipe = svre().with_(
        {"game.projection": "weight-clipping", "game.projection.limit": "0.02", "game.objective": "wasserstein"}
    )
    assert Recipe.from_plain(recipe.to_plain()) == recipe
    assert recipe.to_plain()["game"]["projection"] == {"name": "weight-clipping", "limit": 0.02}
    training = recipe.with_({"game.critic.hidden": "8", "game.generator.hidden": "8"}).build()
    assert largest(training.game) == pytest.approx(0.02)
    training.step()
    assert largest(training.game) == pytest.approx(0.02)
    assert recipe.with_({"game.projection": "none"}).to_plain()["game"]["projection"] is None


def test_refusals() -> None:
    with pytest.raises(InvalidValue, match="WeightClipping.limit is 0.0: expected a number > 0"):
        WeightClipping(0.0)
    with pytest.raises(InvalidValue, match="unknown projection 'clop': expected one of weight-clipping"):
        svre().with_({"game.projection": "clop"})


def test_loaded_weights_are_put_into_the_box() -> None:
    free = gan()
    free.projections = {}
    with torch.no_grad():
        for p in free.parameters("critic"):
            p.fill_(1.0)
    game = gan(seed=1)
    game.load_state_dict(free.state_dict())
    assert largest(game) == LIMIT
    assert torch.equal(game.parameters("generator")[0], free.parameters("generator")[0])


def test_a_run_that_starts_from_another_begins_inside_the_box(tmp_path) -> None:
    recipe = svre().with_({"steps": 1, "samples_every": 0, "evaluate_every": 0, "game.objective": "wasserstein"})
    Run(recipe, tmp_path / "free").train()
    clipped = recipe.with_({"start_from": str(tmp_path / "free"), "game.projection": "weight-clipping"})
    assert largest(Run(clipped, tmp_path / "clipped").training.game) == pytest.approx(0.01)
