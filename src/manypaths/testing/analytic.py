"""What every analytic game must do: its closed forms agree with autograd and with each other."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths.errors import InvalidType
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.base import Game
from manypaths.randomness import generator_for
from manypaths.sources.base import Index
from manypaths.vectors import flat


def check_analytic(game: AnalyticGame, *, members: int = 3, batch: int = 4, tolerance: float = 1e-13) -> None:
    """Conformance of an analytic game, at random points around its start and on random batches (with repeats).

    ``field`` is the gradient of ``losses`` for every player; ``jacobian`` is the derivative of ``field``; ``values``
    are the losses; members at once equal members one by one; ``difference`` is one of fields; the mean over the
    components is the full field; ``field`` is zero at ``solution``. Errors are relative to the largest entry.
    """
    generator = generator_for(0, "check_analytic")
    start = game.start
    w, v = (start + torch.randn(members, len(start), generator=generator, dtype=start.dtype) for _ in range(2))
    index = torch.randint(game.size, (members, batch), generator=generator)
    for some in (index, None):
        fields, values, jacobians = game.field(w, some), game.values(w, some), game.jacobian(w, some)
        for k in range(members):
            mine = None if some is None else some[k]
            for what, all_at_once, alone in (
                ("field", fields, game.field(w[k], mine)),
                ("values", values, game.values(w[k], mine)),
                ("jacobian", jacobians, game.jacobian(w[k], mine)),
            ):
                _equal(all_at_once[k], alone, tolerance, f"{what}: a member alone differs from the same member of many")
            _check_against_autograd(game, w[k], mine, tolerance)
        stacked = game.field(w[:, None], None if some is None else some[:, None])
        _equal(stacked[:, 0], fields, tolerance, "field: two leading dimensions differ from one")
    differences = game.field(w, index) - game.field(v, index)
    _equal(game.difference(w, v, index), differences, 10 * tolerance, "difference is not the difference of fields")
    everyone = torch.arange(game.size)[:, None]
    mean = game.field(w[0].expand(game.size, -1), everyone).mean(0)
    _equal(mean, game.field(w[0]), 10 * tolerance, "the mean over the components is not the full field")
    _check_solution(game, tolerance)


def _check_against_autograd(game: AnalyticGame, w: Tensor, index: Tensor | None, tolerance: float) -> None:
    derivative = torch.autograd.functional.jacobian(lambda at: game.field(at, index), w)
    assert isinstance(derivative, Tensor)
    _equal(game.jacobian(w, index), derivative, tolerance, "jacobian is not the derivative of field")
    sample = Index(torch.arange(game.size) if index is None else index)
    with game.at({name: [part] for name, part in game.split(w).items()}):
        closed, reference = game.gradients(sample), Game._gradients(game, sample, tuple(game.players), False)
    _equal(flat(closed), game.field(w, index), tolerance, "gradients are not the field")
    for k, name in enumerate(game.players):
        _equal(
            flat({name: closed[name]}), flat({name: reference[name]}), tolerance, f"field of {name} is not autograd's"
        )
        _equal(game.values(w, index)[k], reference.losses[name], tolerance, f"the value of {name} is not its loss")


def _check_solution(game: AnalyticGame, tolerance: float) -> None:
    try:
        solution = game.solution()
    except InvalidType:
        return
    scale = 1 + float(game.jacobian(solution).abs().max() * solution.abs().max())
    error = float(game.field(solution).abs().max())
    assert error <= 10 * tolerance * scale, f"the field at the solution is {error:.1e}: expected 0"


def _equal(got: Tensor, expected: Tensor, tolerance: float, complaint: str) -> None:
    assert got.shape == expected.shape, f"{complaint}: shape {tuple(got.shape)} against {tuple(expected.shape)}"
    error, scale = float((got - expected).abs().max()), 1 + float(expected.abs().max())
    assert error <= tolerance * scale, f"{complaint}: {error:.1e} apart"
