"""The page itself: one HTML file, no external request."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from manypaths.errors import InvalidValue
from manypaths.files import write_atomically
from manypaths.report.panels import PANELS
from manypaths.report.reading import AXES, RunRecord, data_uri, differences, groups, read_run, thinned

_MOST_GRIDS = 12


def write_report(paths: list[Path], out: Path) -> None:
    """Read the runs and write the page."""
    runs = [read_run(path) for path in paths]
    if not runs:
        raise InvalidValue("report needs at least one run directory")
    write_atomically(out, render(_distinct(runs)))


def render(runs: list[RunRecord]) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    panels = [(panel, charts) for panel in PANELS if (charts := panel.charts(runs))]
    environment = Environment(
        loader=PackageLoader("manypaths.report", "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=" · ".join(run.name for run in runs),
        runs=runs,
        axes=AXES,
        panels=[panel for panel, _ in panels],
        seeds={run.name: run.recipe.get("seed") for run in runs},
        table=[(path, [_show(v) for v in values]) for path, values in differences(runs)],
        data=_embed({**_data(runs), "panels": {panel.name: [asdict(c) for c in charts] for panel, charts in panels}}),
        charts_js=_text("vendor/uPlot.iife.min.js"),
        charts_css=_text("vendor/uPlot.min.css"),
        css=_text("templates/page.css"),
        js=_text("templates/page.js"),
    )


def _data(runs: list[RunRecord]) -> dict[str, Any]:
    return {"runs": [_plain(run) for run in runs], "groups": groups(runs), "axes": AXES}


def _plain(run: RunRecord) -> dict[str, Any]:
    pictures = {
        which: [{"step": step, "image": data_uri(by_step[step])} for step in thinned(sorted(by_step), _MOST_GRIDS)]
        for which, by_step in sorted(run.samples.items(), key=lambda item: (item[0] != "last", item[0]))
    }
    return {"name": run.name, "command": run.command, "rows": run.rows, "samples": pictures}


def _embed(data: Any) -> str:
    """JSON that cannot close the script element it stands in; NaN becomes null."""
    text = json.dumps(_finite(data), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    return data


def _show(value: Any) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _distinct(runs: list[RunRecord]) -> list[RunRecord]:
    """Runs whose directories share a name are shown by their path."""
    import dataclasses

    names = [run.name for run in runs]
    return [dataclasses.replace(r, name=str(r.path)) if names.count(r.name) > 1 else r for r in runs]


def _text(name: str) -> str:
    return resources.files("manypaths.report").joinpath(name).read_text(encoding="utf-8")
