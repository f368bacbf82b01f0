# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.experiments.base import Plan as Plan, Study as Study
from manypaths.experiments.cells import (
    Cell as Cell,
    Outcome as Outcome,
    Task as Task,
    perform as perform,
    resolve as resolve,
    versioned as versioned,
)
from manypaths.experiments.claims import (
    Claim as Claim,
    Region as Region,
    Verdict as Verdict,
    above as above,
    below as below,
    undecided as undecided,
    within as within,
)
from manypaths.experiments.engine import Results as Results, require_extra as require_extra, run_study as run_study
from manypaths.experiments.executor import Executor as Executor, InProcess as InProcess, ProcessPool as ProcessPool
from manypaths.experiments.power import (
    Power as Power,
    power as power,
    ruling_chance as ruling_chance,
    smallest_effect as smallest_effect,
)
from manypaths.experiments.records import claim_record as claim_record, verdict_record as verdict_record
from manypaths.experiments.runs import (
    placed as placed,
    require_net as require_net,
    run_cell as run_cell,
    train as train,
)
from manypaths.experiments.statistics import (
    Bootstrap as Bootstrap,
    Exact as Exact,
    NotTested as NotTested,
    PairedShares as PairedShares,
    Proportion as Proportion,
    Statistic as Statistic,
    binomial_interval as binomial_interval,
    bootstrap_interval as bootstrap_interval,
    lead_of_the_last as lead_of_the_last,
    median_interval as median_interval,
    percentiles as percentiles,
    trials as trials,
)
from manypaths.experiments.store import Store as Store
from manypaths.experiments.tables import Table as Table, read_about as read_about
