"""Intervals, rules and power against hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from manypaths.errors import InvalidValue
from manypaths.experiments.claims import Claim, Region, above, below, within
from manypaths.experiments.power import Power, power, ruling_chance, smallest_effect
from manypaths.experiments.statistics import (
    Bootstrap,
    Exact,
    PairedShares,
    Proportion,
    binomial_interval,
    bootstrap_interval,
    lead_of_the_last,
    median_interval,
    paired_interval,
)
from manypaths.experiments.tables import Table, read_about

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


@pytest.mark.parametrize(
    ("region", "interval", "expected"),
    [
        (below(1.0), (0.2, 0.9), HOLDS),
        (below(1.0), (1.1, 1.2), FAILS),
        (below(1.0), (0.9, 1.1), OPEN),
        (below(1.0), (1.0, 1.0), FAILS),
        (above(1.0), (1.1, math.inf), HOLDS),
        (above(1.0), (-math.inf, math.inf), OPEN),
        (above(1.0), (-2.0, 0.5), FAILS),
        (within(0.1), (-0.05, 0.09), HOLDS),
        (within(0.1), (-0.05, 0.11), OPEN),
        (within(0.1), (0.12, 0.2), FAILS),
        (within(0.1), (-0.2, -0.12), FAILS),
        (within(0.1), (-0.2, 0.2), OPEN),
        (within(0.1, of=3.0), (2.95, 3.05), HOLDS),
        (below(1.0), (math.nan, math.nan), OPEN),
        (below(1.0), (math.inf, math.inf), FAILS),
    ],
)
def test_rules_and_their_opposites(region, interval, expected) -> None:
    opposite = {HOLDS: FAILS, FAILS: HOLDS, OPEN: OPEN}
    assert region.rule(*interval) == expected
    assert region.negated().rule(*interval) == opposite[expected]
    assert region.negated().negated() == region


def test_regions_in_words() -> None:
    words = [str(r) for r in (below(1), above(2), within(0.5), below(1).negated(), above(2).negated())]
    assert words == ["< 1", "> 2", "in (-0.5, 0.5)", ">= 1", "<= 2"]
    assert str(within(1).negated()) == "outside (-1, 1)"
    with pytest.raises(InvalidValue, match="is empty"):
        Region(1.0, 1.0)


def test_binomial_intervals() -> None:
    none = binomial_interval(0, 10)
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - 0.025**0.1, abs=1e-12)  # (1 - p)^10 = 0.025
    most = binomial_interval(8, 10)
    assert (most.value, most.low, most.high) == pytest.approx((0.8, 0.4439, 0.9748), abs=1e-4)
    with pytest.raises(InvalidValue, match="11 successes in 10 trials"):
        binomial_interval(11, 10)


def test_paired_intervals() -> None:
    six = paired_interval(6, 0, 24)
    assert six.value == 0.25
    assert 0 < six.low < 0.25 < six.high, "and the difference may well be larger than what was seen"
    other = paired_interval(0, 6, 24)
    assert (other.value, other.low, other.high) == (-six.value, -six.high, -six.low)
    none = paired_interval(0, 0, 24)
    assert (none.value, none.low) == (0.0, -none.high)
    assert none.high >= 1 - 0.025 ** (1 / 24), "as if the second arm never succeeded alone"
    assert paired_interval(9, 0, 9).high == 1.0
    with pytest.raises(InvalidValue, match="3 and 2 discordant pairs of 4"):
        paired_interval(3, 2, 4)


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.0), (0.25, 0.05), (0.5, 0.3), (0.05, 0.05), (0.8, 0.1)])
def test_paired_intervals_miss_the_difference_no_oftener_than_said(first, second) -> None:
    """By enumeration of all outcomes of ten trials: at most 2.5 % on either side."""
    outcomes = [(i, j) for i in range(11) for j in range(11 - i)]
    chance = lambda i, j: (  # noqa: E731
        math.comb(10, i) * math.comb(10 - i, j) * first**i * second**j * (1 - first - second) ** (10 - i - j)
    )
    found = {outcome: paired_interval(*outcome, 10) for outcome in outcomes}
    assert sum(chance(*o) for o in outcomes if found[o].low > first - second) <= 0.025
    assert sum(chance(*o) for o in outcomes if found[o].high < first - second) <= 0.025


def test_paired_shares_count_settings_in_which_one_arm_alone_succeeds() -> None:
    ends = {"a": [1, 1, 1, 0, 1, 1, 1, 1, 0], "b": [0, 0, 0, 0, 1, 0, 0, 0, 1]}
    rows = [(setting, arm, ok) for arm, oks in ends.items() for setting, ok in enumerate(oks)]
    table = Table({"setting": [r[0] for r in rows], "arm": [r[1] for r in rows], "ok": [r[2] for r in rows]})
    pair = lambda rows: tuple(rows.where(arm=arm)["ok"].item() for arm in "ab")  # noqa: E731
    share = PairedShares(per_trial=pair, n=9, discordant=8 / 9)
    assert share.estimate(table) == paired_interval(6, 1, 9)
    with pytest.raises(InvalidValue, match="expected 8 at this scale"):
        PairedShares(per_trial=pair, n=8, discordant=0.5).estimate(table)
    assert "paired over 9 settings" in str(share)
    # Of the 8 discordant pairs assumed 7 must go one way: theta^8 + 8 theta^7 (1 - theta) >= 0.8 from theta = 0.8956.
    found = power(Claim(name="a", statement="", statistic=share, expected=above(0.0), assumed=8 / 9))
    assert found.smallest_effect == pytest.approx((2 * 0.8956 - 1) * 8 / 9, abs=1.1e-3)
    assert found.undecided == 0.0
    few = PairedShares(per_trial=pair, n=9, discordant=0.2)
    assert power(Claim(name="a", statement="", statistic=few, expected=above(0.0))).smallest_effect is None


def test_bootstrap_of_hand_made_values() -> None:
    same = bootstrap_interval(np.full(5, 2.0), np.mean)
    assert (same.value, same.low, same.high) == (2.0, 2.0, 2.0)
    alone = bootstrap_interval(np.array([3.0]), np.mean)
    assert (alone.value, alone.low, alone.high) == (3.0, -math.inf, math.inf)
    two = bootstrap_interval(np.array([0.0, 1.0]), np.mean)
    half = 12.706 * math.sqrt(1 / 2) / math.sqrt(2)  # t_{1, 0.975} standard errors
    assert (two.low, two.high) == (pytest.approx(0.5 - half, rel=0.05), pytest.approx(0.5 + half, rel=0.05))
    diverged = bootstrap_interval(np.array([1.0, 2.0, 3.0, math.inf]), np.median)
    assert (diverged.low, diverged.high) == (1.0, math.inf)
    lost = bootstrap_interval(np.array([1.0, math.nan]), np.mean)
    assert math.isnan(lost.low)
    slope = bootstrap_interval(np.array([[1.0, 3.0], [2.0, 6.0]]), lambda v: v[:, 1].sum() / v[:, 0].sum())
    assert (slope.low, slope.value, slope.high) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("n", "level"), [(2, 0.9), (3, 0.95), (5, 0.9), (12, 0.95), (40, 0.5)])
def test_bootstrap_covers_at_its_nominal_rate(n, level) -> None:
    """Over 400 samples the standard error of the coverage is at most 0.025."""
    rng = np.random.default_rng(3)
    covered = 0
    for values in rng.standard_normal((400, n)):
        estimate = bootstrap_interval(values, np.mean, level=level, resamples=200)
        covered += estimate.low <= 0.0 <= estimate.high
    assert covered / 400 == pytest.approx(level, abs=0.05)


def test_the_lead_over_the_best_other() -> None:
    values = np.array([[0.0, 0.4, 0.5], [0.2, 0.2, 0.5]])
    assert lead_of_the_last(values) == pytest.approx(0.2)


def test_power_of_a_t_interval() -> None:
    """A one-sample t test at 5 % with 10 observations has power 0.803 at one standard deviation."""
    effect = smallest_effect(10, 1.0)
    assert effect == pytest.approx(0.9959, abs=2e-3)
    assert smallest_effect(10, 3.0) == pytest.approx(3 * effect, rel=1e-12)
    assert ruling_chance(10, 1.0, above(0.0), effect, "undecided") == pytest.approx(0.2, abs=0.02)
    assert ruling_chance(10, 1.0, within(0.3), 0.0, "undecided") > 0.99, (
        "an interval wider than its margin decides nothing"
    )
    assert ruling_chance(10, 0.01, within(0.5), 0.0, "undecided") == 0.0
    assert smallest_effect(1, 1.0) is None
    assert ruling_chance(1, 1.0, above(0.0), 5.0, "undecided") == 1.0


def test_an_equivalence_that_too_few_seeds_can_only_refute_says_so() -> None:
    def power_of(region: Region, n: int, least: float = -math.inf) -> Power:
        statistic = Bootstrap(per_seed=len, n=n, spread=0.15, least=least)
        return power(Claim(name="a", statement="", statistic=statistic, expected=region))

    few, many = power_of(within(0.22), 3), power_of(within(0.22), 12)
    assert (few.confirmable, few.reach) == (False, "0.49 off, to refute")
    assert str(few) == "refuted from 0.49 off the boundary; confirmed four times in five at no value"
    assert (many.confirmable, many.reach) == (True, "0.13 off")
    assert power_of(below(0.22), 3).confirmable, "a statistic without a floor can lie as far below as it likes"
    assert not power_of(below(0.22), 3, least=0.0).confirmable
    assert power_of(below(0.22), 12, least=0.0).confirmable
    assert power_of(within(0.22).negated(), 3).confirmable
    assert power_of(Region(0.0, 1.0), 12, least=0.0).confirmable, "the middle is deeper than the floor"
    assert str(power_of(within(0.22), 1)) == "confirmed at no value"


def test_power_of_a_share() -> None:
    """Ten trials show a share above 1/2 with nine successes: 10 p^9 - 9 p^10 = 0.8 at p = 0.9166."""
    share = Proportion(per_seed=lambda rows: True, n=10)
    found = power(Claim(name="a", statement="", statistic=share, expected=above(0.5), assumed=0.9))
    assert found.smallest_effect == pytest.approx(0.417, abs=1.1e-3)
    at = 0.9
    shown = 10 * at**9 * (1 - at) + at**10
    refuted = sum(math.comb(10, k) * at**k * (1 - at) ** (10 - k) for k in (0, 1))
    assert found.undecided == pytest.approx(1 - shown - refuted, abs=1e-12)
    few = Proportion(per_seed=lambda rows: True, n=4)
    never = power(Claim(name="a", statement="", statistic=few, expected=above(0.5)))
    assert (never.smallest_effect, str(never)) == (None, "confirmed at no value")
    exact = power(Claim(name="a", statement="", statistic=Exact(function=len), expected=above(0.5)))
    assert str(exact) == "always decided"


def test_seeds_are_resampled_whole_and_counted() -> None:
    table = Table({"seed": [1, 1, 2, 2, math.nan], "value": [1.0, 3.0, 5.0, 7.0, 1e9]})
    mean = Bootstrap(per_seed=lambda rows: rows["value"].mean(), n=2, spread=1.0)
    assert mean.estimate(table) == bootstrap_interval(np.array([2.0, 6.0]), np.mean)
    with pytest.raises(InvalidValue, match="the table holds 2 values of seed: expected 3 at this scale"):
        Bootstrap(per_seed=lambda rows: 0.0, n=3, spread=1.0).estimate(table)
    share = Proportion(per_seed=lambda rows: rows["value"].max() > 4, n=2)
    assert share.estimate(table).value == 0.5
    with pytest.raises(InvalidValue, match="Bootstrap.n is 0"):
        Bootstrap(per_seed=lambda rows: 0.0, n=0, spread=1.0)


def test_tables(tmp_path) -> None:
    table = Table({"name": ["a", "b", "a"], "value": [1, 2, 3], "lr": 0.1})
    assert table["value"][table["name"] == "a"].tolist() == [1, 3]
    assert [key for key, _ in table.groups("name")] == [("a",), ("b",)]
    assert list(table.where(name="a", value=3).rows()) == [{"name": "a", "value": 3, "lr": 0.1}]
    both = Table.concatenate([table, Table({"value": [0.5], "clip": [True], "none": [None]})])
    assert both["value"].tolist() == [1.0, 2.0, 3.0, 0.5]
    assert both["name"].tolist() == ["a", "b", "a", None]
    assert np.isnan(both["lr"][3])
    both.write(tmp_path / "t.parquet", {"seconds": 2})
    again = Table.read(tmp_path / "t.parquet")
    assert [str(row) for row in again.rows()] == [str(row) for row in both.rows()]
    assert read_about(tmp_path / "t.parquet") == {"seconds": 2}
    with pytest.raises(InvalidValue, match="columns differ in length: {'a': 2, 'b': 3}"):
        Table({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(InvalidValue, match=r"has shape \(2, 2\)"):
        Table({"a": [[1, 2], [3, 4]]})
    with pytest.raises(InvalidValue, match="unknown column 'valeu': did you mean 'value'"):
        table["valeu"]
    with pytest.raises(InvalidValue, match="'value' is a setting and a result"):
        table.with_columns({"value": 1})


def test_the_interval_of_a_median_resamples_whole_groups() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(1, 40, 25))
    low, high = median_interval(values)[:, 0]
    width = 2 * 1.96 * np.sqrt(np.pi / 2 / 1000)  # of the median of 1,000 independent normal numbers
    assert low < np.median(values) < high
    assert high - low == pytest.approx(width, rel=0.3)
    shifted = values + rng.normal(size=(1, 40, 1)) * 10  # groups that differ: 40 numbers decide, not 1,000
    low, high = median_interval(shifted)[:, 0]
    assert high - low > 10 * width
