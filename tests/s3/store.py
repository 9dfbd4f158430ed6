"""A real S3 for tests: the one of OCELLI_TEST_S3, or a Swift that is installed on this machine.

``OCELLI_TEST_S3`` is an address with credentials, ``http://key:secret@host:port`` (percent-encode
what an address cannot hold); the region is us-east-1, and buckets are made and left behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
import pytest
from botocore.config import Config

SERVE = Path(__file__).parent / "serve"
REGION = "us-east-1"


@dataclass
class S3:
    """Where it is, and a client of the test's own."""

    endpoint: str
    key: str
    secret: str
    client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def new_bucket(self) -> str:
        name = f"ocelli-test-{uuid.uuid4().hex[:20]}"
        self.client.create_bucket(Bucket=name)
        return name

    def empty(self, bucket: str) -> None:
        for key in self.keys(bucket):
            self.client.delete_object(Bucket=bucket, Key=key)

    def drop(self, bucket: str) -> None:
        self.empty(bucket)
        self.client.delete_bucket(Bucket=bucket)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]

    def url(self, bucket: str, prefix: str = "") -> str:
        """For the setting ``storage_url``."""
        return f"s3://{bucket}/{prefix}?endpoint={quote(self.endpoint)}&region={REGION}"

    @property
    def environment(self) -> dict[str, str]:
        """The credentials, the usual AWS way."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Skips, and says so, where there is none."""
    given = os.environ.get("OCELLI_TEST_S3")
    if given:
        parts = urlsplit(given)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        yield S3(address, unquote(parts.username or ""), unquote(parts.password or ""))
        return
    if not shutil.which("swift-proxy-server") or not shutil.which("memcached"):
        pytest.skip("no S3: set OCELLI_TEST_S3, or install what tests/s3/serve asks for")
    folder = tmp_path_factory.mktemp("s3")
    with subprocess.Popen(
        [SERVE, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("ready "), f"Swift did not start; see {folder}/*.log"
        yield S3(ready.split()[1], "ocellitests:integration", "a-secret-for-tests-only")
        process.terminate()
