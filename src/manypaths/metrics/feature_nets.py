"""Feature nets: classifiers that this library trains on the data set itself, cached with what made them."""

from __future__ import annotations

import importlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from manypaths.data import DATA_SETS
from manypaths.data.base import Data, DataSet, Digest, data_directory
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.errors import InvalidValue, unknown_name
from manypaths.files import atomic_file, damage_of_archive, read_json, write_atomically
from manypaths.models.classifiers import Classifier
from manypaths.randomness import generator_for, seed_for
from manypaths.registry import name_of


@dataclass(frozen=True)
class FeatureNet:
    """A trained net, with its name, its test accuracy, and the fingerprint of the data it learned from."""

    name: str
    net: Classifier
    accuracy: float
    data: str

    def checksum(self) -> str:
        """A short fingerprint of its weights and buffers."""
        digest = Digest()
        for tensor in self.net.state_dict().values():
            digest.update(tensor.reshape(-1))
        return digest.text()


@dataclass(frozen=True)
class Entry:
    """A net that a data set of the table declares; both are imported when used."""

    data: str
    spec: NetSpec

    @property
    def recipe(self) -> NetRecipe:
        return self.spec.recipe

    def make(self) -> Classifier:
        """The untrained net."""
        module, _, name = self.spec.classifier.rpartition(":")
        return getattr(importlib.import_module(module or "manypaths.models.classifiers"), name)(**self.spec.settings)

    def load(self, split: str) -> Data:
        """The images and labels of a split."""
        return DATA_SETS[self.data](split=split).load()


NETS = {name: Entry(data, spec) for data in DATA_SETS for name, spec in DATA_SETS[data].nets.items()}
"""Every feature net, by its name."""


def default_net(data: DataSet) -> str:
    """The net that metrics on this data set use unless another one is named."""
    data_name = name_of(type(data))
    for name, entry in NETS.items():
        if entry.data == data_name:
            return name
    raise InvalidValue(
        f"no feature net is trained on {data_name}: expected --net, one of {', '.join(NETS)}, or metrics that read none"
    )


def feature_net(name: str) -> FeatureNet:
    """The net of that name, from the cache or trained now, which takes minutes and says so.

    The cache, ``<data directory>/feature-nets``, is keyed by name, recipe and the data's checksum, so that a score is
    always made with the net it names.
    """
    if name not in NETS:
        raise unknown_name("feature net", name, NETS)
    entry = NETS[name]
    train = entry.load("train")
    made_of = {"name": name, "data": train.checksum(), "recipe": asdict(entry.recipe)}
    weights = data_directory() / "feature-nets" / f"{name}-{made_of['data']}.pt"
    card = weights.with_suffix(".json")
    known = _card(card, name) if card.exists() and weights.exists() else {}
    if {key: known.get(key) for key in made_of} == made_of:
        if damage := damage_of_archive(weights):
            raise InvalidValue(f"{weights} is damaged ({damage}): delete it, and {name} is trained again")
        with torch.random.fork_rng(devices=[]):  # whatever a new net draws is overwritten
            net = entry.make()
        net.load_state_dict(torch.load(weights, weights_only=True))
        return FeatureNet(name, net.eval(), known["accuracy"], train.checksum())
    return _made(name, entry, train, weights, card, made_of)


def _card(path: Path, name: str) -> dict[str, Any]:
    """What the net in the cache was made of."""
    try:
        found = read_json(path)
        if isinstance(found, dict) and isinstance(found["accuracy"], float):
            return found
    except (InvalidValue, KeyError):
        pass
    raise InvalidValue(f"{path} is damaged: delete it, and {name} is trained again")


def _made(name: str, entry: Entry, train: Data, weights: Path, card: Path, made_of: dict[str, object]) -> FeatureNet:
    started = time.monotonic()
    _say(f"training the feature net {name} on {len(train):,} images, once; it will be kept in {weights.parent}")
    net = _trained(name, entry, train)
    accuracy = _accuracy(net, entry.load("test"))
    if accuracy < entry.recipe.at_least:
        raise InvalidValue(f"{name} reached a test accuracy of {accuracy:.4f}: expected {entry.recipe.at_least}")
    with atomic_file(weights) as file:
        torch.save(net.state_dict(), file)
    write_atomically(card, json.dumps({**made_of, "accuracy": accuracy}, indent=2) + "\n")
    _say(f"{name}: test accuracy {accuracy:.4f}, after {time.monotonic() - started:.0f} s")
    return FeatureNet(name, net, accuracy, train.checksum())


def _trained(name: str, entry: Entry, data: Data) -> Classifier:
    recipe, labels = entry.recipe, data.labels
    assert labels is not None
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed_for(recipe.seed, "feature net"))
        net = entry.make()
        order = generator_for(recipe.seed, "feature net", "order")
        steps = recipe.epochs * (len(data) // recipe.batch)
        optimizer = torch.optim.Adam(net.parameters(), lr=recipe.lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
        for epoch in range(recipe.epochs):
            _say(f"{name}: epoch {epoch + 1} of {recipe.epochs}", passing=True)
            for index in torch.randperm(len(data), generator=order).split(recipe.batch)[: len(data) // recipe.batch]:
                optimizer.zero_grad()
                cross_entropy(net(data.real[index]), labels[index]).backward()
                optimizer.step()
                schedule.step()
    return net.eval().requires_grad_(False)


@torch.no_grad()
def _accuracy(net: Classifier, data: Data) -> float:
    assert data.labels is not None
    guesses = torch.cat([net(images).argmax(1) for images in data.real.split(500)])
    return float((guesses == data.labels).double().mean())


def _say(text: str, *, passing: bool = False) -> None:
    """A line on standard error; one that passes is overwritten, and left out where nobody watches."""
    if not passing:
        print(text, file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        print(text, end="\r", file=sys.stderr, flush=True)
