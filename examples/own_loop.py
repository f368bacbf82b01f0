"""SVRE in a loop of your own: your networks, your data, any torch optimiser.

    python examples/own_loop.py

trains a small GAN on eight Gaussians and prints how many it covers.
"""

import math

import torch

from manypaths import R1, SVRG, Adversarial, Extragradient, NonSaturating, PairedSource, Training, UniformAverage
from manypaths.metrics import gradient_noise
from manypaths.models import MlpCritic, MlpGenerator

torch.manual_seed(0)
angles = torch.randint(8, (2048,)) * math.pi / 4
points = 2 * torch.stack([angles.cos(), angles.sin()], dim=1) + 0.05 * torch.randn(2048, 2)

game = Adversarial(
    MlpGenerator(latent=8),  # any nn.Module that maps (N, latent) to data
    MlpCritic(),  # any nn.Module that maps data to scores (N,)
    objective=NonSaturating(),
    penalties=[R1(weight=0.2)],
)
source = PairedSource.from_dataset(points, latent=8)  # a latent per datum: SVRG needs a finite sum
training = Training(
    game,
    SVRG(source, batch=64, schedule="geometric"),
    Extragradient(),
    {name: torch.optim.Adam(game.parameters(name), lr=1e-3, betas=(0.5, 0.9)) for name in game.players},
    averages=UniformAverage(restart=0.1),
)

for step in range(1, 1501):
    info = training.step()
    if step % 300 == 0:
        losses = "  ".join(f"{name} {float(loss):.3f}" for name, loss in info.losses.items())
        ratios = "  ".join(f"{name} {n.ratio:.2f}" for name, n in gradient_noise(game, training.oracle).items())
        print(f"step {step:4d}  {losses}  variance ratio: {ratios}  cost: {dict(training.oracle.evaluations)}")

with torch.no_grad():
    fakes = game.generator(torch.randn(2000, 8))
modes = 2 * torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * math.pi / 4])
distance, nearest = torch.cdist(fakes, modes).min(dim=1)
covered = nearest[distance < 0.3].unique().numel()
print(f"{covered} of 8 modes covered, {(distance < 0.3).float().mean():.0%} of the samples within 0.3 of one")
