"""Ways of computing one field: what each changes, and by how much."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from manypaths.distributed.distributed import Distributed
from manypaths.errors import InvalidType, InvalidValue
from manypaths.evaluation.captured import Captured
from manypaths.evaluation.execution import Execution
from manypaths.evaluation.side_by_side import SideBySide
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.from_losses import FromLosses
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.models.resnet import ResnetCritic, ResnetGenerator
from manypaths.models.sagan import SaganCritic, SaganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.lazy import Lazy
from manypaths.penalties.r1 import R1
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.paired import PairedSource
from manypaths.training import Training
from manypaths.vectors import flat

DCGAN = {"size": 8, "width": 4}


def dcgan(norm: str = "batch", dtype: torch.dtype = torch.float64, **options: Any) -> Adversarial:
    """``spectral``: a critic with spectral norm, and no normalisation in the generator."""
    torch.manual_seed(0)
    generator = DcganGenerator(**DCGAN, latent=4, norm="batch" if norm == "batch" else "none")
    critic = DcganCritic(**DCGAN, norm=norm)
    return Adversarial(generator.to(dtype), critic.to(dtype), objective=NonSaturating(), **options)


def source(shape: tuple[int, ...] = (1, 8, 8), dtype: torch.dtype = torch.float64) -> PairedSource:
    return PairedSource(torch.randn(40, *shape, dtype=dtype, generator=torch.Generator().manual_seed(1)), latent=4)


def apart(one: Any, other: Any) -> float:
    """The relative distance of two fields."""
    return float((flat(one) - flat(other)).norm() / flat(other).norm())


# ---- precision -----------------------------------------------------------------------------------------------------


class Witness(R1):
    """R1 that remembers what it was."""

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        value = super().__call__(critic, sample, fake)
        object.__setattr__(self, "value", value.detach())
        return value


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_bfloat16_rounds_the_field_and_no_penalty(norm) -> None:
    """Nor a spectral norm, which penalties share with the forward passes."""
    sample = source(dtype=torch.float32).sample(8)
    fields, values, buffers = [], [], []
    for precision in ("full", "bfloat16"):
        game = dcgan(norm, torch.float32, penalties=[Witness()])
        Execution(precision=precision).prepare(game)
        fields.append(game.gradients(sample, moves_buffers=True))
        values.append(game.penalties[0].value)
        buffers.append(game.buffers())
    assert 1e-4 < apart(fields[1], fields[0]) < 0.2
    assert values[0] > 0
    assert torch.equal(values[0], values[1])
    assert all(map(torch.equal, *buffers))
    assert {t.dtype for name in fields[1] for t in fields[1][name]} == {torch.float32}


@pytest.mark.parametrize("concurrent", ["auto", "off"])
def test_svrg_is_bfloat16_at_both_points_and_in_the_full_pass(two_threads, concurrent) -> None:
    """Rounded alike: at the snapshot the two evaluations cancel."""
    found = []
    for precision in ("full", "bfloat16"):
        game = dcgan("batch", torch.float32)
        Execution(precision=precision, concurrent=concurrent).prepare(game)
        oracle = SVRG(source(dtype=torch.float32), batch=20)
        oracle.bind(game)
        sample = oracle.draw()
        shot = oracle.snapshot
        assert torch.equal(flat(oracle(game, sample)), flat(shot.mean))
        game.move_to({name: [w + 0.1 for w in weights] for name, weights in shot.point.items()})
        sides, names = SideBySide.of(game), game.names()
        both = sides.here_and_there(sample, names, shot.point, shot.buffers, names, moves_buffers=False)
        assert sides.available(sample) is (concurrent == "auto")
        found.append([shot.mean, *both])
    for exact, rounded in zip(*found, strict=True):
        assert 1e-4 < apart(rounded, exact) < 0.2


# ---- memory --------------------------------------------------------------------------------------------------------

PAIRS = {
    "dcgan": lambda: dcgan(),
    "dcgan, spectral norm, penalties": lambda: dcgan("spectral", penalties=[R1(), GradientPenalty()]),
    "resnet": lambda: Adversarial(
        ResnetGenerator(latent=4, width=4).double(), ResnetCritic(width=4).double(), objective=NonSaturating()
    ),
    "sagan": lambda: Adversarial(
        SaganGenerator(latent=4, width=4).double(), SaganCritic(width=4).double(), objective=NonSaturating()
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_channels_last_is_the_same_field(name) -> None:
    shape = (1, 8, 8) if "dcgan" in name else (3, 32, 32)
    found, sample = [], source(shape).sample(4)
    for memory in ("contiguous", "channels_last"):
        torch.manual_seed(0)
        game = PAIRS[name]()
        assert Execution(memory=memory).prepare(game) is None
        found.append(game.gradients(sample, moves_buffers=True))
    assert apart(found[1], found[0]) < 1e-12
    images = [p for n in game.players for p in game.parameters(n) if p.ndim == 4]
    assert len(images) > 0
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in images)
    assert game.execution.arranged(sample).real.is_contiguous(memory_format=torch.channels_last)


def started(memory: str, fused: bool) -> Training:
    game = dcgan()
    Execution(memory=memory).prepare(game)
    adam = {n: torch.optim.Adam(game.parameters(n), lr=1e-3, fused=fused) for n in game.players}
    return Training(game, Stochastic(source(), batch=8), Extragradient(moments="separate"), Optimizers(adam))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("there", ["contiguous", "channels_last"])
def test_checkpoints_load_in_either_order(there, fused) -> None:
    """The fused optimiser walks through memory: moments in another order than their weights would go astray."""
    here = {"contiguous": "channels_last", "channels_last": "contiguous"}[there]
    one, other = started(there, fused), started(here, fused)
    for _ in range(2):
        one.step()
    other.load_state_dict(one.state_dict())
    for training in (one, other):
        for _ in range(2):
            training.step()
    torch.testing.assert_close(flat(one.game.point()), flat(other.game.point()), rtol=0, atol=1e-12)
    for base in other.optimizers.values():
        for parameter, state in base.state.items():
            assert state["exp_avg"].stride() == parameter.stride()


# ---- compilation ---------------------------------------------------------------------------------------------------


dynamo_looks_at_grad = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
"""Of the fakes, and hides that by itself, but not where warnings are errors."""


def compiled(monkeypatch, backend: Any, norm: str, penalties: list[Any], **options: Any) -> Adversarial:
    torch._dynamo.reset()
    monkeypatch.setattr(Execution, "backend", backend)
    game = dcgan(norm, penalties=penalties)
    names = list(game.state_dict()["critic"])
    Execution(compile=True, **options).prepare(game)
    assert list(game.state_dict()["critic"]) == names
    return game


def farthest_from_eager(game: Adversarial, norm: str, penalties: list[Any]) -> float:
    """Of fields and buffers, before and after a move of the weights, with and without moved buffers."""
    eager, samples, found = dcgan(norm, penalties=penalties), source(), []
    for moves in (True, False):
        sample = samples.sample(8)
        found.append(apart(*(g.gradients(sample, moves_buffers=moves) for g in (game, eager))))
        for one, other in zip(game.buffers(), eager.buffers(), strict=True):
            found.append(float((one.double() - other.double()).abs().max()))
        for g in (game, eager):
            g.move_to({name: [w + 0.1 for w in weights] for name, weights in g.point().items()})
    return max(found)


@dynamo_looks_at_grad
@pytest.mark.parametrize(("norm", "penalties"), [("batch", []), ("spectral", [R1(), Dragan(std=0.5)])])
def test_compiled_networks(monkeypatch, norm, penalties) -> None:
    game = compiled(monkeypatch, "aot_eager", norm, penalties, critic_pass="separate" if norm == "batch" else "joint")
    assert farthest_from_eager(game, norm, penalties) < 1e-12
    tried = None if norm == "batch" else True  # with separate passes nothing is tried
    assert game._separable is tried, "the trial must not call what was compiled"


@pytest.mark.slow
@dynamo_looks_at_grad
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize(("norm", "penalties"), [("batch", []), ("spectral", [R1(), Dragan(std=0.5)])])
def test_networks_compiled_by_inductor(monkeypatch, norm, penalties) -> None:
    game = compiled(monkeypatch, "inductor", norm, penalties)
    assert farthest_from_eager(game, norm, penalties) < 1e-12


@dynamo_looks_at_grad
def test_a_penalty_leaves_the_compiled_critic_compiled_and_a_twin_is_found_out(monkeypatch, two_threads) -> None:
    runs = []

    def counting(graph: Any, _inputs: Any) -> Any:
        def run(*inputs: Any) -> Any:
            runs.append(graph)
            return graph(*inputs)

        return run

    game = compiled(monkeypatch, counting, "none", [R1()])
    sample = source().sample(8)
    for calls in (3, 6, 9):  # each evaluation runs G, D(fake) and D(real) compiled
        game.gradients(sample)
        assert len(runs) == calls
    concurrent, eager = SideBySide.of(game), dcgan("none", penalties=[R1()])
    assert concurrent.available(sample) is False
    point = {name: [p + 0.1 for p in weights] for name, weights in game.point().items()}
    now, then = concurrent.here_and_there(sample, game.names(), point, [], game.names(), moves_buffers=False)
    assert apart(now, eager.gradients(sample)) < 1e-12
    with eager.at(point):
        assert apart(then, eager.gradients(sample)) < 1e-12


# ---- capture -------------------------------------------------------------------------------------------------------


@pytest.fixture
def without_a_gpu(monkeypatch) -> list[int]:
    """A stand-in for CUDA graphs: a replay evaluates anew and writes where the recording wrote. Returns replays."""
    replays: list[int] = []

    def record(self: Captured, evaluate: Any) -> Any:
        number, found = len(self._forms), evaluate()

        def replay() -> None:
            replays.append(number)
            again = evaluate()
            for name in found:
                for old, new in zip(found[name], again[name], strict=True):
                    old.copy_(new)
                found.losses[name].copy_(again.losses[name])

        return replay, found

    monkeypatch.setattr(Captured, "record", record)
    monkeypatch.setattr(Execution, "expect_device", lambda self, kind: None)
    return replays


def test_one_graph_per_form_serves_every_point(without_a_gpu, two_threads) -> None:
    game, eager, samples = dcgan(), dcgan(), source()
    Execution(capture=True).prepare(game)
    first, second, small = samples.sample(8), samples.sample(8), samples.sample(5)
    point = {name: [p + 0.1 for p in weights] for name, weights in game.point().items()}
    calls = [(first, None, False), (second, None, False), (first, None, True), (second, ("critic",), False)]
    calls += [(small, None, False), (first, None, True)]
    kept = []
    for sample, players, moves in calls:
        found, expected = (g.gradients(sample, players, moves_buffers=moves) for g in (game, eager))
        kept.append((found, flat(found), flat(expected)))
        with game.at(point), eager.at(point):
            kept.append((game.gradients(sample), None, flat(eager.gradients(sample))))
    assert without_a_gpu == [0, 0, 0, 0, 1, 0, 2, 0, 3, 3, 1, 0]
    for found, then, expected in kept:
        assert torch.equal(flat(found), expected)
        assert then is None or torch.equal(flat(found), then), "a later replay wrote into what was handed out"
    assert all(map(torch.equal, game.buffers(), eager.buffers()))
    assert SideBySide.of(game).available(first) is False


def test_a_captured_svre_is_svre(without_a_gpu) -> None:
    ends = []
    for capture in (False, True):
        game = dcgan("spectral", penalties=[R1()])
        Execution(capture=capture, concurrent="off").prepare(game)
        sgd = Optimizers({name: torch.optim.SGD(game.parameters(name), lr=1e-2) for name in game.players})
        training = Training(game, SVRG(source(), batch=8, schedule="fixed", every=6), Extragradient(), sgd)
        for _ in range(5):
            training.step()
        ends.append(flat(game.point()))
    assert torch.equal(ends[0], ends[1])
    assert set(without_a_gpu) == {0, 1}


def test_what_cannot_be_captured(without_a_gpu, monkeypatch) -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Dropout(0.5), nn.Flatten(0))
    noisy = Adversarial(DcganGenerator(**DCGAN, latent=4), critic, objective=NonSaturating())
    Execution(capture=True).prepare(noisy)
    with pytest.raises(InvalidType, match="draws from torch's global generator .* expected False"):
        noisy.gradients(source(dtype=torch.float32).sample(8))

    class Anew(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 1)
            self.register_buffer("scale", torch.ones(()))

        def forward(self, data):
            self.scale = 0.9 * self.scale + 0.1
            return self.scale * self.linear(data.flatten(1)).flatten()

    anew = Adversarial(DcganGenerator(**DCGAN, latent=4), Anew(), objective=NonSaturating())
    Execution(capture=True).prepare(anew)
    with pytest.raises(InvalidType, match=r"assigns a buffer anew, .* written in place \(buffer.copy_\(...\)\)$"):
        anew.gradients(source(dtype=torch.float32).sample(8))

    def fails(self: Captured, evaluate: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand much more")

    monkeypatch.setattr(Captured, "record", fails)
    waiting = dcgan("none", penalties=[Lazy(R1(), every=2)])
    Execution(capture=True).prepare(waiting)
    with pytest.raises(InvalidType, match=r"cannot be captured \(operation not .* capturing\): expected False$"):
        waiting.gradients(source().sample(8))


# ---- what is refused, and what is chosen ---------------------------------------------------------------------------


def points() -> Adversarial:
    return Adversarial(MlpGenerator(latent=4, hidden=(4,)), MlpCritic(hidden=(4,)), objective=NonSaturating())


def batchnorm() -> Adversarial:
    return Adversarial(DcganGenerator(size=8, width=4), DcganCritic(size=8, width=4), objective=NonSaturating())


def dropout() -> Adversarial:
    critic = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1), nn.Flatten(0))
    return Adversarial(MlpGenerator(latent=4, hidden=(4,)), critic, objective=NonSaturating())


def two_losses() -> FromLosses:
    nets = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
    return FromLosses({name: lambda s, a, b: a.weight.sum() + b.weight.sum() for name in nets}, nets)


@pytest.mark.parametrize(
    ("execution", "make", "message"),
    [
        (Execution(capture=True), points, "capture is True and the device is 'cpu': CUDA graphs need 'cuda'"),
        (Execution(memory="channels_last"), points, "no player has weights of 4 dimensions: expected 'auto'"),
        (
            Execution(precision="bfloat16"),
            dcgan,
            "'critic' has float64 weights, which it leaves alone: expected 'full'",
        ),
        (Execution(compile=True, kernels="tuned"), dcgan, "which chooses its own: expected 'stock'"),
        (Execution(kernels="tuned"), points, "kernels is 'tuned' and no player has weights of 4 dimensions"),
        (Execution(critic_pass="joint"), batchnorm, r"the critic's BatchNorm2d \(.*\) couples the samples of a batch"),
        (Execution(critic_pass="joint"), dropout, r"the critic's Dropout \(1\) couples the samples of a batch"),
        (Execution(critic_pass="joint"), two_losses, "critic_pass is 'joint' and FromLosses has no critic"),
        (Execution(precision="bfloat16"), lambda: Bilinear(torch.ones(1, 1)), "Bilinear computes its field"),
    ],
)
def test_settings_without_effect_are_refused(execution, make, message) -> None:
    with pytest.raises((InvalidType, InvalidValue), match=message):
        execution.prepare(make())


class OnGpu(Adversarial):
    device = torch.device("cuda")  # type: ignore[assignment]


def test_a_gpu_gets_safe_defaults_and_says_which_and_why() -> None:
    game = dcgan()
    game.__class__ = OnGpu
    note = Execution().prepare(game)
    assert note == (
        "on the GPU memory is channels_last, the order in which its convolutions read images; what can be evaluated in "
        "pairs is, on two streams, for small networks do not fill it; real and fake data share the critic's pass where "
        "no layer couples samples; precision is full, with TF32 as torch has it, for bfloat16 is no matter of rounding"
    )
    assert game.execution == Execution(memory="channels_last")
    flat_game = points()
    flat_game.__class__ = OnGpu
    assert "memory" not in (Execution().prepare(flat_game) or "")
    assert flat_game.execution == Execution()
    assert Execution(precision="bfloat16", concurrent="off", critic_pass="separate").prepare(flat_game) is None


def test_a_distributed_game_is_computed_as_its_game_is() -> None:
    inner = points()
    outer = object.__new__(Distributed)  # without the processes
    outer.game, outer.players = inner, inner.players
    Execution(precision="bfloat16").prepare(outer)
    assert inner.execution is outer.execution
    assert inner.execution.precision == "bfloat16"
