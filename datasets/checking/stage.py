"""The stage that checks a dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...core.artefact import check_writable
from ...core.errors import DataError
from ...core.labels import Labels
from ...core.progress import Progress, Silent
from ..dataset import SegDataset
from ..labelfiles.classes import named_classes
from ..labelfiles.palettes import Seen
from ..layouts import SPLITS, Layout, find_layout, split_word
from ..merged import as_background, is_merged, splits_of
from ..opening import folder_of, open_dataset
from ..options import CheckOptions
from ..saved import effective, save
from . import findings
from .duplicates import Duplicate, duplicates
from .report import CheckReport, SplitReport
from .scan import scan
from .sheet import contact_sheet


def check(
    data: str | Path,
    options: CheckOptions = CheckOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> CheckReport:
    """Reads every image and label of every split: sizes, label values, class frequencies, pairs, images in two splits.

    >>> report = check("data")
    >>> report.title(), report.errors, report.splits[0].images
    ('data: images/<split> and labels/<split>', [], 6)

    Args:
        data: The dataset's folder, in any layout, or a description of several.
        options: How it is read, its classes, and where a sheet of samples goes.
        progress: Told how many images of each split are read.

    Raises:
        DataError: there is no dataset, or its layout is not known. What is wrong inside the dataset is in the report.
        UnknownNameError: no such class list.
        InputError: the sheet, or how files are read, can't be written.
    """
    if options.sheet is not None:
        check_writable(options.sheet)
    classes = None if options.classes is None else named_classes(options.classes)
    root = folder_of(Path(data))
    report = _check(root, classes, options, progress or Silent())
    if options.sheet is not None:
        contact_sheet(report, options.sheet, options=options)
    if options.save:
        save(root, effective(root, options))
    return report


def _check(root: Path, labels: Labels | None, options: CheckOptions, progress: Progress) -> CheckReport:
    merged = is_merged(root)
    if not merged and not root.exists():
        raise DataError(f"dataset {root}: no such folder")
    layout = None if merged else find_layout(root, effective(root, options).layout)
    every = splits_of(root) if layout is None else layout.splits(root)
    names = [name for name in every if split_word(name)] or every
    opened: list[SegDataset] = []
    reports: list[SplitReport] = []
    unlabelled: list[str] = []
    for name in names:
        try:
            opened.append(open_dataset(root, name, labels, options))
        except DataError as error:
            if name == "test" and set(every) >= set(SPLITS) and layout is not None and _is_divided(layout, root):
                continue  # an automatic split of a few images has none to spare
            if layout is not None and split_word(name) == "test" and _has_no_labels(layout, root, name):
                unlabelled.append(f"{name}: its images have no labels, so it is left out; a training doesn't need it")
                continue
            reports.append(SplitReport(name, errors=[str(error)]))
    if not opened:
        if not reports:
            open_dataset(root, "train", labels, options)  # says what lies there instead
        raise DataError(reports[0].errors[0] if reports else f"dataset {root}: no splits; expected images/<split>")
    classes = max((data.labels for data in opened), key=len)
    palettes: Seen = {}  # of all splits: what numbers its colours differently in val is wrong too
    notes = [*dict.fromkeys(note for data in opened for note in data.notes), *unlabelled]
    scans = []
    for data in opened:
        scanned = scan(replace(as_background(data), labels=classes, palettes=palettes), progress)
        scans.append(scanned)
        if layout is not None and layout.label_files is not None:
            used = {str(path) for path in data.masks}
            scanned.report.orphans = [Path(p).name for p in layout.label_files(root, data.split) if p not in used]
        notes += [f"{data.split}: {line}" for line in scanned.remarks]
    reports += [scanned.report for scanned in scans]
    alike = duplicates(
        {scanned.report.name: scanned.hashes for scanned in scans},
        {data.split: [path.name for path in data.images] for data in opened},
    )
    for report in reports:
        report.errors += findings.nothing_to_learn(root, report, classes)
    if reports and not merged:
        void = effective(root, options).void
        reports[0].errors += findings.doubtful_void(root, reports, classes, void)
    if not any(split_word(report.name) == "train" for report in reports):
        notes.append("no split train: it can be evaluated, but a training needs one")
    elif not any(split_word(report.name) == "val" for report in reports):
        notes.append("no split val: a training needs one to choose the best weights by")
    warnings = [
        *notes, *findings.remedies(root, reports), *findings.silent(root, reports, classes),
        *findings.others(reports, classes, alike, _files_of(opened, alike)),
    ]  # fmt: skip
    shown_by = "" if layout is None else layout.shown_by(root) or "`layout`"
    key = "" if layout is None else layout.key
    name = "several datasets as one" if layout is None else layout.name
    return CheckReport(root, name, classes, reports, alike, warnings, shown_by, key)


def _has_no_labels(layout: Layout, root: Path, name: str) -> bool:
    try:
        pairs = layout.pairs(root, name)
    except DataError:
        return False
    return bool(pairs) and all(mask is None for _, mask in pairs)


def _files_of(opened: list[SegDataset], alike: list[Duplicate]) -> dict[str, tuple[str, str]]:
    """Image and label of each image that another split has too, as :func:`.findings.others` names them."""
    wanted = {f"{split}/{file}" for split, file, *_ in alike}
    pairs = ((data, *pair) for data in opened if alike for pair in zip(data.images, data.masks, strict=True))
    named = ((f"{data.split}/{image.name}", (str(image), str(mask))) for data, image, mask in pairs)
    return {key: pair for key, pair in named if key in wanted}


def _is_divided(layout: Layout, root: Path) -> bool:
    """Whether the splits are drawn by the images' names."""
    return not (root / "images" / "test").is_dir() and not (root / "test").is_dir() and layout.key != "folders"
