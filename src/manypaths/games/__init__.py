"""What is played: the contract of a game, GANs, games from losses, and games in closed form."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

GAMES = Registry(
    "game",
    __name__,
    "base:Game",
    {
        "bilinear": "analytic.bilinear:Bilinear",
        "coordinatewise": "analytic.coordinatewise:Coordinatewise",
        "quadratic": "analytic.quadratic:Quadratic",
        "robust-least-squares": "analytic.robust_least_squares:RobustLeastSquares",
        "dirac": "analytic.dirac:DiracGan",
        "gaussian-gan": "analytic.gaussian_gan:GaussianGan",
        "matrix-game": "analytic.matrix_game:MatrixGame",
        "adversarial": "adversarial:Adversarial",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
