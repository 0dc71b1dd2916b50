"""Chooses the classes of a dataset: merges labels that look the same, and leaves classes out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from headstart.core.errors import HeadstartError, expect_one_of
from headstart.data.index import first_few, natural_key
from headstart.data.label_spelling import comparison_key, normalize_name, quoted
from headstart.data.sources.listing import Listing


def choose_classes(listing: Listing, classes: list[str] | None = None, min_images: int | None = None) -> Listing:
    """Return the images of the chosen classes, with notes on merged and left out classes.

    Labels that look the same become one class; labels that differ in case stay separate classes.

    Args:
        listing: the images of a source.
        classes: names of the classes to keep; None keeps all.
        min_images: minimum number of images per class, not counting a test split; None keeps all classes.

    Raises:
        HeadstartError: when a class has no images, or `min_images` leaves fewer than two classes.
    """
    kept = _leave_out_small(_keep(_unify_labels(listing), classes), min_images)
    counts = Counter(row.label for row in kept.rows)
    pairs = _group_similar(counts, lambda label: comparison_key(label).casefold())
    if not pairs:
        return kept
    note = (
        f"Classes differ only in upper and lower case ({len(pairs)}): {_list_similar(pairs, counts)}; they stay "
        "separate. If they are the same, rename the folder or correct the table"
    )
    return replace(kept, notes=(*kept.notes, note))


def expect_enough(counts: Mapping[str, int], least: int, unit: str, purpose: str) -> None:
    """Raise if a class has too few images, or groups of images, to be split.

    Args:
        counts: number of images or groups per class.
        least: the minimum.
        unit: `image` or `group`.
        purpose: why so many are needed, for the message.

    Raises:
        HeadstartError: naming the classes, and the ways out.
    """
    few = sorted((name for name, count in counts.items() if count < least), key=natural_key)
    if not few:
        return
    ways = [f"add {unit}s"]
    if len(counts) - len(few) >= 2:
        ways += [f"leave them out with dataset.min_images={least}"] if unit == "image" else []
        ways += ["name the classes to keep with dataset.classes=[A,B]"]
    way_out = f"{', '.join(ways)} or merge them with another class (rename the folder or the label)"
    listed = first_few([f"{name}: {counts[name]:,}" for name in few])
    raise HeadstartError(
        f"Expected at least {least} {unit}s of every class {purpose}. "
        f"Received: fewer of {len(few)} of {len(counts)} classes ({listed})",
        way_out,
    )


def _unify_labels(listing: Listing) -> Listing:
    """Return the listing with a single spelling per class."""
    counts = Counter(row.label for row in listing.rows)
    name_of = {label: normalize_name(label) or label for label in counts}
    merged = _group_similar(counts, comparison_key)
    for labels in merged:
        names = [name_of[label] for label in labels]
        best = next((name for name in names if name == comparison_key(name)), names[0])
        name_of.update(dict.fromkeys(labels, best))
    rows = [row if row.label == name_of[row.label] else row._replace(label=name_of[row.label]) for row in listing.rows]
    note = (
        "Labels that differ only in blanks, invisible characters or the encoding of accents are one class "
        f"({len(merged)}): {_list_similar(merged, counts)}"
    )
    return replace(listing, rows=rows, notes=(*listing.notes, note) if merged else listing.notes)


def _keep(listing: Listing, classes: list[str] | None) -> Listing:
    """Return only the images of the given classes."""
    if classes is None:
        return listing
    if not classes:
        raise HeadstartError("Expected dataset.classes to name the classes to keep, or null for all. Received: none")
    name_of = {comparison_key(name): name for name in {row.label for row in listing.rows}}
    valid = sorted(name_of.values(), key=natural_key)
    wanted = set()
    for name in classes:
        known = name_of.get(comparison_key(name), name)
        expect_one_of("dataset.classes", known, valid)
        wanted.add(known)
    return replace(listing, rows=[row for row in listing.rows if row.label in wanted])


def _leave_out_small(listing: Listing, least: int | None) -> Listing:
    """Return only the images of classes with a minimum number of images."""
    if least is None:
        return listing
    counts = Counter({row.label: 0 for row in listing.rows})
    counts.update(row.label for row in listing.rows if row.split != "test")
    few = sorted((label for label, count in counts.items() if count < least), key=natural_key)
    if not few:
        return listing
    if len(counts) - len(few) < 2:
        most = first_few([f"{label}: {count:,}" for label, count in counts.most_common()])
        raise HeadstartError(
            f"Expected dataset.min_images to leave at least two classes of {listing.root}, which has {most}. "
            f"Received: {least}"
        )
    named = first_few([f"{label}: {counts[label]:,}" for label in few])
    note = f"Classes with fewer images than dataset.min_images={least} were left out ({len(few)}): {named}"
    rows = [row for row in listing.rows if counts[row.label] >= least]
    return replace(listing, rows=rows, notes=(*listing.notes, note))


def _group_similar(labels: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    """Return the groups of several labels that have the same key."""
    found: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels, key=natural_key):
        found[key(label)].append(label)
    return [same for same in found.values() if len(same) > 1]


def _list_similar(alike: list[list[str]], counts: Counter[str]) -> str:
    """Return groups of similar labels as text, in quotes and with their numbers of images."""
    return first_few(
        [
            " and ".join(f"{text} ({counts[label]:,})" for text, label in zip(quoted(same), same, strict=True))
            for same in alike
        ]
    )
