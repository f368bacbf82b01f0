# The public names, once: type checkers read them here and the package resolves them from here, each on first use.
from manypaths.errors import InputError as InputError
from manypaths.games.adversarial import Adversarial as Adversarial
from manypaths.games.analytic.base import AnalyticGame as AnalyticGame
from manypaths.games.base import Game as Game
from manypaths.games.from_losses import FromLosses as FromLosses
from manypaths.sources.loader import LoaderSource as LoaderSource
from manypaths.sources.sample import Sample as Sample
from manypaths.games.analytic.bilinear import Bilinear as Bilinear
from manypaths.games.analytic.constants import Constants as Constants
from manypaths.games.analytic.coordinatewise import Coordinatewise as Coordinatewise
from manypaths.games.analytic.dirac import DiracGan as DiracGan
from manypaths.distributed.distributed import Distributed as Distributed
from manypaths.evaluation.execution import Execution as Execution
from manypaths.sources.gan_sample import GanSample as GanSample
from manypaths.games.analytic.gaussian_gan import GaussianGan as GaussianGan
from manypaths.games.analytic.matrix_game import MatrixGame as MatrixGame
from manypaths.sources.paired import PairedSource as PairedSource
from manypaths.populations.population import Population as Population
from manypaths.populations.source import PopulationSource as PopulationSource
from manypaths.games.analytic.quadratic import Quadratic as Quadratic
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares as RobustLeastSquares
from manypaths.sources.base import FunctionSource as FunctionSource, IndexSource as IndexSource, Source as Source
from manypaths.step import StepInfo as StepInfo
from manypaths.vectors import Gradients as Gradients
from manypaths.metrics.base import SampleMetric as SampleMetric, SampleSets as SampleSets, Score as Score
from manypaths.metrics.distance import distance_to_solution as distance_to_solution
from manypaths.metrics.divergence_trace import DivergenceTrace as DivergenceTrace
from manypaths.metrics.duality_gap import duality_gap as duality_gap
from manypaths.metrics.fid import Fid as Fid
from manypaths.metrics.field_norm import field_norm as field_norm, hamiltonian as hamiltonian
from manypaths.metrics.frechet import Frechet as Frechet
from manypaths.metrics.gaussians import Gaussian as Gaussian
from manypaths.metrics.gradient_noise import gradient_noise as gradient_noise
from manypaths.metrics.inception_score import InceptionScore as InceptionScore
from manypaths.metrics.jacobian_spectrum import jacobian_spectrum as jacobian_spectrum
from manypaths.metrics.kid import Kid as Kid
from manypaths.metrics.label_histogram import LabelHistogram as LabelHistogram
from manypaths.metrics.ms_ssim import MsSsim as MsSsim
from manypaths.metrics.path_angle import path_angle as path_angle
from manypaths.metrics.precision_recall import PrecisionRecall as PrecisionRecall
from manypaths.metrics.quadrature import Grid as Grid
from manypaths.metrics.rotation_ratio import rotation_ratio as rotation_ratio
from manypaths.metrics.stacked_modes import StackedModes as StackedModes
from manypaths.metrics.transport import (
    SlicedWasserstein as SlicedWasserstein,
    WassersteinDistance as WassersteinDistance,
)
from manypaths.metrics.wasserstein_critic import WassersteinCritic as WassersteinCritic
from manypaths.models.dcgan import DcganCritic as DcganCritic, DcganGenerator as DcganGenerator
from manypaths.models.mlp import MlpCritic as MlpCritic, MlpGenerator as MlpGenerator
from manypaths.models.resnet import ResnetCritic as ResnetCritic, ResnetGenerator as ResnetGenerator
from manypaths.models.sagan import SaganCritic as SaganCritic, SaganGenerator as SaganGenerator
from manypaths.objectives.hinge import Hinge as Hinge
from manypaths.objectives.least_squares import LeastSquares as LeastSquares
from manypaths.objectives.minimax import Minimax as Minimax
from manypaths.objectives.non_saturating import NonSaturating as NonSaturating
from manypaths.objectives.relativistic import (
    RelativisticAverage as RelativisticAverage,
    RelativisticPaired as RelativisticPaired,
)
from manypaths.objectives.wasserstein import Wasserstein as Wasserstein
from manypaths.optim.averaging.ema import EMA as EMA
from manypaths.optim.averaging.uniform import Uniform as Uniform
from manypaths.optim.base import Bases as Bases
from manypaths.optim.negative_momentum import NegativeMomentumSGD as NegativeMomentumSGD
from manypaths.optim.vradam import VRAd as VRAd
from manypaths.oracles.accelerated import AcceleratedSVRG as AcceleratedSVRG
from manypaths.oracles.consensus import Consensus as Consensus
from manypaths.oracles.full import Full as Full
from manypaths.oracles.importance import Importance as Importance
from manypaths.oracles.saga import SAGA as SAGA
from manypaths.oracles.stochastic import Stochastic as Stochastic
from manypaths.oracles.svrg import SVRG as SVRG
from manypaths.oracles.symplectic import Symplectic as Symplectic
from manypaths.parts import Part as Part
from manypaths.penalties.clip import Clip as Clip
from manypaths.penalties.dragan import Dragan as Dragan
from manypaths.penalties.interpolated import Interpolated as Interpolated
from manypaths.penalties.lazy import Lazy as Lazy
from manypaths.penalties.r1 import R1 as R1
from manypaths.penalties.r2 import R2 as R2
from manypaths.rules.alternating import Alternating as Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation as AlternatingExtrapolation
from manypaths.rules.anchored import Anchored as Anchored
from manypaths.rules.base import Rule as Rule
from manypaths.rules.competitive import CompetitiveGradientDescent as CompetitiveGradientDescent
from manypaths.rules.extragradient import Extragradient as Extragradient
from manypaths.rules.lookahead import Lookahead as Lookahead
from manypaths.rules.optimistic import Optimistic as Optimistic
from manypaths.rules.past_extragradient import PastExtragradient as PastExtragradient
from manypaths.rules.simultaneous import Simultaneous as Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient as VarianceReducedExtragradient
from manypaths.run.export import load as load
from manypaths.run.loop import Run as Run
from manypaths.run.recipe import Recipe as Recipe
from manypaths.experiments.base import Study as Study
from manypaths.experiments.cells import Cell as Cell
from manypaths.experiments.claims import Claim as Claim
from manypaths.training import Training as Training

__version__: str
