"""The checks of the audit: each looks at one kind of mistake and says what to do about it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from manypaths.errors import InputError
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.structure import batch_coupling_layers
from manypaths.randomness import generator_for
from manypaths.sources.gan_sample import GanSample
from manypaths.vectors import Gradients, flat


@dataclass(frozen=True)
class Finding:
    """One mistake. ``fatal``: nothing can be measured before it is mended."""

    name: str
    what: str
    remedy: str
    fatal: bool = False


@dataclass(frozen=True)
class Subject:
    """What is audited: a game, and one batch."""

    game: Game
    sample: Any

    def gradients(self) -> Gradients | None:
        """The field, or ``None`` where it cannot be evaluated at all."""
        try:
            return self.game.gradients(self.sample)
        except (InputError, RuntimeError, IndexError):
            return None

    def nearby(self) -> Gradients | None:
        """The field at weights that differ by normal numbers of deviation 0.01."""
        draw = generator_for(0, "audit", "nearby")
        move = lambda w: w + 0.01 * torch.randn(w.shape, generator=draw).to(w)  # noqa: E731
        with self.game.at({name: [move(w) for w in weights] for name, weights in self.game.point().items()}):
            return self.gradients()

    @property
    def gan(self) -> Adversarial | None:
        game = self.game.unwrapped
        return game if isinstance(game, Adversarial) else None


def evaluates(subject: Subject) -> Iterator[Finding]:
    """The losses can be evaluated; scores are one number per sample."""
    try:
        gradients = subject.game.gradients(subject.sample)
    except InputError as error:
        name = "score shape" if "the critic returned shape" in str(error) else "losses"
        yield Finding(name, str(error), "return scores of shape (N,) and scalar losses", fatal=True)
        return
    except (RuntimeError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        yield Finding(
            "losses", f"the losses cannot be evaluated: {reason}", "make one forward pass work first", fatal=True
        )
        return
    for name in gradients:
        if not torch.isfinite(gradients.losses[name]):
            yield Finding(
                "non-finite loss",
                f"the loss of {name} is {float(gradients.losses[name])} at the start",
                "use softplus on logits instead of log(sigmoid(...)), and a norm that is differentiable at zero",
                fatal=True,
            )


def purity(subject: Subject) -> Iterator[Finding]:
    """The same weights and the same sample give the same gradient."""
    first, second = subject.gradients(), subject.gradients()
    if first is None or second is None:
        return
    distance = float((flat(first) - flat(second)).norm() / flat(first).norm().clamp_min(1e-30))
    if distance > 1e-4:
        yield Finding(
            "impure",
            f"two evaluations of one sample at the same weights differ by {distance:.1e}",
            "draw noise from sample.seed (counter_uniform) or torch's global generator, never from NumPy or random; "
            "keep no state outside registered buffers",
        )


def coupling(subject: Subject) -> Iterator[Finding]:
    """A game that says its samples are independent: the mean over half-batches is the batch's field."""
    game, sample = subject.game, subject.sample
    whole = subject.gradients()
    if whole is None or game.couples_samples or game.draws_noise(sample) or any(purity(subject)):
        return
    half = len(sample) // 2
    parts = [flat(game.gradients(sample[i : i + half])) for i in (0, half)]
    error = float(((parts[0] + parts[1]) / 2 - flat(game.gradients(sample[: 2 * half]))).norm() / flat(whole).norm())
    scale = float(flat(game.gradients(sample[: 2 * half])).norm() / ((parts[0] + parts[1]) / 2).norm().clamp_min(1e-30))
    if abs(scale - 2.0) < 0.01:
        yield Finding(
            "sum instead of mean",
            "doubling the batch doubles the gradient: a loss is a sum over the batch",
            "return batch means, so that learning rates do not depend on the batch size",
        )
    elif error > 1e-3:
        yield Finding(
            "undeclared coupling",
            f"the batch's gradient is not the mean of its halves' ({error:.1%} apart): samples are coupled",
            "construct the game with couples_samples=True, so that snapshots use a fixed partition into mini-batches",
        )


