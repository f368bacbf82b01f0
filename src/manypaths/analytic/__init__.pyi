# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.games.analytic.base import AnalyticGame as AnalyticGame
from manypaths.games.analytic.bilinear import Bilinear as Bilinear
from manypaths.games.analytic.constants import Constants as Constants
from manypaths.games.analytic.coordinatewise import Coordinatewise as Coordinatewise
from manypaths.games.analytic.dirac import DiracGan as DiracGan
from manypaths.games.analytic.gaussian_gan import GaussianGan as GaussianGan
from manypaths.games.analytic.matrix_game import MatrixGame as MatrixGame
from manypaths.games.analytic.quadratic import Quadratic as Quadratic
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares as RobustLeastSquares
