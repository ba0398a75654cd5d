from __future__ import annotations

from pathlib import Path

from tests.server.served import served


def test_programs_learn_which_service_it_is_and_browsers_get_the_studio(tmp_path: Path) -> None:
    with served(tmp_path, works=False) as place:
        top = str(place.client.base_url).replace("/api/v1/", "/")
        for accept in ("*/*", "application/json"):
            found = place.client.get(top, headers={"Accept": accept}).json()
            assert (found["service"], found["status"]) == ("mien", "running")
        page = place.client.get(top, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.headers["content-type"].startswith("text/html")
