"""A recipe: everything that decides a run, unbuilt, as plain data."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from manypaths import fields, specs, user_code
from manypaths.data.base import DataSet
from manypaths.distributed.distributed import Distributed
from manypaths.errors import InvalidValue, LikelyMistake, unknown_name
from manypaths.evaluation.execution import Execution
from manypaths.files import read_json, require_plain_name
from manypaths.games.base import Game
from manypaths.metrics.base import SampleMetric
from manypaths.metrics.frechet import Frechet
from manypaths.metrics.inception_score import InceptionScore
from manypaths.metrics.label_histogram import LabelHistogram
from manypaths.optim.averaging.base import LAST, Average
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.randomness import seed_for
from manypaths.rules.base import Rule
from manypaths.run.optimisers import build_optimizer, try_optimizer
from manypaths.run.processes import processes
from manypaths.schedules.base import Schedule
from manypaths.schedules.scheduled import ROOTS
from manypaths.sources.base import Source
from manypaths.specs import Spec
from manypaths.training import Training

OUTPUT_ONLY = (
    "steps",
    "evaluations",
    "log_every",
    "noise_every",
    "noise_draws",
    "samples_every",
    "checkpoint_every",
    "evaluate_every",
    "evaluate_samples",
    "evaluate_mode",
    "metrics",
    "net",
)
"""Settings that do not change a trajectory, only its length and what is written about it."""


_SEEDED = ("source", "oracle")
"""Parts whose ``seed``, and that of parts inside them, follows the run's unless they set one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run as data; frozen, checked at construction, equal to its round trip through JSON.

    Attributes:
        name: what the run is called.
        data: the data set.
        source: how it is paired with latents and drawn.
        game: the game; nested parts are the networks, the objective and the penalties.
        oracle, rule: how a gradient is estimated, where and how often.
        optimizers: an optimiser per player.
        averages: running averages of the iterates, by name.
        schedules: numbers that change on the way, by their paths: ``optimizers.critic.lr`` follows a ``Cosine``.
        start_from: a run directory whose last iterate this run starts at (a warm start), or none.
        clip: largest norm of a player's gradient, or none.
        steps: steps of the rule after which the run ends.
        evaluations: budget of per-sample gradient evaluations, summed over the players; ends the run earlier.
        seed: of everything random; the source and the oracle follow it unless they set a ``seed`` of their own.
        threads: torch's intra-op threads, part of the recipe because sums depend on them; none takes torch's own.
        device: where the networks and the data live.
        execution: how evaluations are computed: precision, order in memory, compilation. Part of the trajectory, for
            sums depend on it.
        log_every, noise_every, samples_every, checkpoint_every, evaluate_every: in steps; 0 switches noise, samples
            and scores off.
        noise_draws: mini-batches per measurement of the gradient noise.
        evaluate_samples: generated samples per score.
        evaluate_mode: the generator's mode while it is scored: ``"train"`` normalises with the statistics of batches
            of 100 samples, as the SVRE authors' MNIST code does.
        metrics: what scores are, by default those of images on the data set's own net.
        net: another feature net for the scores, by its name.
    """

    name: str
    data: Spec[DataSet]
    source: Spec[Source]
    game: Spec[Game]
    oracle: Spec[Oracle]
    rule: Spec[Rule]
    optimizers: Mapping[str, Spec[Optimizer]]
    averages: Mapping[str, Spec[Average]] = field(default_factory=dict)
    schedules: Mapping[str, Spec[Schedule]] = field(default_factory=dict)
    clip: fields.Positive | None = None
    start_from: str | None = None
    steps: fields.PositiveInt = 1000
    evaluations: fields.PositiveInt | None = None
    seed: fields.NonNegativeInt = 0
    threads: fields.PositiveInt | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    execution: Spec[Execution] = field(default_factory=lambda: Spec(Execution))
    log_every: fields.PositiveInt = 10
    noise_every: fields.NonNegativeInt = 100
    noise_draws: fields.PositiveInt = 8
    samples_every: fields.NonNegativeInt = 100
    checkpoint_every: fields.PositiveInt = 100
    evaluate_every: fields.NonNegativeInt = 0
    evaluate_samples: fields.PositiveInt = 5000
    evaluate_mode: Literal["eval", "train"] = "eval"
    metrics: tuple[Spec[SampleMetric], ...] = (Spec(InceptionScore), Spec(Frechet), Spec(LabelHistogram))
    net: str | None = None

    def __post_init__(self) -> None:
        for part in ("data", "source", "game", "oracle", "rule", "execution"):
            specs.expect_spec(getattr(self, part), part)
        fields.check(self)
        require_plain_name(self.name, "name")
        for name in self.averages:
            require_plain_name(name, "the name of an average")
            if name == LAST:
                raise InvalidValue(f"an average is named {name!r}, which is the last iterate: expected another name")
        if self.noise_draws < 2:
            raise InvalidValue(f"noise_draws is {self.noise_draws}: expected at least 2, for a variance needs two")

    def with_(self, settings: Mapping[str, Any]) -> Recipe:
        """A copy with settings replaced, ``{"oracle.batch": 32}``; text is parsed as each setting's annotation says."""
        expected, new = fields.accepted(Recipe), {}
        for path, value in settings.items():
            name, _, rest = path.partition(".")
            if name not in expected:
                raise unknown_name("setting", path, expected)
            current = new[name] if name in new else getattr(self, name)
            if name == "schedules" and rest:
                new[name] = _scheduled(current, rest, value)
            else:
                new[name] = specs.replaced(current, expected[name], rest, value, name)
        return dataclasses.replace(self, **new)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready data; left out are unset ``net``, ``evaluate_mode`` and ``schedules``, and seeds that follow."""
        data = {f.name: specs.plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        if self.net is None:
            del data["net"]
        if self.evaluate_mode == "eval":
            del data["evaluate_mode"]
        if not self.schedules:
            del data["schedules"]
        for name in _SEEDED:
            _drop_followed_seeds(getattr(self, name), data[name])
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Recipe:
        """The inverse of ``to_plain``."""
        if not isinstance(data, Mapping):
            raise InvalidValue(f"a recipe is {type(data).__name__}: expected an object of settings")
        expected = fields.accepted(cls)
        for name in data:
            if name not in expected:
                raise unknown_name("setting", name, expected)
        required = [f.name for f in dataclasses.fields(cls) if f.default is MISSING and f.default_factory is MISSING]
        if missing := [name for name in required if name not in data]:
            raise InvalidValue(f"the recipe lacks {', '.join(missing)}: expected a setting for each")
        return cls(**{name: specs.from_plain(value, expected[name], name) for name, value in data.items()})

    @classmethod
    def read(cls, path: Path, *, trust_code: bool = False, known: Collection[str] = ()) -> Recipe:
        """A recipe from a JSON file.

        Code that the file names outside this package and torch is imported only with ``trust_code``, or where it is
        among the names that are ``known`` (``code_names`` of a recipe at hand).
        """
        with user_code.named_by(path, trust_code=trust_code, known=known):
            return cls.from_plain(read_json(path))

    def code_names(self) -> set[str]:
        """What a file with this recipe in it would have to be trusted for."""
        return set(specs.code_names({f.name: getattr(self, f.name) for f in dataclasses.fields(self)}))

    def check(self) -> None:
        """Build what is cheap to build, so that bad values are said before data are read or weights allocated."""
        self.data.require()
        self.game.require()
        self.source.require(("real", "labels"))
        self.oracle.require(("source",))
        self.rule.build()
        for part in (*self.averages.values(), *self.metrics):
            part.build()
        for name, part in self.optimizers.items():
            try_optimizer(part, f"optimizers.{name}")
        numbers = _numbers(_flatten(self.to_plain()))
        for path, part in self.schedules.items():
            if path not in numbers:
                raise unknown_name("number of a schedule:", path, numbers)
            for value in part.build().extremes(numbers[path]):
                self.with_({path: value})
        self.execution.build().expect_device(self.device)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InvalidValue("device is 'cuda': torch sees no CUDA device here, expected 'cpu'")

    def build(self) -> Training:
        """Read the data, build and initialise the networks from the seed, and bind everything together."""
        self.check()
        data = self.data.build().load()
        source: Any = self.source.supplied(seed=self.seed, real=data.real, labels=data.labels).build()
        oracle: Any = self.oracle.supplied(seed=self.seed, source=source).build()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(self.seed, "weights"))
            game = self.game.build()
        for module in game.players.values():
            module.to(self.device).train()
        if hasattr(source, "to"):
            source.to(self.device)
        if set(self.optimizers) != set(game.players):
            raise InvalidValue(
                f"optimizers are for {sorted(self.optimizers)}: expected one for each of {sorted(game.players)}"
            )
        note = self.execution.build().prepare(game)
        if processes().size > 1:
            game = Distributed(game)
        optimizers = {
            n: build_optimizer(self.optimizers[n], game.parameters(n), f"optimizers.{n}") for n in game.players
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LikelyMistake)  # they are among the notes, which a run prints
            training = Training(
                game,
                oracle,
                self.rule.build(),
                Optimizers(optimizers, clip=self.clip),
                averages={name: part.build() for name, part in self.averages.items()},
                schedules={path: part.build() for path, part in self.schedules.items()},
                seed=self.seed,
            )
        training.notes += [*data.notes, *([note] if note else [])]
        return training

    def differences(self, other: Recipe) -> list[str]:
        """The settings in which the trajectories of two recipes differ, as text."""
        mine, theirs = _flatten(self.to_plain()), _flatten(other.to_plain())
        paths = [p for p in {**mine, **theirs} if p.partition(".")[0] not in (*OUTPUT_ONLY, "name")]
        return [
            f"{p} is {theirs.get(p)!r} there and {mine.get(p)!r} here" for p in paths if mine.get(p) != theirs.get(p)
        ]


def _drop_followed_seeds(part: Spec[Any], data: dict[str, Any]) -> None:
    """Forget the default seeds of a part and of those inside it: they follow the run's."""
    if "seed" not in part.settings:
        data.pop("seed", None)
    for name, inner in part.settings.items():
        if isinstance(inner, Spec):
            _drop_followed_seeds(inner, data[name])


