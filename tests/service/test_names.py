import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.service.names import distinct, safe_name


@pytest.mark.parametrize(
    ("given_name", "ending", "safe"),
    [
        ("../../etc/passwd", "jpg", "passwd.jpg"),
        ("C:\\x\\y.png", "png", "y.png"),
        ("a\r\nSet-Cookie: b.png", "png", "aSet-Cookie_ b.png"),
        ('x"; filename="y.png', "png", "x__ filename=_y.png"),
        ("..", "png", "file.png"),
        ("", "", "file"),
        ("CON", "png", "file CON.png"),
        ("gnp.\u202eexe", "png", "gnp.exe.png"),
        ("Zoë.png", "png", "Zoë.png"),
        (".htaccess", "", "htaccess"),
    ],
)
def test_names_lose_what_means_something_to_a_system(given_name: str, ending: str, safe: str) -> None:
    assert safe_name(given_name, ending) == safe


@given(st.text(max_size=400), st.sampled_from(["", "png", "mp4"]))
def test_every_name_is_safe_and_stays_the_same_the_second_time(name: str, ending: str) -> None:
    safe = safe_name(name, ending)
    assert safe
    assert len(safe.encode()) <= 210
    assert not set(safe) & set('/\\"<>|:?*;%')
    assert not any(unicodedata.category(char)[0] == "C" for char in safe)
    assert safe not in (".", "..")
    assert not safe.startswith(".")
    assert safe_name(safe, ending) == safe


@given(st.lists(st.sampled_from(["a.png", "A.png", "a (2).png", "b"]), max_size=12))
def test_no_two_names_are_the_same_on_any_disk(names: list[str]) -> None:
    found = list(distinct(iter(names)))
    assert len({name.lower() for name in found}) == len(names)
    assert all(name.startswith(("a", "A", "b")) for name in found)
