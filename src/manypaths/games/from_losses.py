"""A game from one function per player."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from manypaths.eager import uncompiled
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.findings import Finding
from manypaths.games.gan_probes import FEW, probed, ranges
from manypaths.games.noise import each_from_here
from manypaths.games.structure import batch_coupling_layers, expect_bare
from manypaths.sources.gan_sample import GanSample


class FromLosses(Game):
    """A game from one function per player: ``losses[name](sample, **players) -> scalar``.

    Every loss sees the same noise from torch's global generator, whichever other players are asked with it.
    ``couples_samples=None`` looks for BatchNorm and dropout in the players.
    """

    def __init__(
        self,
        losses: Mapping[str, Callable[..., Tensor]],
        players: Mapping[str, nn.Module],
        *,
        couples_samples: bool | None = None,
    ):
        if set(losses) != set(players):
            raise InvalidValue(f"losses are for {sorted(losses)} and players are {sorted(players)}: expected the same")
        for name, module in players.items():
            if not isinstance(module, nn.Module):
                raise InvalidType(f"player {name!r} is {module!r}: expected a torch.nn.Module")
        expect_bare(players)
        self.players, self.functions = dict(players), dict(losses)
        found = any(batch_coupling_layers(m) for m in players.values())
        self.couples_samples = found if couples_samples is None else couples_samples

    def losses(self, sample: Any, players: tuple[str, ...]) -> dict[str, Tensor]:
        calls = [partial(self.functions[name], sample, **self.players) for name in players]
        return dict(zip(players, each_from_here(calls, self.device), strict=True))

    looks: ClassVar[bool] = True

    def check(self, sample: Any, *, declared: bool = False) -> list[Finding]:
        """The range of the data, where one player is a ``generator`` of latents; losses of one's own say the rest."""
        generator = self.players.get("generator")
        if generator is None or not isinstance(sample, GanSample):
            return []
        with self.unmoved(sample), uncompiled(generator):
            made = probed(generator, (sample.latent[:FEW],))
        return [*ranges(made, sample.real, declared=declared)]
