"""Patches with the channels last, against torch's own with the channels first, and as a linear map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from manypaths.evaluation.patches import patches, placed

HOW = [((4, 4), 2, 1), ((3, 2), 1, 0), ((3, 3), 2, 1), ((2, 3), 3, 2), ((1, 1), 1, 0)]
SIZE = (6, 7)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("how", HOW)
def test_patches_are_those_of_torch_in_another_order(how) -> None:
    kernel, stride, padding = how
    images = drawn(2, *SIZE, 3)
    found = patches(images, kernel, stride, padding)
    blocks = F.unfold(images.permute(0, 3, 1, 2), kernel, padding=padding, stride=stride)
    expected = blocks.unflatten(1, (3, -1)).permute(0, 3, 2, 1).flatten(2)  # N, L, (i, j), C
    assert found.is_contiguous()
    assert torch.equal(found.flatten(1, 2), expected)


@pytest.mark.parametrize("how", HOW)
def test_placed_is_the_adjoint(how) -> None:
    """<patches(x), y> = <x, placed(y)>; pixels that no patch reaches get 0."""
    images = drawn(2, *SIZE, 3)
    found = patches(images, *how)
    other = drawn(*found.shape)
    back = placed(other, SIZE, *how)
    assert back.shape == images.shape
    torch.testing.assert_close((found * other).sum(), (images * back).sum(), rtol=1e-12, atol=1e-12)


FORWARD = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
"""torch's own, on the first use of forward mode."""


@FORWARD
@pytest.mark.parametrize("how", HOW)
def test_derivatives_of_either_order_and_direction(how) -> None:
    images = drawn(2, *SIZE, 2).requires_grad_()
    rows = drawn(*patches(images, *how).shape).requires_grad_()
    for of, at in ((lambda x: patches(x, *how), images), (lambda x: placed(x, SIZE, *how), rows)):
        assert torch.autograd.gradcheck(of, at, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(lambda x, of=of: of(x.square()), at)


@FORWARD
def test_a_map_over_a_further_dimension() -> None:
    """torch.func's maps, and its Jacobians of a product, see one image at a time."""
    how = HOW[0]
    images = drawn(2, 3, *SIZE, 2)
    found = torch.vmap(lambda x: patches(x, *how), in_dims=1)(images)
    assert torch.equal(found, torch.stack([patches(images[:, i], *how) for i in range(3)]))
    back = torch.vmap(lambda y: placed(y, SIZE, *how))(found)
    assert torch.equal(back, torch.stack([placed(y, SIZE, *how) for y in found]))
    jacobian = torch.func.jacrev(lambda x: patches(x, *how).sum((0, 1, 2)))(images[:, 0])
    torch.testing.assert_close(torch.func.jacfwd(lambda x: patches(x, *how).sum((0, 1, 2)))(images[:, 0]), jacobian)


def test_what_is_made_is_contiguous_and_shares_no_memory() -> None:
    images = drawn(2, 3, *SIZE)
    for last in (images.permute(0, 2, 3, 1), images.permute(0, 2, 3, 1).contiguous()):
        before = last.clone()
        found = patches(last, (1, 1), 1, 0)
        assert found.is_contiguous()
        found.add_(1)
        assert torch.equal(last, before)
