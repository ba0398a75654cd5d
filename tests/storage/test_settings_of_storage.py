from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import OptionError, StorageRefused
from mien.storage import StorageSettings, open_storage, storage_of
from mien.storage.base import Item, disposition
from mien.storage.settings import VARIABLES

FULL = {
    "STORAGE_PROVIDER": "GCS, r2 cf_images,local",
    "GCS_BUCKET_NAME": "g",
    "GCS_BUCKET_REGION": "europe-west1",
    "R2_ACCOUNT_ID": "acc",
    "R2_ACCESS_KEY_ID": "key",
    "R2_SECRET_ACCESS_KEY": "very secret",
    "R2_BUCKET_NAME": "b",
    "CF_IMAGES_ACCOUNT_ID": "acc",
    "CF_IMAGES_API_TOKEN": "very secret",
    "CF_IMAGES_REQUIRE_SIGNED_URLS": "true",
    "STORAGE_PREFIX": "results/",
}


def test_the_known_names_are_read() -> None:
    settings = StorageSettings.from_environment(FULL)
    assert settings.providers == ("gcs", "r2", "cf_images", "local")
    assert (settings.gcs_bucket, settings.gcs_region, settings.prefix) == ("g", "europe-west1", "results/")
    assert "very secret" not in repr(settings)
    assert "very secret" not in settings.model_dump_json()


def test_every_setting_has_its_variables() -> None:
    assert set(VARIABLES) == set(StorageSettings.model_fields)


def test_the_first_of_several_names_counts() -> None:
    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}
    assert StorageSettings.from_environment(both).s3_region == "eu-west-1"
    assert StorageSettings.from_environment({"AWS_DEFAULT_REGION": "us-west-2"}).s3_region == "us-west-2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE_PROVIDER", "dropbox"),
        ("STORAGE_PROVIDER", ","),
        ("STORAGE_PREFIX", "../"),
        ("STORAGE_PREFIX", "no-slash"),
        ("CF_IMAGES_REQUIRE_SIGNED_URLS", "perhaps"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"^{name} is set to a value that cannot be used"):
        StorageSettings.from_environment({name: value})


def test_storages_stand_in_their_order(tmp_path: Path) -> None:
    settings = StorageSettings(
        providers=("r2", "cf_images", "local"),
        r2_bucket="b",
        r2_account_id="acc",
        r2_access_key_id="key",
        r2_secret_access_key="secret",
        cf_account_id="acc",
        cf_api_token="token",
        local_path=tmp_path,
    )
    chain = open_storage(settings)
    assert [storage.place for storage in chain.storages] == ["r2://b", "cfimages://acc", tmp_path.as_uri()]
    assert [storage.privacy for storage in chain.storages] == ["private", "private", "machine"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "does not name a storage"),
        ("http://bucket", "URLs of storages begin with file://, s3://, r2://, gs://, cfimages://"),
        ("bucket", "does not name a storage"),
        ("r2://b", "R2_ACCOUNT_ID"),
        ("cfimages://acc", "CF_IMAGES_API_TOKEN"),
    ],
)
def test_what_is_missing_is_named(url: str, words: str) -> None:
    with pytest.raises(StorageRefused, match=words):
        storage_of(url, StorageSettings())


@pytest.mark.parametrize(("provider", "words"), [("s3", "S3_BUCKET_NAME"), ("gcs", "GCS_BUCKET_NAME")])
def test_a_provider_without_its_settings(provider: str, words: str) -> None:
    with pytest.raises(StorageRefused, match=f"needs {words}, which is not set"):
        open_storage(StorageSettings.from_environment({"STORAGE_PROVIDER": provider}))


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (Item("image/png", "png"), "inline"),
        (Item("video/mp4", "mp4", "a.mp4"), 'inline; filename="a.mp4"'),
        (Item("application/octet-stream", "html", "a.html"), 'attachment; filename="a.html"'),
        (Item("image/png", "png", "a\r\nX: b.png"), 'inline; filename="a__X: b.png"'),
        (Item("image/png", "png", "../a/b.png"), 'inline; filename=".._a_b.png"'),
        (Item("image/png", "png", 'a"b.png'), "inline; filename=\"a_b.png\"; filename*=UTF-8''a%22b.png"),
        (Item("image/png", "png", "é.png"), "inline; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"),
    ],
)
def test_disposition(item: Item, line: str) -> None:
    assert disposition(item) == line


def test_the_local_storage_needs_no_extra_package(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['obstore'] = sys.modules['httpx2'] = None\n"
        "from mien.storage import *\n"
        "from mien.storage.base import Item\n"
        f"s = StorageSettings(local_path={str(tmp_path)!r})\n"
        "print(open_storage(s).put_stream([b'x'], Item('image/png', 'png')).size)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_every_variable_is_explained() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "storage.md"
    text = page.read_text(encoding="utf-8")
    assert [name for names in VARIABLES.values() for name in names if f"`{name}`" not in text] == []
