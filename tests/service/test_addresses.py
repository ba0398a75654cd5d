from __future__ import annotations

from pathlib import Path

from mien.service.addresses import KEY, with_addresses
from mien.service.settings import ServiceSettings
from mien.storage import StorageSettings


def settings(folder: Path, **given: str) -> ServiceSettings:
    return ServiceSettings.model_validate({"data_dir": folder, **given})


def test_local_files_have_addresses_once_the_service_has_one(tmp_path: Path) -> None:
    plain = StorageSettings.from_environment({})
    assert with_addresses(plain, settings(tmp_path)) == plain
    found, again = (with_addresses(plain, settings(tmp_path, public_url="https://x.org/")) for _ in range(2))
    assert found == again
    assert found.local_url == "https://x.org/api/v1/files"
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_the_storages_own_settings_count(tmp_path: Path) -> None:
    own = StorageSettings.from_environment(
        {"STORAGE_LOCAL_URL": "https://f.org", "STORAGE_LOCAL_SIGNING_KEY": "k"}
    )
    assert with_addresses(own, settings(tmp_path, public_url="https://x.org")) == own
