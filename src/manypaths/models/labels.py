"""How labels enter conditional networks; with ``classes=None`` none of it adds a weight."""

from __future__ import annotations

from torch import Tensor, nn

from manypaths.errors import InvalidType


class ClassEmbedding(nn.Embedding):
    """One vector per class; labels outside 0 ... classes - 1 are refused (on a GPU, by torch's own assertion)."""

    def forward(self, input: Tensor) -> Tensor:
        try:
            return super().forward(input)
        except IndexError as error:
            low, high = int(input.min()), int(input.max())
            raise InvalidType(
                f"labels reach from {low} to {high} and the network has {self.num_embeddings} classes: "
                f"expected 0 to {self.num_embeddings - 1}"
            ) from error


class Conditional(nn.Module):
    """A network that takes labels, (N,) class indices, where it has ``classes``."""

    classes: int | None

    def expect(self, label: Tensor | None) -> None:
        """Labels exactly where there are classes, one index per sample."""
        name = type(self).__name__
        if self.classes is None and label is not None:
            raise InvalidType(f"{name} got labels and has no classes: expected classes=10, or their number in the data")
        if self.classes is not None and label is None:
            raise InvalidType(f"{name} has {self.classes} classes and got no labels: expected conditional=True")
        if label is not None and (label.ndim != 1 or label.is_floating_point()):
            raise InvalidType(
                f"labels are {label.dtype} of shape {tuple(label.shape)}: expected one class index per sample, (N,)"
            )


class AddedLabel(nn.Module):
    """z + e(y): each class shifts the latents by a vector of its own, N(0, I) at the start."""

    def __init__(self, classes: int | None, latent: int):
        super().__init__()
        self.embed = None if classes is None else ClassEmbedding(classes, latent)

    def forward(self, latent: Tensor, label: Tensor | None) -> Tensor:
        return latent if self.embed is None or label is None else latent + self.embed(label)


class Projection(nn.Module):
    """s + <e(y), phi>: the projection of Miyato and Koyama (2018), with e(y) ~ N(0, I / width) at the start."""

    def __init__(self, classes: int | None, width: int):
        super().__init__()
        self.embed = None if classes is None else ClassEmbedding(classes, width)
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, 0.0, width**-0.5)

    def forward(self, score: Tensor, features: Tensor, label: Tensor | None) -> Tensor:
        if self.embed is None or label is None:
            return score
        return score + (self.embed(label) * features.reshape(*features.shape[:2], -1).sum(2)).sum(1)


class ProjectionCritic(Conditional):
    """s(x, y) = psi(phi(x)) + <e(y), phi(x)>: psi is the last of the ``layers``, phi all before it.

    Where phi(x) is a map, the product reads its sum over pixels. Without classes, s(x) = psi(phi(x)).
    """

    layers: nn.Sequential
    projection: Projection

    def forward(self, data: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        *body, head = self.layers
        for layer in body:
            data = layer(data)
        return self.projection(head(data).flatten(), data, label)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm with a scale and a shift per class (de Vries et al. 2017), 1 and 0 at the start."""

    def __init__(self, classes: int, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = ClassEmbedding(classes, channels), ClassEmbedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, data: Tensor, label: Tensor) -> Tensor:
        scale, shift = (embed(label)[:, :, None, None] for embed in (self.scale, self.shift))
        return self.norm(data) * scale + shift


def batch_norm(channels: int, classes: int | None) -> nn.Module:
    """BatchNorm, conditional where there are classes."""
    return nn.BatchNorm2d(channels) if classes is None else ConditionalBatchNorm(classes, channels)


class Labelled(nn.Sequential):
    """Layers in order; those that take a label get it."""

    def forward(self, input: Tensor, label: Tensor | None = None) -> Tensor:
        for layer in self:
            takes = isinstance(layer, (ConditionalBatchNorm, Labelled))
            input = layer(input, label) if takes else layer(input)
        return input
