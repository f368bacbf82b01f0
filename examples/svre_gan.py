"""The GAN of ``plain_gan.py`` under SVRE: the same networks, data and optimisers."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from manypaths import SVRG, Adversarial, Extragradient, NonSaturating, PairedSource, Training

torch.manual_seed(0)
LATENT, BATCH, EPOCHS = 32, 64, 40

images = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1  # 1,797 digits of 64 pixels in [-1, 1]
dataset = TensorDataset(images)
oracle = SVRG(PairedSource.from_dataset(dataset, latent=LATENT), batch=BATCH)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64), nn.Tanh()
        )

    def forward(self, latent):
        return self.layers(latent)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
        )

    def forward(self, images):
        return self.layers(images).squeeze(-1)


generator, critic = Generator(), Critic()
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))

game = Adversarial(generator, critic, objective=NonSaturating())
optimizers = {"generator": generator_optimizer, "critic": critic_optimizer}
training = Training(game, oracle, Extragradient(), optimizers)
for epoch in range(EPOCHS):
    for _ in range(oracle.n_batches):
        losses = training.step().losses
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3d}  critic {losses['critic']:.3f}  generator {losses['generator']:.3f}")