def _scheduled(current: Mapping[str, Spec[Schedule]], path: str, value: Any) -> dict[str, Spec[Schedule]]:
    """Schedules with one set, changed or (by ``none``) removed; their own names have dots."""
    where = f"schedules.{path}"
    known = next((name for name in current if path.startswith(f"{name}.")), None)
    if known is not None:
        changed = specs.replaced(current[known], Spec[Schedule], path.removeprefix(f"{known}."), value, where)
        return {**current, known: changed}
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return {name: part for name, part in current.items() if name != path}
    return {**current, path: specs.replaced(current.get(path), Spec[Schedule], "", value, where)}


def _numbers(settings: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among flat settings that may follow a schedule, those in a list by their place."""
    found: dict[str, float] = {}
    for path, value in settings.items():
        if path.partition(".")[0] in ROOTS:
            items = {f"{path}.{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {path: value}
            found |= {k: v for k, v in items.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return found


def _flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(data, Mapping):
        return {k: v for key, item in data.items() for k, v in _flatten(item, f"{prefix}{key}.").items()}
    if isinstance(data, list) and any(isinstance(item, Mapping) for item in data):
        return {k: v for i, item in enumerate(data) for k, v in _flatten(item, f"{prefix}{i}.").items()}
    return {prefix[:-1]: data}
