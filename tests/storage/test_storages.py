"""What all storages must do, on each of them; then what sets each of them apart."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from mien.errors import InputMissing, StorageError, StorageMissing, StorageRefused
from mien.storage import Storage, StorageSettings, storage_of
from mien.storage.base import CHUNK, Item
from mien.storage.check import PICTURE
from mien.storage.local import LocalStorage
from tests.storage.conftest import KEY, SECRET, Account, aws
from tests.storage.servers import Cloud
from tests.storage.signatures import is_valid_aws, is_valid_google

ALL = ["local", "s3", "gcs", "cf"]
CLIP = Item("video/mp4", "mp4", "clip.mp4")


@pytest.fixture(params=ALL)
def storage(request: pytest.FixtureRequest) -> Storage:
    return request.getfixturevalue(request.param)


def read(storage: Storage, url: str, start: int = 0, end: int | None = None) -> bytes:
    with storage.open(url, start, end) as opened:
        return b"".join(opened)


def test_a_file_comes_back_as_it_was(storage: Storage, picture: Path) -> None:
    stored = storage.put_file(picture)
    assert stored.size == len(PICTURE)
    assert stored.content_type == "image/png", "by its content, not by its name"
    assert stored.url.startswith(storage.place + "/")
    with storage.open(stored.url) as opened:
        assert (opened.size, opened.content_type) == (len(PICTURE), "image/png")
        assert b"".join(opened) == PICTURE
    assert read(storage, stored.url, 5, 20) == PICTURE[5:20]
    assert read(storage, stored.url, 30) == PICTURE[30:]


def test_keys_cannot_be_guessed_and_tell_nothing(storage: Storage, picture: Path) -> None:
    keys = {storage.put_file(picture).url.rpartition("/")[2] for _ in range(3)}
    assert len(keys) == 3
    for key in keys:
        assert re.fullmatch(r"[0-9a-f]{40}\.png|[0-9a-f-]{36}", key)


def test_what_is_deleted_is_gone_and_may_be_deleted_again(storage: Storage, picture: Path) -> None:
    stored = storage.put_file(picture)
    storage.delete(stored.url)
    with pytest.raises(StorageMissing, match="There is no object"):
        read(storage, stored.url)
    storage.delete(stored.url)


def test_a_stream_is_stored(storage: Storage) -> None:
    stored = storage.put_stream([PICTURE[:30], PICTURE[30:]], Item("image/png", "png"))
    assert read(storage, stored.url) == PICTURE
    assert stored.size == len(PICTURE)


class Torn(Exception):
    pass


@pytest.mark.parametrize(("name", "cloud"), [("local", None), ("gcs", "google"), ("cf", "images")])
def test_an_aborted_upload_leaves_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, cloud: str | None
) -> None:
    def torn():
        yield b"\0" * (CHUNK + 1)
        raise Torn

    storage: Storage = request.getfixturevalue(name)
    with pytest.raises(Torn):
        storage.put_stream(torn(), Item("image/png", "png"))
    if cloud is not None:
        kept: Cloud = request.getfixturevalue(cloud)
        assert not kept.objects
        assert not kept.uploads
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "key", ["", "../a", "a/../b", "a//b", "/a", "a b", "a?b", "a%2fb", "ä", "a\n", "x" * 600]
)
def test_only_keys_that_all_storages_read_alike_are_accepted(storage: Storage, key: str) -> None:
    for act in (storage.open, storage.sign, storage.delete):
        with pytest.raises(StorageRefused, match="is not a key"):
            act(f"{storage.place}/{key}")


def test_objects_of_others_are_refused(storage: Storage) -> None:
    for url in ("s3://other/key", storage.place + "-other/key", "https://example.com/key"):
        with pytest.raises(StorageRefused, match="is not in"):
            storage.open(url)


def test_a_file_that_is_not_there(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        storage.put_file(tmp_path / "none.png")


@pytest.mark.parametrize("seconds", [0, -1, 8 * 24 * 3600])
def test_signed_addresses_end_within_a_week(storage: Storage, picture: Path, seconds: int) -> None:
    with pytest.raises(StorageRefused, match="1 second to 7 days"):
        storage.sign(f"{storage.place}/key", seconds)


# -- S3 and R2 ---------------------------------------------------------------------------------------------


def test_s3_gives_out_type_name_and_privacy(s3: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PICTURE)
    stored = s3.put_file(path, 'Zoë "x".png')
    answer = httpx2.get(s3.sign(stored.url))
    assert answer.content == PICTURE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private"
    name = "Zo%C3%AB%20%22x%22.png"
    assert answer.headers["content-disposition"] == (
        f"inline; filename=\"Zo_ _x_.png\"; filename*=UTF-8''{name}"
    )


def test_s3_signatures_are_right(s3: Storage) -> None:
    url = s3.sign("s3://shelf/a/b.png", 60)
    assert is_valid_aws(url, KEY, SECRET, "us-east-1")
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["60"]
    assert not is_valid_aws(url.replace("b.png", "c.png"), KEY, SECRET, "us-east-1")
    assert not is_valid_aws(url.replace("Expires=60", "Expires=600"), KEY, SECRET, "us-east-1")
    late = datetime.now(UTC) + timedelta(seconds=62)
    assert not is_valid_aws(url, KEY, SECRET, "us-east-1", late)
    assert SECRET not in url


def test_s3_uploads_in_parts_and_cleans_up(s3: Storage, moto: str) -> None:
    def chunks(count: int, torn: bool = False):
        for number in range(count):
            yield bytes([number]) * (CHUNK // 2 + 1)
        if torn:
            raise Torn

    stored = s3.put_stream(chunks(5), CLIP)
    assert stored.size == 5 * (CHUNK // 2 + 1)
    assert read(s3, stored.url, stored.size - 2) == b"\4\4"
    assert s3.open(stored.url).content_type == "video/mp4"
    before = httpx2.get(f"{moto}/shelf?list-type=2").text.count("<Key>")
    with pytest.raises(Torn):
        s3.put_stream(chunks(5, torn=True), CLIP)
    assert "<Upload>" not in httpx2.get(f"{moto}/shelf?uploads").text
    assert httpx2.get(f"{moto}/shelf?list-type=2").text.count("<Key>") == before


def test_a_bucket_that_is_not_there(moto: str, picture: Path) -> None:
    storage = storage_of("s3://none", StorageSettings.from_environment(aws(moto)))
    with pytest.raises(StorageMissing, match="or its bucket does not exist"):
        storage.put_file(picture)


def test_r2_uses_its_own_keys_only(monkeypatch: pytest.MonkeyPatch, moto: str, picture: Path) -> None:
    for name, value in {
        "AWS_SESSION_TOKEN": "amazon", "AWS_ACCESS_KEY_ID": "amazon", "AWS_SECRET_ACCESS_KEY": "amazon",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SKIP_SIGNATURE": "true", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true", "AWS_REGION": "eu-west-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    keys = {"R2_ACCESS_KEY_ID": KEY, "R2_SECRET_ACCESS_KEY": SECRET}
    real = storage_of("r2://shelf", StorageSettings.from_environment({**keys, "R2_ACCOUNT_ID": "acc"}))
    url = real.sign("r2://shelf/a.png", 60)
    assert url.startswith("https://acc.r2.cloudflarestorage.com/shelf/a.png?")
    assert "Security-Token" not in url
    assert is_valid_aws(url, KEY, SECRET, "auto")
    here = storage_of("r2://shelf", StorageSettings.from_environment({**keys, "R2_ENDPOINT_URL": moto}))
    stored = here.put_file(picture)
    assert stored.url.startswith("r2://shelf/")
    assert read(here, stored.url) == PICTURE


def test_s3_of_amazon_is_addressed_by_region() -> None:
    settings = StorageSettings(
        s3_bucket="shelf", s3_region="eu-west-1", s3_access_key_id=KEY, s3_secret_access_key=SECRET
    )
    url = storage_of("s3://shelf/some/where", settings).sign("s3://shelf/some/where/a.png", 60)
    assert urlsplit(url).netloc == "s3.eu-west-1.amazonaws.com"
    assert is_valid_aws(url, KEY, SECRET, "eu-west-1")


# -- GCS ---------------------------------------------------------------------------------------------------


def test_gcs_keeps_type_and_disposition(gcs: Storage, google: Cloud, picture: Path) -> None:
    gcs.put_file(picture)
    (kept,) = google.objects.values()
    assert kept.headers["content-type"] == "image/png"
    assert kept.headers["content-disposition"] == 'inline; filename="picture.jpg"'


def test_gcs_uploads_in_equal_parts(gcs: Storage, google: Cloud) -> None:
    gcs.put_stream((b"x" * 1_000_000 for _ in range(20)), CLIP)
    (kept,) = google.objects.values()
    assert len(kept.content) == 20_000_000
    parts = [heads for method, path, heads in google.requests if "partNumber" in path]
    sizes = sorted(int(part["content-length"]) for part in parts)
    assert sizes == [20_000_000 - 2 * CHUNK, CHUNK, CHUNK]


MEMORY = """
import re, sys
from mien.storage import StorageSettings, storage_of
from mien.storage.base import Item

