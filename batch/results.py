"""The results of a run: files, the manifest, and what is put together at the end."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from ..core.errors import InputError
from ..core.labels import Labels
from .formats import CLASSES, Format, entries_at
from .options import PredictOptions
from .remote import is_remote
from .store import Journal, Store, lines_of, manifest_of, sorted_offsets

#: Seconds between copies of the manifest to an object store, where files can't grow.
_SAVE_S = 30.0


class Results:
    """Writes results, and knows those of an earlier run.

    A line of the manifest is written after the files that it names, so what the manifest lists is there. A context.

    Args:
        out: Output folder or address.
        options: Of the run.
        labels: Classes of the masks.
        about: What must be the same where a run goes on with an earlier one's results.

    Raises:
        InputError: the folder can't be written, or the earlier run was made with other options.
    """

    def __init__(self, out: str, options: PredictOptions, labels: Labels, about: Mapping[str, Any]) -> None:
        part = "" if options.shard is None else f"-{options.shard[0]}-of-{options.shard[1]}"
        self._scratch = tempfile.TemporaryDirectory() if is_remote(out) else None
        #: Where files go.
        self.store = Store(out, Path(self._scratch.name) if self._scratch else None)
        self._part = part
        self._about_name, self.manifest = f"predict{part}.json", f"manifest{part}.jsonl"
        self._path = self.store.work / self.manifest
        self._journalled = [name for name in options.formats if CLASSES[name].journalled]
        resumed = options.resume and self._earlier(about)
        # Whether the manifest is as it shall be at the end: one line for each input, in their order.
        self._tidy = False
        #: Inputs that an earlier run has done.
        self.done: set[str] = self._found() if resumed else set()
        self.store.write(self._about_name, (json.dumps(about, indent=1) + "\n").encode())
        self.store.write("classes.json", (json.dumps(labels.to_dict(), indent=1) + "\n").encode())
        self._manifest = Journal(self._path, fresh=not resumed)
        self._journals = {name: Journal(self._journal(name), fresh=not resumed) for name in self._journalled}
        self._adding = threading.Lock()
        self._saved = perf_counter()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for journal in (self._manifest, *self._journals.values()):
            journal.close()
        if self._scratch is not None:
            if self._path.exists():
                self._save()
            self._scratch.cleanup()

    def add(
        self,
        row: dict[str, Any],
        files: Sequence[tuple[str, str, bytes]],
        entries: Mapping[str, dict[str, Any]],
        begun: float | None = None,
    ) -> None:
        """Writes the results of an image; any number of threads may.

        Args:
            row: Its line of the manifest.
            files: (format, path, content).
            entries: Format → what its journal keeps.
            begun: Time (``perf_counter``) at which its work began; the line gets the milliseconds until now.

        Raises:
            InputError: a file can't be written.
        """
        for _form, file, data in files:
            self.store.write(file, data)
        if begun is not None:
            row["milliseconds"] = round(1e3 * (perf_counter() - begun), 2)
        with self._adding:
            self._tidy = False
            for name, entry in entries.items():
                self._journals[name].add({"input": row["input"], **entry})
            self._manifest.add(row)
            if self.store.remote and perf_counter() - self._saved > _SAVE_S:
                self._save()

    def finish(self, formats: Sequence[Format]) -> None:
        """Sorts the manifest, one line for each input, and writes what belongs to all images."""
        if not self._tidy:
            self._sort_manifest()

        def rows() -> Iterator[dict[str, Any]]:
            return (row for _offset, row in lines_of(self._path) if "error" not in row)

        for form in formats:
            if type(form).finish is Format.finish:
                continue
            offsets = self._offsets(form.name, rows()) if form.journalled else []
            entries = entries_at(self._journal(form.name), offsets) if form.journalled else iter(())
            form.finish(self.store, rows(), entries, self._part)

    def _sort_manifest(self) -> None:
        """Rewrites the manifest in the order of the inputs."""
        offsets = sorted_offsets(self._path)
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with open(temporary, "wb") as file:
            for row in entries_at(self._path, map(int, offsets)):
                file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        os.replace(temporary, self._path)

    def _offsets(self, name: str, rows: Iterator[dict[str, Any]]) -> list[int]:
        places = {row["input"]: offset for offset, row in lines_of(self._journal(name))}
        return [places[row["input"]] for row in rows]

    def _journal(self, name: str) -> Path:
        return self.store.work / f".{name}{self._part}.jsonl"

    def _earlier(self, about: Mapping[str, Any]) -> bool:
        """Whether there is an earlier run to go on with.

        Raises:
            InputError: it was made in another way.
        """
        said = self.store.read(self._about_name)
        manifest = self.store.read(self.manifest)
        if said is None or manifest is None:
            return False
        before = json.loads(said)
        for name, value in about.items():
            if before.get(name) != value:
                raise InputError(
                    f"{self.store.text}: was written with {name} {before.get(name)!r}, and this run has {value!r}; "
                    "`resume` goes on with the same model and options: repeat them, or choose another `out`"
                )
        if self.store.remote:
            self._path.write_bytes(manifest)
            for name in self._journalled:
                self._journal(name).write_bytes(self.store.read(f".{name}{self._part}.jsonl") or b"")
        return True

    def _found(self) -> set[str]:
        """Inputs whose line in the manifest has no error, and whose files are there."""
        done: set[str] = set()
        there: dict[str, set[str]] = {}
        kept = [{row["input"] for _offset, row in lines_of(self._journal(name))} for name in self._journalled]
        last, tidy = -1, True
        for name, number, outputs in manifest_of(self._path):
            tidy = tidy and number > last and name not in done
            last = number
            if outputs is None:
                continue
            for form, file in outputs.items():
                if form not in there:
                    there[form] = self.store.existing(file.partition("/")[0])
                if file not in there[form]:
                    break
            else:
                if not kept or all(name in names for names in kept):
                    done.add(name)
        self._tidy = tidy
        return done

    def _save(self) -> None:
        """Copies manifest and journals to the object store."""
        self._saved = perf_counter()
        self.store.write(self.manifest, self._path.read_bytes())
        for name in self._journalled:
            self.store.write(f".{name}{self._part}.jsonl", self._journal(name).read_bytes())
