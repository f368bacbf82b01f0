# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.populations.population import Population as Population
from manypaths.populations.source import PopulationSource as PopulationSource
