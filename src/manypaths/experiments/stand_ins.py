"""Drawn pictures in the place of a data set that is not there, so that a study can be tried without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manypaths.data.image_folder import ImageFolder
from manypaths.errors import MissingData
from manypaths.files import write_atomically
from manypaths.randomness import generator_for
from manypaths.run.pictures import grid_png
from manypaths.run.recipe import Recipe
from manypaths.specs import Spec

DRAWN, SIDE = 96, 64
"""Pictures, and how large they are drawn."""


def or_stand_in(recipe: Recipe, directory: Path, *, size: int = SIDE, **folder: Any) -> Recipe:
    """The recipe; where its data are not there, on pictures drawn into the directory (an ``ImageFolder``)."""
    try:
        recipe.data.build().load()
    except MissingData:
        path = (directory / "pictures").resolve()
        draw_pictures(path)
        return replace(recipe, data=Spec(ImageFolder, path=str(path), size=size, **folder))
    return recipe


def draw_pictures(folder: Path) -> None:
    """A folder of generated pictures: a disc of a random colour, size and place on a ground of another colour."""
    for i in range(DRAWN):
        write_atomically(folder / f"{i:03d}.png", grid_png(_disc(i)[None], columns=1))


def _disc(number: int) -> Tensor:
    """One of them, uint8 (3, SIDE, SIDE)."""
    x, y, r, *colours = torch.rand(9, generator=generator_for(number, "drawn picture")).tolist()
    rows, columns = torch.meshgrid(*[torch.arange(SIDE) / SIDE] * 2, indexing="ij")
    inside = ((rows - 0.25 - y / 2).square() + (columns - 0.25 - x / 2).square()).sqrt() < 0.1 + 0.2 * r
    ink, ground = (torch.tensor(part)[:, None, None] for part in (colours[:3], colours[3:]))
    return (torch.where(inside, ink, ground) * 255).round().to(torch.uint8)
