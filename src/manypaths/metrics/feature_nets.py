"""Feature nets: classifiers that this library trains on the data set itself, cached with what made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from manypaths.data.base import Data, DataSet, data_directory
from manypaths.data.digits import Digits
from manypaths.data.mnist import Mnist
from manypaths.errors import InvalidValue, unknown_name
from manypaths.files import atomic_file, write_atomically
from manypaths.models.classifiers import Classifier, DigitsCnn, MnistCnn, MnistMlp
from manypaths.randomness import generator_for, seed_for


@dataclass(frozen=True)
class NetRecipe:
    """How a feature net is made: Adam with a one-cycle schedule on the training split.

    ``at_least`` is the test accuracy below which the net is refused.
    """

    epochs: int
    at_least: float
    batch: int = 128
    lr: float = 3e-3
    seed: int = 0


@dataclass(frozen=True)
class FeatureNet:
    """A trained net, with its name, its test accuracy, and the fingerprint of the data it learned from."""

    name: str
    net: Classifier
    accuracy: float
    data: str


@dataclass(frozen=True)
class _Entry:
    make: Callable[[], Classifier]
    data: Callable[[Any], DataSet]
    recipe: NetRecipe


NETS = {
    "mnist-cnn": _Entry(MnistCnn, lambda split: Mnist(split=split), NetRecipe(epochs=4, at_least=0.99)),
    "mnist-mlp": _Entry(MnistMlp, lambda split: Mnist(split=split), NetRecipe(epochs=8, at_least=0.975, lr=1e-3)),
    "digits-cnn": _Entry(DigitsCnn, lambda split: Digits(split=split), NetRecipe(epochs=40, at_least=0.93, batch=64)),
}


def default_net(data: DataSet) -> str:
    """The net that metrics on this data set use unless another one is named."""
    for name, entry in NETS.items():
        if type(entry.data("train")) is type(data):
            return name
    raise InvalidValue(f"no feature net knows {type(data).__name__}: expected one of {', '.join(NETS)}")


def feature_net(name: str) -> FeatureNet:
    """The net of that name, from the cache or trained now (under a minute or two on two cores).

    The cache, ``<data directory>/feature-nets``, is keyed by name, recipe and the data's checksum, so that a score is
    always made with the net it names.
    """
    if name not in NETS:
        raise unknown_name("feature net", name, NETS)
    entry = NETS[name]
    train = entry.data("train").load()
    made_of = {"name": name, "data": train.checksum(), "recipe": asdict(entry.recipe)}
    weights = data_directory() / "feature-nets" / f"{name}-{made_of['data']}.pt"
    card = weights.with_suffix(".json")
    known = json.loads(card.read_text(encoding="utf-8")) if card.exists() and weights.exists() else {}
    if {key: known.get(key) for key in made_of} == made_of:
        net = entry.make()
        net.load_state_dict(torch.load(weights, weights_only=True))
        return FeatureNet(name, net.eval(), known["accuracy"], train.checksum())
    return _made(name, entry, train, weights, card, made_of)


def _made(name: str, entry: _Entry, train: Data, weights: Path, card: Path, made_of: dict[str, object]) -> FeatureNet:
    net = _trained(entry, train)
    accuracy = _accuracy(net, entry.data("test").load())
    if accuracy < entry.recipe.at_least:
        raise InvalidValue(f"{name} reached a test accuracy of {accuracy:.4f}: expected {entry.recipe.at_least}")
    with atomic_file(weights) as file:
        torch.save(net.state_dict(), file)
    write_atomically(card, json.dumps({**made_of, "accuracy": accuracy}, indent=2) + "\n")
    return FeatureNet(name, net, accuracy, train.checksum())


def _trained(entry: _Entry, data: Data) -> Classifier:
    recipe, labels = entry.recipe, data.labels
    assert labels is not None
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed_for(recipe.seed, "feature net"))
        net = entry.make()
        order = generator_for(recipe.seed, "feature net", "order")
        steps = recipe.epochs * (len(data) // recipe.batch)
        optimizer = torch.optim.Adam(net.parameters(), lr=recipe.lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
        for _ in range(recipe.epochs):
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
