"""Public checks: closed forms, and conformance of anyone's own rules, oracles, objectives, penalties and networks."""

from manypaths._exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__)
