"""At how many settings SVRE and the methods with Adam diverge."""
