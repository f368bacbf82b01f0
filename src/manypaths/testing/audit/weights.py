"""Who trains which weights, and whether anything arrives there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from manypaths.games.base import Game
from manypaths.games.findings import Finding
from manypaths.testing.audit.subject import Subject
from manypaths.vectors import Gradients


def parameters(subject: Subject) -> Iterator[Finding]:
    """Every parameter belongs to one player, and gets a gradient that is not zero for good."""
    game, gradients = subject.game, subject.gradients
    for one, two in itertools.combinations(game.players, 2):
        shared = {id(p) for p in game.parameters(one)} & {id(p) for p in game.parameters(two)}
        if shared:
            yield Finding(
                "shared parameters",
                f"{one} and {two} share {len(shared)} parameters: each player's step undoes the other's",
                "give each player weights of its own",
            )
    if gradients is not None:
        yield from _absent(game, gradients)
        yield from _zero(subject, gradients)


def _absent(game: Game, gradients: Gradients) -> Iterator[Finding]:
    """Parameters that the loss is not a function of: autograd has nothing to say about them."""
    for name in gradients:
        named = _trainable(game, name)
        absent = [k for k, g in zip(named, gradients[name], strict=True) if g is None]
        if named and len(absent) == len(named):
            yield Finding(
                "no gradient",
                f"the loss of {name} does not depend on its parameters: no gradient arrives",
                "remove a detach() or no_grad() on the way, and check requires_grad",
            )
        elif absent:
            yield Finding(
                "unused parameters",
                f"{len(absent)} parameters of {name} get no gradient, the first is {absent[0]}",
                "remove them, or use them in forward",
            )


def _zero(subject: Subject, gradients: Gradients) -> Iterator[Finding]:
    """Parameters with a gradient that is exactly zero, here and at a point nearby.

    Here alone it is no mistake: what stands behind a factor that starts at zero, such as self-attention's gamma, moves
    once the factor has.
    """
    if not any(_vanishes(g) for name in gradients for g in gradients[name]):
        return
    nearby = subject.nearby or {}
    for name in nearby:
        named = zip(_trainable(subject.game, name), gradients[name], nearby[name], strict=True)
        zero = [k for k, here, there in named if _vanishes(here) and _vanishes(there)]
        zero = [k for k in zero if not _shifts_all_alike(subject, name, k)]
        if zero:
            yield Finding(
                "zero gradient",
                f"{len(zero)} parameters of {name} have a gradient that is exactly zero, at these weights and "
                f"at others nearby, the first is {zero[0]}",
                "look for a product with zero, a saturated output or units that are dead on the whole batch",
            )


def _vanishes(gradient: Tensor | None) -> bool:
    return gradient is not None and not bool(gradient.any())


def _shifts_all_alike(subject: Subject, player: str, weight: str) -> bool:
    """Whether a weight adds one number to everything that its player returns, as the last bias does.

    Objectives of differences of scores (Wasserstein, relativistic) do not see it: its gradient is zero and no mistake.
    """
    parameter = subject.game.players[player].get_parameter(weight)
    before = _returned(subject, player)
    saved = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(0.5)
    after = _returned(subject, player)
    with torch.no_grad():
        parameter.copy_(saved)
    if before is None or after is None:
        return False
    change = (after - before).double()
    return float(change.abs().max()) > 0 and float((change - change.mean()).abs().max()) < 1e-4 * float(
        change.abs().max()
    )


def _returned(subject: Subject, player: str) -> Tensor | None:
    """What a player's first call returns in an evaluation."""
    found: list[Tensor] = []

    def keep(module: object, given: object, output: object) -> None:
        if not found and isinstance(output, Tensor):
            found.append(output.detach().clone())

    hook = subject.game.players[player].register_forward_hook(keep)
    try:
        subject.at(subject.sample)
    finally:
        hook.remove()
    return found[0] if found else None


def _trainable(game: Game, player: str) -> list[str]:
    return [name for name, p in game.players[player].named_parameters() if p.requires_grad]
