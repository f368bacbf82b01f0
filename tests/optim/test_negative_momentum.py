"""Heavy-ball SGD with momentum of either sign."""

from __future__ import annotations

import copy

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.optim import OPTIMISERS
from manypaths.optim.negative_momentum import NegativeMomentumSGD
from manypaths.specs import Spec


def descend(optimiser, p: torch.nn.Parameter, steps: int) -> list[torch.Tensor]:
    path = []
    for t in range(1, steps + 1):
        p.grad = p.detach() * torch.tensor([1.0, 3.0], dtype=p.dtype) + 1 / t
        optimiser.step()
        path.append(p.detach().clone())
    return path


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_torch_where_torch_allows_it(beta, weight_decay) -> None:
    ours, theirs = parameter(), parameter()
    mine = NegativeMomentumSGD([ours], lr=0.1, momentum=beta, weight_decay=weight_decay)
    stock = torch.optim.SGD([theirs], lr=0.1, momentum=beta, weight_decay=weight_decay)
    for a, b in zip(descend(mine, ours, 10), descend(stock, theirs, 10), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("foreach", [False, True])
def test_equals_its_formula(foreach) -> None:
    p = parameter()
    optimiser = NegativeMomentumSGD([{"params": [p], "foreach": foreach}], lr=0.1, momentum=-0.4)
    w, v = p.detach().clone(), torch.zeros(2, dtype=torch.float64)
    for t, got in enumerate(descend(optimiser, p, 20), start=1):
        v = -0.4 * v + w * torch.tensor([1.0, 3.0], dtype=torch.float64) + 1 / t
        w = w - 0.1 * v
        assert (got - w).abs().max() < 1e-15


def test_state_survives_and_groups_may_differ() -> None:
    p = parameter()
    one = NegativeMomentumSGD([p], lr=0.1, momentum=-0.4)
    q = torch.nn.Parameter(descend(one, p, 3)[-1].clone())
    other = NegativeMomentumSGD([q], lr=0.5, momentum=-0.9)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(descend(one, p, 3)[-1], descend(other, q, 3)[-1])
    groups = NegativeMomentumSGD([{"params": [p]}, {"params": [q], "momentum": -0.1}], momentum=-0.2)
    groups.add_param_group({"params": [parameter()]})
    assert [group["momentum"] for group in groups.param_groups] == [-0.2, -0.1, -0.2]


def test_in_the_table_and_refusals() -> None:
    assert OPTIMISERS["negative-momentum"] is NegativeMomentumSGD
    with pytest.raises(InvalidValue, match=r"momentum is -1.0: expected a number > -1 and < 1"):
        NegativeMomentumSGD([parameter()], momentum=-1.0)
    with pytest.raises(InvalidValue, match=r"negative-momentum.momentum is 2.0: expected a number > -1 and < 1"):
        Spec(NegativeMomentumSGD, momentum=2.0)
    with pytest.raises(ValueError, match="empty parameter list"):
        NegativeMomentumSGD([])
