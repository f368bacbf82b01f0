# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.data.array import Array as Array
from manypaths.data.celeba import CelebA as CelebA
from manypaths.data.cifar10 import Cifar10 as Cifar10
from manypaths.data.color_mnist import ColorMnist as ColorMnist
from manypaths.data.digits import Digits as Digits
from manypaths.data.fashion_mnist import FashionMnist as FashionMnist
from manypaths.data.hub import Hub as Hub
from manypaths.data.image_folder import ImageFolder as ImageFolder
from manypaths.data.imagenet import ImageNet as ImageNet
from manypaths.data.mnist import Mnist as Mnist
from manypaths.data.mnist_14 import Mnist14 as Mnist14
from manypaths.data.stacked_mnist import StackedMnist as StackedMnist
from manypaths.data.svhn import Svhn as Svhn
from manypaths.data.synthetic import Ring as Ring
from manypaths.registry import Registry

DATA_SETS: Registry
