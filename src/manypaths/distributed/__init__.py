"""One game on many processes."""

from manypaths._exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__)
