"""The stage of an import: read, understand, rebuild, and compare with the original before anything is kept."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import onnx

from ...calib.graph import set_spec
from ...core.artefact import GOLDEN_DIR, SPEC_FILE, onnx_name, write_text
from ...core.errors import GateError
from ...core.folder import FAILED_DIR, replaced_folder
from ...core.labels import Labels
from ...core.progress import Progress, Silent
from ...core.shipped import DEFAULT, shipped
from ...core.spec import ModelSpec
from ...core.version import __version__
from ...datasets.dataset import SegDataset
from ...datasets.opening import open_dataset
from ...datasets.options import ReadOptions
from ..checks.frames import GOLDEN_FRAMES, PARITY_FRAMES, Frame, evenly_spaced, generated_frames
from ..checks.golden import write_golden
from ..checks.measure import measured_engines
from ..foreign.building import build_graph, cut_at
from ..foreign.classes import resolve_classes, stated_classes
from ..foreign.facts import macs, parameters, precision_of
from ..foreign.families import Family, recognise
from ..foreign.interface import Input, Output, check_tensors, choose_output, fix_input, read_input, read_outputs
from ..foreign.options import ImportOptions
from ..foreign.preprocessing import Guess, Preprocessing, resolve
from ..foreign.source import newer_opset, tidy, widened
from ..foreign.tail import Tail, find_tail
from ..graph.simplify import simplify
from ..guard import warnings as graph_warnings
from ..report.rows import Gate, StepRow
from ..steps.context import save
from .accuracy import measure_accuracy
from .original import Mask, Original
from .proof import best_alternative, compare_engine, expected_answers, read_frames, read_masks, resized_to
from .report import BrokenImportError, ImportReport
from .theirs import compare_masks

#: The opset of our own exports, which every engine reads in full.
_OPSET = 17
_MOST_FRAMES = 32
#: Default least agreement, by the type of the original's numbers.
LEAST, LEAST_HALF = 0.999, 0.995


@dataclass(frozen=True)
class Understood:
    """What is known of a network before it is rebuilt."""

    network: onnx.ModelProto
    untouched: onnx.ModelProto
    source: Input
    output: Output
    tail: Tail
    family: Family
    half: bool
    guesses: list[Guess]


@dataclass(frozen=True)
class Frames:
    """The frames of the comparison, of any size, with names and their origin; masks of the other tool, if given."""

    frames: list[tuple[str, Frame]]
    origin: str
    masks: list[Mask] | None = None

    @property
    def images(self) -> list[Frame]:
        return [frame for _, frame in self.frames]


def import_model(
    model: onnx.ModelProto, name: str, out: Path, options: ImportOptions, progress: Progress | None = None
) -> ImportReport:
    """Imports a network in memory; see :func:`seg_edge.export.import_network`.

    Args:
        model: As read, see :func:`.source.read_network`.
        name: File name, for errors and the report.
    """
    progress = progress or Silent()
    engines = measured_engines(options.engine)
    if options.classes is not None:
        stated_classes(options.classes)  # raises before the work
    dataset = None
    if options.data is not None:
        dataset = open_dataset(options.data, "val", options=ReadOptions(value_range=options.value_range))
    value_range = options.value_range or (dataset.value_range if dataset is not None else None)
    known = understand(model, name, options)
    preprocessing, guesses = resolve(options, known.network, known.source, known.family)
    known.guesses.extend(guesses)
    labels, guesses = resolve_classes(options.classes, known.tail.classes, known.family, name, _named(dataset))
    known.guesses.extend(guesses)
    frames = _frames(options, dataset, known.source, value_range)
    progress.say(f"import: {name}{f', of {known.family.name}' if known.family.name else ''}")
    spec = _spec(known, name, labels, preprocessing).with_(input_range=value_range)
    with replaced_folder(out) as folder:
        graph, notes = _built(known, preprocessing, spec, frames, progress)
        path = save(graph, folder / onnx_name(spec.precision))
        report = ImportReport(
            spec, name, preprocessing, known.guesses, known.tail.removed[::-1], [*known.tail.kept, *notes], frames.origin
        )
        for line in graph_warnings(graph, engines):
            report.notes.append(line)
            progress.say(f"warning: {line}")
        report.step = StepRow.of("import", path, spec.precision)
        original = Original(known.untouched, known.source, known.output, known.tail, name, options.threads)
        try:
            _prove(report, original, path, frames, engines, options, progress)
            if dataset is not None:
                measure_accuracy(report, original, path, dataset, labels, engines[0], options.threads, progress)
        except GateError:
            (out / FAILED_DIR).mkdir(parents=True, exist_ok=True)
            report.write_folder(out / FAILED_DIR)
            raise
        usable = [row.engine for row in report.compared if row.passed]
        progress.say("golden frames")
        golden = frames.images[:GOLDEN_FRAMES]
        write_golden(folder, golden, {spec.precision: path}, usable, options.threads)
        write_text(folder / SPEC_FILE, spec.to_json() + "\n")
        report.write_folder(folder)
    return report


def understand(model: onnx.ModelProto, where: str, options: ImportOptions) -> Understood:
    """Reads a network's input, output and tail.

    Raises:
        ModelFileError, InputError: it is no segmentation network, or the file leaves open what the options don't say.
    """
    family = recognise(model, where)
    tidied = tidy(model)
    # Tensors inside of functions have no name outside of them.
    untouched = tidied if model.functions else _copied(model)
    size = options.input_hw or family.input_hw
    source = read_input(tidied, where, size, fixed_wins=options.input_hw is None)
    for each in (tidied, untouched):
        fix_input(each, source)
    half = source.dtype == "float16" or precision_of(tidied) == "fp16"
    network = newer_opset(widened(tidied) if half else tidied, _OPSET)
    check_tensors(tidied, where)
    suitable = read_outputs(tidied, source, where)
    output, why = choose_output(suitable, options.output, options.stride, where)
    guesses = [Guess("output", output.name, why)] if why else []
    if family.input_hw is not None and options.input_hw is None and source.size_hw == family.input_hw:
        guesses.append(Guess("input size", f"{source.size_hw[0]}x{source.size_hw[1]}", "in the file's metadata"))
    widened_source = Input(
        source.name, "float32" if half and source.dtype == "float16" else source.dtype, source.layout, source.size_hw
    )
    tail = find_tail(network, widened_source, output, where)
    return Understood(network, untouched, source, output, tail, family, half, guesses)


def _wide(source: Input) -> Input:
    """The input of the network in float32."""
    return replace(source, dtype="float32") if source.dtype == "float16" else source


def _spec(known: Understood, name: str, labels: Labels, preprocessing: Preprocessing) -> ModelSpec:
    versions = {
        "seg-edge": __version__, "onnx": onnx.__version__,
        "onnxruntime": str(import_module("onnxruntime").__version__), "machine": platform.machine(),
    }  # fmt: skip
    part = cut_at(known.network, known.tail.name)
    size = macs(part)
    about = {
        "source": name, "family": known.family.name, "preprocessing": preprocessing.to_dict(), "output": known.output.name,
        "removed": known.tail.removed[::-1],
    }  # fmt: skip
    return ModelSpec(
        name=Path(name).stem,
        labels=labels,
        input_hw=known.source.size_hw,
        resize=preprocessing.resize,
        mean=preprocessing.mean_rgb,
        std=preprocessing.std_rgb,
        output="labels" if known.tail.is_labels else "logits",
        output_stride=known.tail.stride,
        precision="int8" if precision_of(known.network) == "int8" else "fp32",
        provenance={
            "imported": about,
            "params": parameters(part),
            **({"macs": size} if size is not None else {}),
            "exported_with": versions,
        },
    )


def _built(
    known: Understood, preprocessing: Preprocessing, spec: ModelSpec, frames: Frames, progress: Progress
) -> tuple[onnx.ModelProto, list[str]]:
    """The artefact's graph, and notes on how it was made."""
    notes = ["float16 is widened to float32; export it with fp16 to narrow it again"] if known.half else []
    graph = build_graph(known.network, _wide(known.source), known.tail, preprocessing, spec)
    set_spec(graph, spec)
    progress.say("simplify")
    resized = [resized_to(frame, spec.input_hw, spec.resize) for frame in frames.images[:GOLDEN_FRAMES]]
    graph, note = simplify(graph, resized)
    return graph, [*notes, note] if note else notes


