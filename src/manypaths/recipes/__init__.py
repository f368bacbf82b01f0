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
        "mnist-adam": "mnist:adam",
    },
)
