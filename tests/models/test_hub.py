from __future__ import annotations

from mien.models.catalogue import HubSource, ModelFile, UrlSource
from mien.models.hub import file_addresses, hash_addresses
from mien.settings import Settings

FILE = ModelFile("vendor/m.onnx", (HubSource("models-3.0.0", "m.onnx"), UrlSource("https://example.org/m")))


def test_hubs_come_in_the_users_order_and_the_publisher_last() -> None:
    assert file_addresses(FILE, Settings()) == (
        "https://github.com/facefusion/facefusion-assets/releases/download/models-3.0.0/m.onnx",
        "https://huggingface.co/facefusion/models-3.0.0/resolve/main/m.onnx",
        "https://hf-mirror.com/facefusion/models-3.0.0/resolve/main/m.onnx",
        "https://example.org/m",
    )
    turned = file_addresses(FILE, Settings(download_providers=("huggingface", "github")))
    assert [url.split("/")[2] for url in turned[:3]] == ["huggingface.co", "hf-mirror.com", "github.com"]


def test_a_mirror_replaces_all_bases_of_a_hub() -> None:
    settings = Settings(hub_urls={"huggingface": "https://mirror.example/hf/"})
    assert [url for url in file_addresses(FILE, settings) if "mirror" in url] == [
        "https://mirror.example/hf/facefusion/models-3.0.0/resolve/main/m.onnx"
    ]
    assert not any("hf-mirror" in url for url in file_addresses(FILE, settings))


def test_the_hash_file_lies_beside_the_model() -> None:
    assert hash_addresses(FILE, Settings(download_providers=("github",))) == (
        "https://github.com/facefusion/facefusion-assets/releases/download/models-3.0.0/m.hash",
    )


def test_the_index_is_no_hub() -> None:
    assert file_addresses(FILE, Settings(download_providers=("index",))) == ("https://example.org/m",)
