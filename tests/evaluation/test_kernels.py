"""Every route to a convolution is the convolution."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manypaths.evaluation import convolution_routes, kernels
from manypaths.evaluation.execution import Execution
from manypaths.evaluation.kernels import TunedConvolutions
from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.paired import PairedSource
from manypaths.training import Training
from manypaths.vectors import flat

CALLS: list[tuple[Any, Any]] = [
    (torch.conv2d, nn.Conv2d(3, 5, 4, 2, 1)),
    (torch.conv2d, nn.Conv2d(3, 5, 3, bias=False)),
    (torch.conv2d, nn.Conv2d(3, 5, (2, 4), 1, 1)),
    (torch.conv_transpose2d, nn.ConvTranspose2d(3, 5, 4, 2, 1)),
    (torch.conv_transpose2d, nn.ConvTranspose2d(3, 5, 4, 2, bias=False)),
    (torch.conv_transpose2d, nn.ConvTranspose2d(3, 5, (3, 2), 1, 1)),
]
ROUTES = ["columns", "folded", "rows", "rows, pointwise"]


def forced(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def choose(func: Any, *rest: Any) -> str:
        return name if name in convolution_routes.ROUTES[func] else "native"

    monkeypatch.setattr(kernels, "_fastest", choose)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: repr(call[1]))
def test_a_route_is_the_convolution_up_to_second_derivatives(call: Any, route: str, monkeypatch: Any) -> None:
    forced(monkeypatch, route)
    torch.manual_seed(0)
    module, data = call[1].double(), torch.randn(2, 3, 6, 5, dtype=torch.float64, requires_grad=True)

    def derivatives() -> list[Tensor]:
        out = module(data)
        first = torch.autograd.grad(out.square().sum(), [data, *module.parameters()], create_graph=True)
        second = torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), [data, *module.parameters()])
        return [out, *first, *second]

    plain = derivatives()
    with TunedConvolutions():
        tuned = derivatives()
    for one, other in zip(tuned, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_one_pixel_is_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch, "product")
    torch.manual_seed(0)
    module, data = nn.ConvTranspose2d(7, 5, (3, 2), 2).double(), torch.randn(2, 7, 1, 1, dtype=torch.float64)
    with TunedConvolutions():
        tuned = module(data)
    torch.testing.assert_close(tuned, module(data), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.conv2d(x, torch.ones(4, 2, 3, 3), groups=2),
        lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), dilation=2),
        lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), stride=(1, 2)),
        lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), padding="same"),
        lambda x: F.conv_transpose2d(x, torch.ones(4, 4, 3, 3), stride=2, output_padding=1),
        lambda x: F.conv2d(x[0], torch.ones(4, 4, 3, 3)),
    ],
    ids=["groups", "dilation", "stride", "padding", "output padding", "3-d"],
)
def test_what_is_left_to_torch(call: Any) -> None:
    data, mode = torch.ones(2, 4, 8, 8), TunedConvolutions()
    with mode:
        found = call(data)
    assert torch.equal(found, call(data))
    assert mode.state_dict() == {"choices": []}


def test_the_fastest_is_chosen_and_ties_go_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"native": 1.0, "columns": 0.95, "folded": 0.5, "rows": 0.96, "rows, pointwise": 2.0}
    monkeypatch.setattr(kernels, "_seconds", lambda of, inputs: seconds[of.args[1]])
    mode, data = TunedConvolutions(), torch.ones(1, 2, 4, 4)
    with mode:
        F.conv2d(data, torch.ones(3, 2, 3, 3))
        F.conv_transpose2d(data, torch.ones(2, 3, 3, 3))
    chosen = mode.state_dict()["choices"]
    assert [(key[0], name) for key, name in chosen] == [("convolution", "native"), ("transposed convolution", "folded")]
    other = TunedConvolutions()
    other.load_state_dict(json.loads(json.dumps(mode.state_dict())))
    assert other.state_dict() == mode.state_dict()


def test_two_threads_agree_on_a_choice() -> None:
    mode, weight, found = TunedConvolutions(), torch.ones(3, 2, 3, 3), []

    def work() -> None:
        with mode:
            found.append(F.conv2d(torch.ones(1, 2, 8, 8), weight))

    threads = [threading.Thread(target=work) for _ in range(2)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert torch.equal(found[0], found[1])
    assert len(mode.state_dict()["choices"]) == 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_penalised_game_has_the_same_field(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The penalty differentiates twice, inside a transform of torch.func."""
    forced(monkeypatch, route)
    torch.manual_seed(0)
    generator, critic = DcganGenerator(size=8, latent=4, width=4), DcganCritic(size=8, width=4, norm="none")
    game = Adversarial(generator.double(), critic.double(), objective=NonSaturating(), penalties=[GradientPenalty()])
    sample = PairedSource(torch.randn(8, 1, 8, 8, dtype=torch.float64), latent=4).sample(8)
    plain = flat(game.gradients(sample))
    Execution(kernels="tuned").prepare(game)
    torch.testing.assert_close(flat(game.gradients(sample)), plain, rtol=0, atol=1e-12)


def test_measuring_works_and_a_transform_is_no_place_for_it() -> None:
    mode, weight = TunedConvolutions(), torch.ones(3, 2, 3, 3)

    def total(data: Tensor) -> Tensor:
        return F.conv2d(data, weight).sum()

    data = torch.ones(1, 2, 8, 8)
    with mode:
        inside = torch.func.grad(total)(data)
    assert mode.state_dict() == {"choices": []}
    with mode:
        total(data)
    assert len(mode.state_dict()["choices"]) == 1
    torch.testing.assert_close(inside, torch.func.grad(total)(data))


