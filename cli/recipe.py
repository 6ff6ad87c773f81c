"""``--config``: options of a verb from a recipe; what stands on the command line wins."""

from __future__ import annotations

import typer


def recipe_defaults(context: typer.Context, name: str | None) -> str | None:
    """The callback of ``--config``: makes the values of a recipe the defaults of the verb's other options.

    Args:
        name: A YAML file, or the name of a recipe that comes with seg-edge.

    Raises:
        UnknownNameError: no such recipe, or a key that is no option of the verb; with the nearest valid one.
        InputError: a file that can't be read, or holds something other than options and values; or a second file.
    """
    if name is None or context.resilient_parsing:
        return name
    from ..core.errors import InputError, UnknownNameError
    from ..train.recipe import read_recipe

    file, values = read_recipe(name)
    options = {p.name for p in context.command.params if p.name not in (None, "config", "help")}
    for key in values:
        if key not in options:
            raise UnknownNameError(f"key in {file}", key.replace("_", "-"), [str(o).replace("_", "-") for o in options])
    if context.default_map:
        raise InputError("--config: given twice; pass one file")
    context.default_map = {
        key: value if value is None or isinstance(value, bool) else str(value) for key, value in values.items()
    }
    return name
