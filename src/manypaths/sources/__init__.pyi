# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.sources.base import FunctionSource as FunctionSource, IndexSource as IndexSource, Source as Source
from manypaths.sources.gan_sample import GanSample as GanSample
from manypaths.sources.loader import LoaderSource as LoaderSource
from manypaths.sources.paired import PairedSource as PairedSource
from manypaths.sources.sample import Sample as Sample
from manypaths.registry import Registry

SOURCES: Registry
