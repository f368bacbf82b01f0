"""Patches of images, and their adjoint, in the order in memory that a matrix product reads and writes."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

Size = tuple[int, int]


def patches(images: Tensor, kernel: Size, stride: int, padding: int) -> Tensor:
    """P[n, y, x, (i, j, c)] = images[n, y s - p + i, x s - p + j, c], with zeros outside.

    Of (N, H, W, C), the channels last, the contiguous (N, Y, X, kernel[0] kernel[1] C): a convolution is then one
    matrix product, and the rows are read in runs of C numbers. (``F.unfold`` takes the channels first.) Differentiable
    any number of times: its derivative is ``placed``, and of ``placed`` it is the derivative.
    """
    return cast(Tensor, _Patches.apply(images, kernel, stride, padding))


def placed(rows: Tensor, size: Size, kernel: Size, stride: int, padding: int) -> Tensor:
    """The adjoint of ``patches``: (N, Y, X, k k' C) to (N, *size, C), each patch added into its place."""
    return cast(Tensor, _Placed.apply(rows, size, kernel, stride, padding))


class _Patches(Function):
    @staticmethod
    def forward(images: Tensor, kernel: Size, stride: int, padding: int) -> Tensor:
        framed = F.pad(images, (0, 0, padding, padding, padding, padding)) if padding else images
        windows = framed.unfold(1, kernel[0], stride).unfold(2, kernel[1], stride)  # N, Y, X, C, i, j
        n, down, across, channels = windows.shape[:4]
        rows = images.new_empty(n, down, across, kernel[0] * kernel[1] * channels)
        rows.view(n, down, across, *kernel, channels).copy_(windows.permute(0, 1, 2, 4, 5, 3))
        return rows

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, *ctx.how = inputs
        ctx.size = tuple(images.shape[1:3])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return placed(grads[0], ctx.size, *ctx.how), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return patches(tangents[0], *ctx.how)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return _batched(patches, in_dims[0], *inputs)


class _Placed(Function):
    @staticmethod
    def forward(rows: Tensor, size: Size, kernel: Size, stride: int, padding: int) -> Tensor:
        n, down, across, numbers = rows.shape
        channels = numbers // (kernel[0] * kernel[1])
        windows = rows.reshape(n, down, across, *kernel, channels)
        framed = rows.new_zeros(n, size[0] + 2 * padding, size[1] + 2 * padding, channels)
        for i in range(0, kernel[0], stride):  # blocks of a stride's length: within one, no two patches overlap
            for j in range(0, kernel[1], stride):
                block = windows[:, :, :, i : i + stride, j : j + stride]
                height, width = block.shape[3:5]
                strip = framed[:, i : i + (down - 1) * stride + height].unfold(1, height, stride)
                places = strip[:, :, j : j + (across - 1) * stride + width].unfold(2, width, stride)
                places += block.permute(0, 1, 2, 5, 3, 4)
        if not padding:
            return framed
        inner = framed[:, padding : padding + size[0], padding : padding + size[1]]
        return inner.clone(memory_format=torch.contiguous_format)  # a view would refuse to be changed in place

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.size, *ctx.how = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return patches(grads[0], *ctx.how), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return placed(tangents[0], ctx.size, *ctx.how)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return _batched(placed, in_dims[0], *inputs)


def _batched(of: Any, dim: int, tensor: Tensor, *how: Any) -> tuple[Tensor, int]:
    """A map over a further dimension: images are independent, and more of them are."""
    moved = torch.movedim(tensor, dim, 0)
    return of(moved.flatten(0, 1), *how).unflatten(0, moved.shape[:2]), 0
