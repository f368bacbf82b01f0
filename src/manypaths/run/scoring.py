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
from manypaths.metrics.base import Kind, SampleSets, Score, kind_of
from manypaths.metrics.feature_nets import FeatureNet, default_net, feature_net
from manypaths.registry import name_of
from manypaths.run.evaluation import evaluated, generate, inputs
from manypaths.run.export import ready
from manypaths.run.pictures import grid_png
from manypaths.run.recipe import Recipe
from manypaths.run.record import RunDirectory
from manypaths.sources.paired import PairedSource
from manypaths.sources.pixels import to_uint8
from manypaths.training import Training


class Scorer:
    """The recipe's metrics against the data set's held-out samples (all where nothing is held out).

    Whatever they need is read, trained or refused here, before anything is generated: the reference, the feature net,
    validation data for metrics that fit something, packages and files.
    """

    def __init__(self, recipe: Recipe, *, net: str | None = None, samples: int = 5000):
        self.recipe, self.samples = recipe, samples
        self.metrics = [part.build() for part in recipe.metrics]
        if not self.metrics:
            raise InvalidValue("there are no metrics: expected at least one, for example --set metrics=frechet")
        for metric in self.metrics:
            if samples < metric.least:
                raise InvalidValue(f"samples is {samples}: {name_of(type(metric))} expected at least {metric.least}")
        data = recipe.data.build()
        reference = data.reference().load()
        self.reference = _as_points(reference.real)
        self.about = f"{len(reference)} {self.kind} of {data.reference()}"
        if reference.note:
            self.about += f"; {reference.note}"
        for metric in self.metrics:
            metric.prepare(self.kind)
        self.fitting = _as_points(data.validation().load().real) if any(m.fits for m in self.metrics) else None
        self.net: FeatureNet | None = None
        net = net or recipe.net
        if any(metric.reads_net(self.kind) for metric in self.metrics):
            self.net = _fitting_net(net or default_net(data), self.reference)
        elif net is not None:
            raise InvalidValue(f"net is {net!r}: expected none, for no metric here reads a feature net")
        self._known = _known_of(reference.checksum(), self.net)

    @property
    def kind(self) -> Kind:
        return kind_of(self.reference, "the reference")

    def generated(self, training: Training, which: str) -> Tensor:
        """``samples`` generated images in uint8, or points, by fixed latents that training never sees."""
        source = training.oracle.source
        if not isinstance(source, PairedSource) or "generator" not in training.game.players:
            raise InvalidType("this run trains no generator on data: expected a GAN on a data set")
        seed = self.recipe.seed
        mode = self.recipe.evaluate_mode
        chunk = 256 if mode == "eval" else 100
        with evaluated(training, which, seed=seed, mode=mode) as generator:
            given = inputs(training, self.samples, seed, "scores")
            parts = (
                generate(generator, part, chunk=chunk) for part in zip(*(t.split(500) for t in given), strict=True)
            )
            made = torch.cat([(to_uint8(p, source.pixels) if self.kind == "images" else p).cpu() for p in parts])
            return _as_points(made)

    def scores(self, generated: Tensor) -> list[Score]:
        samples = SampleSets(generated, self.reference, self.fitting, self.net, self.recipe.seed, self._known)
        return [score for metric in self.metrics for score in metric(samples)]

    def row(self, training: Training) -> dict[str, dict[str, float]]:
        """Which iterate -> metric -> value, for ``metrics.jsonl``."""
        return {
            which: {score.metric: score.value for score in self.scores(self.generated(training, which))}
            for which in ready(training)
        }


def _as_points(data: Tensor) -> Tensor:
    """Series (N, C, L) in float as points (N, C L): metrics compare vectors."""
    return data.flatten(1) if data.is_floating_point() and data.ndim == 3 else data


_KNOWN: dict[tuple[str, ...], dict[str, Tensor]] = {}
KEPT = 4
"""References whose features a process keeps: those of all runs that it scores one after another are the same."""


def _known_of(reference: str, net: FeatureNet | None) -> dict[str, Tensor]:
    """What is known of a reference, by its checksum and the net's."""
    key = (reference, "" if net is None else net.checksum())
    _KNOWN[key] = _KNOWN.pop(key, {})  # the one that was used last comes last
    for oldest in list(_KNOWN)[:-KEPT]:
        del _KNOWN[oldest]
    return _KNOWN[key]


def evaluate(
    directory: RunDirectory, training: Training, scorer: Scorer, only: str | None = None
) -> list[dict[str, Any]]:
    """Score, and write ``evaluation.json``, ``samples-<which>.npz`` and a grid of images; each file whole or absent."""
    rows = []
    for which in [only] if only else ready(training):
        generated = scorer.generated(training, which)
        if scorer.kind == "images":
            write_atomically(directory.path / f"samples-{which}.png", grid_png(generated[:100], columns=10))
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {scorer.kind: generated.numpy()}
        np.savez_compressed(buffer, **arrays)
        write_atomically(directory.path / f"samples-{which}.npz", buffer.getvalue())
        about = {"generator": which, "step": training.steps, "reference images": scorer.about}
        rows += [{**about, **dataclasses.asdict(score)} for score in scorer.scores(generated)]
    write_atomically(directory.path / "evaluation.json", json.dumps(rows, indent=2) + "\n")
    return rows


def _fitting_net(name: str, reference: Tensor) -> FeatureNet:
    """The feature net of that name, tried on two images of the reference."""
    net = feature_net(name)
    try:
        net.net.features(reference[:2])
    except RuntimeError as error:
        raise InvalidType(f"{name} does not take images of shape {tuple(reference.shape[1:])}") from error
    return net
