"""What is deployed fits the program: settings exist, probes are answered, limits leave room for an orderly end."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from src.worker.api.guard import OPEN_PATHS
from src.worker.config import Settings, load_settings
from src.worker.keys import GROUP, STREAMS

ROOT = Path(__file__).parent.parent
K8S = ROOT / "deploy" / "k8s"
SETTINGS = {name.upper() for name in Settings.model_fields}
# Names that are other programs' to read.
FOREIGN = {"KEDA_REDIS_ADDRESS"}


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


def _base() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((K8S / "base").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]


def _of_kind(kind: str) -> dict[str, Any]:
    (found,) = [one for one in _base() if one["kind"] == kind]
    return found


def _pods() -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "worker", _of_kind("Deployment")["spec"]["template"]["spec"]
    yield "janitor", _of_kind("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]


PODS = dict(_pods())


def test_compose_keeps_to_the_specification_of_compose_files() -> None:
    schema = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(_compose())


def test_compose_offers_secrets_as_files_of_settings() -> None:
    document = yaml.safe_load((ROOT / "docker-compose.secrets.yml").read_text("utf-8"))
    services = document["services"]
    assert services.keys() <= _compose()["services"].keys()
    assert {name for one in services.values() for name in one["secrets"]} == document["secrets"].keys()
    assert {name.upper() for name in document["secrets"]} <= SETTINGS


def test_compose_names_only_settings_that_exist() -> None:
    own = [one for one in _compose()["services"].values() if one.get("image") == "brand-eval-worker"]
    assert len(own) >= 2, "worker and janitor"
    for service in own:
        assert set(service["environment"]) <= SETTINGS


def test_a_stopping_container_has_time_to_drain() -> None:
    worker = _compose()["services"]["worker"]
    grace = int(re.fullmatch(r"(\d+)s", worker["stop_grace_period"])[1])  # type: ignore[index]
    assert grace > float(worker["environment"]["DRAIN_TIMEOUT_SEC"]) + 5
    drain = float(_of_kind("ConfigMap")["data"]["DRAIN_TIMEOUT_SEC"])
    assert PODS["worker"]["terminationGracePeriodSeconds"] > drain + 5


def test_probes_ask_what_needs_no_key() -> None:
    (container,) = PODS["worker"]["containers"]
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths <= OPEN_PATHS
    assert container["livenessProbe"]["httpGet"]["path"] == "/health", "a lost database must not restart the worker"


@pytest.mark.parametrize("name", sorted(PODS))
def test_pods_run_as_nobody_in_particular_and_write_nothing_to_their_own_disk(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    user = re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user is not None
    assert pod["securityContext"]["runAsUser"] == int(user[1])
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_pods_name_only_settings_that_exist(name: str) -> None:
    (container,) = PODS[name]["containers"]
    assert {one["name"] for one in container.get("env", ())} <= SETTINGS | FOREIGN
    assert set(_of_kind("ConfigMap")["data"]) <= SETTINGS


def test_the_example_of_the_secret_names_settings_as_files() -> None:
    path = K8S / "overlays" / "production" / "secret.example.yaml"
    assert {one.upper() for one in yaml.safe_load(path.read_text("utf-8"))["stringData"]} <= SETTINGS
    mounts = {one["name"]: one["mountPath"] for one in PODS["worker"]["containers"][0]["volumeMounts"]}
    assert mounts["secrets"] == "/run/secrets"


def test_the_configuration_of_the_pods_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = yaml.safe_load((K8S / "overlays" / "production" / "secret.example.yaml").read_text("utf-8"))
    for name, value in secret["stringData"].items():
        (tmp_path / name).write_text(f"{value}\n", "utf-8")
    for name, value in _of_kind("ConfigMap")["data"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings(_secrets_dir=tmp_path)
    assert settings.worker_api_key is not None
    assert settings.worker_api_key.get_secret_value() == secret["stringData"]["worker_api_key"]
    assert settings.redis_url == secret["stringData"]["redis_url"]
    assert settings.worker_memory_limit_mb < 512


def test_a_variable_wins_over_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redis_url").write_text("redis://file/0", "utf-8")
    monkeypatch.setenv("REDIS_URL", "redis://environment/0")
    assert load_settings(_secrets_dir=tmp_path).redis_url == "redis://environment/0"


@pytest.mark.parametrize(("kind", "path"), [("Deployment", "worker"), ("CronJob", "janitor")])
def test_what_pods_start_is_there(kind: str, path: str) -> None:
    (container,) = PODS[path]["containers"]
    words = container.get("command", ["python", "-m", "src.worker.app"])
    assert words[:2] == ["python", "-m"]
    assert importlib.util.find_spec(words[2]) is not None, f"{kind} starts {words[2]}"


def test_scaling_looks_at_the_streams_of_the_queue() -> None:
    scaled = yaml.safe_load((K8S / "components" / "autoscaling" / "scaledobject.yaml").read_text("utf-8"))
    triggers = [one["metadata"] for one in scaled["spec"]["triggers"]]
    assert {one["stream"] for one in triggers} == set(STREAMS.values())
    assert {one["consumerGroup"] for one in triggers} == {GROUP}
    added = yaml.safe_load((K8S / "overlays" / "production" / "kustomization.yaml").read_text("utf-8"))
    assert "KEDA_REDIS_ADDRESS" in added["patches"][0]["patch"]


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_overlays_are_what_kubernetes_accepts(overlay: str) -> None:
    """Rendered by kustomize and checked against the API's own schemas, strictly; CRDs of others are left out."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which renders overlays, is not on this machine")
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", str(K8S / "overlays" / overlay)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    kinds = [one["kind"] for one in documents]
    assert {"Deployment", "Service", "CronJob", "PodDisruptionBudget", "NetworkPolicy"} <= set(kinds)
    for document in documents:
        if document["apiVersion"].split("/")[0] in ("keda.sh", "monitoring.coreos.com"):
            continue
        validate.validate(document, "1.30", strict=True)