def test_a_resumed_training_keeps_its_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = []
    for _ in range(2):
        torch.manual_seed(0)
        game = Adversarial(
            DcganGenerator(size=8, latent=4, width=4), DcganCritic(size=8, width=4), objective=NonSaturating()
        )
        Execution(kernels="tuned").prepare(game)
        source = PairedSource(torch.randn(8, 1, 8, 8), latent=4)
        optimizers = {name: torch.optim.SGD(game.parameters(name), lr=1e-2) for name in game.players}
        trainings.append(Training(game, Stochastic(source, batch=4), Simultaneous(), optimizers))
    first, second = trainings
    first.step()
    second.load_state_dict(first.state_dict())
    monkeypatch.setattr(kernels, "_seconds", None)  # nothing is timed any more
    second.step()
    assert second.state_dict()["execution"] == first.state_dict()["execution"]
    assert len(first.state_dict()["execution"]["choices"]) == 6


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_keeps_the_order_in_memory(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch, route)
    data = torch.randn(2, 3, 6, 6)
    for module in (nn.Conv2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1)):
        module.to(memory_format=torch.channels_last)
        with TunedConvolutions():
            found = module(data.contiguous(memory_format=torch.channels_last))
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, module(data))


ORDERS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [(1, 4), (4, 1), (4, 3), (1, 1)])
@pytest.mark.parametrize("route", ["native", *ROUTES])
def test_strides_are_those_of_torch(route, channels, order, monkeypatch) -> None:
    """A tensor of one channel is contiguous in both orders: its strides say which is meant, to the layers behind."""
    forced(monkeypatch, route)
    torch.manual_seed(0)
    whole = torch.randn(5, channels[0] + 1, 8, 8).contiguous(memory_format=order)
    for images in (whole[:, 1:].contiguous(), whole[:, 1:]):  # the second is sliced out of a larger one
        for layer in (nn.Conv2d(*channels, 4, 2, 1), nn.ConvTranspose2d(*channels, 4, 2, 1)):
            layer.to(memory_format=order)
            expected = layer(images)
            with TunedConvolutions():
                found = layer(images)
            assert found.stride() == expected.stride()
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("route", ["native", *ROUTES])
def test_an_empty_batch(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch, route)
    for layer in (nn.Conv2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1)):
        images = torch.zeros(0, 3, 6, 6, requires_grad=True)
        with TunedConvolutions():
            found = layer(images)
            found.sum().backward()
        assert found.shape == layer(images).shape
        assert layer.weight.grad is not None
        assert not layer.weight.grad.any()


@pytest.mark.parametrize("route", ["native", *ROUTES])
def test_an_activation_in_place_behind_a_layer(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch, route)
    torch.manual_seed(0)
    for order in ORDERS:
        for layer in (nn.Conv2d(3, 5, 4), nn.ConvTranspose2d(3, 5, 4), nn.ConvTranspose2d(3, 5, 3, 1, 1)):
            net = nn.Sequential(layer, nn.ReLU(inplace=True)).to(memory_format=order)
            images = torch.randn(2, 3, 6, 6).contiguous(memory_format=order)
            plain = torch.autograd.grad(net(images).sum(), list(net.parameters()))
            with TunedConvolutions():
                tuned = torch.autograd.grad(net(images).sum(), list(net.parameters()))
            torch.testing.assert_close(tuned, plain, rtol=1e-4, atol=1e-4)


def test_a_route_that_fails_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def broken(*call: Any) -> Tensor:
        asked.append(call)
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setitem(convolution_routes.ROUTES, torch.conv2d, {"broken": broken})
    mode = TunedConvolutions()
    with mode:
        for _ in range(2):
            F.conv2d(torch.ones(1, 2, 8, 8), torch.ones(3, 2, 3, 3))
    assert len(asked) == 1
    assert [name for _, name in mode.state_dict()["choices"]] == ["native"]


def test_a_route_that_is_unknown_is_chosen_anew() -> None:
    mode = TunedConvolutions()
    mode.load_state_dict({"choices": [[["convolution", [1, 2]], "of another version"]]})
    assert mode.state_dict() == {"choices": []}


def test_where_nothing_can_be_differentiated_nothing_is_timed() -> None:
    mode = TunedConvolutions()
    with mode, torch.inference_mode():
        F.conv2d(torch.ones(1, 2, 8, 8), torch.ones(3, 2, 3, 3))
    assert mode.state_dict() == {"choices": []}


@pytest.mark.parametrize("route", ["native", *ROUTES])
def test_a_map_over_members(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every member has weights of its own, as in a population."""
    forced(monkeypatch, route)
    generator = torch.Generator().manual_seed(0)
    data, down, up = (
        torch.randn(*shape, dtype=torch.float64, generator=generator)
        for shape in ((3, 2, 4, 6, 6), (3, 5, 4, 4, 4), (3, 4, 5, 4, 4))
    )
    for of, weight in ((F.conv2d, down), (F.conv_transpose2d, up)):

        def one(x: Tensor, w: Tensor, of: Any = of) -> Tensor:
            return of(x, w, stride=2, padding=1)

        with TunedConvolutions():
            found = torch.vmap(one)(data, weight)
        torch.testing.assert_close(found, torch.stack([one(*pair) for pair in zip(data, weight, strict=True)]))


@pytest.mark.parametrize("route", ["native", *ROUTES])
def test_under_autocast_a_bias_changes_no_dtype(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch, route)
    torch.manual_seed(0)
    data = torch.randn(2, 3, 6, 6)
    for module in (nn.Conv2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            expected = module(data)
            with TunedConvolutions():
                found = module(data)
        assert found.dtype == expected.dtype == torch.bfloat16
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