def peak():
    # ru_maxrss would tell of the parent as well
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

storage = storage_of("gs://shelf", StorageSettings(gcs_credentials=sys.argv[1]))
storage.put_stream([b"x"], Item("video/mp4", "mp4"))
before = peak()
storage.put_stream((b"x" * 1_000_000 for _ in range(160)), Item("video/mp4", "mp4"))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_an_upload_takes_little_memory(account: Account, google: Cloud) -> None:
    words = [sys.executable, "-c", MEMORY, str(account.file)]
    megabytes = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert max(len(kept.content) for kept in google.objects.values()) == 160_000_000
    assert megabytes < 60


def test_gcs_signatures_are_right(signing_account: Account) -> None:
    key, email = signing_account.public_key, signing_account.email
    settings = StorageSettings(gcs_credentials=signing_account.file)
    url = storage_of("gs://shelf", settings).sign("gs://shelf/a.png", 60)
    assert urlsplit(url)[:3] == ("https", "storage.googleapis.com", "/shelf/a.png")
    assert is_valid_google(url, key, email)
    assert not is_valid_google(url.replace("a.png", "b.png"), key, email)
    assert not is_valid_google(url, key, email, datetime.now(UTC) + timedelta(seconds=62))


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"private_key": "x", "client_email": "a"}'])
def test_gcs_says_when_the_key_file_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StorageRefused, match="GOOGLE_APPLICATION_CREDENTIALS"):
        storage_of("gs://shelf", StorageSettings(gcs_credentials=path)).sign("gs://shelf/a")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (403, StorageRefused, "does not accept the credentials"),
        (401, StorageRefused, "does not accept the credentials"),
        (400, StorageError, "Oops"),
    ],
)
def test_errors_of_a_store_become_sentences(
    gcs: Storage, google: Cloud, picture: Path, status: int, error: type[StorageError], words: str
) -> None:
    google.fail_with = status
    with pytest.raises(error, match=words) as caught:
        gcs.put_file(picture)
    assert len(str(caught.value)) < 200


