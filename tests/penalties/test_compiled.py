"""Penalties under ``torch.compile``: value and weight gradients (second derivatives) equal eager float64."""

from __future__ import annotations

import pytest
import torch

from manypaths.models.dcgan import DcganCritic
from manypaths.models.mlp import MlpCritic
from manypaths.penalties import PENALTIES
from manypaths.sources.gan_sample import GanSample

CRITICS = {
    "mlp": (lambda: MlpCritic(hidden=(8,)), (2,)),
    "dcgan, BatchNorm": (lambda: DcganCritic(size=8, width=2), (1, 8, 8)),
}


def disagreement(name: str, kind: str, backend: str) -> float:
    """The largest difference between compiled and eager, over the penalty and its weight gradients, in float64.

    Relative to the larger of 1 and what it is a difference of.
    """
    make, shape = CRITICS[kind]
    critic, fake = make().double(), torch.randn(4, *shape, dtype=torch.float64)
    s = GanSample(torch.randn(4, *shape, dtype=torch.float64), torch.randn(4, 2), torch.arange(4))
    penalty = PENALTIES[name](every=2) if name == "lazy" else PENALTIES[name]()
    torch._dynamo.reset()
    whole = name != "lazy"  # how many samples it chooses depends on the data, which breaks the graph
    compiled = torch.compile(lambda s, fake: penalty(critic, s, fake), backend=backend, fullgraph=whole)
    values = penalty(critic, s, fake), compiled(s, fake)
    assert float(values[0].detach()) > 0, "a penalty of zero would agree with anything"
    weights = list(critic.parameters())
    eager, fast = ([v.detach(), *torch.autograd.grad(v, weights, materialize_grads=True)] for v in values)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1.0)) for a, b in zip(eager, fast, strict=True))


@pytest.mark.parametrize("name", PENALTIES)
def test_one_graph_ahead_of_time(name) -> None:
    assert disagreement(name, "mlp", "aot_eager") < 1e-10


def test_one_graph_of_a_batchnorm_critic() -> None:
    assert disagreement("r1", "dcgan, BatchNorm", "aot_eager") < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("kind", CRITICS)
@pytest.mark.parametrize("name", PENALTIES)
def test_inductor(name, kind) -> None:
    assert disagreement(name, kind, "inductor") < 1e-10
