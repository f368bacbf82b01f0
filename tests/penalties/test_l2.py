"""Weight decay as a part of the game, and as a setting of the optimisers."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.objectives.minimax import Minimax
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.l2 import L2
from manypaths.penalties.lazy import Lazy
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.alternating import Alternating
from manypaths.rules.anchored import Anchored
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.simultaneous import Simultaneous
from manypaths.testing.conformance import small_gan, small_source
from manypaths.training import Training

BOTH = (L2(0.3), L2(0.7, player="generator"))


@pytest.mark.parametrize("objective", [None, Minimax()])
def test_the_field_is_that_of_the_game_plus_lambda_w(objective) -> None:
    plain, regularised = (small_gan(objective=objective, penalties=p) for p in ((), BOTH))
    sample = small_source().sample(8)
    for players in (None, ("critic",), ("generator",)):
        without, found = (game.gradients(sample, players) for game in (plain, regularised))
        for name in found:
            weight = {"critic": 0.3, "generator": 0.7}[name]
            for g, h, w in zip(found[name], without[name], regularised.parameters(name), strict=True):
                assert (g - (0.0 if h is None else h) - weight * w.detach()).abs().max() < 1e-14
            squares = sum(float(w.detach().square().sum()) for w in regularised.parameters(name))
            loss = float(without.losses[name]) + weight / 2 * squares
            assert float(found.losses[name]) == pytest.approx(loss, rel=1e-14)


def existing(field) -> dict:
    """Zero where a loss does not depend on a weight (an optimiser leaves such a one alone, the penalty does not)."""
    return {name: [0.0 if g is None else g for g in field[name]] for name in field}


def test_extragradient_takes_it_at_the_extrapolated_point_and_weight_decay_at_w_t() -> None:
    """Two steps of one method each: w - lr (F(w') + lambda w') and w - lr (F(w') + lambda w)."""
    lr, decay = 0.1, 0.5
    for as_penalty in (True, False):
        penalties = (L2(decay), L2(decay, player="generator")) if as_penalty else ()
        game, plain = small_gan(penalties=penalties), small_gan()
        sgd = {
            name: torch.optim.SGD(game.parameters(name), lr=lr, weight_decay=0.0 if as_penalty else decay)
            for name in game.players
        }
        training = Training(game, Stochastic(small_source(), batch=8), Extragradient(fresh_sample=False), sgd)
        sample, w = small_source().sample(8), plain.point()
        field = existing(plain.gradients(sample))
        ahead = {n: [p - lr * (g + decay * p) for p, g in zip(w[n], field[n], strict=True)] for n in w}
        with plain.at(ahead):
            field = existing(plain.gradients(sample))
        at = ahead if as_penalty else w
        for n in w:
            w[n] = [p - lr * (g + decay * a) for p, g, a in zip(w[n], field[n], at[n], strict=True)]
        training.step()
        for n in w:
            for p, q, g in zip(game.parameters(n), w[n], field[n], strict=True):
                assert isinstance(g, float) or (p.detach() - q).abs().max() < 1e-14


INSIDE = Lookahead(Alternating(("critic", "generator"), Extragradient()))


@pytest.mark.parametrize("rule", [Extragradient(), Anchored(), INSIDE])
def test_weight_decay_under_extrapolation_is_said_at_construction(rule) -> None:
    game = small_gan()

    def notes(rule, decay: float) -> list[str]:
        adam = {
            "critic": torch.optim.AdamW(game.parameters("critic"), weight_decay=decay),
            "generator": torch.optim.Adam(game.parameters("generator")),
        }
        return [n for n in Training(game, Stochastic(small_source(), batch=8), rule, adam).notes if "decay" in n]

    assert notes(rule, 0.0) == notes(Simultaneous(), 0.1) == notes(Anchored(extrapolate=False), 0.1) == []
    (said,) = notes(rule, 0.1)
    assert said.startswith("weight_decay of critic acts at w_t and not at the extrapolated point")
    assert "L2(weight=..., player=...)" in said


def test_members_of_a_population_are_regularised_as_alone() -> None:
    population = Population([small_gan(penalties=BOTH) for _ in range(2)])
    sample = PopulationSource.of(lambda seed: small_source(), 2).sample(8)
    found, alone = population.gradients(sample), small_gan(penalties=BOTH).gradients(small_source().sample(8))
    for name in alone:
        for g, h in zip(found[name], alone[name], strict=True):
            assert (g[1] - h).abs().max() < 1e-12


def test_what_is_refused() -> None:
    with pytest.raises(InvalidValue, match="player"):
        L2(player="criti")
    with pytest.raises(InvalidType, match="Lazy is for penalties of the critic and this L2 is of the generator"):
        Lazy(L2(player="generator"))
