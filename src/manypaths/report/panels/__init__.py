"""The panels of the page, in their order: one file and one line each."""

from importlib import import_module

PANELS = tuple(
    import_module(f"{__name__}.{name}").PANEL
    for name in (
        "scores",
        "losses",
        "noise",
    )
)
