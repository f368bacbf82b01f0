"""Train GANs, and any differentiable game, as games.

At each step a *rule* decides where and how often to ask an *oracle* for the gradients of a *game*, and hands what it
gets to one stock *optimiser* per player; an *average* watches the iterates.
"""

from manypaths._exports import lazy_exports

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_exports(__name__)
