"""Four games at shared settings on Color MNIST, CIFAR-10 and CelebA."""
