"""Data sets, read into one tensor: resident, or mapped from a file."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

DATA_SETS = Registry(
    "data set",
    __name__,
    "base:DataSet",
    {
        "digits": "digits:Digits",
        "mnist": "mnist:Mnist",
        "mnist-14": "mnist_14:Mnist14",
        "color-mnist": "color_mnist:ColorMnist",
        "stacked-mnist": "stacked_mnist:StackedMnist",
        "fashion-mnist": "fashion_mnist:FashionMnist",
        "cifar10": "cifar10:Cifar10",
        "svhn": "svhn:Svhn",
        "celeba": "celeba:CelebA",
        "imagenet": "imagenet:ImageNet",
        "image-folder": "image_folder:ImageFolder",
        "array": "array:Array",
        "torch-dataset": "torch_dataset:TorchDataset",
        "hub": "hub:Hub",
        "ring": "synthetic:Ring",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
