"""A table of gradients, one row per summand, and the mean of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.games.base import Game

Storage = Literal["game", "float32", "bfloat16"]


class GradientTable:
    """Player -> rows (N, P), rounded to the table's dtype, and the mean (P,) of these rounded rows.

    The mean is kept in float64 and moved with every row that is written, so a million writes do not wear it out.
    Parameters that never had a gradient have none in what the table gives back.
    """

    def __init__(self, game: Game, size: int, storage: Storage):
        self._parameters = {name: game.parameters(name) for name in game.players}
        dtypes, weights = _dtypes(game, storage), _weights(game)
        self.rows = {n: torch.zeros(size, weights[n], dtype=dtypes[n], device=game.device) for n in game.players}
        self.mean = {n: torch.zeros(weights[n], dtype=torch.float64, device=game.device) for n in game.players}
        self._exists = {n: [False] * len(parameters) for n, parameters in self._parameters.items()}

    def clear(self) -> None:
        """Forget every row."""
        for name, rows in self.rows.items():
            rows.zero_()
            self.mean[name].zero_()
            self._exists[name] = [False] * len(self._exists[name])

    def pack(self, player: str, gradients: Sequence[Tensor | None]) -> Tensor:
        """One player's gradient as a row, in full precision."""
        pairs = list(zip(gradients, self._parameters[player], strict=True))
        self._exists[player] = [e or g is not None for e, (g, _) in zip(self._exists[player], pairs, strict=True)]
        flat = [(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs]
        return torch.cat(flat) if flat else self.mean[player].clone()

    def unpack(self, player: str, row: Tensor) -> list[Tensor | None]:
        """The inverse of ``pack``."""
        parameters = self._parameters[player]
        pieces = row.split([p.numel() for p in parameters])
        found = [v.reshape(p.shape).to(p.dtype) for v, p in zip(pieces, parameters, strict=True)]
        return [v if e else None for v, e in zip(found, self._exists[player], strict=True)]

    def write(self, player: str, number: int, row: Tensor) -> None:
        """Replace a row, and move the mean by the difference of what was stored and what is stored."""
        rows = self.rows[player]
        before = rows[number].to(torch.float64, copy=True)
        rows[number] = row
        self.mean[player] += (rows[number].double() - before) / len(rows)

    def state_dict(self) -> dict[str, Any]:
        copies = {key: {n: t.clone() for n, t in getattr(self, key).items()} for key in ("rows", "mean")}
        return {**copies, "exists": dict(self._exists)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.rows:
            self.rows[name].copy_(state["rows"][name])
            self.mean[name].copy_(state["mean"][name])
        self._exists = dict(state["exists"])


def check_budget(game: Game, size: int, storage: Storage, budget: float, owner: str) -> str:
    """What a table takes, in words; refused above ``budget`` GiB, before anything is allocated."""
    dtypes, weights = _dtypes(game, storage), _weights(game)
    gib = size * sum(weights[n] * dtypes[n].itemsize for n in weights) / 2**30
    kinds = ", ".join(sorted({str(d).removeprefix("torch.") for d in dtypes.values()}))
    what = f"{gib:.3g} GiB for {size} summands of {sum(weights.values())} weights at {kinds}"
    if gib > budget:
        raise InvalidValue(f"{owner} needs {what}, budget is {budget:g}: raise it, or take dtype='bfloat16' or batches")
    return f"the table of gradients takes {what}"


def _weights(game: Game) -> dict[str, int]:
    return {name: sum(p.numel() for p in game.parameters(name)) for name in game.players}


def _dtypes(game: Game, storage: Storage) -> dict[str, torch.dtype]:
    stored: torch.dtype | None = None if storage == "game" else getattr(torch, storage)
    return {name: stored or _dtype_of(game.parameters(name)) for name in game.players}


def _dtype_of(parameters: list[nn.Parameter]) -> torch.dtype:
    """The dtype that holds all of these weights."""
    dtype = parameters[0].dtype if parameters else torch.get_default_dtype()
    for p in parameters:
        dtype = torch.promote_types(dtype, p.dtype)
    return dtype
