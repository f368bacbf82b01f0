"""Studies: cells (settings x seeds), the claims that they test, and the engine that runs and judges them."""

from manypaths.registry import Registry

STUDIES = Registry(
    "study",
    __name__,
    None,
    {
        "noise-counterexample": "noise_counterexample:study",
        "bilinear-figure4": "bilinear_figure4:study",
        "game-vs-minimisation": "game_vs_minimisation:study",
        "monotone-rates": "monotone_rates:study",
        "method-zoo": "method_zoo:study",
        "low-dimensional-manifold": "low_dimensional_manifold:study",
        "parallel-lines": "parallel_lines:study",
        "color-mnist": "color_mnist:study",
        "cifar10": "cifar10:study",
        "celeba": "celeba:study",
        "svre-mnist": "svre_mnist:study",
        "batch-size": "batch_size:study",
        "when-vr-pays": "when_vr_pays:study",
        "svre-stability": "svre_stability:study",
        "svre-stability-svhn": "svre_stability:svhn",
    },
)
