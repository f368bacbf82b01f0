# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.models.dcgan import DcganCritic as DcganCritic, DcganGenerator as DcganGenerator
from manypaths.models.mean_score import MeanScore as MeanScore
from manypaths.models.mlp import MlpCritic as MlpCritic, MlpGenerator as MlpGenerator
from manypaths.models.r3gan import R3ganCritic as R3ganCritic, R3ganGenerator as R3ganGenerator
from manypaths.models.resnet import ResnetCritic as ResnetCritic, ResnetGenerator as ResnetGenerator
from manypaths.models.sagan import SaganCritic as SaganCritic, SaganGenerator as SaganGenerator
from manypaths.registry import Registry

MODELS: Registry
