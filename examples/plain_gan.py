"""A GAN as most people write it: a DataLoader, two Adams, one loop."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
LATENT, BATCH, EPOCHS = 32, 64, 40

images = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1  # 1,797 digits of 64 pixels in [-1, 1]
dataset = TensorDataset(images)
loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)


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

for epoch in range(EPOCHS):
    for (real,) in loader:
        fake = generator(torch.randn(BATCH, LATENT))
        critic_loss = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        generator_loss = softplus(-critic(fake)).mean()
        generator_optimizer.zero_grad()
        generator_loss.backward()
        generator_optimizer.step()
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3d}  critic {critic_loss.item():.3f}  generator {generator_loss.item():.3f}")
