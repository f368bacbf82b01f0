"""The documentation says what the code does."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_port_in_the_docs_is_the_difference_between_the_examples() -> None:
    plain, svre = ((ROOT / "examples" / name).read_text().splitlines() for name in ("plain_gan.py", "svre_gan.py"))
    difference = list(difflib.unified_diff(plain, svre, n=1, lineterm=""))[2:]
    shown = re.search(r"```diff\n(.*?)\n```", (ROOT / "docs" / "porting.md").read_text(), re.S)[1].splitlines()
    changed = lambda lines: [line for line in lines if line[:1] in "+-"]  # noqa: E731
    assert changed(shown) == changed(difference)
    assert len([line for line in difference if line.startswith("+") and line != "+"]) <= 15
    assert len(plain) <= 60


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_population_of_the_docs_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.S)
    (code,) = [block for block in blocks if "Population" in block]
    names: dict = {}
    exec(code.replace("500", "5"), names)
    names["training"].step()
    assert len(names["population"]) == 5


def test_the_lines_of_the_readme_run() -> None:
    import torch

    from manypaths.models import MlpCritic, MlpGenerator

    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    data = torch.randn(128, 2, generator=torch.Generator().manual_seed(0))
    names = {"my_generator": MlpGenerator(latent=128), "my_critic": MlpCritic(), "my_dataset": data}
    exec(code.replace("10_000", "2"), names)
    assert names["training"].steps == 2


def test_the_claims_in_the_docs_are_those_of_the_studies() -> None:
    from manypaths.experiments.power import power
    from manypaths.studies import STUDIES
    from manypaths.studies.find import find_study

    sections = re.split(r"^## (.+)$", (ROOT / "docs" / "studies.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = 0
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        rows = re.findall(r"^\| \*\*(.+?)\*\* .* \| (.+?) \| (.+?) \| .+? \|$", text, flags=re.MULTILINE)
        first = name.partition(",")[0]  # of the studies that share a section, the one whose results it shows
        claims = {c.name: c for c in find_study(first).at("laptop").claims} if first in STUDIES else {}
        for claim, expected, reach in rows:
            assert (expected, reach) == (str(claims[claim].expected), power(claims[claim]).reach), claim
        shown += len(rows)
    assert shown >= 100
