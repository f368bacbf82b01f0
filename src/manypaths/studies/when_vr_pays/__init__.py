"""Where a control variate lowers the variance, and when that pays."""
