"""P2.6: the noise that minimisation forgets is amplified by a game (see ``turned_games``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, below
from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import Bootstrap, Exact
from manypaths.experiments.tables import Table
from manypaths.studies.game_vs_minimisation.turned_games import DRAWS, GROUP, RULES, expected_ratio, flip, predicted

CELLS = "manypaths.studies.game_vs_minimisation.turned_games"

NAMES = {"extragradient": "extragradient", "simultaneous": "gradient steps"}
SIDES = {"minimisation": 0.0, "game": 1.0}
STEP_SIZES = {"smoke": (0.3, 0.9), "laptop": (0.1, 0.3, 0.9), "paper": (0.1, 0.3, 0.9)}
SIZES = {"smoke": (2, 10), "laptop": (2, 10, 30), "paper": (2, 10, 30)}
ROTATIONS = {"smoke": 5, "laptop": 21, "paper": 41}
"""Enumerated, from 0 to 1."""
DRAWN_SIZE = {"smoke": 30, "laptop": 100, "paper": 100}
GAMES = {"smoke": 1, "laptop": 5, "paper": 20}
"""Draws of the noise and of the start."""
GROUPS = {"smoke": 50, "laptop": 25, "paper": 50}
"""Per game."""
OUTCOMES = {
    False: ("contracts", "expands"),
    True: ("forgets part of the noise that enters", "amplifies the noise that enters"),
}
"""With additive noise or not: what minimisation and the game are expected to do."""
MARGIN, ROUNDING = 0.1, 1e-9
SPREAD = 0.15
"""Assumed standard deviation, over groups, of the mean ratio relative to its prediction."""
SECONDS_PER_STEP = {"smoke": 1e-3, "laptop": 1e-3, "paper": 2e-3}
"""And sample per step."""
SECONDS_PER_MEMBER = {"enumerated": 5e-5, "drawn": 1e-4}
"""To set a population up; an enumeration is one for every rotation."""


def study() -> Study:
    """Does the same noise that minimisation forgets make a game diverge? (P2.6)"""
    return Study(
        name="game-vs-minimisation",
        question="Does the same noise that minimisation forgets make a game diverge, and between which rotations?",
        cells=cells,
        claims=claims,
        figures={"rotation": draw_rotation, "noise": draw_noise},
    )


def cells(scale: str) -> list[Cell]:
    return [*_enumerated(scale), *_drawn(scale)]


def _enumerated(scale: str) -> Iterator[Cell]:
    for rule, n, eta in product(RULES, SIZES[scale], STEP_SIZES[scale]):
        rotations, draws = ROTATIONS[scale], n ** DRAWS[rule]
        yield Cell(
            f"{CELLS}:enumerated",
            {"rule": rule, "n": n, "eta": eta, "rotations": rotations},
            evaluations=2.0 * DRAWS[rule] * draws * 2 * rotations,
            seconds=SECONDS_PER_MEMBER["enumerated"] * (100 + draws) * (2 * rotations + 10),
        )


def _drawn(scale: str) -> Iterator[Cell]:
    n, groups = DRAWN_SIZE[scale], GROUPS[scale]
    arms = product(RULES, SIDES.values(), (False, True), STEP_SIZES[scale], range(GAMES[scale]))
    for rule, rotation, noise, eta, game in arms:
        steps = round(2 * n / eta)
        settings = {"rule": rule, "rotation": rotation, "noise": noise, "eta": eta, "game": game}
        yield Cell(
            f"{CELLS}:drawn",
            {**settings, "n": n, "steps": steps, "groups": groups},
            evaluations=2.0 * DRAWS[rule] * steps * groups * GROUP,
            seconds=SECONDS_PER_MEMBER["drawn"] * groups * GROUP + SECONDS_PER_STEP[scale] * DRAWS[rule] * steps,
        )


def claims(scale: str) -> list[Claim]:
    sampled: dict[str, Any] = {"n": GAMES[scale] * GROUPS[scale], "spread": SPREAD, "by": "group"}
    made = [
        _exact("formula", "the enumerated growth is its formula at every rotation, n and eta tried", error_of_growth),
        _exact("same noise", "a step from the solution adds the same noise at every rotation", error_of_noise),
        _exact("flip", "growth changes its sign at the rotation that the formula says", error_of_flip),
    ]
    for rule, (side, rotation) in product(RULES, SIDES.items()):
        grows, arm = side == "game", {"rule": rule, "rotation": rotation}
        enumeration = {"function": "enumerated", **arm}
        expected = {True: above, False: below}[grows]
        made.append(
            Claim(
                name=f"P2.6 {rule}, {side}",
                statement=f"{NAMES[rule]}: the {side} {'expands' if grows else 'contracts'} in mean square at every n "
                "and eta tried",
                statistic=Exact(function=lowest_growth if grows else highest_growth, where=enumeration),
                expected=expected(0.0),
            )
        )
        for noise, verbs in OUTCOMES.items():
            where = {"function": "drawn", **arm, "noise": noise}
            summary = lowest_mean if grows else highest_mean
            made.append(
                Claim(
                    name=f"P2.6 {rule}, {side}, {'noisy' if noise else 'noise-free'} runs",
                    statement=f"{NAMES[rule]} over drawn steps: the {side} {verbs[grows]} at every eta tried",
                    statistic=Bootstrap(per_seed=ratios, summary=summary, where=where, **sampled),
                    expected=expected(1.0),
                )
            )
    made.append(
        Claim(
            name="P2.6 runs",
            statement=f"over drawn steps every mean is its formula's up to {MARGIN:.0%}",
            statistic=Bootstrap(
                per_seed=relative_ratios, summary=largest_deviation, where={"function": "drawn"}, **sampled
            ),
            expected=below(MARGIN),
            assumed=0.0,
        )
    )
    return made


def _exact(name: str, statement: str, function: Callable[[Table], float]) -> Claim:
    statistic = Exact(function=function, where={"function": "enumerated"})
    return Claim(name=f"P2.6 {name}", statement=statement, statistic=statistic, expected=below(ROUNDING))


def error_of_growth(table: Table) -> float:
    return max(abs(r["growth"] - float(predicted(r["rule"], r["n"], r["eta"], r["rotation"]))) for r in table.rows())


def error_of_noise(table: Table) -> float:
    return float(np.abs(table["entered"] - 1.0).max())


def error_of_flip(table: Table) -> float:
    return max(abs(r["flip"] - flip(r["rule"], r["n"], r["eta"])) for r in table.rows())


def lowest_growth(table: Table) -> float:
    return float(table["growth"].min())


def highest_growth(table: Table) -> float:
    return float(table["growth"].max())


def ratios(rows: Table) -> list[float]:
    """One group's ratios, a number per step size."""
    return rows["ratio"][np.argsort(rows["eta"])].tolist()


