from __future__ import annotations

import io
from pathlib import Path

from mien.server.app import create_app
from mien.service.service import open_service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings
from tests.server.running import running
from tests.server.served import code_of, face_png


def test_signed_addresses_open_files_without_a_key_and_nothing_else_does(tmp_path: Path) -> None:
    settings = ServiceSettings.model_validate(
        {"data_dir": tmp_path, "public_url": "http://127.0.0.1:1", "auth": "on"}
    )
    made = Settings.from_environment({}).model_copy(update={"cache_dir": tmp_path / "cache"})
    with open_service(settings, made, StorageSettings.from_environment({}), io.StringIO()) as service:
        file = tmp_path / "face.png"
        file.write_bytes(face_png(1))
        asset = service.assets.store_file(file, "", "face.png")
        path = service.assets.sign(asset, 60).removeprefix("http://127.0.0.1:1/api/v1/")
        with running(create_app(service)) as client:
            answer = client.get(path)
            assert (answer.status_code, answer.content) == (200, face_png(1))
            assert answer.headers["content-type"] == "image/png"
            part = client.get(path, headers={"Range": "bytes=0-3"})
            assert (part.status_code, part.content) == (206, face_png(1)[:4])
            missing = (404, "asset_missing")
            other = "0" * 64
            assert code_of(client.get(f"{path.rpartition('=')[0]}={other}")) == missing
            assert code_of(client.get(path.replace("expires=", "expires=1"))) == missing
            for key in ("../mien.db", "%2e%2e/mien.db", "..%2fmien.db", "a//b", ""):
                found = client.get(f"files/{key}", params={"expires": 9999999999, "signature": other})
                assert found.status_code in (401, 404), key
            assert client.get(f"{path.rpartition('=')[0]}=ä").status_code == 422
            file_of = service.storage.holder(asset.url)
            file_of.delete(asset.url)
            assert code_of(client.get(path)) == missing
