"""What a network must do to play in a GAN here; each check raises ``AssertionError`` in words."""

from __future__ import annotations

import io
from collections.abc import Callable

import torch
from torch import Tensor, nn

from manypaths.penalties.base import input_gradients, norms
from manypaths.randomness import generator_for

BATCH = 4


def check_generator(
    make: Callable[[], nn.Module],
    *,
    latent: int,
    shape: tuple[int, ...],
    classes: int | None = None,
    bounded: bool = True,
) -> None:
    """Conformance of a generator: latents (N, latent), and labels (N,) where there are classes, to data (N, *shape).

    Deterministic under torch's seed; finite, in [-1, 1] where ``bounded``; the same in float32 and float64; pure and
    sample by sample in eval mode; its ``state_dict`` is complete; no parameter is without effect; labels count.
    """
    data = _check_network(make, (latent,), shape, classes)
    if bounded:
        assert data.abs().max() <= 1, f"data reach {float(data.abs().max()):.3g}: expected [-1, 1]"


def check_critic(make: Callable[[], nn.Module], *, shape: tuple[int, ...], classes: int | None = None) -> None:
    """Conformance of a critic: data (N, *shape), and labels (N,) where there are classes, to scores (N,).

    What ``check_generator`` checks, and: images in channels-last memory get equal scores; the gradient with respect to
    the data, which penalties read, is the plain one, moves no buffers, and is differentiable in the weights.
    """
    _check_network(make, shape, (), classes)
    data, *label = _inputs(shape, classes)
    if len(shape) == 3:
        plain, other = _network(make), _network(make).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        scores = plain(data, *label), other(data.to(memory_format=torch.channels_last), *label)
        assert _close(*scores, 1e-12), "channels-last images get other scores"
    _check_second_derivative(_network(make), data, label)


def _check_network(
    make: Callable[[], nn.Module], inputs: tuple[int, ...], outputs: tuple[int, ...], classes: int | None
) -> Tensor:
    network = _network(make)
    same = zip(_tensors(network), _tensors(_network(make)), strict=True)
    assert all(torch.equal(a, b) for a, b in same), "two networks of one seed differ: draw weights from torch's own"
    given = _inputs(inputs, classes)
    found = network(*given)
    assert found.shape == (BATCH, *outputs), f"shape {tuple(found.shape)}: expected {(BATCH, *outputs)}"
    assert torch.isfinite(found).all(), "the output is not finite"
    gradients = torch.autograd.grad(
        found.square().sum() + found.sum(), list(network.parameters()), allow_unused=True, retain_graph=True
    )
    idle = [n for (n, _), g in zip(network.named_parameters(), gradients, strict=True) if g is None]
    assert not idle, f"{idle[0]} has no effect on the output"

    network.eval()
    buffers = [b.clone() for b in network.buffers()]
    first, second = network(*given), network(*given)
    assert torch.equal(first, second), "two evaluations in eval mode differ"
    assert all(map(torch.equal, buffers, network.buffers())), "an evaluation in eval mode moved buffers"
    single = network(*(t[:1] for t in given))
    assert _close(first[:1], single, 1e-12), "in eval mode a sample's output depends on the others of its batch"
    loaded = _loaded(_network(make, seed=1).eval(), network.state_dict())
    assert torch.equal(first, loaded(*given)), "loading a state_dict gave another network: it misses something"
    coarse = loaded.float()(*(t.float() if t.is_floating_point() else t for t in given))
    assert coarse.dtype == torch.float32, "a float32 network returned float64"
    assert _close(first, coarse.double(), 1e-3), "float32 and float64 differ by more than rounding"
    if classes is not None:
        _check_labels(network, given[0], first, classes)
    return found.detach()


def _check_labels(network: nn.Module, data: Tensor, found: Tensor, classes: int) -> None:
    label = _inputs((), classes)[1]
    other = network(data, (label + 1) % classes)
    assert all(not torch.equal(a, b) for a, b in zip(found, other, strict=True)), "the label has no effect"
    try:
        network(data, label + classes)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return
    raise AssertionError(f"labels from {classes} on were not refused by a network of {classes} classes")


def _check_second_derivative(critic: nn.Module, data: Tensor, label: list[Tensor]) -> None:
    """The gradient of E ||grad_x s||, in the weights: against plain autograd, and against finite differences."""
    weights: list[Tensor] = list(critic.parameters())
    of_data = _Of(critic, label)
    buffers = [b.clone() for b in critic.buffers()]
    ours = norms(input_gradients(of_data, data)).mean()
    assert all(map(torch.equal, buffers, critic.buffers())), "the penalty's pass moved buffers"
    leaf = data.clone().requires_grad_()
    plain = norms(torch.autograd.grad(critic(leaf, *label).sum(), leaf, create_graph=True)[0]).mean()
    for a, b in zip(_grad(ours, weights), _grad(plain, weights), strict=True):
        assert _close(a, b, 1e-12), "the penalty's gradient is not the one of plain autograd"

    critic.eval()  # in train mode a spectral norm's vectors move with the weights, and no derivative sees it
    step = 1e-6
    direction = [torch.randn(w.shape, generator=generator_for(i, "direction")).to(w) for i, w in enumerate(weights)]
    slopes = _grad(norms(input_gradients(of_data, data)).mean(), weights)
    slope = sum(float((g * d).sum()) for g, d in zip(slopes, direction, strict=True))
    ends = []
    for sign in (1, -2):
        with torch.no_grad():
            torch._foreach_add_(weights, direction, alpha=sign * step)
        ends.append(float(norms(input_gradients(of_data, data)).mean().detach()))
    found = (ends[0] - ends[1]) / (2 * step)
    assert abs(slope - found) <= 1e-5 * (1 + abs(found)), f"the penalty's slope is {slope}: differences give {found}"


class _Of(nn.Module):
    """A critic with its labels filled in."""

    def __init__(self, critic: nn.Module, label: list[Tensor]):
        super().__init__()
        self.critic, self.label = critic, label

    def forward(self, data: Tensor) -> Tensor:
        return self.critic(data, *self.label)


def _network(make: Callable[[], nn.Module], *, seed: int = 0) -> nn.Module:
    """A seeded network in float64, a little away from its initial weights, where some are zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make().double().train()
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.1 * torch.randn_like(p))
    return network


def _inputs(shape: tuple[int, ...], classes: int | None) -> list[Tensor]:
    data = torch.randn(BATCH, *shape, generator=generator_for(0, "inputs"), dtype=torch.float64)
    return [data] if classes is None else [data, torch.arange(BATCH) % classes]


def _loaded(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """The network with a state that went through a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    network.load_state_dict(torch.load(file, weights_only=True))
    return network


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _grad(value: Tensor, weights: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool((a - b).abs().max() <= tolerance * (1 + a.abs().max()))
