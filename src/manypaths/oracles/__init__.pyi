# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.oracles.accelerated import AcceleratedSVRG as AcceleratedSVRG
from manypaths.oracles.base import Oracle as Oracle
from manypaths.oracles.consensus import Consensus as Consensus
from manypaths.oracles.full_batch import FullBatch as FullBatch
from manypaths.oracles.importance import Importance as Importance
from manypaths.oracles.mars import Mars as Mars
from manypaths.oracles.page import Page as Page
from manypaths.oracles.saga import SAGA as SAGA
from manypaths.oracles.stochastic import Stochastic as Stochastic
from manypaths.oracles.storm import Storm as Storm
from manypaths.oracles.svrg import SVRG as SVRG
from manypaths.oracles.symplectic import Symplectic as Symplectic
from manypaths.registry import Registry

ORACLES: Registry
