"""What is evaluated: games, samples and the sources they come from."""

from manypaths.registry import Registry

GAMES = Registry(
    "game",
    __name__,
    "base:Game",
    {
        "bilinear": "bilinear:Bilinear",
        "coordinatewise": "coordinatewise:Coordinatewise",
        "quadratic": "quadratic:Quadratic",
        "robust-least-squares": "robust_least_squares:RobustLeastSquares",
        "dirac": "dirac:DiracGan",
        "gaussian-gan": "gaussian_gan:GaussianGan",
        "matrix-game": "matrix_game:MatrixGame",
        "adversarial": "adversarial:Adversarial",
    },
)

SOURCES = Registry(
    "source",
    __name__,
    "source:Source",
    {
        "paired": "paired:PairedSource",
    },
)

EXECUTIONS = Registry(
    "execution",
    __name__,
    "execution:Execution",
    {
        "torch": "execution:Execution",
    },
)
