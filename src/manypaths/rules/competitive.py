"""Competitive gradient descent (Schaefer and Anandkumar 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD

from manypaths import fields
from manypaths.errors import InputError, InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.games.returned import expect_losses
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.mixed_derivatives import expect_mixed_derivatives
from manypaths.oracles.second_order import refuse_third_derivatives
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.base import Rule, StepInfo
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


@dataclass(frozen=True)
class CompetitiveGradientDescent(Rule):
    """dx = -eta (I - eta^2 D_xy f D_yx g)^{-1} (grad_x f - eta D_xy f grad_y g), and likewise dy.

    Two players with losses f and g; the step is the equilibrium of their local bilinear game with proximal terms
    (Schaefer and Anandkumar 2019). eta is the learning rate of the optimizers, plain SGD, and may differ between
    players (eta^2 is then their product). The system is solved for the smaller player only; the other's step is its
    best answer, dy = -eta (grad_y g + D_yx g dx), which is the same equilibrium.

    D_xy f v = grad_x <grad_y f, v> is a vector-Jacobian product through the graph of one batch. The operator is
    symmetric positive definite in zero-sum games only, so the solver is GMRES for all of them (SciPy's; the vectors
    of the smaller player pass through the CPU). A product passes backwards through the graph of one loss, once: it
    counts as one gradient evaluation of the player whose loss that is.

    Needs samples whose losses can be differentiated twice, hence a ``Stochastic`` oracle, or ``FullBatch`` over
    independent samples (the graph of the whole sum is kept during a step), and SciPy: ``pip install
    'manypaths[study]'``. A loss that detaches the other player's part is refused.

    Attributes:
        tolerance: of the solver, relative to the right-hand side.
        iterations: largest number of products with the operator before the solver stops where it is; it keeps as many
            vectors.
    """

    tolerance: fields.Positive = 1e-6
    iterations: fields.PositiveInt = 50

    joint_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields.check(self)

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        if len(game.players) != 2:
            raise InvalidValue(f"CompetitiveGradientDescent is for two players: this game has {list(game.players)}")
        if isinstance(game, Stacked):
            raise InvalidType("CompetitiveGradientDescent plays one game at a time: expected it without a Population")
        if not isinstance(oracle, (Stochastic, FullBatch)):
            kind = type(oracle).__name__
            raise InvalidType(
                f"CompetitiveGradientDescent differentiates losses: expected Stochastic or FullBatch, not {kind}"
            )
        if isinstance(oracle, FullBatch) and (game.couples_samples or oracle.components == "batches"):
            raise InvalidType(
                "CompetitiveGradientDescent over FullBatch needs independent samples: expected Stochastic"
            )
        for name in optimizers:
            _rate(optimizers, name)
        _scipy()
        refuse_third_derivatives(game, "CompetitiveGradientDescent")
        expect_mixed_derivatives(game, oracle.source, oracle.batch, "CompetitiveGradientDescent")

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = self._all(game, players)
        sample = _sample(oracle)
        with game.differentiated_twice(), game.evaluating(sample):
            losses = expect_losses(game.losses(game.spared(sample), names), names)
            small, large = sorted(names, key=lambda n: sum(p.numel() for p in game.parameters(n)))
            a = _Side(losses[small], game.parameters(small), game.parameters(large))
            b = _Side(losses[large], game.parameters(large), game.parameters(small))
            rate_a, rate_b = _rate(optimizers, small), _rate(optimizers, large)

            def operator(v: Tensor) -> Tensor:
                return v - rate_a * rate_b * a.mixed(b.mixed(v))

            right = a.own - rate_b * a.mixed(b.own)
            direction_a = _solve(operator, right, self.tolerance, self.iterations)
            direction_b = b.own - rate_a * b.mixed(direction_a)
        for name, side in ((small, a), (large, b)):
            oracle.count((name,), len(sample) * (1 + side.products))
        gradients = {small: a.split(direction_a), large: b.split(direction_b)}
        optimizers.apply(game, Gradients(gradients, {}))
        return StepInfo({name: losses[name].detach() for name in names})


class _Side:
    """One player's loss: its gradient, and the product of its mixed second derivative with a vector of the other."""

    def __init__(self, loss: Tensor, own: Sequence[nn.Parameter], other: Sequence[nn.Parameter]):
        found = torch.autograd.grad(loss, [*own, *other], create_graph=True, allow_unused=True)
        self._gradients, self._theirs = found[: len(own)], found[len(own) :]
        self._own, self._other = own, other
        self.own = _flat(self._gradients, own).detach()
        self.products = 0

    def mixed(self, vector: Tensor) -> Tensor:
        """D_own,other L v = grad_own <grad_other L, v>."""
        pairs = zip(self._theirs, _pieces(vector, self._other), strict=True)
        linked = [(g, v) for g, v in pairs if g is not None and g.requires_grad]
        if not linked:
            return torch.zeros_like(self.own)
        self.products += 1
        outputs, weights = zip(*linked, strict=True)
        found = torch.autograd.grad(outputs, self._own, weights, retain_graph=True, allow_unused=True)
        return _flat(found, self._own)

    def split(self, vector: Tensor) -> list[Tensor | None]:
        """A direction as gradients; parameters that the loss does not depend on have none."""
        pieces = _pieces(vector, self._own)
        return [None if g is None else piece for g, piece in zip(self._gradients, pieces, strict=True)]


def _flat(tensors: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    zeros = (torch.zeros_like(p) if t is None else t for t, p in zip(tensors, like, strict=True))
    return torch.cat([t.reshape(-1) for t in zeros])


def _pieces(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    return [part.view_as(p) for part, p in zip(vector.split([p.numel() for p in like]), like, strict=True)]


def _sample(oracle: Oracle) -> Sample:
    """The next batch; the whole finite sum as one, where the oracle is the full one."""
    sample = oracle.draw()
    return oracle.source.take(torch.arange(len(sample))) if isinstance(oracle, FullBatch) else sample


def _rate(optimizers: Optimizers, player: str) -> float:
    """The player's learning rate, where its base is plain SGD."""
    groups = optimizers[player].param_groups
    plain = type(optimizers[player]) is SGD and not any(
        g["momentum"] or g["weight_decay"] or g["maximize"] for g in groups
    )
    if not plain or len({float(g["lr"]) for g in groups}) > 1:
        raise InvalidType(
            f"CompetitiveGradientDescent puts the learning rate into its system: expected plain SGD with one rate as "
            f"the optimiser of {player!r}"
        )
    return float(groups[0]["lr"])


def _solve(operator: Callable[[Tensor], Tensor], right: Tensor, tolerance: float, iterations: int) -> Tensor:
    """operator^{-1} right, to the tolerance or as far as the iterations go."""
    linalg, b = _scipy(), right.cpu().numpy()
    product = lambda v: operator(torch.from_numpy(v).to(right)).cpu().numpy()  # noqa: E731
    system = linalg.LinearOperator((len(b), len(b)), matvec=product, dtype=b.dtype)
    solution, _ = linalg.gmres(system, b, rtol=tolerance, restart=min(iterations, len(b)), maxiter=1)
    return torch.from_numpy(solution).to(right)


def _scipy() -> Any:
    try:
        import scipy.sparse.linalg
    except ImportError:
        raise InputError(
            "CompetitiveGradientDescent solves a linear system with SciPy, which is not installed: "
            "pip install 'manypaths[study]'"
        ) from None
    return scipy.sparse.linalg