def relative_ratios(rows: Table) -> list[float]:
    """One group's ratios over their predicted means, a number per arm and step size."""
    order = np.lexsort([rows[name].astype(str) for name in ("eta", "noise", "rotation", "rule")])
    return [row["ratio"] / expected_ratio(row) for row in rows.take(order).rows()]


def lowest_mean(values: np.ndarray) -> float:
    return float(values.mean(0).min())


def highest_mean(values: np.ndarray) -> float:
    return float(values.mean(0).max())


def largest_deviation(values: np.ndarray) -> float:
    return float(np.abs(values.mean(0) - 1).max())


# ---- figures -----------------------------------------------------------------------------------------------------


def draw_rotation(table: Table) -> Any:
    """Growth of one step against rotation at the largest n: formulas as lines, enumerations as points."""
    exact = table.where(function="enumerated")
    exact = exact.where(n=exact["n"].max())
    figure, panels = canvas(len(RULES), height=3.8, sharey=True)
    rotation, step_sizes = np.linspace(0, 1, 400), np.unique(exact["eta"])
    for panel, rule in zip(panels, RULES, strict=True):
        for colour, eta in zip(COLOURS, step_sizes, strict=False):
            points = exact.where(rule=rule, eta=eta)
            n = points["n"][0]
            panel.plot(rotation, n * predicted(rule, n, eta, rotation), color=colour, label=f"step size {eta:g}")
            panel.plot(points["rotation"], n * points["growth"], "o", color=colour)
            panel.axvline(points["flip"][0], color=colour, linewidth=0.8, linestyle=":")
        panel.axhline(0.0, color="#444444", linewidth=0.8)
        panel.set_yscale("symlog", linthresh=0.01)
        panel.set(title=NAMES[rule], xlabel="rotation: minimisation 0, game 1")
    panels[0].set_ylabel("growth of E||w||² in one step, times n")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_noise(table: Table) -> Any:
    """Means over drawn steps, with two standard errors, beside their formulas (bars)."""
    from matplotlib.ticker import LogLocator, NullFormatter

    runs = table.where(function="drawn")
    figure, panels = canvas(2, height=3.8)
    step_sizes = np.unique(runs["eta"])
    titles = {False: "no additive noise: E||w||² over its start", True: "E||w - w*||² over the noise that entered"}
    for panel, (noise, title) in zip(panels, titles.items(), strict=True):
        labels = []
        for k, (rule, (side, rotation)) in enumerate(product(RULES, SIDES.items())):
            for j, (colour, eta) in enumerate(zip(COLOURS, step_sizes, strict=False)):
                rows = runs.where(rule=rule, rotation=rotation, noise=noise, eta=eta)
                values, x = rows["ratio"], k + 0.2 * (j - 1)
                panel.plot([x - 0.08, x + 0.08], [expected_ratio(next(rows.rows()))] * 2, color=colour)
                error = 2 * values.std(ddof=1) / len(values) ** 0.5
                panel.errorbar(x, values.mean(), error, fmt="o", color=colour, label=f"step size {eta:g}")
            labels.append(f"{NAMES[rule]}\n{side}")
        panel.axhline(1.0, color="#444444", linewidth=0.8)
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(axis="y", which="both", labelsize=8)
        panel.set_xticks(range(len(labels)), labels, fontsize=7)
        panel.set_title(title, fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[: len(step_sizes)], labels[: len(step_sizes)], loc="outside lower center", ncols=3)
    return figure
