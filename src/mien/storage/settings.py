"""Settings of storages by the names that are in use for them; secrets are never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from mien.errors import OptionError

Provider = Literal["local", "s3", "r2", "gcs", "cf_images"]

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "providers": ("STORAGE_PROVIDER",),
    "prefix": ("STORAGE_PREFIX",),
    "local_path": ("STORAGE_LOCAL_PATH",),
    "local_url": ("STORAGE_LOCAL_URL",),
    "local_signing_key": ("STORAGE_LOCAL_SIGNING_KEY",),
    "s3_bucket": ("S3_BUCKET_NAME", "AWS_S3_BUCKET_NAME", "AWS_BUCKET_NAME", "AWS_BUCKET"),
    "s3_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "s3_endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "s3_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "s3_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "s3_session_token": ("AWS_SESSION_TOKEN",),
    "r2_bucket": ("R2_BUCKET_NAME", "R2_BUCKET"),
    "r2_account_id": ("R2_ACCOUNT_ID",),
    "r2_endpoint": ("R2_ENDPOINT_URL", "R2_ENDPOINT"),
    "r2_access_key_id": ("R2_ACCESS_KEY_ID",),
    "r2_secret_access_key": ("R2_SECRET_ACCESS_KEY",),
    "gcs_bucket": ("GCS_BUCKET_NAME",),
    "gcs_region": ("GCS_BUCKET_REGION",),
    "gcs_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "cf_account_id": ("CF_IMAGES_ACCOUNT_ID",),
    "cf_api_token": ("CF_IMAGES_API_TOKEN",),
    "cf_account_hash": ("CF_IMAGES_ACCOUNT_HASH",),
    "cf_signing_key": ("CF_IMAGES_SIGNING_KEY",),
    "cf_variant": ("CF_IMAGES_VARIANT",),
    "cf_private": ("CF_IMAGES_REQUIRE_SIGNED_URLS",),
    "cf_api_url": ("CF_IMAGES_API_URL",),
    "cf_delivery_url": ("CF_IMAGES_DELIVERY_URL",),
}
"""Environment variables of each setting; the first that is set counts."""


class StorageSettings(BaseModel):
    """Which storages there are and how they are reached; ``StorageSettings.from_environment()`` reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    providers: tuple[Provider, ...] = Field(
        default=("local",), min_length=1, description="Storages in the order in which they are tried."
    )
    prefix: str = Field(
        default="", pattern=r"\A([A-Za-z0-9_-]+/)*\z", description="Before every key; ends with a slash."
    )
    local_path: Path | None = Field(
        default=None, description="Folder of the local storage; in the user's data folder when unset."
    )
    local_url: str | None = Field(
        default=None, description="Address at which the service gives out local objects; needed to sign."
    )
    local_signing_key: SecretStr | None = Field(default=None, description="Signs addresses of local objects.")
    s3_bucket: str | None = Field(default=None, description="Bucket.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_endpoint: str | None = Field(default=None, description="Address of an S3 server that is not Amazon's.")
    s3_access_key_id: str | None = Field(
        default=None, description="Access key; the machine's own role is used when unset."
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="Secret of the access key.")
    s3_session_token: SecretStr | None = Field(default=None, description="Token of a temporary access key.")
    r2_bucket: str | None = Field(default=None, description="Bucket.")
    r2_account_id: str | None = Field(default=None, description="Account that holds the bucket.")
    r2_endpoint: str | None = Field(default=None, description="Address; made of the account when unset.")
    r2_access_key_id: str | None = Field(default=None, description="Access key.")
    r2_secret_access_key: SecretStr | None = Field(default=None, description="Secret of the access key.")
    gcs_bucket: str | None = Field(default=None, description="Bucket.")
    gcs_region: str | None = Field(
        default=None, description="Accepted; the region belongs to the bucket and is not asked for."
    )
    gcs_credentials: Path | None = Field(
        default=None, description="JSON file of a service account; the machine's own account when unset."
    )
    cf_account_id: str | None = Field(default=None, description="Account.")
    cf_api_token: SecretStr | None = Field(default=None, description="Token with the right Images: Edit.")
    cf_account_hash: str | None = Field(default=None, description="The account in delivery addresses.")
    cf_signing_key: SecretStr | None = Field(
        default=None, description="Key of Images > Keys; signs addresses."
    )
    cf_variant: str = Field(default="public", description="Variant that signed addresses lead to.")
    cf_private: bool = Field(default=True, description="Pictures need a signed address.")
    cf_api_url: str = Field(default="https://api.cloudflare.com/client/v4", description="Address of the API.")
    cf_delivery_url: str = Field(default="https://imagedelivery.net", description="Address of the delivery.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> StorageSettings:
        """Read the variables of ``VARIABLES``. Raises OptionError that names the variable with a wrong value."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        named: dict[str, str] = {}
        for field, variables in VARIABLES.items():
            found = next((name for name in variables if environ.get(name)), None)
            if found is not None:
                named[field] = found
                values[field] = environ[found].strip()
        if "providers" in values:
            values["providers"] = tuple(values["providers"].lower().replace(",", " ").split())
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            variable = named.get(str(first["loc"][0]), str(first["loc"][0]))
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None

    def local_folder(self) -> Path:
        """The folder of the local storage (not created)."""
        if self.local_path is not None:
            return self.local_path.absolute()
        from platformdirs import user_data_path

        return user_data_path("mien", appauthor=False) / "storage"
