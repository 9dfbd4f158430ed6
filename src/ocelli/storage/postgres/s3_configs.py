"""The table ``s3_configs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.s3_buckets import Bucket, BucketConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection


class PostgresS3Configs:
    """The repository of the tenants' own buckets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, tenant_id: UUID) -> BucketConfig | None:
        """Return the tenant's configuration; None if there is none."""
        cursor = await self._connection.execute(
            "SELECT * FROM s3_configs WHERE tenant_id = %s", (tenant_id,)
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        return BucketConfig(
            tenant_id=row["tenant_id"],
            version=row["version"],
            bucket=Bucket(row["bucket"], row["region"], row["endpoint_url"]),
            configured_at=row["configured_at"],
            sealed=row["sealed"],
        )

    async def put(self, config: BucketConfig) -> None:
        """Store the configuration, in place of an earlier one."""
        await self._connection.execute(
            "INSERT INTO s3_configs"
            " (tenant_id, version, bucket, region, endpoint_url, sealed, configured_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id) DO UPDATE SET"
            " version = excluded.version, bucket = excluded.bucket, region = excluded.region,"
            " endpoint_url = excluded.endpoint_url, sealed = excluded.sealed,"
            " configured_at = excluded.configured_at",
            (
                config.tenant_id,
                config.version,
                config.bucket.name,
                config.bucket.region,
                config.bucket.endpoint_url,
                config.sealed,
                config.configured_at,
            ),
        )

    async def remove(self, tenant_id: UUID) -> bool:
        """Delete the configuration; return whether there was one."""
        cursor = await self._connection.execute(
            "DELETE FROM s3_configs WHERE tenant_id = %s", (tenant_id,)
        )
        return cursor.rowcount == 1

    async def tenants(self) -> Sequence[UUID]:
        """Return the tenants that have a configuration."""
        cursor = await self._connection.execute("SELECT tenant_id FROM s3_configs")
        return [row["tenant_id"] for row in await cursor.fetchall()]
