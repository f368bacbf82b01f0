"""Games whose field, values, Jacobian, solution and constants are known in closed form."""
