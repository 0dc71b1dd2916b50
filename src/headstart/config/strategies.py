"""The strategies that `scenario=auto` and `headstart recommend` try: heads, augmentations and freeze schedules."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.config.overrides import override_key, select_overrides

GROUPS = ("head", "augmentation", "freeze", "optimizer")  # of the configuration, in which strategies differ
AS_GIVEN = "as given"  # name of the only strategy where the command sets everything
# Each with the overrides that make it, in the order in which they are tried: the frozen ones, which take seconds, then
# the likeliest to win, and those with augmentation last.
STRATEGIES: dict[str, tuple[str, ...]] = {
    "multi_depth": ("head=multi_depth", "freeze=all", "augmentation=none"),
    "head_only": ("head=linear", "head.fit=ridge", "freeze=all", "augmentation=none"),
    "last_two_blocks": ("head=linear", "freeze=last_two_blocks", "augmentation=none"),
    "first_half": ("head=linear", "freeze=first_half", "augmentation=none", "optimizer=adamw"),
    "none": ("head=linear", "freeze=none", "augmentation=none", "optimizer=adamw"),
    "last_block": ("head=linear", "freeze=last_block", "augmentation=none"),
    "last_two_blocks_light": ("head=linear", "freeze=last_two_blocks", "augmentation=light"),
    "first_half_light": ("head=linear", "freeze=first_half", "augmentation=light", "optimizer=adamw"),
    "none_light": ("head=linear", "freeze=none", "augmentation=light", "optimizer=adamw"),
    "last_block_light": ("head=linear", "freeze=last_block", "augmentation=light"),
}


def strategy_overrides(overrides: Sequence[str]) -> dict[str, list[str]]:
    """Return the overrides of each strategy by its name, without the groups that the command sets itself.

    A strategy of which the command sets a part is named by its other parts, and those that become equal are one.

    Args:
        overrides: overrides from the command line.
    """
    found: dict[str, list[str]] = {}
    for name, words in STRATEGIES.items():
        kept = [word for word in words if not _is_set(word, overrides)]
        whole = all(word in kept or override_key(word) == "optimizer" for word in words)
        short = name if whole else " ".join(kept) or AS_GIVEN
        found.setdefault(short, kept)
    return found


def _is_set(word: str, overrides: Sequence[str]) -> bool:
    """Return whether overrides set the key of another one, or the option of its group.

    The optimizer of a strategy is that of its freeze schedule, and falls with it.
    """
    key = override_key(word)
    group = key.partition(".")[0]
    return bool(select_overrides(overrides, [key, group, *(["freeze"] if group == "optimizer" else [])]))
