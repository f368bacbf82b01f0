"""Matrix games on the simplex, for any number of players."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.fields import check_arguments
from manypaths.games.analytic.base import AnalyticGame
from manypaths.randomness import generator_for


class MatrixGame(AnalyticGame):
    """A polymatrix game: player k pays sum_l p_k' C_kl p_l with mixed strategies p_k = softmax(w_k).

    With costs c = C p of the pure strategies, F_k(w) = p_k * (c_k - p_k'c_k). Softmax ignores a constant added to w_k
    and F_k sums to zero, so gradient methods keep the sum of each player's logits.

    Args:
        costs: all pairwise matrices in one, (n, D, D) or (D, D) with D the sum of ``actions``; block (k, l) is C_kl and
            the diagonal blocks are zero.
        actions: the number of pure strategies of each player.
        start: the initial logits, (D,); N(0, 1) by default, less their mean.
    """

    def __init__(self, costs: Tensor, actions: Sequence[int], *, start: Tensor | None = None, seed: int = 0):
        costs = costs if costs.ndim == 3 else costs[None]
        n, size, columns = costs.shape
        if size != columns or size != sum(actions):
            raise InvalidValue(f"costs have shape {tuple(costs.shape)}: expected (n, D, D) with D = {sum(actions)}")
        own = torch.block_diag(*(torch.ones(a, a, dtype=torch.bool) for a in actions)).to(costs.device)
        if costs[:, own].any():
            raise InvalidValue("a player's own block of costs is not zero: players of a matrix game pay for pairs only")
        if start is None:
            start = torch.randn(size, generator=generator_for(seed, "matrix_game"), dtype=torch.float64).to(costs)
            start = torch.cat([part - part.mean() for part in start.split(list(actions))])
        super().__init__({f"player{k}": part for k, part in enumerate(start.split(list(actions)))})
        self.costs, self.size, self._costs = costs, n, costs.mean(0)
        self._member = torch.block_diag(*(torch.ones(a, 1) for a in actions)).to(costs)

    @classmethod
    def rock_paper_scissors(
        cls,
        actions: fields.PositiveInt = 3,
        *,
        players: fields.PositiveInt = 2,
        win: fields.NonNegative = 1.0,
        loss: fields.NonNegative = 1.0,
        n: fields.PositiveInt = 1,
        noise: fields.NonNegative = 0.0,
        seed: int = 0,
    ) -> MatrixGame:
        """Every pair of players plays rock-paper-scissors with an odd number of actions: i beats i - 1, i - 3, ...

        The winner is paid ``win`` and the loser pays ``loss``; the uniform strategies are an equilibrium. The n
        component functions differ by zero-sum noise of that size, N(0, noise^2) less its mean.
        """
        check_arguments(MatrixGame.rock_paper_scissors, locals())
        if actions % 2 == 0 or players < 2:
            raise InvalidValue(f"{players} players with {actions} actions: expected at least 2, and an odd number")
        ahead = (torch.arange(actions)[:, None] - torch.arange(actions)) % actions
        cost = loss * (ahead > 0).double() - (win + loss) * (ahead % 2).double()
        generator, size = generator_for(seed, "rock_paper_scissors"), players * actions
        errors = noise * torch.randn(n, size, size, generator=generator, dtype=torch.float64)
        errors = (errors - errors.mT) / 2**0.5
        apart = 1 - torch.block_diag(*(torch.ones(actions, actions, dtype=torch.float64),) * players)
        costs = cost.repeat(players, players) + errors - errors.mean(0)
        return cls(costs * apart, (actions,) * players, seed=seed)

    def strategies(self, w: Tensor | None = None) -> Tensor:
        """The mixed strategies p at w (default: the current iterate), all players' in one, (..., D)."""
        w = self.joint() if w is None else w
        return torch.cat([part.softmax(-1) for part in w.split(self.dims, dim=-1)], -1)

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        p = self.strategies(w)
        costs = self._pure_costs(p, index)
        return p * (costs - self._sums(p * costs) @ self._member.mT)

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        p = self.strategies(w)
        return self._sums(p * self._pure_costs(p, index))

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        """J_k C_kl J_l off the diagonal, J = diag(p) - pp'; diag(F_k) - F_k p_k' - p_k F_k' on it."""
        w = self.joint() if w is None else w
        p, field, own = self.strategies(w), self.field(w, index), self._member @ self._member.mT
        costs = self._costs if index is None else self.costs[index].mean(-3)
        spread = torch.diag_embed(p) - own * p[..., :, None] * p[..., None, :]
        cross = field[..., :, None] * p[..., None, :]
        return spread @ costs @ spread + torch.diag_embed(field) - own * (cross + cross.mT)

    def exploitability(self, w: Tensor | None = None) -> Tensor:
        """sum_k (what k pays - what its best pure answer would pay), (...); zero exactly at the Nash equilibria."""
        p = self.strategies(w)
        costs = self._pure_costs(p, None)
        best = torch.stack([part.min(-1).values for part in costs.split(self.dims, dim=-1)], -1)
        return (self._sums(p * costs) - best).sum(-1)

    def equilibrium(self) -> Tensor:
        """Strategies of a Nash equilibrium, (D,): the uniform ones if they are, else by a linear program.

        The program (scipy) is for two players and zero sum; other games raise.
        """
        uniform = torch.zeros_like(self._start)
        if self.exploitability(uniform) < 1e-12:
            return self.strategies(uniform)
        a = self.dims[0]
        cost = self._costs[:a, a:]
        if len(self.dims) != 2 or not torch.allclose(cost, -self._costs[a:, :a].mT, rtol=0, atol=1e-12):
            raise InvalidType("the equilibrium of a matrix game is computed for two players and zero sum only")
        return torch.cat([_safest(cost.mT), _safest(-cost)]).to(self._start)

    def solution(self) -> Tensor:
        """The logits of ``equilibrium``, of mean zero; raises where a strategy is never played."""
        p = self.equilibrium()
        if p.min() < 1e-12:
            raise InvalidType("the equilibrium leaves a strategy unplayed, so its logits are infinite: see equilibrium")
        return torch.cat([part - part.mean() for part in p.log().split(self.dims)])

    def _pure_costs(self, p: Tensor, index: Tensor | None) -> Tensor:
        """C_B p."""
        if index is None:
            return p @ self._costs.mT
        return (self.costs[index] @ p[..., None, :, None])[..., 0].mean(-2)

    def _sums(self, terms: Tensor) -> Tensor:
        """Sums over each player's actions, (..., players)."""
        return terms @ self._member


def _safest(cost: Tensor) -> Tensor:
    """The mixed strategy p that minimises the largest entry of ``cost`` @ p: min t with cost p <= t."""
    try:
        from scipy.optimize import linprog
    except ImportError as error:
        raise InvalidType(
            "the equilibrium of a matrix game needs scipy, which is not installed: pip install scipy"
        ) from error
    answers, actions = cost.shape
    one = torch.ones(answers, 1, dtype=cost.dtype)
    found = linprog(
        [0.0] * actions + [1.0],
        A_ub=torch.cat([cost, -one], 1).numpy(),
        b_ub=[0.0] * answers,
        A_eq=[[1.0] * actions + [0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * actions + [(None, None)],
    )
    if not found.success:
        raise InvalidType(f"the linear program of the equilibrium failed: {found.message}")
    return torch.tensor(found.x[:-1], dtype=cost.dtype)
