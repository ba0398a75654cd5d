from __future__ import annotations

import pytest

from mien.comfyui import ComfySettings
from mien.consumer.composing import chosen_environments, own_storage
from mien.consumer.settings import ConsumerSettings
from mien.errors import OptionError

URL = {"TASK_API_URL": "https://mien.example.org/"}


def test_names_that_are_in_use() -> None:
    found = ConsumerSettings.from_environment(
        {
            **URL,
            "MIEN_KEY": "mien_a_b",
            "MIEN_CONSUMER_ENVIRONMENTS": "comm, FACE_SWAP",
            "MIEN_CONSUMER_LEASE_SECONDS": "20",
            "MIEN_CONTENT_POLICY": "flag",
            "LOG_LEVEL": "WARNING",
            "APP_ENV": "production",
        },
        concurrency="3",
    )
    assert (found.url, found.environments) == ("https://mien.example.org", ("comm", "face_swap"))
    assert (found.concurrency, found.lease_seconds, found.content_policy) == (3, 20, "flag")
    assert (found.log_level, found.app_env) == ("warning", "production")
    assert found.key is not None
    assert "mien_a_b" not in repr(found)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASK_API_URL", "ftp://x"),
        ("TASK_API_URL", "https://user:secret@x"),
        ("MIEN_CONSUMER_ENVIRONMENTS", "moon"),
        ("MIEN_CONSUMER_CONCURRENCY", "0"),
        ("MIEN_CONSUMER_LEASE_SECONDS", "1"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_wrong_values_are_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(OptionError, match=variable) as caught:
        ConsumerSettings.from_environment({**URL, variable: value})
    assert "secret" not in str(caught.value)


def test_an_address_is_needed() -> None:
    with pytest.raises(OptionError, match="TASK_API_URL"):
        ConsumerSettings.from_environment({})


def test_graphs_need_a_comfyui() -> None:
    without, with_one = ComfySettings.from_environment({}), ComfySettings(urls=("http://127.0.0.1:8188",))
    plain, both = (ConsumerSettings.from_environment(URL, environments=names) for names in (None, ("comm",)))
    assert chosen_environments(plain, without) == ("face_swap",)
    assert chosen_environments(plain, with_one) == ("face_swap", "comm")
    assert chosen_environments(both, with_one) == ("comm",)
    with pytest.raises(OptionError, match="COMFYUI_URL"):
        chosen_environments(both, without)


def test_a_storage_must_give_addresses() -> None:
    assert own_storage({}) is None
    with pytest.raises(OptionError, match="STORAGE_LOCAL_URL"):
        own_storage({"STORAGE_PROVIDER": "local"})
