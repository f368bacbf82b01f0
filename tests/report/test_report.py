"""The page: self-contained, in a real browser, robust against unfinished runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from manypaths.errors import InvalidValue
from manypaths.report.page import write_report
from manypaths.run.pictures import grid_png
from manypaths.run.record import RunDirectory, Status

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def make_run(path: Path, *, steps: int = 40, ratio: float | None = 0.5, seed: int = 0, noisy: bool = True) -> Path:
    """A run directory by hand: the report must not need torch to read it."""
    import torch

    directory = RunDirectory(path)
    recipe = {"name": path.name, "oracle": {"name": "svrg", "batch": 64}, "steps": steps, "seed": seed}
    directory.create(recipe, f"manypaths run {path.name} --set a='<b>'")
    for step in range(1, steps + 1):
        noise = {"second_moment": 2.0, "variance": 1.0 / step, "squared_mean": 1.0, "ratio": ratio, "age": step % 20}
        directory.append(
            {
                "step": step,
                "evaluations": 640 * step,
                "passes": step / 3,
                "seconds": step / 7,
                "loss": {"critic": 1.0 / step, "generator": float("nan") if step == 3 else 0.7},
                **({"noise": {"critic": noise, "generator": noise}} if noisy and step % 5 == 0 else {}),
            }
        )
    for step in (0, 20, 40):
        image = torch.arange(0, 256, 4, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(20, 1, 8, 8)
        (directory.samples / f"last-{step:07d}.png").write_bytes(grid_png(image, columns=5))
    directory.write_status(Status("diverged", steps, "at step 40, the loss of critic is nan"))
    return path


def test_the_page_is_self_contained_and_small(tmp_path) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "two", ratio=None)]
    write_report(runs, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page), "an external request"
    assert "@import" not in page
    without_images = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert len(without_images) < 2_000_000
    assert "manypaths run one --set a=&#39;&lt;b&gt;&#39;" in page
    assert "at step 40, the loss of critic is nan" in page
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert data["runs"][0]["rows"][2]["loss"]["generator"] is None, "NaN is not JSON"


def test_differences_are_the_settings_that_differ(tmp_path) -> None:
    from manypaths.report.reading import differences, read_run

    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two")
    recipe = json.loads((two / "recipe.json").read_text())
    recipe["oracle"] = {"name": "stochastic", "batch": 64, "extra": 1}
    (two / "recipe.json").write_text(json.dumps(recipe))
    table = differences([read_run(one), read_run(two)])
    assert table == [("oracle", ["svrg", "stochastic"]), ("oracle.extra", [None, 1])]


def test_a_run_that_has_barely_begun(tmp_path) -> None:
    directory = RunDirectory(tmp_path / "young")
    directory.create({"name": "young"}, "")
    (tmp_path / "young" / "metrics.jsonl").write_text('{"step": 1, "eval')
    write_report([tmp_path / "young"], tmp_path / "page.html")
    assert "nothing recorded yet" in (tmp_path / "page.html").read_text()
    with pytest.raises(InvalidValue, match="holds no run"):
        write_report([tmp_path], tmp_path / "page.html")


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_a_real_browser(tmp_path, theme) -> None:
    from playwright.sync_api import sync_playwright

    write_report([make_run(tmp_path / "one"), make_run(tmp_path / "two", ratio=None)], tmp_path / "page.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme=theme)
        problems, requests = [], []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.locator(".chart canvas").count() == 6, "losses, variances and ratios of two players"
        assert page.locator(".grid img").count() == 2
        page.click("[data-axis=seconds]")
        assert page.locator(".chart canvas").count() == 6
        page.locator("#progress").fill("0")
        assert "iteration 0" in page.locator(".grid figcaption").first.inner_text()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(13, 17, 26)") == (theme == "dark")
        page.click("#theme")
        assert ground != page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert not problems
        assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium")
def test_two_seeds_without_noise_and_with_a_single_score(tmp_path) -> None:
    """They are one band; nothing is drawn of what nobody measured, and one score is a mark."""
    from playwright.sync_api import sync_playwright

    runs = [make_run(tmp_path / f"seed-{seed}", seed=seed, noisy=False) for seed in (0, 1)]
    for run in runs:
        RunDirectory(run).append(
            {"step": 41, "evaluations": 26_240, "passes": 14.0, "seconds": 6.0, "score": {"last": {"frechet": 3.0}}}
        )
    write_report(runs, tmp_path / "page.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page, problems = browser.new_page(), []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.locator(".chart canvas").count() == 3, "one score, and the losses of two players"
        assert page.locator("#noise").count() == 0
        box = page.locator(".chart canvas").first
        blue = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
            .filter((v, i, all) => i % 4 == 2 && v > 150 && all[i - 2] < 100 && all[i + 1] > 200).length"""
        assert box.evaluate(blue) > 10, "the single score is drawn"
        assert not problems
        browser.close()
