"""Studies: cells (settings x seeds), the claims that they test, and the engine that runs and judges them."""

from manypaths.registry import Registry

STUDIES = Registry(
    "study",
    __name__,
    None,
    {
        "noise-counterexample": "noise_counterexample:study",
        "bilinear-figure4": "bilinear_figure4.study:study",
        "game-vs-minimisation": "game_vs_minimisation.study:study",
        "monotone-rates": "monotone_rates.study:study",
        "method-zoo": "method_zoo.study:study",
        "low-dimensional-manifold": "low_dimensional_manifold.study:study",
        "parallel-lines": "parallel_lines.study:study",
        "color-mnist": "pictures.color_mnist:study",
        "cifar10": "pictures.cifar10:study",
        "celeba": "pictures.celeba:study",
        "svre-mnist": "svre_mnist.study:study",
        "batch-size": "svre_mnist.batch_size:study",
        "when-vr-pays": "when_vr_pays.study:study",
        "svre-stability": "svre_stability.study:study",
        "svre-stability-svhn": "svre_stability.study:svhn",
    },
)
