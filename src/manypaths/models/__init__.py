"""Networks; any ``nn.Module`` of the user's works instead (name it ``package.module:Class`` in a recipe)."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

MODELS = Registry(
    "model",
    __name__,
    "layers:Module",
    {
        "mlp-generator": "mlp:MlpGenerator",
        "mlp-critic": "mlp:MlpCritic",
        "dcgan-generator": "dcgan:DcganGenerator",
        "dcgan-critic": "dcgan:DcganCritic",
        "sagan-generator": "sagan:SaganGenerator",
        "sagan-critic": "sagan:SaganCritic",
        "resnet-generator": "resnet:ResnetGenerator",
        "resnet-critic": "resnet:ResnetCritic",
        "r3gan-generator": "r3gan:R3ganGenerator",
        "r3gan-critic": "r3gan:R3ganCritic",
        "mean-score": "mean_score:MeanScore",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
