"""Which classes a dataset has: labels that look the same are one, some are kept, those with few images left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from headstart.core.errors import HeadstartError, expect_one_of
from headstart.data.index import natural_key, shortened
from headstart.data.label_spelling import comparable, quoted, spelled
from headstart.data.sources.listing import Listing


def choose_classes(listing: Listing, classes: list[str] | None = None, min_images: int | None = None) -> Listing:
    """Return the images of the classes that are wanted, with notes on what was merged or left out.

    Labels that look the same become one class, whose images keep their paths; those that differ in case stay two.

    Args:
        listing: the images as a source finds them.
        classes: names of the classes to keep; None keeps them all.
        min_images: images that a class needs to be kept, those of a test split not counted; None keeps every class.

    Raises:
        HeadstartError: for a class that no image has, or when fewer than two are left by `min_images`.
    """
    kept = _leave_out_small(_keep(_unify_labels(listing), classes), min_images)
    counts = Counter(row.label for row in kept.rows)
    pairs = _alike(counts, lambda label: comparable(label).casefold())
    if not pairs:
        return kept
    note = (
        f"Classes differ only in upper and lower case ({len(pairs)}): {_named(pairs, counts)}; they stay separate. "
        "If they are the same, rename the folder or correct the table"
    )
    return replace(kept, notes=(*kept.notes, note))


def expect_enough(counts: Mapping[str, int], least: int, unit: str, purpose: str) -> None:
    """Raise when a class has too few images, or groups of images, to be divided.

    Args:
        counts: images or groups of each class.
        least: how many are needed.
        unit: `image` or `group`.
        purpose: what they are needed for, in words.

    Raises:
        HeadstartError: naming the classes, and what can be done.
    """
    few = sorted((name for name, count in counts.items() if count < least), key=natural_key)
    if not few:
        return
    ways = [f"add {unit}s"]
    if len(counts) - len(few) >= 2:
        ways += [f"leave them out with dataset.min_images={least}"] if unit == "image" else []
        ways += ["name the classes to keep with dataset.classes=[A,B]"]
    way_out = f"{', '.join(ways)} or merge them with another class (rename the folder or the label)"
    listed = shortened([f"{name}: {counts[name]:,}" for name in few])
    raise HeadstartError(
        f"Expected at least {least} {unit}s of every class {purpose}. "
        f"Received: fewer of {len(few)} of {len(counts)} classes ({listed}); {way_out}"
    )


def _unify_labels(listing: Listing) -> Listing:
    """Return the listing with one name for each class."""
    counts = Counter(row.label for row in listing.rows)
    name_of = {label: spelled(label) or label for label in counts}
    merged = _alike(counts, comparable)
    for labels in merged:
        names = [name_of[label] for label in labels]
        best = next((name for name in names if name == comparable(name)), names[0])
        name_of.update(dict.fromkeys(labels, best))
    rows = [row if row.label == name_of[row.label] else row._replace(label=name_of[row.label]) for row in listing.rows]
    note = (
        "Labels that differ only in blanks, invisible characters or the encoding of accents are one class "
        f"({len(merged)}): {_named(merged, counts)}"
    )
    return replace(listing, rows=rows, notes=(*listing.notes, note) if merged else listing.notes)


def _keep(listing: Listing, classes: list[str] | None) -> Listing:
    """Return the images of the given classes alone."""
    if classes is None:
        return listing
    if not classes:
        raise HeadstartError("Expected dataset.classes to name the classes to keep, or null for all. Received: none")
    name_of = {comparable(name): name for name in {row.label for row in listing.rows}}
    valid = sorted(name_of.values(), key=natural_key)
    wanted = set()
    for name in classes:
        known = name_of.get(comparable(name), name)
        expect_one_of("dataset.classes", known, valid)
        wanted.add(known)
    return replace(listing, rows=[row for row in listing.rows if row.label in wanted])


def _leave_out_small(listing: Listing, least: int | None) -> Listing:
    """Return the images of the classes that have enough of them."""
    if least is None:
        return listing
    counts = Counter({row.label: 0 for row in listing.rows})
    counts.update(row.label for row in listing.rows if row.split != "test")
    few = sorted((label for label, count in counts.items() if count < least), key=natural_key)
    if not few:
        return listing
    if len(counts) - len(few) < 2:
        most = shortened([f"{label}: {count:,}" for label, count in counts.most_common()])
        raise HeadstartError(
            f"Expected dataset.min_images to leave at least two classes of {listing.root}, which has {most}. "
            f"Received: {least}"
        )
    named = shortened([f"{label}: {counts[label]:,}" for label in few])
    note = f"Classes with fewer images than dataset.min_images={least} were left out ({len(few)}): {named}"
    rows = [row for row in listing.rows if counts[row.label] >= least]
    return replace(listing, rows=rows, notes=(*listing.notes, note))


def _alike(labels: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    """Return the labels that have the same key, where there are several."""
    found: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels, key=natural_key):
        found[key(label)].append(label)
    return [same for same in found.values() if len(same) > 1]


def _named(alike: list[list[str]], counts: Counter[str]) -> str:
    """Return labels in quotes with the number of their images."""
    return shortened(
        [
            " and ".join(f"{text} ({counts[label]:,})" for text, label in zip(quoted(same), same, strict=True))
            for same in alike
        ]
    )
