"""What is measured, on games and on samples; the table holds the metrics on samples."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

METRICS = Registry(
    "metric",
    __name__,
    "base:SampleMetric",
    {
        "inception-score": "inception_score:InceptionScore",
        "frechet": "frechet:Frechet",
        "label-histogram": "label_histogram:LabelHistogram",
        "fid": "fid:Fid",
        "kid": "kid:Kid",
        "ms-ssim": "ms_ssim:MsSsim",
        "precision-recall": "precision_recall:PrecisionRecall",
        "stacked-modes": "stacked_modes:StackedModes",
        "wasserstein-critic": "wasserstein_critic:WassersteinCritic",
        "wasserstein": "transport:WassersteinDistance",
        "sliced-wasserstein": "transport:SlicedWasserstein",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
