"""A table of gradients: one row per component function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.games.base import Game

Storage = Literal["game", "float32", "bfloat16"]
"""Of a row: the dtype of the weights, or another one."""


class GradientTable:
    """Player -> rows (N, P), each a gradient rounded to the table's dtype.

    A row is read as views of it, in the shapes and the memory layout of the parameters; a parameter that has no
    gradient in any row has none.

    Args:
        pinned: in pinned memory of the host, from where rows go to the game's GPU.
    """

    def __init__(self, game: Game, size: int, storage: Storage, *, pinned: bool = False):
        dtypes, device = row_dtypes(game, storage), torch.device("cpu") if pinned else game.device
        self.rows = {
            name: torch.zeros(size, weights, dtype=dtypes[name], device=device, pin_memory=pinned)
            for name, weights in _weights(game).items()
        }
        self._forms = {
            name: [(p.numel(), p.shape, torch.empty_like(p, device="meta").stride()) for p in game.parameters(name)]
            for name in game.players
        }
        self._real = {name: [not p.is_complex() for p in game.parameters(name)] for name in game.players}
        self._size, self._device = size, game.device
        self.forget()

    def __len__(self) -> int:
        return self._size

    def forget(self) -> None:
        """All rows are about to be written anew."""
        self._exists = {name: [False] * len(forms) for name, forms in self._forms.items()}

    def read(self, player: str, number: int) -> list[Tensor | None]:
        """A row, in the table's own memory and dtype."""
        return self.views(player, self.rows[player][number].to(self._device, non_blocking=True))

    @torch.no_grad()
    def write(self, player: str, number: int, gradients: Sequence[Tensor | None]) -> None:
        """Replace a row."""
        self._exists[player] = [e or g is not None for e, g in zip(self._exists[player], gradients, strict=True)]
        pairs = list(zip(self._pieces(player, self.rows[player][number]), gradients, strict=True))
        for piece, g in pairs:
            if g is None:  # also where no row has one yet: a later row's would uncover what an older table had here
                piece.zero_()
        if found := [(piece, g) for piece, g in pairs if g is not None]:
            torch._foreach_copy_([piece for piece, _ in found], [g for _, g in found], non_blocking=True)

    def views(self, player: str, row: Tensor) -> list[Tensor | None]:
        """A vector (P,) as tensors of the parameters' shapes."""
        pieces = self._pieces(player, row)
        if row.is_complex():  # for the sake of some weights; the others' imaginary parts are zero
            pieces = [p.real if real else p for p, real in zip(pieces, self._real[player], strict=True)]
        return [piece if exists else None for piece, exists in zip(pieces, self._exists[player], strict=True)]

    def _pieces(self, player: str, row: Tensor) -> list[Tensor]:
        forms = self._forms[player]
        pieces = row.split([numel for numel, _, _ in forms])
        return [piece.as_strided(shape, stride) for piece, (_, shape, stride) in zip(pieces, forms, strict=True)]


def gib_per_row(game: Game, storage: Storage) -> float:
    """What one row takes."""
    dtypes = row_dtypes(game, storage)
    return sum(weights * dtypes[name].itemsize for name, weights in _weights(game).items()) / 2**30


def dtype_names(game: Game, storage: Storage) -> str:
    """The table's dtypes, in words."""
    return ", ".join(sorted({str(dtype).removeprefix("torch.") for dtype in row_dtypes(game, storage).values()}))


def _weights(game: Game) -> dict[str, int]:
    return {name: sum(p.numel() for p in game.parameters(name)) for name in game.players}


def row_dtypes(game: Game, storage: Storage) -> dict[str, torch.dtype]:
    """Player -> the dtype of its part of a row."""
    stored: torch.dtype | None = None if storage == "game" else getattr(torch, storage)
    whole = next((name for name in game.players if any(p.is_complex() for p in game.parameters(name))), None)
    if stored is not None and whole is not None:
        raise InvalidValue(
            f"a table of gradients at {storage!r} would lose the imaginary parts of {whole!r}: expected 'game'"
        )
    return {name: stored or _dtype_of(game.parameters(name)) for name in game.players}


def _dtype_of(parameters: list[nn.Parameter]) -> torch.dtype:
    """The dtype that holds all of these weights."""
    dtype = parameters[0].dtype if parameters else torch.get_default_dtype()
    for p in parameters:
        dtype = torch.promote_types(dtype, p.dtype)
    return dtype
