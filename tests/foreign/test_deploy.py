"""What deploy/ has, as far as tools without a cluster or a daemon can say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_group

from ocelli import __version__
from ocelli.cli.main import app
from ocelli.settings import Settings
from tests.docs.test_lock import pins_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "ocelli"
COMPOSE = DEPLOY / "container" / "compose.yaml"
TOOLS = Path(sys.executable).parent
NAMES = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "OCELLI_SECRET")
SECRETS = {**dict.fromkeys(NAMES, "x" * 40), "OCELLI_BOOTSTRAP_KEY": "aion_" + "x" * 40}
KUBERNETES = ("1.27", "1.34")
EVERYTHING = {
    "publicUrl": "https://vision.example.com/ocelli",
    "autoscaling": {"enabled": True},
    "ingress": {"enabled": True, "tlsSecret": "certificate"},
    "networkPolicy": {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
    "settings": {"OCELLI_BACKENDS": '{"vllm": {"base_url": "http://vllm:8000/v1"}}'},
    "imagePullSecrets": [{"name": "registry"}],
}
VARIABLES = {f"OCELLI_{name.upper()}" for name in Settings.model_fields}
COMMANDS = get_group(app).commands


def tool(name: str) -> str:
    found = TOOLS / name
    if not found.exists():
        pytest.skip(f"there is no {name} here: make test-foreign installs it")
    return str(found)


def test_the_dockerfile() -> None:
    file = DEPLOY / "container" / "Dockerfile"
    done = subprocess.run([tool("hadolint"), str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    text = file.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    sources = [name for line in copied for name in line.split()]
    assert sources
    assert [name for name in sources if not (ROOT / name).exists()] == []
    allowed = file.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name.removeprefix('./')}" for name in sources} <= set(allowed)
    assert set(re.findall(r"OCELLI_[A-Z_]+", text)) <= VARIABLES


def test_the_image_has_what_the_lock_has() -> None:
    ours, all_of_it = (
        pins_of(DEPLOY / "container" / "requirements.lock"),
        pins_of(ROOT / "requirements.lock"),
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        re.split(r"[\[<>=]", line)[0].lower()
        for extra in ("server", "s3", "mcp")
        for line in project["optional-dependencies"][extra]
    }
    assert asked <= set(ours), "make lock"
    assert {name: pin for name, pin in ours.items() if all_of_it.get(name) != pin} == {}, (
        "make lock"
    )


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("single", {"single"}),
        ("parts", {"api", "worker", "migrate", "bucket", "postgres", "store"}),
        ("vllm", {"api-vllm", "worker-vllm", "migrate", "bucket", "postgres", "store", "model"}),
    ],
)
def test_compose(profile: str, expected: set[str]) -> None:
    command = [tool("docker-compose"), "-f", str(COMPOSE), "--profile", profile, "config"]
    done = subprocess.run(
        [*command, "--format", "json"], capture_output=True, text=True, env=os.environ | SECRETS
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == expected
    for name, service in services.items():
        if service["image"] != "ocelli":
            continue
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        ours = {key for key in service["environment"] if key.startswith("OCELLI_")}
        assert ours <= VARIABLES, name
        if service["entrypoint"] is None and service["command"]:
            assert service["command"][0] in COMMANDS
        values = {key.removeprefix("OCELLI_").lower(): service["environment"][key] for key in ours}
        if "backends" in values:
            values["backends"] = json.loads(values["backends"])
        Settings(**values)


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    chart = pytest.importorskip("helm_python.chart", reason="make test-foreign installs it")
    report = chart.lint(str(CHART), values, strict=True)
    assert report["errors"] == []
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    with chart.Chart.load(str(CHART)) as loaded:
        assert loaded.metadata["appVersion"] == loaded.version == __version__
        texts = loaded.render(values, name="vision", namespace="pictures")
    manifests = (text for name, text in texts.items() if name.endswith(".yaml"))
    return [each for text in manifests for each in yaml.safe_load_all(text) if each]


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_the_chart(values: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="make test-foreign installs it")
    found = rendered(values)
    for each in found:
        if each["kind"] != "ScaledObject":  # KEDA's own
            for version in KUBERNETES:
                validate.validate(each, version, strict=True)
    kinds = {each["kind"] for each in found}
    always = {
        "Deployment",
        "Service",
        "Job",
        "ServiceAccount",
        "NetworkPolicy",
        "PodDisruptionBudget",
    }
    assert kinds == (always | {"ScaledObject", "Ingress"} if values else always)
    for each in found:
        if each["kind"] in ("Deployment", "Job"):
            check_pod(each["spec"]["template"]["spec"])


def check_pod(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["args"][0] in COMMANDS
    assert container["resources"]["limits"]["memory"]
    names = {each["name"] for each in container["env"] if each["name"].startswith("OCELLI_")}
    assert names <= VARIABLES


def test_the_prefix_of_the_chart_is_that_of_the_public_url() -> None:
    (ingress,) = (each for each in rendered(EVERYTHING) if each["kind"] == "Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "vision.example.com"
    assert rule["http"]["paths"][0]["path"] == "/ocelli(/|$)(.*)"
    plain = EVERYTHING | {"publicUrl": "https://vision.example.com/"}
    (ingress,) = (each for each in rendered(plain) if each["kind"] == "Ingress")
    assert ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/"


def test_the_systemd_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    text = (DEPLOY / "systemd" / "ocelli.service").read_text(encoding="utf-8")
    unit = tmp_path / "ocelli.service"
    unit.write_text(text.replace("/opt/ocelli/bin/ocelli", shutil.which("true") or "/bin/true"))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    exposure = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
    )
    assert exposure.returncode == 0, exposure.stdout[-500:]
    assert set(re.findall(r"OCELLI_[A-Z_]+(?==)", text)) <= VARIABLES
