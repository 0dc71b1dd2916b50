"""Write docs/configuration.md, the reference of all keys: `python scripts/docs/configuration_page.py`.

Everything in it comes from the schema, `conf/` and the registry of backbones.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headstart.cli.options import option_groups, shipped_values
from headstart.config import Config
from headstart.config.accepted import accepted_values, as_yaml
from headstart.config.fields import REQUIRED, Decides
from headstart.config.keys import Key, keys_of
from headstart.core.files import write_text

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
STAGE_OPTIMIZER = "freeze.stages.*.optimizer."
INTRODUCTION = """# Configuration

Every group and key, made by `python scripts/docs/configuration_page.py` from the schema and `conf/`.

`GROUP=OPTION` chooses an option, `KEY=VALUE` sets a value: `python run.py backbone=vgg16 optimizer.learning_rate=3e-4`.
`python run.py --cfg job` prints what a command would run with. A default of `required` has to be set by the option.

Each key says what it **decides**. Runs that agree in all keys of `result`, `data`, `replicate` have the same results.
"""


def page() -> str:
    """Return the page."""
    keys: dict[str, list[Key]] = {}
    for key in keys_of(Config):
        if key.name.startswith(STAGE_OPTIMIZER):  # the keys of `optimizer` once more
            continue
        keys.setdefault(key.name.split(".")[0] if "." in key.name else "", []).append(key)
    groups, values = option_groups(), shipped_values()
    hints = typing.get_type_hints(Config)
    meanings = {name: str(hints[name].__doc__).splitlines()[0] for name in keys if name}
    meanings |= {"experiment": "A whole recipe in one file.", "sweep": "The jobs of one command with several of them."}
    parts = [INTRODUCTION, *_table(("decides", "means"), ((one.name.lower(), one.value) for one in Decides))]
    parts += ["", "## Values in no group", "", *_keys(keys[""], values)]
    for group in dict.fromkeys([*filter(None, keys), *groups]):
        parts += ["", f"## {group}", "", meanings[group]]
        if group in groups:
            parts += ["", f"Default: `{as_yaml(values.get(group))}`.", ""]
            parts += _table(("option", "for"), ((f"`{name}`", text) for name, text in sorted(groups[group].items())))
        if group in keys:
            parts += ["", *_keys(keys[group], {})]
        if group == "freeze":
            parts += ["", "`freeze.stages.N.optimizer` has the keys of `optimizer`; null is the run's own value."]
    return "\n".join(parts) + "\n"


def _keys(keys: Iterable[Key], values: dict[str, Any]) -> list[str]:
    """Return the table of some keys; `values` are those of `conf/config.yaml`, which come before the schema's."""
    rows = []
    for key in keys:
        default = values.get(key.name, _default(key.field))
        shown = "required" if default == REQUIRED else f"`{as_yaml(default)}`"
        decides, declared = key.decides.name.lower(), key.field.metadata
        meaning = declared["meaning"]
        former = f" (formerly `{declared['formerly']}`)" if "formerly" in declared else ""
        name = f"`{key.name.replace('*', 'N')}`"
        takes = accepted_values(key, "`{}`".format, " \\| ")
        rows.append((name, shown, takes, declared.get("unit", ""), decides, f"{meaning}{former}"))
    return _table(("key", "default", "takes", "unit", "decides", "meaning"), rows)


def _default(item: dataclasses.Field) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table."""
    lines = [titles, ("---",) * len(titles), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


if __name__ == "__main__":
    write_text(PAGE, page())
