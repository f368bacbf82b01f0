"""Games whose fields turn, and what extragradient does about it."""
