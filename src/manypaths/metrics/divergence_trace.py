"""Divergences along a run, and in which intervals they rose by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.fields import check_arguments
from manypaths.metrics.base import SampleSets
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.metrics.known_divergences import How, Known, known_divergences
from manypaths.metrics.noise_floor import Sets, floor, null_differences, rank
from manypaths.metrics.quadrature import Grid
from manypaths.metrics.sample_divergences import IN_FEATURES, MEASURES, Measure, in_parts
from manypaths.objectives.base import Objective
from manypaths.randomness import generator_for

Quantity = Literal["jsd", "kl", "reverse-kl", "w1", "w2", "frechet", "mmd", "objective", "critic"]


@dataclass(frozen=True)
class Reading:
    """One quantity at one step; tensors (m,), one entry per member.

    Attributes:
        step: when.
        value: the number.
        error: the standard error of an estimate, over disjoint blocks of its samples, bias not included; 0 where exact.
        how: it came about.
        floor: what the difference from the last reading must exceed to count as a rise; NaN at the first.
        rose: whether it did.
    """

    step: int
    value: Tensor
    error: Tensor
    how: How
    floor: Tensor
    rose: Tensor


@dataclass(frozen=True)
class Share:
    """In how many intervals a quantity rose.

    Attributes:
        k, n: rises, and intervals between two readings that are numbers (of all members together).
        floor: the median of the floors.
        false_rate: the share of rises that chance makes where nothing moves; 0 where readings are exact.
    """

    k: int
    n: int
    floor: float
    false_rate: float

    @property
    def share(self) -> float:
        return self.k / self.n if self.n else float("nan")


class DivergenceTrace:
    """How far a generator's distribution q is from the data's p, step by step, and where the distance rose.

    A rise between two readings counts where D_{t+1} - D_t exceeds a floor. Estimates from samples get the
    (1 - alpha) quantile of what the same difference is when the points of both readings are exchanged at random: where
    the distribution did not move a rise is found with probability alpha. (Where it moved at an equal divergence,
    the exchanged sets are wider than either, and fewer are found.) Exact readings get a tolerance.

    Args:
        quantities: what is read at every observation; ``"jsd"``, ``"kl"`` = KL(p || q), ``"reverse-kl"`` = KL(q || p),
            ``"w1"``, ``"w2"`` (samples: POT), ``"frechet"``, ``"mmd"`` (squared), ``"objective"`` (the divergence that
            the objective stands for; known densities only) and ``"critic"`` (minus the critic's loss, from scores).
        alpha: the rate of false rises of estimates.
        nulls: exchanges behind a floor, at least 1 / (2 alpha) - 1; a reading costs 2 nulls + 1 evaluations.
        blocks: of samples behind a standard error.
        tolerance: floor of exact readings, relative to max(1, |D_t|).
        grid: on which known densities are integrated.
        objective: of the game.
        seed: of the exchanges.
    """

    def __init__(
        self,
        quantities: Sequence[Quantity] = (),
        *,
        alpha: fields.Fraction = 0.05,
        nulls: fields.PositiveInt = 19,
        blocks: fields.PositiveInt = 4,
        tolerance: fields.NonNegative = 1e-9,
        grid: Grid | None = None,
        objective: Objective | None = None,
        seed: int = 0,
    ):
        check_arguments(DivergenceTrace, locals())
        rank(nulls, alpha)
        if blocks < 2:
            raise InvalidValue(f"blocks is {blocks}: expected at least 2, for the error is their spread")
        if objective is None and (lacking := [q for q in ("objective", "critic") if q in quantities]):
            raise InvalidType(f"{lacking[0]!r} is read off the objective: expected DivergenceTrace(objective=...)")
        if "objective" in quantities and grid is None:
            raise InvalidType("'objective' is an integral over known densities: expected DivergenceTrace(grid=...)")
        self.quantities, self.alpha, self.nulls, self.blocks = tuple(quantities), alpha, nulls, blocks
        self.tolerance, self.grid, self.objective = tolerance, grid, objective
        self.readings: dict[str, list[Reading]] = {}
        self._generator = generator_for(seed, "divergence trace")
        self._sets: dict[str, Sets] = {}

    def observe(
        self,
        step: int,
        generated: Tensor | None = None,
        reference: Tensor | None = None,
        *,
        net: FeatureNet | None = None,
        known: tuple[Known, Known] | None = None,
        scores: tuple[Tensor, Tensor] | None = None,
        values: Mapping[str, float | Tensor] | None = None,
    ) -> dict[str, Reading]:
        """Read every quantity: in closed form, else by quadrature, else from samples.

        Args:
            step: larger than the last one.
            generated, reference: points (N, d), or (m, N, d) for m members at once, or uint8 images (N, C, H, W),
                compared in the features of ``net``; as many at every observation.
            known: the model's distribution and the data's: ``Gaussian``, or log p as a function of points (K, d).
            scores: the critic's, of fakes and of reals, (N,) or (m, N), for ``"critic"``.
            values: further exact numbers by name, a number or (m,): field norm, duality gap, ....
        """
        if self.readings and step <= (last := max(readings[-1].step for readings in self.readings.values())):
            raise InvalidValue(f"step is {step} after {last}: expected a larger one")
        exact = known_divergences(*known, self.grid, self._integrated) if known else {}
        sets = None if generated is None or reference is None else _sets(generated, reference, net)
        if net is not None and (refused := [q for q in self.quantities if q in MEASURES and q not in IN_FEATURES]):
            raise InvalidType(f"{refused[0]!r} needs points: of images expected one of {', '.join(IN_FEATURES)}")
        for name in self.quantities:
            if name in exact:
                self._exact(name, step, *exact[name])
            elif name == "critic" and scores is not None:
                self._estimate(name, step, self._critic_value, _columns(*scores))
            elif name in MEASURES and sets is not None:
                self._estimate(name, step, MEASURES[name], sets)
            else:
                raise InvalidValue(f"nothing to read {name!r} from at step {step}: expected {_source(name)}")
        for name, value in (values or {}).items():
            if name in self.quantities:
                raise InvalidValue(f"{name!r} is a quantity of this trace: expected another name in values")
            self._exact(name, step, torch.atleast_1d(torch.as_tensor(value, dtype=torch.float64)), "given")
        return {name: readings[-1] for name, readings in self.readings.items() if readings[-1].step == step}

    def rises(self, member: int | None = None) -> dict[str, Share]:
        """By quantity, the share of intervals in which it rose by more than its floor; of all members, or of one."""
        shares = {}
        for name, readings in self.readings.items():
            chosen = slice(None) if member is None else slice(member, member + 1)
            pairs = list(pairwise(readings))
            numbers = sum(int((~(a.value.isnan() | b.value.isnan())[chosen]).sum()) for a, b in pairs)
            floors = torch.cat([b.floor[chosen] for _, b in pairs]) if pairs else torch.tensor([torch.nan])
            rate = self.alpha if readings[0].how == "samples" else 0.0
            rises = sum(int(b.rose[chosen].sum()) for _, b in pairs)
            shares[name] = Share(rises, numbers, float(floors.nanmedian()), rate)
        return shares

    def columns(self) -> dict[str, list[Any]]:
        """Every reading as a row of a table."""
        rows = [
            (name, reading.step, i, *numbers, reading.how)
            for name, readings in self.readings.items()
            for reading in readings
            for i, numbers in enumerate(
                zip(*(t.tolist() for t in (reading.value, reading.error, reading.floor, reading.rose)), strict=True)
            )
        ]
        names = ("quantity", "step", "member", "value", "error", "floor", "rose", "how")
        return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)} if rows else {}

    # ---- how ------------------------------------------------------------------------------------------------------

    @property
    def _integrated(self) -> Objective | None:
        return self.objective if "objective" in self.quantities else None

    def _exact(self, name: str, step: int, value: Tensor, how: How) -> None:
        before = self._before(name, value, how)
        level = self.tolerance * before.abs().clamp(min=1)
        self._note(name, step, value, torch.zeros_like(value), how, level)

    def _estimate(self, name: str, step: int, measure: Measure, sets: Sets) -> None:
        last = self._sets.get(name)
        if last is not None and [s.shape for s in sets] != [s.shape for s in last]:
            raise InvalidValue(
                f"{name!r} at step {step} has sets of shapes {_shapes(sets)} after {_shapes(last)}: expected the same"
            )
        m = len(sets[0])
        value, error = torch.full((m,), torch.nan).double(), torch.full((m,), torch.nan).double()
        level = value.clone()
        if (fine := _finite(sets)).any():
            here = sets[0][fine], sets[1][fine]
            value[fine] = in_parts(measure, *here)
            error[fine] = self._error(measure, here)
        if last is not None and (both := fine & _finite(last)).any():
            earlier, later = (last[0][both], last[1][both]), (sets[0][both], sets[1][both])
            whole: Measure = lambda x, y: in_parts(measure, x, y)  # noqa: E731
            found = null_differences(whole, earlier, later, nulls=self.nulls, generator=self._generator)
            level[both] = floor(found, self.alpha)
        self._before(name, value, "samples")
        self._sets[name] = sets
        self._note(name, step, value, error, "samples", level)

    def _error(self, measure: Measure, sets: Sets) -> Tensor:
        """The standard error of the mean over disjoint blocks, in place of that of the whole."""
        blocks = zip(*(s.chunk(self.blocks, dim=1) for s in sets), strict=True)
        return torch.stack([in_parts(measure, *block) for block in blocks]).std(0) / self.blocks**0.5

    def _before(self, name: str, value: Tensor, how: How) -> Tensor:
        """The last value, NaN where there is none; it must have come about in the same way."""
        if not self.readings.get(name):
            return torch.full_like(value, torch.nan)
        last = self.readings[name][-1]
        if last.how != how or last.value.shape != value.shape:
            raise InvalidValue(
                f"{name!r} is {how} of {len(value)} members after {last.how} of {len(last.value)}: expected the same"
            )
        return last.value

    def _note(self, name: str, step: int, value: Tensor, error: Tensor, how: How, level: Tensor) -> None:
        rose = value - self._before(name, value, how) > level
        self.readings.setdefault(name, []).append(Reading(step, value, error, how, level, rose))

    def _critic_value(self, fake: Tensor, real: Tensor) -> Tensor:
        objective = self.objective
        assert objective is not None
        return -torch.vmap(lambda f, r: objective.critic(r[:, 0], f[:, 0]))(fake, real)


def _sets(generated: Tensor, reference: Tensor, net: FeatureNet | None) -> Sets:
    """Points or features with the members in front, in float64."""
    if generated.ndim == 3 and generated.is_floating_point() and generated.shape[::2] == reference.shape[::2]:
        return generated.detach().double(), reference.detach().double()
    samples = SampleSets(generated, reference, net=net)
    return samples.generated_features[None].detach(), samples.reference_features[None].detach()


def _columns(fake: Tensor, real: Tensor) -> Sets:
    """Scores as points of the line."""
    fake, real = (torch.atleast_2d(scores.detach().double()).unsqueeze(-1) for scores in (fake, real))
    return fake, real


def _finite(sets: Sets) -> Tensor:
    return sets[0].isfinite().flatten(1).all(1) & sets[1].isfinite().flatten(1).all(1)


def _shapes(sets: Sets) -> str:
    return " and ".join(str(tuple(s.shape)) for s in sets)


def _source(name: str) -> str:
    if name == "critic":
        return "scores=(of fakes, of reals)"
    return "known=(model, data)" if name == "objective" else "generated and reference samples, or known=(model, data)"
