"""Reference values for scores: MNIST training images, and noise, against the MNIST test set.

python examples/mnist_anchors.py
"""

import torch

from manypaths.data.mnist import Mnist
from manypaths.metrics.base import SampleSets
from manypaths.metrics.feature_nets import feature_net
from manypaths.metrics.frechet import Frechet
from manypaths.metrics.inception_score import InceptionScore
from manypaths.metrics.label_histogram import LabelHistogram

train, test = Mnist().load().real, Mnist(split="test").load().real
noise = torch.randint(256, (5000, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
for images in (train[:10_000], noise):
    samples = SampleSets(images, test, net=feature_net("mnist-cnn"))
    for metric in (InceptionScore(), Frechet(), LabelHistogram()):
        for score in metric(samples):
            print(score.metric, score.value, score.deviation)
