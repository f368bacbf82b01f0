"""SVRE on the game of Figure 4 for many repetitions side by side, in time independent of the dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from manypaths.former_names import SNAPSHOT_COINS
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.randomness import Coins
from manypaths.sources.base import IndexSource


class SvreReplicas:
    """What ``Training`` does with a ``Population`` of one ``Coordinatewise`` game, ``SVRG(batch=1, schedule="svre")``,
    ``Extragradient()``, plain SGD and ``UniformAverage(restart=...)``: the same coins and samples, the same iterates to
    rounding (a test compares them). A study that repeats this one method hundreds of times takes it.

        w' = w - eta (m + D_i(w)),  w <- w - eta (m + D_j(w')),  m = F(v),  D_i(w) = F_i(w) - F_i(v)

    with a new snapshot v with probability 1/n per step, taken at the average with probability ``restart``. D_i sees one
    pair of coordinates, and m is fixed between snapshots. So k steps after a snapshot w = u - eta k m, where only pairs
    of u have changed, and the sum of the iterates, which the average needs, is k u - c - eta m k(k+1)/2 with
    c = sum_s (s - 1) delta_s over the changes delta_s of u. A step touches pairs only; the rest is caught up with at a
    replica's snapshot. NumPy, because a call of it costs a third of torch's at this size.

    Args:
        game: its start is every replica's.
        seeds: of the replicas' samples and coins.
        lr: eta.
        restart: probability, at a snapshot, of going on from the uniform average since the last restart.
    """

    BLOCK, TOSSES = 512, 64

    def __init__(self, game: Coordinatewise, seeds: Sequence[int], *, lr: float, restart: float):
        replicas, n = len(seeds), game.size
        self.n, self.lr, self.restart = n, lr, restart
        self._turn, self._offset = game.turn.numpy(), game.offset.numpy()
        self._step_turn = -lr * self._turn.T
        self._sources = [IndexSource(n, seed=seed) for seed in seeds]
        self._refresh = Coins(seeds, SNAPSHOT_COINS, block=self.BLOCK)
        self._jump = Coins(seeds, "restart", draw=lambda n, generator: torch.rand(n, generator=generator))
        self._tosses, self._tossed = self._jump.next_many(self.TOSSES).numpy(), np.zeros(replicas, dtype=np.int64)
        v = np.tile(game.start.numpy(), (replicas, 1))
        zero = np.zeros_like(v)
        self._state = np.stack([v, self._field(v), zero, zero, zero])  # v, m, u - v, c, sum of the iterates before v
        self._counts = np.zeros((2, replicas, 1))  # k, and how many iterates that sum has
        self._places = np.arange(replicas)[:, None] * 2 * n + np.array([0, n])
        self._snapshots, self._steps = np.ones(replicas, dtype=np.int64), 0

    @property
    def evaluations(self) -> np.ndarray:
        """Per-sample gradient evaluations of each player so far, (replicas,); the first snapshot comes with the first
        step."""
        return (self._snapshots * self.n + 4 * self._steps) * (self._steps > 0)

    def iterates(self) -> np.ndarray:
        """w, (replicas, 2n)."""
        return self._caught_up(slice(None))[0]

    def averages(self) -> np.ndarray:
        """The uniform averages since the last restart (the iterate where one has just happened), (replicas, 2n)."""
        w, total, count = self._caught_up(slice(None))
        return np.where(count == 0, w, total / np.maximum(count, 1))

    def advance(self, steps: int) -> None:
        """``steps`` steps of every replica."""
        for done in range(0, steps, self.BLOCK):
            block = min(self.BLOCK, steps - done)
            drawn = torch.stack([source.sample(2 * block).tensors()["index"] for source in self._sources], dim=1)
            index = drawn.numpy().reshape(block, 2, -1, 1)
            same, pairs = self.lr * (index[:, 0] == index[:, 1]), index + self._places
            due = np.ascontiguousarray(self._refresh.next_many(block).numpy().T) < 1.0 / self.n
            someone = np.any(due, axis=1).tolist()
            for t in range(block):
                self._step(pairs[t], same[t])
                if someone[t]:
                    self._take_snapshots(due[t])

    # ---- how ------------------------------------------------------------------------------------------------------

    def _step(self, pairs: np.ndarray, same: np.ndarray) -> None:
        """One step from the places of the two components' pairs, (2, replicas, 2), and eta where they are the same."""
        _, mean, ahead, late, _ = self._state.reshape(5, -1)
        (u_i, u_j), drift, age = ahead.take(pairs), self.lr * mean.take(pairs), self._counts[0]
        change_i = (u_i - age * drift[0]) @ self._turn.T
        u_j_half = u_j - (age + 1) * drift[1] - same * change_i
        delta = u_j_half @ self._step_turn
        j = pairs[1]
        ahead[j] = u_j + delta
        late[j] += age * delta
        age += 1
        self._steps += 1

    def _take_snapshots(self, due: np.ndarray) -> None:
        rows = due.nonzero()[0]
        w, total, count = self._caught_up(rows)
        if self.restart:
            jumps = self._toss(rows) < self.restart
            w[jumps] = total[jumps] / count[jumps]
            total[jumps] = count[jumps] = 0.0
        zero = np.zeros_like(w)
        self._state[:, rows] = np.stack([w, self._field(w), zero, zero, total])
        self._counts[:, rows] = np.stack([np.zeros_like(count), count])
        self._snapshots[rows] += 1

    def _toss(self, rows: np.ndarray) -> np.ndarray:
        """The next restart coin of some replicas."""
        if int(self._tossed[rows].max()) == self._tosses.shape[1]:
            self._tosses = np.concatenate([self._tosses, self._jump.next_many(self.TOSSES).numpy()], axis=1)
        coins = self._tosses[rows, self._tossed[rows]]
        self._tossed[rows] += 1
        return coins

    def _caught_up(self, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The iterates of some replicas, the sums of their iterates since the last restart, and how many these are."""
        v, mean, ahead, late, before = self._state[:, rows]
        k, count = self._counts[:, rows]
        u, drift = v + ahead, self.lr * mean
        return u - k * drift, before + k * u - late - drift * k * (k + 1) / 2, count + k

    def _field(self, w: np.ndarray) -> np.ndarray:
        return (self._turn @ w.reshape(-1, 2, self.n)).reshape(w.shape) / self.n + self._offset
