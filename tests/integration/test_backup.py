"""A backup beside a running server holds all of it, and an installation comes back from it."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from tests.conftest import OCELLI, Server, database_of_process, reachable, start_server
from tests.integration.test_erasures import found_in_tables
from tests.integration.test_main_job import API, finished, noise, upload
from tests.s3.store import S3
from tests.waiting import PATIENCE, until
from typer.testing import CliRunner

from ocelli.cli.main import app
from ocelli.domain.accounts import KeyDraft, Tier
from ocelli.domain.backups import BackupFailed
from ocelli.domain.errors import StorageFull
from ocelli.settings import Settings
from ocelli.storage.backup import dump
from ocelli.storage.backup.folder import BackupFolder, full_disk_told
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.schema import migrate
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.keys import Keys
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.wiring import backup as wiring

Command = Callable[..., Any]
FIRST_SEED = 7_300_000


@pytest.fixture(scope="module")
def command() -> Command:
    """Run a command in a thread of this process: it runs an event loop of its own."""

    def run(*arguments: object, code: int | tuple[int, ...] = 0) -> Any:
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(CliRunner().invoke, app, [*map(str, arguments)]).result(PATIENCE)
        assert done.exit_code in (code if isinstance(code, tuple) else (code,)), done.output
        return done

    return run


@dataclass
class Original:
    """A library at one moment, and its backup."""

    key: str
    target: Path
    pictures: dict[str, str]
    details: dict[str, Any]
    report: dict[str, Any]
    ours: list[str]


@pytest.fixture(scope="module")
def original(
    server: Server, command: Command, tmp_path_factory: pytest.TempPathFactory
) -> Original:
    """Some pictures of the shared server, backed up while others are being uploaded."""
    target = tmp_path_factory.mktemp("backup") / "target"
    data = [noise(FIRST_SEED + number) for number in range(4)]
    pictures = {upload(server, each).json()["image_id"]: each for each in data}
    details = {id: finished(server, id) for id in pictures}
    with ThreadPoolExecutor(3) as uploads:
        later = [
            uploads.submit(upload, server, noise(FIRST_SEED + 10 + number)) for number in range(12)
        ]
        later[0].result(PATIENCE)
        # Other tests take objects away from the shared server, which is told with a code of 1.
        made = command("backup", target, "--json", "--data", server.data, code=(0, 1))
        uploaded = [each.result(PATIENCE).json()["image_id"] for each in later]
    digests = {id: hashlib.sha256(each).hexdigest() for id, each in pictures.items()}
    report = json.loads(made.stdout)
    return Original(server.key, target, digests, details, report, [*pictures, *uploaded])


def rows(dsn: str) -> dict[str, Any]:
    """The number of rows of each table, and a digest of what is in them."""
    found = {}
    for table in dump.tables(dsn):
        with psycopg.connect(dsn) as connection:
            found[table] = connection.execute(
                f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
            ).fetchone()
    return found


def stored(folder: Path) -> dict[str, str]:
    """The files of a store, and their hashes."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {
        each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in files
    }


def finished_backups(target: Path) -> list[str]:
    return sorted(each.name for each in target.glob("backups/*"))


def killed(arguments: list[str], folder: Path, pattern: str, files: int) -> None:
    """Run a command, and kill it with -9 when so many files are in the folder."""
    process = subprocess.Popen([*OCELLI, *arguments], stderr=subprocess.DEVNULL)
    until(
        lambda: len(list(folder.glob(pattern))) >= files or process.poll() is not None,
        every=0.001,
        fleeting=True,
    )
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)


def test_what_was_erased_comes_back(original: Original, command: Command, tmp_path: Path) -> None:
    """Over HTTP, with the key of before; a kill -9 in the middle of the restore is no matter."""
    data = reachable(tmp_path) / "data"
    arguments = ["restore", str(original.target), "--data", str(data)]
    killed(arguments, data / "objects", "uploads/*/*", 1)
    command(*arguments, "--replace")  # had it come to its end, there were an installation
    restored = start_server(data, "--workers", "0")
    try:
        headers = {"Authorization": f"Bearer {original.key}"}
        for id, digest in original.pictures.items():
            address = f"{restored.url}{API}/user-files/{id}"
            details = requests.get(address, headers=headers, timeout=60).json()
            assert details["upload_description"] == original.details[id]["upload_description"]
            download = requests.get(f"{address}/download", headers=headers, timeout=60)
            assert hashlib.sha256(download.content).hexdigest() == digest
    finally:
        restored.stop()
        assert restored.process.stdout is not None
        restored.process.stdout.close()
    assert (data / "secret").read_bytes()