def test_a_store_that_is_not_there(picture: Path) -> None:
    from mien.storage import objects

    settings = StorageSettings.from_environment(aws("http://127.0.0.1:9"))
    storage = storage_of("s3://shelf", settings)
    assert objects._RETRY["max_retries"] == 3
    with pytest.raises(StorageError, match=r"s3://shelf failed .*try again later") as caught:
        storage.put_file(picture)
    assert caught.value.retryable


# -- Cloudflare Images -------------------------------------------------------------------------------------


def test_pictures_are_private(cf: Storage, images: Cloud, picture: Path) -> None:
    stored = cf.put_file(picture)
    (kept,) = images.objects.values()
    assert kept.headers == {"content-type": "image/png", "private": "true"}
    assert re.fullmatch(r"cfimages://acc/[0-9a-f-]{36}", stored.url)


def test_delivery_is_signed(cf: Storage, images: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.storage.cloudflare.time.time", lambda: 1_700_000_000.5)
    # By hand: printf '/hash/id/public?exp=1700000060' | openssl dgst -sha256 -hmac signing
    assert cf.sign("cfimages://acc/id", 60) == (
        f"{images.url}/hash/id/public?exp=1700000060"
        "&sig=fecf157c0908b5cc805e210f882d0ed6e04762e5f5b035fb4582346e984632ee"
    )


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (CLIP, "not video/mp4"),
        (Item("image/tiff", "tif"), "not image/tiff"),
        (Item("image/png", "png", size=10_000_001), "up to 10000000 bytes; this one has 10000001"),
    ],
)
def test_cloudflare_takes_small_pictures_only(cf: Storage, item: Item, words: str) -> None:
    assert words in (cf.refusal(item) or "")
    with pytest.raises(StorageRefused, match=words):
        cf.put_stream([], item)


def test_a_stream_over_the_limit(cf: Storage, images: Cloud) -> None:
    with pytest.raises(StorageRefused, match="up to 10000000 bytes"):
        cf.put_stream((b"x" * 1_000_000 for _ in range(11)), Item("image/png", "png"))
    assert not images.requests


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (429, StorageError, "try again later"),
        (500, StorageError, "try again later"),
        (401, StorageRefused, "does not accept the token"),
        (403, StorageRefused, "does not accept the token"),
        (415, StorageRefused, r"status 415, error 5455"),
    ],
)
def test_errors_of_cloudflare_become_sentences(
    cf: Storage, images: Cloud, picture: Path, status: int, error: type[StorageError], words: str
) -> None:
    images.fail_with = status
    with pytest.raises(error, match=words) as caught:
        cf.put_file(picture)
    assert caught.value.retryable is (error is StorageError)
    assert "token" not in str(caught.value) or error is StorageRefused


