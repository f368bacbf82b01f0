"""Train GANs, and any differentiable game, as games.

At each step a *rule* decides where and how often to ask an *oracle* for the gradients of a *game*, and hands what it
gets to one stock *optimiser* per player; an *average* watches the iterates.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()] and not sys.flags.safe_path:
    # python -m manypaths: the current folder comes first, and its files would hide other modules
    sys.path.pop(0)
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == os.getcwd():
        sys.path.append(os.getcwd())  # this package itself is read from there

from manypaths._exports import lazy_exports

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_exports(__name__)
