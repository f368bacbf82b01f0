"""The GAN: a generator, a critic, an objective, and penalties on the critic."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manypaths.eager import uncompiled
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game, differentiate
from manypaths.games.findings import Finding
from manypaths.games.gan_probes import FEW, probabilities, probed, ranges
from manypaths.games.noise import seeded
from manypaths.games.returned import expect_tensor
from manypaths.games.shadow import shadow_modules
from manypaths.games.structure import batch_coupling_layers, expect_bare
from manypaths.objectives.base import Objective, is_zero_sum
from manypaths.penalties.base import Penalty, Projection
from manypaths.penalties.conditioned import Conditioned
from manypaths.sources.gan_sample import GanSample
from manypaths.vectors import Gradients, scale_, wide

PLAYERS = ("critic", "generator")
"""In the order in which they move when they take turns."""


class Adversarial(Game):
    """L_critic = objective.critic(s(x), s(G(z))) + sum of penalties,  L_generator = objective.generator(s(G(z))).

    One forward pass of G and one graph through the critic's scores of the fakes serve both players; gradients are
    bit-equal to separate passes, because each player differentiates with respect to its own weights only. In a zero-sum
    game one backward pass serves both too: the generator's gradient is minus what the critic's loss says to it.

    Args:
        generator: maps latents (N, latent) to data.
        critic: maps data to scores (logits) of shape (N,).
        objective: what the two scores mean, a pure function of them.
        penalties: critic regularisers, added to its loss (``L2`` also serves the generator).
        projection: keeps the critic's weights in a set (``WeightClipping``), from construction on.
        conditional: both networks also get the labels, ``generator(latent, label)`` and ``critic(data, label)``.
        couples_samples: overrides what is read off the layers, the objective and the penalties.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        objective: Objective,
        penalties: Sequence[Penalty] = (),
        projection: Projection | None = None,
        conditional: bool = False,
        couples_samples: bool | None = None,
    ):
        self.generator, self.critic = generator, critic
        self.objective, self.penalties = objective, tuple(penalties)
        self.players = {"critic": critic, "generator": generator}
        expect_bare(self.players)
        self.projections = {} if projection is None else {"critic": projection}
        self.project(self.projections)
        in_critic, in_generator = batch_coupling_layers(critic), batch_coupling_layers(generator)
        self.conditional = conditional
        parts = [self.objective, *self.penalties]
        found = bool(in_critic or in_generator) or any(part.couples_samples for part in parts)
        self.couples_samples = found if couples_samples is None else couples_samples
        own = {id(p) for p in critic.parameters()}
        self._turns = objective.zero_sum and not any(id(p) in own for p in generator.parameters())
        self._turns = self._turns and is_zero_sum(objective)
        self._separable: bool | None = None  # whether the critic treats samples one by one, once that was tried
        normalised = [layer for layer in in_critic if "Dropout" not in layer]
        if normalised and (part := next((p for p in self.penalties if p.takes_part), None)):
            raise InvalidType(
                f"{type(part).__name__} evaluates the critic at a part of the batch, and {normalised[0]} normalises by "
                "the statistics of all of it: expected the penalty itself, or a critic without BatchNorm"
            )
        if normalised and any(p.per_sample for p in self.penalties):
            names = ", ".join(type(p).__name__ for p in self.penalties if p.per_sample)
            warnings.warn(
                f"{names} takes the critic's gradient per sample, but {normalised[0]} mixes the samples of a batch: "
                "the penalty is not what its name says; use a critic without BatchNorm",
                stacklevel=2,
            )

    def losses(self, sample: GanSample, players: tuple[str, ...]) -> dict[str, Tensor]:
        with torch.set_grad_enabled("generator" in players):
            fake = self._generate(sample)
        critic = self._critic(self._label(sample))
        real_scores = None
        if "critic" not in players and not self.objective.generator_sees_real:
            fake_scores = scores(critic, fake)
        elif self._separable and self.execution.joins(self.device):
            both = self._critic(tuple(torch.cat([label, label]) for label in self._label(sample)))
            real_scores, fake_scores = scores(both, torch.cat([sample.real, fake])).tensor_split(2)
        else:
            fake_scores, real_scores = scores(critic, fake), scores(critic, sample.real)
        losses: dict[str, Tensor] = {}
        if "critic" in players:
            assert real_scores is not None
            loss = self.objective.critic(real_scores, fake_scores)
            still = fake if self.second_order else fake.detach()
            losses["critic"] = sum((p(critic, sample, still) for p in self._penalties("critic")), start=loss)
        if "generator" in players:
            loss = self.objective.generator(fake_scores, real_scores)
            own = self._penalties("generator")
            losses["generator"] = sum((p(self.generator, sample, fake) for p in own), start=loss)
        return losses

    def _penalties(self, player: str) -> list[Penalty]:
        return [penalty for penalty in self.penalties if penalty.player == player]

    def _generate(self, sample: GanSample) -> Tensor:
        found = self.generator(sample.latent, *self._label(sample))
        return expect_tensor(found, "the generator", "data (N, ...)")

    def evaluation(self, sample: GanSample, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        if self._separable is None and self.execution.joins(self.device):
            layers = batch_coupling_layers(self.critic)
            self._separable = not layers and _treats_samples_alone(self, sample, self._label(sample))
            if self.execution.critic_pass == "joint" and not self._separable and len(sample) > 1:
                raise InvalidValue(
                    "critic_pass is 'joint' and the scores of a batch were not found to be those of its halves, so "
                    "that real and fake data are never joined: expected 'auto' or 'separate'"
                )
        return super().evaluation(sample, names, moves_buffers)

    def differentiated(self, losses: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, list[Tensor | None]]:
        turns = self._turns and not self._penalties("generator")
        if not turns or set(names) != {"critic", "generator"} or self.second_order:
            return super().differentiated(losses, names)
        # Penalties see detached fakes: all that the critic's loss says to the generator is the objective's.
        critic, generator = self.parameters("critic"), self.parameters("generator")
        found = differentiate(losses["critic"], [*critic, *generator], keep=False)
        turned = found[len(critic) :]
        scale_(turned, -1.0)
        field = {"critic": found[: len(critic)], "generator": turned}
        return {name: field[name] for name in names}

    def _critic(self, label: tuple[Tensor, ...]) -> nn.Module:
        """The critic as a function of the data alone."""
        return Conditioned(self.critic, *label) if label else self.critic

    def _label(self, sample: GanSample) -> tuple[Tensor, ...]:
        if not self.conditional:
            return ()
        if sample.label is None:
            raise InvalidValue("this game is conditional and its source has no labels: expected class indices (N,)")
        return (sample.label,)

    looks: ClassVar[bool] = True

    def check(self, sample: GanSample, *, declared: bool = False) -> list[Finding]:
        """Try both networks on a few samples: shapes that do not fit are refused, and likely mistakes returned.

        ``declared``: the range of the data was chosen by name. Weights, buffers and random numbers come back.
        """
        self._label(sample)  # missing labels are said as such, before either network meets them
        few = sample[:FEW]._map(torch.clone)  # a network may write into what it is given
        with self.unmoved(few), uncompiled(self.generator), uncompiled(self.critic):
            self._fits(few)
            given = (few.latent, *self._label(few))
            made = probed(self.generator, given)
            judged = probed(self._critic(self._label(few)), (few.real,))
        return [*ranges(made, sample.real, declared=declared), *probabilities(judged, self.objective)]

    def _fits(self, sample: GanSample) -> None:
        try:
            fake = self._generate(sample)
        except (RuntimeError, ValueError, IndexError) as error:
            shape = tuple(sample.latent.shape)
            why = _other_dtype(self.generator, sample.real) or _first_line(error)
            raise InvalidType(f"the generator does not take latents of shape {shape}: {why}") from error
        if fake.shape != sample.real.shape:
            raise InvalidValue(
                f"the generator makes data of shape {tuple(fake.shape[1:])} and the data set's is "
                f"{tuple(sample.real.shape[1:])}: expected the same{_networks_for(sample.real.shape[1:])}"
            )
        try:
            scores(self._critic(self._label(sample)), sample.real)
        except (RuntimeError, IndexError) as error:  # what ``scores`` refuses is said as it is
            shape = tuple(sample.real.shape[1:])
            why = _other_dtype(self.critic, sample.real) or f"{_first_line(error)}{_networks_for(shape)}"
            raise InvalidType(f"the critic does not take data of shape {shape}: {why}") from error


_SCORES = ("the critic", "scores (N,)")


def scores(critic: nn.Module, data: Tensor) -> Tensor:
    """The critic's scores, (N,); any other shape is refused, for ``(N,) - (N, 1)`` silently is (N, N).

    Those of half precision (autocast) are widened: losses are means, and bfloat16 keeps two digits of one.
    """
    found = expect_tensor(critic(data), *_SCORES)
    if found.shape != data.shape[:1]:
        raise _no_scores(found, len(data))
    return found.float() if found.dtype in (torch.bfloat16, torch.float16) else found


def _no_scores(found: Tensor, batch: int) -> InvalidValue:
    advice = "end its forward with .flatten() or .squeeze(-1)"
    if found.ndim > 1 and len(found) == batch and found.numel() > batch:
        advice = "average a map of scores by its name, MeanScore(critic) of manypaths.models"
    return InvalidValue(
        f"the critic returned shape {tuple(found.shape)} for a batch of {batch}: expected ({batch},), one score per "
        f"sample; {advice}"
    )


@torch.no_grad()
def _treats_samples_alone(game: Adversarial, sample: GanSample, label: tuple[Tensor, ...]) -> bool:
    """Whether scores of a batch are those of its halves, to 1e-10, by a shadow copy in float64 that leaves no trace."""
    half = len(sample) // 2
    if not half:
        return False
    point = {name: [wide(p) for p in game.parameters(name)] for name in game.players}
    buffers = [b.to(torch.float64 if b.is_floating_point() else b.dtype, copy=True) for b in game.buffers()]
    with uncompiled(game.critic):  # else the copy calls what was compiled, the original
        critic = shadow_modules(game, point, buffers)(game.critic)
    given = (sample.real.double(), *label)
    try:
        with seeded(0, game.device), torch.autocast(game.device.type, enabled=False):
            whole = expect_tensor(critic(*given), *_SCORES)
            parts = torch.cat([critic(*(t[:half] for t in given)), critic(*(t[half:] for t in given))])
    except RuntimeError:  # a critic that insists on a precision is left alone
        return False
    return bool((whole - parts).norm() <= 1e-10 * whole.norm())


def _networks_for(shape: Sequence[int]) -> str:
    """What to do with data that are no images (C, H, W)."""
    if len(shape) == 3:
        last = shape[2] in (1, 3) and shape[0] not in (1, 3)
        return "; channels come first, data.permute(0, 3, 1, 2)" if last else ""
    sizes = ",".join(map(str, shape))
    return (
        "; convolutional networks take images (C, H, W), grey ones (1, H, W); all else takes mlp-generator and "
        f"mlp-critic (--set game.generator=mlp-generator --set game.generator.shape={sizes} --set "
        f"game.critic=mlp-critic --set game.critic.shape={sizes}, with game.generator.latent as source.latent)"
    )


def _other_dtype(network: nn.Module, real: Tensor) -> str:
    """Whether data, and so latents, are of another floating dtype than a network that failed on them."""
    weights = next((p.dtype for p in network.parameters() if p.is_floating_point()), real.dtype)
    if weights == real.dtype:
        return ""
    kinds = [str(dtype).removeprefix("torch.") for dtype in (real.dtype, weights)]
    return f"the data are {kinds[0]} and its weights {kinds[1]}, expected the same; turn data to {kinds[1]}"


def _first_line(error: Any) -> str:
    return str(error).partition("\n")[0]
