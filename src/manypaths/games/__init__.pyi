# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.games.adversarial import Adversarial as Adversarial
from manypaths.games.base import Game as Game
from manypaths.games.from_losses import FromLosses as FromLosses
from manypaths.registry import Registry

GAMES: Registry
