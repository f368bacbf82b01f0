# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.optim.averaging.base import Average as Average
from manypaths.optim.averaging.ema import EMA as EMA
from manypaths.optim.averaging.uniform import UniformAverage as UniformAverage
from manypaths.optim.base import Optimizers as Optimizers
from manypaths.optim.composite import Composite as Composite
from manypaths.optim.muon import MuonAdamW as MuonAdamW
from manypaths.optim.negative_momentum import NegativeMomentumSGD as NegativeMomentumSGD
from manypaths.optim.vradam import VRAd as VRAd
from manypaths.registry import Registry

OPTIMISERS: Registry
