"""A bucket of one's own: ``client.settings``."""

from __future__ import annotations

from typing import Any

from aion._shape import object_of
from aion.resources._base import Resource
from aion.types.settings import S3ConfigStatus, S3ValidationResult


class SettingsResource(Resource):
    """Where pictures with ``storage_target="custom"`` are stored."""

    async def configure_custom_s3(
        self, access_key_id: str, secret_access_key: str, bucket_name: str, region: str
    ) -> S3ConfigStatus:
        """Set the bucket; access is tried before anything is stored.

        Args:
            access_key_id: of an account that may read and write the bucket.
            secret_access_key: kept encrypted, never given back.
            bucket_name: the bucket.
            region: e.g. ``us-east-1``.

        Raises:
            ValidationError: the bucket cannot be reached.
            AionvisionPermissionError: the key is not an administrator's.
        """
        body = {
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "bucket_name": bucket_name,
            "region": region,
        }
        answer = await self._http.json("POST", "/tenant/s3-config", json=body)
        return S3ConfigStatus.from_api_response(answer)

    async def get_custom_s3_status(self) -> S3ConfigStatus:
        """Which bucket is set, if any."""
        return S3ConfigStatus.from_api_response(await self._http.json("GET", "/tenant/s3-config"))

    async def validate_custom_s3(self) -> S3ValidationResult:
        """Try the bucket again; changes nothing."""
        answer = await self._http.json("POST", "/tenant/s3-config/validate")
        return S3ValidationResult.from_api_response(answer)

    async def remove_custom_s3(self) -> dict[str, Any]:
        """Forget the bucket; what is in it stays. The answer has a ``message``."""
        return object_of(await self._http.json("DELETE", "/tenant/s3-config"))
