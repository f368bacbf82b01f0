"""SVRE on the stochastic bilinear game of its Figure 4."""
