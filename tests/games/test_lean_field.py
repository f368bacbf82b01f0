"""The lean field, one critic pass and one backward pass where they are allowed, against the plain one."""

from __future__ import annotations

import copy
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.evaluation.execution import Execution
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.structure import batch_coupling_layers
from manypaths.models import MODELS
from manypaths.objectives import OBJECTIVES
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.penalties import PENALTIES
from manypaths.sources.paired import PairedSource
from manypaths.vectors import flat

BATCH = 4
PAIRS = [name.removesuffix("-critic") for name in MODELS if name.endswith("-critic")]
SMALLEST = {"latent": 3, "hidden": (4,), "width": 4, "channels": 1}


class Plain(Adversarial):
    """A backward pass for each player."""

    def differentiated(self, *args: Any) -> Any:
        return Game.differentiated(self, *args)


def smallest(name: str) -> nn.Module:
    accepted = fields.accepted(MODELS[name])
    settings: dict[str, Any] = {key: value for key, value in SMALLEST.items() if key in accepted}
    if "size" in accepted:
        settings["size"] = min(get_args(accepted["size"]))
    return MODELS[name](**settings)


def field(kind: type[Adversarial], how: str, networks: Any, source: Any, dtype: torch.dtype, parts: Any) -> Tensor:
    generator, critic = (copy.deepcopy(network).to(dtype) for network in networks)
    game = kind(generator, critic, objective=parts[0], penalties=parts[1])
    Execution(critic_pass=how).prepare(game)
    return flat(game.gradients(source(dtype))).double()


@pytest.mark.filterwarnings("ignore:.*mixes the samples of a batch")
@pytest.mark.parametrize("pair", PAIRS)
def test_float64_equals_and_float32_rounds_like_the_plain_path(pair: str) -> None:
    """Over objectives and penalties: float64 to 1e-12, float32 at most twice as far from it as the plain path."""
    torch.manual_seed(0)
    networks = smallest(f"{pair}-generator"), smallest(f"{pair}-critic")
    with torch.no_grad():
        shape = networks[0](torch.randn(BATCH, 3)).shape
    drawn = PairedSource(torch.rand(shape) * 2 - 1, latent=3).sample(BATCH)

    def source(dtype: torch.dtype) -> Any:
        return drawn._map(lambda t: t.to(dtype) if t.is_floating_point() else t)

    mixes = bool(batch_coupling_layers(networks[1]))  # then a lazy penalty and a joint pass are refused
    names = [name for name in PENALTIES if not (mixes and name == "lazy")]
    for i, objective in enumerate(OBJECTIVES):
        paid = names if shape[1:].numel() < 100 else [names[i % len(names)]]
        for name in [None, *paid]:
            parts = OBJECTIVES[objective](), () if name is None else (PENALTIES[name](),)
            plain, lean = (
                [field(kind, how, networks, source, dtype, parts) for dtype in (torch.float64, torch.float32)]
                for kind, how in ((Plain, "separate"), (Adversarial, "separate" if mixes else "joint"))
            )
            size = float(plain[0].norm())
            assert (lean[0] - plain[0]).norm() <= 1e-12 * max(1.0, size), f"{objective}, {name}"
            error, allowed = float((lean[1] - plain[0]).norm()), float((plain[1] - plain[0]).norm())
            lucky = 8 * torch.finfo(torch.float32).eps * size  # below this, errors are a matter of chance
            assert error <= 2 * max(allowed, lucky), f"{objective}, {name}: {error:.1e} against {allowed:.1e}"


class PassesCounted(nn.Module):
    """Counts its forward passes; ``spread`` couples the samples where no layer tells."""

    def __init__(self, spread: float = 0.0):
        super().__init__()
        self.layer, self.spread, self.passes = nn.Linear(2, 1), spread, 0

    def forward(self, data: Tensor) -> Tensor:
        self.passes += 1
        return self.layer(data).squeeze(1) * (1 + self.spread * data.std())


@pytest.mark.parametrize(("spread", "how", "passes"), [(0.0, "joint", 1), (0.0, "auto", 2)])
def test_the_critic_is_asked_once_where_it_was_seen_to_treat_samples_alone(
    spread: float, how: Any, passes: int
) -> None:
    torch.manual_seed(0)
    critic = PassesCounted(spread)
    game = Adversarial(nn.Linear(3, 2), critic, objective=NonSaturating())
    Execution(critic_pass=how).prepare(game)
    source = PairedSource(torch.randn(8, 2), latent=3)
    game.gradients(source.sample(4))
    critic.passes = 0
    game.gradients(source.sample(4))
    assert critic.passes == passes


def test_a_joint_pass_of_a_critic_that_couples_samples_is_refused() -> None:
    torch.manual_seed(0)
    game = Adversarial(nn.Linear(3, 2), PassesCounted(spread=0.5), objective=NonSaturating())
    Execution(critic_pass="joint").prepare(game)
    with pytest.raises(InvalidValue, match="critic_pass is 'joint' and the scores of a batch were not found to"):
        game.gradients(PairedSource(torch.randn(8, 2), latent=3).sample(4))


def test_a_zero_sum_game_takes_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    backward = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kw: calls.append(1) or backward(*args, **kw))
    source = PairedSource(torch.randn(8, 2), latent=3)
    counts = []
    for objective in (Minimax(), NonSaturating()):
        game = Adversarial(nn.Linear(3, 2), PassesCounted(), objective=objective)
        calls.clear()
        game.gradients(source.sample(4))
        game.gradients(source.sample(4), ("generator",))
        counts.append(len(calls))
    assert counts == [2, 3]


def test_an_objective_that_only_claims_to_be_zero_sum_is_not_believed() -> None:
    class Claimed(NonSaturating):
        zero_sum = True

    source = PairedSource(torch.randn(8, 2), latent=3)
    torch.manual_seed(0)
    networks, sample = (nn.Linear(3, 2), PassesCounted()), source.sample(4)
    fields_ = [flat(Adversarial(*networks, objective=o).gradients(sample)) for o in (Claimed(), NonSaturating())]
    assert torch.equal(*fields_)
