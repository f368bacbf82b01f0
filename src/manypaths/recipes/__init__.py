"""Named recipes: papers' settings as functions that return a ``Recipe``. Nothing imports them but the command line."""

from manypaths.registry import Registry

RECIPES = Registry(
    "recipe",
    __name__,
    None,
    {
        "digits-svre": "digits:svre",
        "digits-adam": "digits:adam",
        "mnist-svre": "mnist:svre",
        "mnist-avg-svre": "mnist:avg_svre",
        "mnist-svre-vrad": "mnist:svre_vrad",
        "mnist-ws-svre": "mnist:ws_svre",
        "mnist-sg-a": "mnist:sg_a",
        "mnist-adam": "mnist:sg_a",
        "mnist-se-a": "mnist:se_a",
        "mnist-batch-e-a": "mnist:batch_e_a",
    },
)