def _prove(
    report: ImportReport, original: Original, path: Path, frames: Frames, engines: Sequence[str], options: ImportOptions,
    progress: Progress,
) -> None:  # fmt: skip
    """Compares the artefact with the original on each engine.

    Raises:
        BrokenImportError: too few pixels agree on every engine; the text names what probably differs.
    """
    spec, stated = report.spec, report.preprocessing
    half = original.source.dtype == "float16" or any("float16" in note for note in report.notes)
    least = options.min_agreement if options.min_agreement is not None else LEAST_HALF if half else LEAST
    progress.say(f"original: {frames.origin}")
    resized = [resized_to(frame, spec.input_hw, stated.resize) for frame in frames.images]
    expected = expected_answers(original, resized, stated)
    highest = max(int(mask.max()) for mask in expected.masks)
    check_values(highest, spec, report.source)
    if len({int(value) for mask in expected.masks for value in (mask.min(), mask.max())}) == 1:
        report.notes.append(f"every pixel has class {highest}: compare on frames that show more, with frames or data")
    for engine in engines:
        progress.say(f"compare: {engine}")
        version = _version(engine)
        row = compare_engine(path, engine, version, expected, least, original.tail.threshold, options.threads)
        report.compared.append(row)
    # The reference engine first: what fails there is no engine's fault.
    report.compared.sort(key=lambda row: not row.passed)
    best = report.compared[0]
    assert report.step is not None
    report.step.agreement, report.step.max_abs_error = best.agreement, best.max_abs_error
    gate = Gate("import: min_agreement", least, best.agreement or 0.0, at_least=True)
    report.gates.append(gate)
    if not best.passed:
        if best.agreement is None:
            raise BrokenImportError(f"{report.source}: no engine runs the imported model: {best.note}", report)
        progress.say("differs: trying alternatives")
        ours = _artefact_masks(path, best.engine, expected.frames, options.threads)
        found = best_alternative(original, frames.images, ours, stated, best.agreement)
        why = f"the artefact computes as the original {found}" if found else "no other preprocessing explains it"
        raise BrokenImportError(
            f"{report.source}: {100 * best.agreement:.2f} % of the pixels have the class that the original gives, at least "
            f"{100 * least:g} % must (`min_agreement`); {why}",
            report,
        )
    if frames.masks is not None:
        compare_masks(report, original, path, best.engine, frames.images, frames.masks, options)