def test_cloudflare_that_is_not_there(picture: Path) -> None:
    settings = StorageSettings(cf_account_id="acc", cf_api_token="t", cf_api_url="http://127.0.0.1:9")
    with pytest.raises(StorageError, match="could not be reached"):
        storage_of("cfimages://acc", settings).put_file(picture)


def test_what_cloudflare_needs() -> None:
    with pytest.raises(StorageRefused, match="CF_IMAGES_API_TOKEN"):
        storage_of("cfimages://acc", StorageSettings())
    bare = storage_of("cfimages://acc", StorageSettings(cf_api_token="t"))
    with pytest.raises(StorageRefused, match="CF_IMAGES_ACCOUNT_HASH"):
        bare.sign("cfimages://acc/id")
    keyless = storage_of("cfimages://acc", StorageSettings(cf_api_token="t", cf_account_hash="h"))
    with pytest.raises(StorageRefused, match="CF_IMAGES_SIGNING_KEY"):
        keyless.sign("cfimages://acc/id")
    public = StorageSettings(cf_api_token="t", cf_account_hash="h", cf_private=False)
    assert storage_of("cfimages://acc", public).sign("cfimages://acc/id") == (
        "https://imagedelivery.net/h/id/public"
    )
    assert storage_of("cfimages://acc", public).privacy == "public"


# -- this machine ------------------------------------------------------------------------------------------


def test_local_files_are_for_their_user_only(local: LocalStorage, picture: Path) -> None:
    path = local.folder / local.put_file(picture).url.rpartition("/")[2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(local.folder.stat().st_mode) == 0o700


def test_a_link_does_not_lead_out(local: LocalStorage, picture: Path) -> None:
    local.put_file(picture)
    (local.folder / "link.png").symlink_to(picture)
    with pytest.raises(StorageRefused, match="leads out"):
        local.open(f"{local.place}/link.png")


def test_local_addresses_are_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = LocalStorage(tmp_path, url="https://mien.example/files/", signing_key="s")
    monkeypatch.setattr("mien.storage.local.time.time", lambda: 1000.0)
    url = local.sign(f"{local.place}/a.png", 60)
    assert url.startswith("https://mien.example/files/a.png?expires=1060&signature=")
    signature = url.rpartition("=")[2]
    assert local.is_signed("a.png", 1060, signature)
    assert not local.is_signed("b.png", 1060, signature)
    assert not local.is_signed("a.png", 1061, signature)
    monkeypatch.setattr("mien.storage.local.time.time", lambda: 1060.0)
    assert not local.is_signed("a.png", 1060, signature)
    with pytest.raises(StorageRefused, match="STORAGE_LOCAL_URL"):
        LocalStorage(tmp_path).sign(f"{local.place}/a.png")
    with pytest.raises(StorageRefused, match="STORAGE_LOCAL_SIGNING_KEY"):
        LocalStorage(tmp_path, url="https://x").sign(f"{local.place}/a.png")


def test_a_local_folder_that_cannot_be_made(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="local storage failed"):
        LocalStorage(tmp_path / "file" / "folder").put_file(picture)


def test_an_object_can_be_put_by_address_into_s3_only_until_it_expires(s3: Storage) -> None:
    ticket = s3.sign_put("png", 60)
    assert ticket is not None
    assert ticket.url.startswith("s3://shelf/")
    assert ticket.url.endswith(".png")
    assert ticket.address not in repr(ticket)
    assert is_valid_aws(ticket.address, KEY, SECRET, "us-east-1", method="PUT")
    assert not is_valid_aws(ticket.address, KEY, SECRET, "us-east-1")
    httpx2.put(ticket.address, content=PICTURE).raise_for_status()
    assert read(s3, ticket.url) == PICTURE


def test_folders_and_cloudflare_give_no_address_to_put_to(local: Storage, cf: Storage) -> None:
    assert local.sign_put() is None
    assert cf.sign_put() is None


def test_what_a_killed_process_left_of_an_object_goes_with_it(local: LocalStorage, picture: Path) -> None:
    """The process dies where nothing of it runs any more, as with kill -9."""
    program = (
        "import os, sys; from pathlib import Path; from mien.storage.local import LocalStorage\n"
        "from mien.storage.base import Item\n"
        "def chunks():\n"
        "    yield b'x' * 100000\n"
        "    os._exit(9)\n"
        "LocalStorage(Path(sys.argv[1])).put_stream(chunks(), Item('image/png', 'png'))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(local.folder)], timeout=60, check=False)
    other = local.put_file(picture)
    (left,) = local.folder.glob(".*.part.png")
    local.delete(f"{local.place}/{left.name.split('.')[1]}.png")
    assert [path.name for path in local.folder.iterdir()] == [other.url.rpartition("/")[2]]
