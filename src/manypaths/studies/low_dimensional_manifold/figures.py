"""The figures of ``low-dimensional-manifold``."""

from __future__ import annotations

from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.tables import Table
from manypaths.studies.low_dimensional_manifold.results import REACHED, TITLES, end, setting_trains

ARM_TITLES = {
    "off-off": "no penalty",
    "off-on": "switched on",
    "on-off": "first steps only",
    "on-on": "penalty throughout",
}


def draw_robustness(table: Table) -> Any:
    """One point per setting, the median over seeds of the end; above each game how many settings train."""
    from matplotlib.lines import Line2D

    runs = table.where(function="robustness")
    dimensions, steps = np.unique(runs["d"]).tolist(), np.unique(runs["critic_steps"]).tolist()
    colours = dict(zip(steps, COLOURS, strict=False))
    figure, panels = canvas(len(dimensions), height=3.8, sharey=True)
    for panel, d in zip(panels, dimensions, strict=True):
        for column, game in enumerate(TITLES):
            settings = [rows for _, rows in runs.where(d=d, game=game).groups("setting")]
            for rows, x in zip(settings, np.linspace(-0.3, 0.3, len(settings)), strict=True):
                middle = np.median([end(run) for _, run in rows.groups("seed")])
                panel.plot(column + x, middle, "o", color=colours[rows["critic_steps"][0]], markersize=4)
            share = sum(setting_trains(rows) for rows in settings)
            panel.text(column, 1.01, f"{share} of {len(settings)}", ha="center", transform=panel.get_xaxis_transform())
        panel.axhline(REACHED, color="#444444", linewidth=0.8, linestyle="--")
        panel.set(yscale="log", xlabel=f"{d:g} dimensions")
        panel.set_xticks(range(len(TITLES)), list(TITLES.values()), fontsize=8)
    panels[0].set_ylabel("Frechet distance at the end /\ntotal variance of the data")
    handles = [Line2D([], [], color=colour, marker="o", linestyle="") for colour in colours.values()]
    figure.legend(
        handles, [f"{n:g} critic step{'s' * (n > 1)}" for n in steps], loc="outside lower center", ncols=len(steps)
    )
    return figure


def draw_spectrum(table: Table) -> Any:
    """Eigenvalues of the models' covariance over the data's: median and quartiles over runs, and what leaks out."""
    runs = table.where(function="robustness")
    runs = runs.take(runs["step"] == runs["step"].max())
    dimensions = np.unique(runs["d"]).tolist()
    k = int(runs["k"][0])
    figure, panels = canvas(len(dimensions), height=3.6, sharey=True)
    for panel, d in zip(panels, dimensions, strict=True):
        for i, (game, title) in enumerate(TITLES.items()):
            rows = runs.where(d=d, game=game)
            shares = [rows[f"model_{j}"] / rows[f"data_{j}"] for j in range(1, k + 1)] + [rows[f"model_{k + 1}"]]
            low, middle, high = np.nanquantile(shares, (0.25, 0.5, 0.75), axis=1)
            x = np.arange(k + 1) + 0.15 * (i - 1.5)
            panel.errorbar(x, middle, [middle - low, high - middle], fmt="o", color=COLOURS[i], label=title)
        panel.axhline(1.0, color="#444444", linewidth=0.8)
        panel.set_yscale("symlog", linthresh=0.01)
        panel.set(ylim=(0, None), title=f"{d:g} dimensions")
        panel.set_xticks(range(k + 1), [*(f"{j}" for j in range(1, k + 1)), "outside"])
    panels[0].set_ylabel("eigenvalue of the model / of the data\n(outside: sum of the rest / total variance)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(TITLES), fontsize=9)
    return figure


def draw_dynamics(table: Table) -> Any:
    """Left, the four arms, medians over runs (dashed: the larger dimension); right, one seed's spectra."""
    switched, spectra = table.where(function="switched"), table.where(function="spectra")
    games = list(dict.fromkeys(switched["game"].tolist()))
    figure, panels = canvas(2, len(games), height=3.2)
    for row, game in enumerate(games):
        left, right = panels[2 * row : 2 * row + 2]
        runs = switched.where(game=game)
        for colour, (arm, title) in zip(COLOURS, ARM_TITLES.items(), strict=False):
            for d, style in zip(np.unique(runs["d"]).tolist(), ("-", "--"), strict=False):
                rows = runs.where(arm=arm, d=d)
                steps = np.unique(rows["step"])
                middle = [np.median(rows["frechet"][rows["step"] == step]) for step in steps]
                left.plot(steps, middle, style, color=colour, linewidth=1.2, label=title if style == "-" else None)
        left.axvline(runs["switch"][0], color="#444444", linewidth=0.8, linestyle=":")
        left.set(yscale="log", title=TITLES[game], xlabel="steps of the generator", ylabel="Frechet distance")
        seed = spectra["seed"].min()
        point = spectra.where(game=game, visited="off", seed=seed)
        for colour, jacobian, title in ((COLOURS[0], "off", "without"), (COLOURS[3], "on", "with")):
            rows = point.where(jacobian=jacobian)
            right.plot(rows["real"], rows["imaginary"], "o", color=colour, label=title, markersize=3, alpha=0.6)
        right.set_xscale("symlog", linthresh=0.01)
        right.set_yscale("symlog", linthresh=0.01)
        right.set(title="eigenvalues of the game's Jacobian", xlabel="real part", ylabel="imaginary part")
        right.set_xticks([-100, -1, 0, 1, 100], ["-100", "-1", "0", "1", "100"])
        right.set_yticks([-1, -0.01, 0, 0.01, 1], ["-1", "-0.01", "0", "0.01", "1"])
        right.axvline(0.0, color="#444444", linewidth=0.8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(ARM_TITLES), fontsize=8)
    figure.legend(
        *panels[1].get_legend_handles_labels(), title="penalty", loc="outside lower right", ncols=2, fontsize=8
    )
    return figure
