# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.testing.analytic import check_analytic as check_analytic
from manypaths.testing.audit import Audit as Audit, audit as audit
from manypaths.testing.conformance import (
    check_oracle as check_oracle,
    check_pure as check_pure,
    check_rule as check_rule,
)
from manypaths.testing.losses import check_objective as check_objective, check_penalty as check_penalty
from manypaths.testing.networks import check_critic as check_critic, check_generator as check_generator
