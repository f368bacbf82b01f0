"""FID: the Frechet distance in the features of the standard Inception network, and in no other's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from manypaths import fields
from manypaths.data.base import DATA_VARIABLE, data_directory
from manypaths.errors import InvalidType, InvalidValue, MissingData
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score, apply
from manypaths.metrics.frechet import frechet_distance

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""torch-fidelity's conversion of the original network; the name ends in the beginning of its sha256."""

SOURCE = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"


@dataclass(frozen=True)
class Fid(SampleMetric):
    """FID (Heusel et al. 2017): the Frechet distance in the 2048 features of the standard Inception network.

    The network is torch-fidelity's, through torchmetrics, with the original resizing to 299 pixels; grey images are
    repeated in three channels. ``weights`` is a file, ``<data directory>/inception/`` + ``WEIGHTS`` by default; it is
    never downloaded, and read only when its sha256 begins as its name says, because reading it runs pickle.
    """

    weights: fields.PickleFile | None = None

    def __post_init__(self) -> None:
        fields.check(self)

    def prepare(self, kind: Kind) -> None:
        super().prepare(kind)
        if not self.file.exists():
            raise MissingData(
                f"FID needs {WEIGHTS}, which is not at {self.file}: fetch {SOURCE}, put it there or name the directory "
                f"above inception/ with --data-dir or {DATA_VARIABLE}, and pip install 'manypaths[fid]'"
            )
        if missing := [name for name in ("torch_fidelity", "torchvision") if find_spec(name) is None]:
            raise InvalidType(f"FID needs {' and '.join(missing)}: pip install 'manypaths[fid]'")

    def measure(self, samples: SampleSets) -> list[Score]:
        net = inception(self.file)
        features = lambda images: apply(lambda part: net(_colour(part)), images, chunk=50)  # noqa: E731
        sides = features(samples.generated), samples.of_reference(f"inception, {self.file}", features)
        grey = "; grey images repeated in three channels" if samples.generated.shape[1] == 1 else ""
        protocol = f"2048 pooled features, the original's bilinear resizing to 299 pixels, float64 covariances{grey}"
        counts = len(samples.generated), len(samples.reference)
        return [Score("FID", frechet_distance(*sides), None, f"Inception, {WEIGHTS}", *counts, protocol)]

    @property
    def file(self) -> Path:
        return Path(self.weights).expanduser() if self.weights else data_directory() / "inception" / WEIGHTS


def inception(file: Path) -> nn.Module:
    """The standard network: uint8 images (N, 3, H, W) to features (N, 2048)."""
    begins = WEIGHTS.rpartition("-")[2].removesuffix(".pth")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if not digest.startswith(begins):
        raise InvalidValue(f"{file} has sha256 {digest[:8]}...: expected {begins}..., the standard Inception weights")
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3("inception-v3-compat", ["2048"], str(file), antialias=False)


def _colour(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
