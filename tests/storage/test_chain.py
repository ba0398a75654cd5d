from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mien.errors import InputMissing, StorageError, StorageRefused
from mien.storage import Chain, Opened, Privacy, PutTicket, Stored
from mien.storage.base import Announce, Item, describe
from mien.storage.check import PICTURE


class Shelf:
    """A storage that works, fails for now, or refuses."""

    def __init__(
        self, name: str, privacy: Privacy = "private", error: StorageError | None = None, only: str = ""
    ) -> None:
        self.name = name
        self.place = f"{name}://shelf"
        self.privacy = privacy
        self.asked: list[str] = []
        self._error = error
        self._only = only

    def refusal(self, item: Item) -> str | None:
        return None if item.content_type.startswith(self._only) else f"{self.name} does not keep this."

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        self.asked.append("put")
        if self._error is not None:
            raise self._error
        return Stored(f"{self.place}/key", 1, "image/png")

    def sign_put(self, ending: str = "", seconds: int = 3600) -> PutTicket | None:
        return PutTicket(f"{self.place}/put", f"https://{self.name}/put")

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        return self.put_file(Path())

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        self.asked.append(f"open {url} {start} {end}")
        return Opened(1, "image/png", iter([b"x"]))

    def sign(self, url: str, seconds: int = 0) -> str:
        self.asked.append(f"sign {url} {seconds}")
        return "https://x"

    def delete(self, url: str) -> None:
        self.asked.append(f"delete {url}")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(PICTURE)
    return path


DOWN = StorageError("a failed; try again later.")


def test_the_first_that_works_gets_the_file(picture: Path) -> None:
    a, b, c = Shelf("a", error=DOWN), Shelf("b"), Shelf("c")
    assert Chain([a, b, c]).put_file(picture).url == "b://shelf/key"
    assert (a.asked, c.asked) == (["put"], [])


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("private", ("public", "machine")),
        ("machine", ("private", "public")),
        ("public", ("private", "machine")),
    ],
)
def test_nothing_moves_to_another_privacy(picture: Path, first: Privacy, others: tuple[Privacy, ...]) -> None:
    further = [Shelf(f"x{number}", privacy) for number, privacy in enumerate(others)]
    chain = Chain([Shelf("a", first, DOWN), *further])
    with pytest.raises(StorageError, match="a failed"):
        chain.put_file(picture)
    assert not any(shelf.asked for shelf in further)
    assert chain.privacy == first


def test_a_refusal_is_not_worked_round(picture: Path) -> None:
    b = Shelf("b")
    with pytest.raises(StorageRefused, match="no right"):
        Chain([Shelf("a", error=StorageRefused("no right")), b]).put_file(picture)
    assert not b.asked


def test_the_first_failure_is_told_when_all_fail(picture: Path) -> None:
    with pytest.raises(StorageError, match="a failed"):
        Chain([Shelf("a", error=DOWN), Shelf("b", error=StorageError("b failed"))]).put_file(picture)


def test_files_go_to_the_first_that_takes_their_kind(picture: Path) -> None:
    images, all = Shelf("images", only="image/"), Shelf("all")
    chain = Chain([images, all])
    assert chain.put_stream([], Item("video/mp4", "mp4")).url == "all://shelf/key"
    assert chain.put_file(picture).url == "images://shelf/key"
    assert chain.refusal(Item("video/mp4", "mp4")) is None
    alone = Chain([images, Shelf("all", "public")])
    assert alone.refusal(Item("video/mp4", "mp4")) == "images does not keep this."
    with pytest.raises(StorageRefused, match="images does not keep this"):
        alone.put_stream([], Item("video/mp4", "mp4"))


def test_an_object_is_asked_of_its_holder() -> None:
    a, b = Shelf("a"), Shelf("b", "public")
    chain = Chain([a, b])
    chain.open("b://shelf/k", 1, 2)
    chain.sign("b://shelf/k", 5)
    chain.delete("b://shelf/k")
    assert b.asked == ["open b://shelf/k 1 2", "sign b://shelf/k 5", "delete b://shelf/k"]
    assert not a.asked
    with pytest.raises(StorageRefused, match="in none of the storages that are set up: a://shelf, b://shelf"):
        chain.open("c://shelf/k")


@pytest.mark.parametrize(
    ("name", "content", "item"),
    [
        ("a.txt", b"hello", Item("application/octet-stream", "txt", "a.txt", 5)),
        ("a.sh;x", b"hello", Item("application/octet-stream", "", "a.sh;x", 5)),
        ("a.png", b"<svg/>", Item("application/octet-stream", "png", "a.png", 6)),
        ("a.bin", PICTURE, Item("image/png", "png", "a.bin", len(PICTURE))),
    ],
)
def test_a_file_is_described_by_its_content(tmp_path: Path, name: str, content: bytes, item: Item) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert describe(path) == item


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputMissing):
            describe(path)