def test_a_backup_holds_the_object_of_each_of_its_rows(original: Original) -> None:
    """Uploads went on while it was made."""
    kept = {each.key for each in BackupFolder(original.target).backup().objects()}
    assert all(any(id in key for key in kept) for id in original.pictures)
    missing = [each["key"] for each in original.report["missing"]]
    assert not [key for key in missing if any(id in key for id in original.ours)]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Path]:
    """A data folder with a database, a picture and a secret, that no server runs on."""
    data = reachable(tmp_path) / "data"
    postgres = EmbeddedPostgres(data / "postgres")
    postgres.start()
    migrate(postgres.dsn)
    add_pictures(postgres.dsn, data / "objects", range(20))
    postgres.stop()
    (data / "secret").write_text("s" * 64)
    yield data


def add_pictures(dsn: str, store: Path, numbers: range) -> None:
    """Rows and objects of a tenant, as uploads make them."""
    with psycopg.connect(dsn) as connection:
        tenant = connection.execute(
            "INSERT INTO tenants (name, tier) VALUES ('of backups', 'free')"
            " ON CONFLICT (name) DO UPDATE SET tier = 'free' RETURNING id"
        ).fetchone()
        assert tenant is not None
        for number in numbers:
            data = noise(FIRST_SEED + 100 + number, 8)
            (id,) = connection.execute("SELECT gen_random_uuid()").fetchone() or ("",)
            path = store / "uploads" / str(tenant[0]) / f"{id}+p.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            connection.execute(
                "INSERT INTO images (id, tenant_id, filename, object_key, storage_target,"
                " upload_method, content_type, format, size_bytes, sha256, width, height)"
                " VALUES (%s, %s, 'p.png', %s, 'default', 'STREAMING', 'image/png', 'png', %s, %s,"
                " 8, 8)",
                (
                    *(id, tenant[0], f"uploads/{tenant[0]}/{id}/p.png"),
                    *(len(data), hashlib.sha256(data).digest()),
                ),
            )


def rows_of(data: Path) -> dict[str, Any]:
    postgres = EmbeddedPostgres(data / "postgres")
    postgres.start()
    try:
        return rows(postgres.dsn)
    finally:
        postgres.stop()


