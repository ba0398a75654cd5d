"""Forms with files (``multipart/form-data``), read as they come: fields into memory, files into scratch files.

::

    async with parse_form(request, settings) as form:
        form.fields  # {"processors": ["face_swapper"]}
        form.files   # (UploadedFile(field="target", name="holiday.jpg", path=…, size=…), …)
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import parse_qsl, unquote

from mien.errors import InputError, UnsupportedMedia, UploadTooLarge
from mien.media.atomic import output_errors
from mien.server.receiving import pump, scratch_folder
from mien.service.intake import in_mb, scratch_file
from mien.service.names import safe_name

if TYPE_CHECKING:
    from starlette.requests import Request

    from mien.service.settings import ServiceSettings

MAX_FIELDS: Final = 500
MAX_FIELD_BYTES: Final = 1 << 20
MAX_FIELDS_BYTES: Final = 4 << 20
MAX_NAME: Final = 200
MAX_HEADERS: Final = 8
MAX_HEADER_BYTES: Final = 4096
MORE_FILES: Final = 4
"""Files of a form beyond the most sources of a step."""

_EXTENDED_NAME = re.compile(r"filename\*=(?:utf-8|UTF-8)'[^']*'([^;\s]+)")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form; ``path`` is valid inside the ``async with`` block only."""

    field: str
    name: str
    """As the client called it, made safe."""
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: tuple[UploadedFile, ...] = ()

    def value(self, name: str) -> str | None:
        """The last value of a field; None when it is missing or empty."""
        return (self.fields.get(name) or [""])[-1] or None

    def files_of(self, name: str) -> tuple[UploadedFile, ...]:
        """The files of a field, in their order; ``name[]`` counts as ``name``."""
        return tuple(file for file in self.files if file.field in (name, f"{name}[]"))


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What a form may hold. Sizes are in bytes."""

    file_bytes: int
    files: int
    fields: int = MAX_FIELDS
    field_bytes: int = MAX_FIELD_BYTES
    fields_bytes: int = MAX_FIELDS_BYTES


@asynccontextmanager
async def parse_form(
    request: Request, settings: ServiceSettings, *, files: int | None = None
) -> AsyncIterator[Form]:
    """Read the form of a request; its files are removed at the end of the block, and when the client goes away.

    ``files`` is the most files (by default what a step may need). Plain forms (``x-www-form-urlencoded``) are read
    too. Raises UnsupportedMedia for another type of body, InputError for a malformed form and for too many or too
    long fields, UploadTooLarge, DiskFull.
    """
    most = settings.max_sources + MORE_FILES if files is None else files
    limits = FormLimits(settings.max_upload_bytes, most)
    kind, options = _content_type(request.headers.get("content-type", ""))
    with ExitStack() as stack:
        if kind == "application/x-www-form-urlencoded":
            yield await _plain_form(request, limits)
            return
        if kind != "multipart/form-data":
            raise UnsupportedMedia(
                "The request must be a form: its Content-Type must be multipart/form-data."
            )
        boundary = options.get("boundary", "")
        if not 1 <= len(boundary) <= 70:
            raise InputError("The Content-Type of the form names no usable boundary.")
        parser = stack.enter_context(FormParser(boundary, scratch_folder(settings), limits))
        await pump(request, parser.feed)
        yield parser.finish()


class FormParser:
    """Reads one form from pieces of any size; a context manager that removes the files at its end."""

    def __init__(self, boundary: str, folder: Path, limits: FormLimits) -> None:
        """``folder`` is where files go; raises InputError for a boundary that cannot be one."""
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser

        self._errors = FormParserError
        self._folder = folder
        self._limits = limits
        self._stack = ExitStack()
        self._ended = False
        self._header: tuple[bytearray, bytearray] = bytearray(), bytearray()
        self._part = _Part()
        self._parts = 0
        self._fields: dict[str, list[str]] = {}
        self._fields_bytes = 0
        self._files: list[UploadedFile] = []
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1"),
                {
                    "on_part_begin": self._begin,
                    "on_header_begin": self._begin_header,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._open,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except (FormParserError, UnicodeError):
            raise InputError("The Content-Type of the form names no usable boundary.") from None

    def __enter__(self) -> FormParser:
        return self

    def __exit__(self, *error: object) -> None:
        self._part.close()
        self._stack.close()

    def feed(self, data: bytes) -> None:
        """Read the next piece. Raises InputError, UploadTooLarge, DiskFull."""
        try:
            with output_errors(self._folder):
                self._parser.write(data)
        except self._errors:
            raise InputError("The form is not well-formed multipart/form-data.") from None

    def finish(self) -> Form:
        """The form, once all pieces were read. Raises InputError when it is not whole."""
        if not self._ended:
            raise InputError("The form breaks off before its end.")
        return Form(self._fields, tuple(self._files))

    def _begin(self) -> None:
        self._part = _Part()
        self._parts += 1
        if self._parts > self._limits.fields + self._limits.files:
            raise InputError(f"The form has more than {self._limits.fields} fields.")

    def _begin_header(self) -> None:
        self._header = bytearray(), bytearray()

    def _end_header(self) -> None:
        if self._header[0].strip().lower() == b"content-disposition":
            self._part.read(bytes(self._header[1]))

    def _open(self) -> None:
        part = self._part
        if not part.name:
            raise InputError("A part of the form has no name.")
        if len(part.name) > MAX_NAME:
            raise InputError(f"A field of the form has a name of more than {MAX_NAME} characters.")
        if part.filename is not None:
            if len(self._files) >= self._limits.files:
                raise InputError(f"The form has more than {self._limits.files} files.")
            part.path = self._stack.enter_context(scratch_file(self._folder))
            part.file = part.path.open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part, limits = self._part, self._limits
        part.size += end - start
        if part.file is not None:
            if part.size > limits.file_bytes:
                raise UploadTooLarge(
                    f"The file {safe_name(part.filename or '')} is larger than the limit of "
                    f"{in_mb(limits.file_bytes)}; send a smaller one."
                )
            part.file.write(memoryview(data)[start:end])
            return
        self._fields_bytes += end - start
        if part.size > limits.field_bytes or self._fields_bytes > limits.fields_bytes:
            raise InputError(f"The field {part.name!r} of the form is too long; send files with a file name.")
        part.text += data[start:end]

    def _end(self) -> None:
        part = self._part
        part.close()
        if part.path is None:
            self._fields.setdefault(part.name, []).append(_utf8(bytes(part.text), part.name))
        elif part.filename or part.size:
            # Browsers send a nameless, empty file where none was chosen.
            name = safe_name(part.filename or "")
            self._files.append(UploadedFile(part.name, name, part.path, part.size))

    def _finish(self) -> None:
        self._ended = True


@dataclass(slots=True)
class _Part:
    """The part that is being read."""

    name: str = ""
    filename: str | None = None
    size: int = 0
    path: Path | None = None
    file: BinaryIO | None = None
    text: bytearray = field(default_factory=bytearray)

    def read(self, header: bytes) -> None:
        """Take name and file name out of a Content-Disposition."""
        _, options = _content_type(header.decode("latin-1"))
        self.name = _text(options.get("name", ""))
        if "filename" in options:
            self.filename = _text(options["filename"])
        elif extended := _EXTENDED_NAME.search(header.decode("latin-1")):
            # Not allowed in forms, but some clients write names with accents so.
            self.filename = unquote(extended[1])

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


async def _plain_form(request: Request, limits: FormLimits) -> Form:
    body = bytearray()

    def collect(data: bytes) -> None:
        body.extend(data)
        if len(body) > limits.fields_bytes:
            raise InputError("The form is too long; send files as multipart/form-data.")

    await pump(request, collect)
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            bytes(body).decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=limits.fields
        )
    except ValueError:
        raise InputError("The form is not a well-formed list of fields, or has too many.") from None
    for name, value in pairs:
        fields.setdefault(name[:MAX_NAME], []).append(value)
    return Form(fields)


def _content_type(header: str) -> tuple[str, Mapping[str, str]]:
    """A header's value and its parameters, as latin-1."""
    from python_multipart.multipart import parse_options_header

    try:
        kind, options = parse_options_header(header)
    except ValueError:
        return "", {}
    return kind.decode("latin-1"), {
        key.decode("latin-1").lower(): value.decode("latin-1") for key, value in options.items()
    }


def _text(value: str) -> str:
    """A name in a header of a part: UTF-8, with the three characters that browsers escape."""
    text = value.encode("latin-1", "replace").decode("utf-8", "replace")
    for escaped, char in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escaped, char)
    return text


def _utf8(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"The field {name!r} of the form is not UTF-8 text; send files with a file name."
        ) from None