def penalties_and_batchnorm(subject: Subject) -> Iterator[Finding]:
    """No BatchNorm in a critic under a per-sample penalty."""
    gan = subject.gan
    if gan is None or not any(penalty.per_sample for penalty in gan.penalties):
        return
    layers = [layer for layer in batch_coupling_layers(gan.critic) if "Dropout" not in layer]
    if layers:
        yield Finding(
            "batchnorm under a penalty",
            f"{layers[0]} mixes the samples whose gradients the penalty takes one by one",
            "use a critic without BatchNorm (LayerNorm, spectral norm or none)",
        )


def penalty_norms(subject: Subject) -> Iterator[Finding]:
    """On a linear critic of slope a the penalty must vanish at a = 1, not where a per-pixel or per-batch norm is 1."""
    gan, sample = subject.gan, subject.sample
    if gan is None or not isinstance(sample, GanSample):
        return
    n, d = len(sample), sample.real[0].numel()
    for penalty in gan.penalties:
        if not penalty.per_sample:  # not a function of the critic's slope
            continue
        value = lambda slope: float(penalty(_Slope(slope, sample.real[0]), sample, sample.real.flip(0)).detach())  # noqa: B023, E731
        try:
            right, pixel, batch = value(1.0), value(d**0.5), value(n**-0.5)
        except (RuntimeError, IndexError, TypeError) as error:
            yield Finding(
                "penalty", f"{type(penalty).__name__} fails on a linear critic: {error}", "make it work there"
            )
            continue
        small = 1e-6 * (1.0 + max(right, pixel, batch))
        for found, kind in ((pixel, "pixel"), (batch, "batch")):
            if right > small and found <= small:
                yield Finding(
                    f"penalty norm per {kind}",
                    f"{type(penalty).__name__} is {right:.3g} on a linear critic of slope 1, where it should be 0",
                    "take the norm per sample over all dimensions: gradient.flatten(1).norm(dim=1)",
                )
        yield from _zero_gradient(penalty, sample)


def _zero_gradient(penalty: Any, sample: GanSample) -> Iterator[Finding]:
    critic = _Slope(0.0, sample.real[0])
    value = penalty(critic, sample, sample.real.flip(0))
    if not value.requires_grad:
        return
    slopes = [g for g in torch.autograd.grad(value, list(critic.parameters()), allow_unused=True) if g is not None]
    if not all(torch.isfinite(g).all() for g in slopes):
        yield Finding(
            "penalty at zero gradient",
            f"{type(penalty).__name__} has a non-finite derivative where the critic is flat",
            "guard the square root at zero (manypaths.penalties.base.norms)",
        )


def objective(subject: Subject) -> Iterator[Finding]:
    """A zero-sum objective is zero-sum; a minimax generator is not secretly the non-saturating one."""
    gan = subject.gan
    if gan is None:
        return
    loss = gan.objective
    real, fake = (torch.linspace(-3, 3, 33, dtype=torch.float64) + shift for shift in (0.1, -0.2))
    fake.requires_grad_()
    ours = torch.autograd.grad(loss.generator(fake, real), fake)[0]
    theirs = torch.autograd.grad(loss.critic(real, fake), fake)[0]
    claims = loss.zero_sum or "minimax" in type(loss).__name__.lower()
    if not claims or torch.allclose(ours, -theirs, atol=1e-9):
        return
    saturating = torch.autograd.grad(softplus(-fake).mean(), fake)[0]
    truth = "in truth the non-saturating one" if torch.allclose(ours, saturating, atol=1e-9) else "not zero-sum"
    yield Finding(
        "not minimax",
        f"{type(loss).__name__} says it is zero-sum, and its generator loss is {truth}",
        "use E log(1 - sigma(s)) for minimax (manypaths.Minimax), or call it NonSaturating",
    )


