# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.metrics.base import SampleMetric as SampleMetric, SampleSets as SampleSets, Score as Score
from manypaths.metrics.distance import distance_to_solution as distance_to_solution
from manypaths.metrics.divergence_trace import DivergenceTrace as DivergenceTrace
from manypaths.metrics.duality_gap import duality_gap as duality_gap
from manypaths.metrics.fid import Fid as Fid
from manypaths.metrics.field_norm import field_norm as field_norm, hamiltonian as hamiltonian
from manypaths.metrics.frechet import Frechet as Frechet
from manypaths.metrics.gaussians import Gaussian as Gaussian
from manypaths.metrics.gradient_noise import gradient_noise as gradient_noise
from manypaths.metrics.gradient_noise import noise_scale as noise_scale
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
from manypaths.registry import Registry

METRICS: Registry
