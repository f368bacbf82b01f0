"""The trained generator on its own: safetensors and plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.games.structure import UNLISTED, complete_state, load_complete_state
from manypaths.optim.averaging.base import LAST
from manypaths.run.evaluation import evaluated
from manypaths.run.recipe import Recipe
from manypaths.run.record import RunDirectory
from manypaths.training import Training


def export_generators(directory: RunDirectory, training: Training, *, seed: int) -> None:
    """Write ``generator-<which>.safetensors`` for the last iterate and for each average, as they are evaluated."""
    from safetensors.torch import save

    from manypaths.files import write_atomically

    for which in ready(training):
        with evaluated(training, which, seed=seed) as generator:
            tensors = _tensors(generator)
            about = {"step": str(training.steps), "checksum": _checksum(tensors)}
            write_atomically(weights_file(directory, which), save(tensors, about))


def expect_exportable(generator: nn.Module) -> None:
    """Refuse what a file of tensors cannot hold, before training and not after it."""
    from safetensors import SafetensorError
    from safetensors.torch import save

    for name, tensor in _tensors(generator).items():
        try:
            save({"tensor": tensor.flatten()[:0].clone()})
        except (KeyError, ValueError, SafetensorError) as error:
            raise InvalidType(
                f"the generator's {name!r} has the dtype {tensor.dtype}, which safetensors files do not hold: expected "
                "real numbers or complex64"
            ) from error


def _tensors(generator: nn.Module) -> dict[str, Tensor]:
    """All state of a generator, each in memory of its own: tied weights share theirs, which the format refuses."""
    state = complete_state(generator)
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided:
            raise InvalidType(
                f"the generator keeps {name!r}, which is no plain tensor and cannot be exported: expected a parameter "
                "or a buffer (register_buffer)"
            )
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def ready(training: Training) -> list[str]:
    """The last iterate and the averages that have seen at least one point."""
    return [LAST, *(name for name, average in training.averages.items() if average.count)]


def weights_file(directory: RunDirectory, which: str) -> Path:
    return directory.path / f"generator-{which}.safetensors"


def load(run: str | Path, average: str = LAST, *, trust_code: bool = False) -> nn.Module:
    """The generator of a run, in eval mode: ``load("runs/digits-svre", average="ema")``.

    ``average`` is ``"last"`` or the name of one of the run's averages, whose BatchNorm statistics were recomputed. It
    maps latents (N, latent), and labels (N,) where the game is conditional, to data in the range that the run's
    ``source.pixels`` says. A run that somebody else made may name code of theirs, which runs only with
    ``trust_code=True``.
    """
    directory = RunDirectory(Path(run))
    if not directory.exists():
        raise InvalidValue(f"{run} holds no run: expected a directory with a recipe.json")
    prefix, suffix = "generator-", ".safetensors"
    found = {p.name[len(prefix) : -len(suffix)]: p for p in directory.path.glob(f"{prefix}*{suffix}")}
    if not found:
        raise InvalidValue(f"{run} has no exported generator yet: let it finish, or run manypaths evaluate {run}")
    if average not in found:
        raise unknown_name("average", average, found)
    recipe = Recipe.read(directory.recipe, trust_code=trust_code)
    with torch.random.fork_rng(devices=[]):  # whatever a new network draws is overwritten
        generator = recipe.game.settings["generator"].build()
    unlisted = {name: b for name, b in complete_state(generator).items() if name.startswith(UNLISTED)}
    state = {**unlisted, **_read(found[average], run)}  # files of before have none of these
    try:
        load_complete_state(generator, state)
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InvalidType(f"{found[average]} is of another generator than {directory.recipe} says: {reason}") from error
    return generator.eval()


def _read(path: Path, run: str | Path) -> dict[str, Tensor]:
    """The tensors of a file, compared with the checksum that was written beside them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            expected = (file.metadata() or {}).get("checksum")
        damage = None if expected in (None, _checksum(tensors)) else "its checksum is wrong"
    except (SafetensorError, OSError, ValueError) as error:
        tensors, damage = {}, str(error)
    if damage is not None:
        raise InvalidValue(
            f"{path} is damaged ({damage}): manypaths evaluate {run} writes it again from the checkpoint"
        )
    return tensors


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names, kinds, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
