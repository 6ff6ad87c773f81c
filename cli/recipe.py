"""``--config``: options of a verb from a recipe. Options on the command line take precedence."""

from __future__ import annotations

import typer


def recipe_defaults(context: typer.Context, name: str | None) -> str | None:
    """The callback of ``--config``: makes the values of a recipe the defaults of the verb's other options.

    Args:
        context: The context of the verb.
        name: A YAML file, or the name of a recipe that is shipped with seg-edge.

    Raises:
        UnknownNameError: the recipe is unknown, or a key is not an option of the verb; suggests the nearest valid name.
        InputError: the file can't be read, contains anything but options and values, or ``--config`` is repeated.
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
