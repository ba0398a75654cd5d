from __future__ import annotations

from mien.service.views import iso, reference_view, target_view


def test_moments_are_iso_8601_in_utc() -> None:
    assert iso(0.25) == "1970-01-01T00:00:00.250Z"
    assert iso(None) is None


def test_references_are_shown_as_clients_give_them() -> None:
    assert reference_view("asset:ab") == "ab"
    assert reference_view("https://example.org/a.png") == "https://example.org/a.png"
    assert target_view("step:3") == {"step": 3}
    assert target_view("") is None
