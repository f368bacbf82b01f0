"""Convolutions as the same sums by other public routes: unfolded patches and matrix products.

Every route is differentiable any number of times and equal to torch's own convolution up to the order of sums. The
routes take a square stride and padding, one group and no dilation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from manypaths.evaluation.patches import patches, placed

Route = Callable[[Tensor, Tensor, int, int], Tensor]
"""Data (n, c, h, w), weight, stride, padding -> the sum without its bias."""
Product = Callable[[Tensor, Tensor], Tensor]


def _columns(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """y = W X, with the patches of the data as the columns of X (im2col)."""
    kernel = weight.shape[2:]
    size = [(n + 2 * padding - k) // stride + 1 for n, k in zip(data.shape[2:], kernel, strict=True)]
    columns = F.unfold(data, tuple(kernel), padding=padding, stride=stride).unflatten(2, size)
    return F.conv2d(columns, weight.flatten(1)[:, :, None, None])


def _folded(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The transpose of ``_columns``: y = fold(W'x), every input pixel's patch added into its place (col2im)."""
    kernel = weight.shape[2:]
    size = [(n - 1) * stride - 2 * padding + k for n, k in zip(data.shape[2:], kernel, strict=True)]
    columns = F.conv2d(data, weight.flatten(1).t()[:, :, None, None])
    return F.fold(columns.flatten(2), tuple(size), tuple(kernel), padding=padding, stride=stride)


def _rows(multiply: Product, data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """``_columns`` with the channels last: Y = X W', with the patches as the rows of X."""
    rows = patches(data.permute(0, 2, 3, 1), _kernel(weight), stride, padding)
    return multiply(rows, weight.permute(0, 2, 3, 1).flatten(1).t()).permute(0, 3, 1, 2)


def _placed_rows(multiply: Product, data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The transpose of ``_rows``: y = placed(X W), the pixels as the rows of X."""
    kernel = _kernel(weight)
    size = [(n - 1) * stride - 2 * padding + k for n, k in zip(data.shape[2:], kernel, strict=True)]
    found = multiply(data.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1).flatten(1))
    return placed(found, (size[0], size[1]), kernel, stride, padding).permute(0, 3, 1, 2)


def _pointwise(rows: Tensor, matrix: Tensor) -> Tensor:
    """The product as a convolution of one pixel: another library's kernel."""
    return F.conv2d(rows.permute(0, 3, 1, 2), matrix.t()[:, :, None, None]).permute(0, 2, 3, 1)


def _kernel(weight: Tensor) -> tuple[int, int]:
    return weight.shape[2], weight.shape[3]


def _product(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Where the input is one pixel and nothing is cut off, a transposed convolution is one matrix product."""
    return (data.flatten(1) @ weight.flatten(1)).unflatten(1, tuple(weight.shape[1:]))


ROUTES: dict[Any, dict[str, Route]] = {
    torch.conv2d: {
        "columns": _columns,
        "rows": partial(_rows, torch.matmul),
        "rows, pointwise": partial(_rows, _pointwise),
    },
    torch.conv_transpose2d: {
        "folded": _folded,
        "rows": partial(_placed_rows, torch.matmul),
        "rows, pointwise": partial(_placed_rows, _pointwise),
        "product": _product,
    },
}
"""What stands beside torch's own, by its function and by name."""
