"""Stand-ins for Google Cloud Storage (its XML API, as far as uploads and downloads need it) and Cloudflare Images."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Kept:
    content: bytes
    headers: dict[str, str]


@dataclass
class Cloud:
    """What a stand-in has been told and what it does next."""

    url: str = ""
    objects: dict[str, Kept] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    upload_headers: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    fail_with: int = 0
    """The status of all further answers, when it is not 0."""
    code: str = "Oops"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def handle_method(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.cloud.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if self.cloud.fail_with:
            self.answer(self.cloud.fail_with, self.refusal())
            return
        parts = urlsplit(self.path)
        self.act(unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_method

    def refusal(self) -> bytes:
        return f"<Error><Code>{self.cloud.code}</Code></Error>".encode()

    def act(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        raise NotImplementedError

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def give(self, kept: Kept) -> None:
        content, status, more = kept.content, 200, {}
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = int(last) + 1 if last else len(content)
            more["Content_Range"] = f"bytes {first}-{min(end, len(content)) - 1}/{len(content)}"
            content, status = content[int(first) : end], 206
        kind = kept.headers.get("content-type", "application/octet-stream")
        self.answer(
            status,
            content,
            Content_Type=kind,
            ETag='"x"',
            Last_Modified="Sat, 01 Jan 2022 00:00:00 GMT",
            **more,
        )

    def log_message(self, format: str, *args: Any) -> None:
        pass


class GoogleHandler(_Handler):
    """``/bucket/key``: PUT, GET, HEAD, DELETE, and multipart uploads."""

    def act(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        cloud = self.cloud
        heads = {name.lower(): value for name, value in self.headers.items()}
        if self.command == "POST" and "uploads" in query:
            id = uuid.uuid4().hex
            cloud.uploads[id], cloud.upload_headers[id] = {}, heads
            xml = f"<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            self.answer(200, xml.encode())
        elif self.command == "PUT" and "partNumber" in query:
            cloud.uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
            self.answer(200, ETag=f'"{md5(body).hexdigest()}"')
        elif self.command == "POST":
            id = query["uploadId"][0]
            parts = cloud.uploads.pop(id)
            content = b"".join(parts[number] for number in sorted(parts))
            cloud.objects[path] = Kept(content, cloud.upload_headers.pop(id))
            xml = '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
            self.answer(200, xml.encode(), ETag='"x"')
        elif self.command == "DELETE" and "uploadId" in query:
            cloud.uploads.pop(query["uploadId"][0])
            self.answer(204)
        elif self.command == "PUT":
            cloud.objects[path] = Kept(body, heads)
            self.answer(200, ETag='"x"')
        elif path not in cloud.objects:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif self.command == "DELETE":
            del cloud.objects[path]
            self.answer(204)
        else:
            self.give(cloud.objects[path])


class ImagesHandler(_Handler):
    """``/accounts/ACCOUNT/images/v1``: POST, GET …/ID/blob, DELETE …/ID; and the delivery of signed addresses."""

    def refusal(self) -> bytes:
        return b'{"success": false, "errors": [{"code": 5455, "message": "x"}], "result": null}'

    def act(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        base = "/accounts/acc/images/v1"
        id = path.removeprefix(base + "/").removesuffix("/blob")
        if self.command == "POST" and path == base:
            self._upload(body)
        elif path.startswith("/hash/"):
            kept = self.cloud.objects.get(path.split("/")[2])
            self.give(kept) if kept and "sig" in query else self.answer(403)
        elif self.headers.get("Authorization") != "Bearer token" or id not in self.cloud.objects:
            self.answer(404 if self.headers.get("Authorization") == "Bearer token" else 401, self.refusal())
        elif self.command == "DELETE":
            del self.cloud.objects[id]
            self.answer(200, b'{"success": true, "result": {}}')
        else:
            self.give(self.cloud.objects[id])

    def _upload(self, body: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            name = part.get_param("name", header="content-disposition")
            parts[name] = (part.get_content_type(), part.get_payload(decode=True))
        id = str(uuid.uuid4())
        private = parts["requireSignedURLs"][1].decode()
        self.cloud.objects[id] = Kept(
            parts["file"][1], {"content-type": parts["file"][0], "private": private}
        )
        self.answer(200, f'{{"success": true, "result": {{"id": "{id}"}}}}'.encode())


@contextmanager
def serving(kind: type[_Handler]) -> Iterator[Cloud]:
    cloud = Cloud()
    handler = type("Handler", (kind,), {"cloud": cloud})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