def parameters(subject: Subject) -> Iterator[Finding]:
    """Every parameter belongs to one player, and gets a gradient that is not zero for good."""
    game, gradients = subject.game, subject.gradients()
    for one, two in itertools.combinations(game.players, 2):
        shared = {id(p) for p in game.parameters(one)} & {id(p) for p in game.parameters(two)}
        if shared:
            yield Finding(
                "shared parameters",
                f"{one} and {two} share {len(shared)} parameters: each player's step undoes the other's",
                "give each player weights of its own",
            )
    if gradients is not None:
        yield from _absent(game, gradients)
        yield from _zero(subject, gradients)


def _absent(game: Game, gradients: Gradients) -> Iterator[Finding]:
    """Parameters that the loss is not a function of: autograd has nothing to say about them."""
    for name in gradients:
        named = _trainable(game, name)
        absent = [k for k, g in zip(named, gradients[name], strict=True) if g is None]
        if named and len(absent) == len(named):
            yield Finding(
                "no gradient",
                f"the loss of {name} does not depend on its parameters: no gradient arrives",
                "remove a detach() or no_grad() on the way, and check requires_grad",
            )
        elif absent:
            yield Finding(
                "unused parameters",
                f"{len(absent)} parameters of {name} get no gradient, the first is {absent[0]}",
                "remove them, or use them in forward",
            )


def _zero(subject: Subject, gradients: Gradients) -> Iterator[Finding]:
    """Parameters with a gradient that is exactly zero, here and at a point nearby.

    Here alone it is no mistake: what stands behind a factor that starts at zero, such as self-attention's gamma, moves
    once the factor has.
    """
    if not any(_vanishes(g) for name in gradients for g in gradients[name]):
        return
    nearby = subject.nearby() or {}
    for name in nearby:
        named = zip(_trainable(subject.game, name), gradients[name], nearby[name], strict=True)
        zero = [k for k, here, there in named if _vanishes(here) and _vanishes(there)]
        if zero:
            yield Finding(
                "zero gradient",
                f"{len(zero)} parameters of {name} have a gradient that is exactly zero, at these weights and "
                f"at others nearby, the first is {zero[0]}",
                "look for a product with zero, a saturated output or units that are dead on the whole batch",
            )


def _vanishes(gradient: Tensor | None) -> bool:
    return gradient is not None and not bool(gradient.any())


def _trainable(game: Game, player: str) -> list[str]:
    return [name for name, p in game.players[player].named_parameters() if p.requires_grad]


def ranges(subject: Subject) -> Iterator[Finding]:
    """Data and fakes live in one range; scores are logits."""
    gan, sample = subject.gan, subject.sample
    if gan is None or subject.gradients() is None:
        return
    bounded = any(isinstance(m, nn.Tanh) for m in list(gan.generator.modules())[-1:])
    low, high = float(sample.real.min()), float(sample.real.max())
    if bounded and (low < -1.01 or high > 1.01):
        yield Finding(
            "data range",
            f"data reach from {low:.3g} to {high:.3g} and the generator ends in a tanh: it cannot make them",
            "scale the data to [-1, 1]",
        )
    if isinstance(list(gan.critic.modules())[-1], nn.Sigmoid):
        yield Finding(
            "sigmoid at the end of the critic",
            "the critic ends in a sigmoid and objectives here expect logits: the game is a different one",
            "remove the sigmoid; softplus on logits is the same loss without its overflow",
        )


def modes(subject: Subject) -> Iterator[Finding]:
    """Networks are in training mode."""
    for name, module in subject.game.players.items():
        if batch_coupling_layers(module) and not module.training:
            yield Finding(
                "eval mode", f"{name} is in eval mode: BatchNorm and dropout are frozen", f"call {name}.train()"
            )


class _Slope(nn.Module):
    """s(x) = slope <u, x> with u constant and of norm 1."""

    def __init__(self, slope: float, datum: Tensor):
        super().__init__()
        self.weight = nn.Parameter(torch.full_like(datum, slope / datum.numel() ** 0.5))

    def forward(self, data: Tensor, *label: Tensor) -> Tensor:
        return (data * self.weight).reshape(len(data), -1).sum(1)


CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    evaluates,
    purity,
    coupling,
    penalties_and_batchnorm,
    penalty_norms,
    objective,
    parameters,
    ranges,
    modes,
)