def test_all_rows_and_files_are_as_they_were(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    """A killed backup leaves none, or the one before; the next copies what is not there yet."""
    target, data = tmp_path / "target", ["--data", str(installation)]
    before, files = rows_of(installation), stored(installation / "objects" / "uploads")
    killed(["backup", str(target), *data], target, "objects/*/*", 3)
    for _ in range(2):
        command("backup", target, *data)
    first = finished_backups(target)
    killed(["backup", str(target), *data], target, "unfinished/database.dump", 1)
    assert finished_backups(target)[: len(first)] == first
    report = json.loads(command("backup", target, "--json", *data).stdout)
    assert (report["objects"], report["copied"], report["missing"]) == (20, 0, [])
    command("backup", "--verify", target)
    refused = command("restore", target, *data, code=3)
    assert "There is an installation already." in refused.output

    shutil.rmtree(installation)
    command("restore", target, *data)
    assert rows_of(installation) == before
    assert stored(installation / "objects" / "uploads") == files
    assert (installation / "secret").read_text() == "s" * 64

    (installation / "secret").write_text("t" * 64)
    command("restore", target, "--replace", *data)
    assert rows_of(installation) == before
    assert (installation / "secret").read_text() == "s" * 64


def test_a_damaged_backup_is_told_and_changes_nothing(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    target, data = tmp_path / "target", ["--data", str(installation)]
    command("backup", target, *data)
    damaged = next((target / "objects").glob("*/*"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"\0")
    assert str(damaged) in command("backup", "--verify", target, code=1).output.replace("\n", "")
    other = tmp_path / "other"
    refused = command("restore", target, "--data", other, code=3)
    assert "Nothing was changed" in refused.output
    assert not other.exists()
    damaged.unlink()  # as it is told to
    command("backup", target, *data)
    command("backup", "--verify", target)
    listing = next((target / "backups").glob("*/objects.jsonl.gz"))
    listing.write_bytes(listing.read_bytes()[:-20])
    command("backup", "--verify", "--at", listing.parent.name, target, code=1)
    command("restore", target, "--at", listing.parent.name, "--data", other, code=3)


def test_what_no_backup_says_is_damage(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    command("backup", target, "--data", installation)
    folder = BackupFolder(target)
    backup = folder.backup()
    manifest = backup.folder / "manifest.json"
    text = manifest.read_text()
    for schema in ("public; \\! id", '"a" b', "a\nb", 7):
        manifest.write_text(json.dumps({**json.loads(text), "extension_schema": schema}))
        with pytest.raises(BackupFailed, match="cannot be read"):
            backup.manifest()
    manifest.write_text(text)
    sums = backup.folder / "SHA256SUMS"
    sums.write_text(f"{sums.read_text()}{'0' * 64}  /dev/zero\n")
    assert [each.key for each in folder.damage(backup, lambda _: None)] == ["/dev/zero"]
    for fields in (["a", "image/png", 1, "../../x"], ["a", "b", None, "0" * 64], ["a"], 7):
        with gzip.open(backup.folder / "objects.jsonl.gz", "wt") as lines:
            lines.write(json.dumps(fields))
        with pytest.raises(BackupFailed, match="is damaged"):
            list(backup.objects())


def test_a_full_disk_is_told_with_what_to_do() -> None:
    for error in (OSError(errno.ENOSPC, "full"), StorageFull("There is no room.")):
        with pytest.raises(BackupFailed, match="older backups are whole") as told, full_disk_told():
            raise error
        assert "make room" in str(told.value.hint)
    with pytest.raises(FileNotFoundError), full_disk_told():
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_an_object_that_is_not_in_the_store_is_told(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    lost, other = sorted((installation / "objects" / "uploads").rglob("*.png"))[:2]
    lost.unlink()
    other.write_bytes(b"what no client sent")
    made = command("backup", tmp_path / "target", "--data", installation, code=1)
    assert f"{lost.name.replace('+', '/')}: is not in the store" in made.output.replace("\n", "")
    assert "not the file that was uploaded" in made.output
    command("restore", tmp_path / "target", "--data", tmp_path / "other")


def test_older_backups_and_what_they_alone_hold_are_removed(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    target, data = tmp_path / "target", ["--data", str(installation)]
    command("backup", target, *data)
    postgres = EmbeddedPostgres(installation / "postgres")
    postgres.start()
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute(
            "DELETE FROM images WHERE id IN (SELECT id FROM images ORDER BY id LIMIT 5)"
        )
    postgres.stop()
    command("backup", target, *data)
    assert len(list((target / "objects").glob("*/*"))) == 20
    others = [target / "backups" / name / "notes" for name in ("@eaDir", "before-the-move", "0")]
    for each in others:
        each.mkdir(parents=True)
    command("backup", target, "--keep", "1", *data)
    assert all(each.exists() for each in others)
    for each in others:
        shutil.rmtree(each.parent)
    assert len(list((target / "objects").glob("*/*"))) == 15
    assert finished_backups(target)[0].startswith("000003-")
    command("backup", "--verify", target)


def erase_in(data: Path, *, tenant: str | None = None) -> str:
    """Erase a picture of an installation without a server, or a tenant; return the id."""
    postgres = EmbeddedPostgres(data / "postgres")
    postgres.start()

    async def run() -> str:
        async with PostgresDatabase(postgres.dsn, max_connections=2) as database:
            erasures = Erasures(database, StoreResolver(LocalObjects(data / "objects", b"s")))
            if tenant is not None:
                receipt = await erasures.erase_tenant(tenant)
                assert receipt is not None
                return str(receipt.tenant_id)
            await Keys(database).issue("of backups", Tier.FREE, KeyDraft("", ("admin",)))
            async with database.transaction() as tx:
                key = await tx.accounts.oldest_admin("of backups")
                assert key is not None
                (id, *_) = await tx.erasing.ids_of(key.tenant.id, limit=1)
            assert (await erasures.erase_pictures(key, [str(id)])).completed_at
            return str(id)

    try:
        return str(in_thread(lambda: asyncio.run(run())))
    finally:
        postgres.stop()


def holds(data: Path, id: str) -> bool:
    """Whether a row but receipts, or the path of an object, names it."""
    postgres = EmbeddedPostgres(data / "postgres")
    postgres.start()
    try:
        found = found_in_tables(postgres.dsn, [id])
    finally:
        postgres.stop()
    in_rows = [row for row in found if not row.startswith("erasures")]
    return bool(in_rows) or any(id in path for path in stored(data / "objects"))


def test_what_was_erased_since_a_backup_does_not_come_back_with_it(
    installation: Path, command: Command, tmp_path: Path
) -> None:
    """By the receipts of the database that is replaced, or of a later backup in the same folder."""
    target, data = tmp_path / "target", ["--data", str(installation)]
    command("backup", target, *data)
    (first,) = finished_backups(target)
    picture = erase_in(installation)
    again = command("restore", target, "--replace", "--at", first, *data).output
    assert "erased again, by receipts: 1 erasures" in again
    assert not holds(installation, picture)
    assert len(stored(installation / "objects" / "uploads")) == 19
    assert not (installation / "erasures.jsonl").exists()

    tenant = erase_in(installation, tenant="of backups")
    command("backup", target, *data)
    shutil.rmtree(installation)
    again = command("restore", target, "--at", first, *data).output
    assert "erased again, by receipts: 2 erasures" in again
    assert not holds(installation, picture)
    assert not holds(installation, tenant)
    assert stored(installation / "objects" / "uploads") == {}


@pytest.fixture
def own_database(dsn: str, tmp_path: Path) -> Settings:
    """An installation with a configured database, and its pictures in a folder."""
    own = database_of_process(dsn, "of_backups")
    migrate(own)
    add_pictures(own, tmp_path / "pictures", range(3))
    return Settings(
        data=tmp_path / "data",
        database_url=own,
        storage_url=f"file://{tmp_path / 'pictures'}",
        secret="x" * 32,
    )


def silent(what: str, done: int, total: int) -> None:
    del what, done, total


def in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result(PATIENCE)


def restore(settings: Settings, target: Path, *, replace_all: bool) -> None:
    in_thread(lambda: wiring.restore(settings, target, None, replace_all=replace_all, tell=silent))


def test_no_secret_of_the_address_is_in_the_list_of_processes() -> None:
    dsn = "postgresql://me:word1@db.test/x?sslpassword=word2%20%3D%27&oauth_client_secret=word3"
    told = """
import json, sys
from psycopg.pq import PGconn
connection = PGconn.connect_start(sys.argv[1].encode())
print(json.dumps({each.keyword.decode(): (each.val or b"").decode() for each in connection.info}))
"""
    with dump._access(dsn) as (address, environment):
        assert "word" not in address
        command = [sys.executable, "-c", told, address]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
    found = json.loads(done.stdout)
    names = ("host", "dbname", "user", "password", "sslpassword", "oauth_client_secret")
    assert [found[name] for name in names] == ["db.test", "x", "me", "word1", "word2 ='", "word3"]
    assert not Path(environment["PGSERVICEFILE"]).exists()
    with (
        pytest.raises(BackupFailed, match="names a service, and sslpassword"),
        dump._access("service=mine sslpassword=word"),
    ):
        pass


def test_into_a_bucket_and_a_database_of_ones_own(
    own_database: Settings, dsn: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder into a bucket, where objects that are there stay; and from there again."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    address = own_database.database_url and own_database.database_url.get_secret_value()
    secret = SecretStr(make_conninfo(str(address), sslpassword="of a key"))  # by a service file
    own_database = own_database.model_copy(update={"database_url": secret})
    target, bucket = tmp_path / "target", s3.new_bucket()
    made = in_thread(lambda: wiring.back_up(own_database, target, keep=7, tell=silent))
    assert (made.objects.copied, made.objects.problems) == (3, [])
    other = own_database.model_copy(update={"storage_url": s3.url(bucket, "here/")})
    with pytest.raises(BackupFailed, match="There is an installation already"):
        restore(other, target, replace_all=False)
    before = rows(str(own_database.database_url and own_database.database_url.get_secret_value()))
    restore(other, target, replace_all=True)
    keys = s3.keys(bucket, "here/")
    assert len(keys) == 3
    s3.client.delete_object(Bucket=bucket, Key=keys[0])
    s3.client.put_object(Bucket=bucket, Key=keys[1], Body=b"another")
    restore(other, target, replace_all=True)
    assert rows(str(other.database_url and other.database_url.get_secret_value())) == before
    again = in_thread(lambda: wiring.back_up(other, tmp_path / "again", keep=7, tell=silent))
    assert (again.objects.copied, again.objects.problems) == (3, [])


def test_what_cannot_be_restored_is_refused_with_a_reason(
    own_database: Settings, tmp_path: Path
) -> None:
    assert own_database.database_url is not None
    dsn, target = own_database.database_url.get_secret_value(), tmp_path / "target"
    in_thread(lambda: wiring.back_up(own_database, target, keep=7, tell=silent))
    for changes, reason in (
        ({"secret": Settings(secret="y" * 32).secret}, "is not the secret of this backup"),
        ({"secret": None}, "is in no backup"),
    ):
        with pytest.raises(BackupFailed, match=reason):
            restore(own_database.model_copy(update=changes), target, replace_all=True)
    with (
        psycopg.connect(dsn, application_name="ocelli"),
        pytest.raises(BackupFailed, match="connections to the database"),
    ):
        restore(own_database, target, replace_all=True)
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_later')")
    in_thread(lambda: wiring.back_up(own_database, target, keep=7, tell=silent))
    with pytest.raises(BackupFailed, match="newer version"):
        restore(own_database, target, replace_all=True)
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP TABLE schema_migrations")
    with pytest.raises(BackupFailed, match="another program"):
        in_thread(
            lambda: wiring.restore(
                own_database,
                target,
                BackupFolder(target).names()[0],
                replace_all=True,
                tell=silent,
            )
        )
    with pytest.raises(BackupFailed, match="would be lost with it"):
        wiring.back_up(own_database, own_database.data / "backups", keep=1, tell=silent)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.odt").touch()
    with (
        pytest.raises(BackupFailed, match=r"thesis\.odt"),
        BackupFolder(tmp_path / "full").locked(create=True),
    ):
        pass


def test_a_restore_that_fails_leaves_the_database_as_it_was(
    own_database: Settings, tmp_path: Path
) -> None:
    """A dump that ends in the middle, and statements that the server refuses."""
    assert own_database.database_url is not None
    dsn, path = own_database.database_url.get_secret_value(), tmp_path / "whole"
    with dump.snapshot(dsn) as snapshot:
        snapshot.dump(path)
    before = rows(dsn)
    (tmp_path / "half").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BackupFailed, match="cannot be read"):
        dump.load(dsn, tmp_path / "half", extension_schema=None)
    with pytest.raises(BackupFailed, match="cannot be restored"):
        dump.load(dsn, path, extension_schema="no such schema")
    assert rows(dsn) == before


def test_a_backup_is_written_by_one_command_and_read_by_several(tmp_path: Path) -> None:
    """Without a right to write: a backup may be on a disk that can only be read."""
    folder = BackupFolder(tmp_path / "target")
    with pytest.raises(BackupFailed, match="no backup"), folder.locked():
        pass
    with folder.locked(create=True), pytest.raises(BackupFailed, match="Another command"):
        folder.locked().__enter__()
    lock = folder.root / "lock"
    lock.chmod(0o400)
    with folder.locked(), folder.locked(), pytest.raises(BackupFailed, match="Another command"):
        folder.locked(create=True).__enter__()
    lock.unlink()
    with folder.locked():
        assert not lock.exists()
