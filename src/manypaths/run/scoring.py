"""Scores of a run's generators, the last iterate's and each average's."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.files import write_atomically
from manypaths.games.paired import PairedSource
from manypaths.games.pixels import to_uint8
from manypaths.metrics.feature_nets import FeatureNet, default_net, feature_net
from manypaths.metrics.scores import Score, image_scores
from manypaths.run.evaluation import evaluated, generate, latents
from manypaths.run.export import ready
from manypaths.run.pictures import grid_png
from manypaths.run.recipe import Recipe
from manypaths.run.record import RunDirectory
from manypaths.training import Training


class Scorer:
    """Scores against the data set's held-out images (all of it where nothing is held out), with one feature net."""

    def __init__(self, recipe: Recipe, *, net: str | None = None, samples: int = 5000):
        if samples < 20:
            raise InvalidValue(f"samples is {samples}: expected at least 20")
        data = recipe.data.build()
        self.net: FeatureNet = feature_net(net or default_net(data))
        self.reference = data.reference().load().real
        self.about = f"{len(self.reference)} images of {data.reference()}"
        self.recipe, self.samples = recipe, samples
        try:
            self.net.net.features(self.reference[:2])
        except RuntimeError as error:
            raise InvalidType(f"{self.net.name} does not take images of {type(data).__name__}") from error

    def images(self, training: Training, which: str) -> Tensor:
        """``samples`` generated images in uint8, by fixed latents that training never sees."""
        source = training.oracle.source
        if not isinstance(source, PairedSource):
            raise InvalidType("this run does not train on images: expected a source of images")
        seed = self.recipe.seed
        with evaluated(training, which, latent=source.latent, seed=seed) as generator:
            z = latents(self.samples, source.latent, seed, "scores")
            return torch.cat([to_uint8(generate(generator, part), source.pixels).cpu() for part in z.split(500)])

    def scores(self, images: Tensor) -> list[Score]:
        return image_scores(images, self.reference, self.net, seed=self.recipe.seed)

    def row(self, training: Training) -> dict[str, dict[str, float]]:
        """Which iterate -> metric -> value, for ``metrics.jsonl``."""
        return {
            which: {score.metric: score.value for score in self.scores(self.images(training, which))}
            for which in ready(training)
        }


def evaluate(
    directory: RunDirectory, training: Training, scorer: Scorer, only: str | None = None
) -> list[dict[str, Any]]:
    """Score, and write ``evaluation.json``, ``samples-<which>.npz`` and a PNG grid; each file whole or absent."""
    rows = []
    for which in [only] if only else ready(training):
        images = scorer.images(training, which)
        write_atomically(directory.path / f"samples-{which}.png", grid_png(images[:100], columns=10))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=images.numpy())
        write_atomically(directory.path / f"samples-{which}.npz", buffer.getvalue())
        about = {"generator": which, "step": training.steps, "reference images": scorer.about}
        rows += [{**about, **dataclasses.asdict(score)} for score in scorer.scores(images)]
    write_atomically(directory.path / "evaluation.json", json.dumps(rows, indent=2) + "\n")
    return rows