def _artefact_masks(path: Path, engine: str, frames: Sequence[Frame], threads: int | None) -> list[Mask]:
    from ...runtime.engines import open_engine
    from .proof import engine_mask

    with open_engine(path, engine, threads) as opened:
        return [engine_mask(opened.infer(frame)[0].copy(), frame.shape[1:3]) for frame in frames]


def check_values(highest: int, spec: ModelSpec, where: str) -> None:
    """Raises InputError if a class number is too large for the classes."""
    from ...core.errors import InputError

    if highest >= len(spec.labels):
        raise InputError(
            f"`classes`: the network {where} gave class {highest}, but {len(spec.labels)} classes are named; name them all"
        )


def _frames(
    options: ImportOptions, dataset: SegDataset | None, source: Input, value_range: tuple[float, float] | None
) -> Frames:
    if options.frames is not None:
        named = read_frames(options.frames, _MOST_FRAMES, value_range)
        masks = None
        if options.masks is not None:
            masks = read_masks(options.masks, [name for name, _ in named], [frame.shape for _, frame in named])
        return Frames(named, f"{len(named)} frames of {options.frames.name}", masks)
    if dataset is not None:
        chosen = evenly_spaced(len(dataset), PARITY_FRAMES)
        named = [(f"frame{i}", dataset.read(i)[0]) for i in chosen]
        return Frames(named, f"{len(named)} frames of the val split")
    golden = shipped(DEFAULT) / GOLDEN_DIR
    images = [cv2.imread(str(golden / f"frame{i}.png")) for i in range(GOLDEN_FRAMES)]
    found = [(f"frame{i}", np.asarray(image, np.uint8)) for i, image in enumerate(images) if image is not None]
    if found:
        return Frames(found, f"{len(found)} shipped frames")
    made = generated_frames(source.size_hw)
    return Frames([(f"frame{i}", image) for i, image in enumerate(made)], f"{len(made)} generated frames")


def _named(dataset: SegDataset | None) -> Labels | None:
    return dataset.labels if dataset is not None else None


def _version(engine: str) -> str | None:
    from ...runtime.engines import engine_class

    return engine_class(engine).available().version


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
