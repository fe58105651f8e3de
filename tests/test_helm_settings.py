"""The chart of deploy/helm names what the code has: settings, commands, paths, ports, privileges."""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from flask import Flask

from authapp.extension import load_settings
from doc_pages import TEXTS, VARIABLES, rows
from helm_charts import (
    CHART,
    EVERYTHING,
    MAIL,
    ROOT,
    WORKERS_SEND,
    Values,
    containers,
    every_variant,
    needs_helm,
    network_policies,
    one,
    pod_of,
    pods,
    render,
)
from settings import ENCRYPTION_KEYS, KEYS
from variables import SERVER

pytestmark = needs_helm
SCHEMA = json.loads((CHART / "values.schema.json").read_text())["properties"]
OF_THE_CHART = {"AUTHAPP_ENV", "AUTHAPP_MAIL_SENDER", "AUTHAPP_METRICS", "AUTHAPP_METRICS_BIND"}
"""Follow from other values; and the chart is for production."""

SECRETS = {
    row[0].strip("`")
    for row in rows(TEXTS["docs/configuration.md"])
    if row[0].startswith("`AUTHAPP_") and re.search(r"\bSecret\b", row[1])
}
FILES = {
    "database-url": "postgresql://authapp:secret@db.example/authapp",
    "jwt-keys.json": KEYS,
    "encryption-keys.json": ENCRYPTION_KEYS,
    "mail-url": "smtp://mail.example",
    "rate-limit-storage": "redis://redis.example",
}


# --- settings --------------------------------------------------------------------------------------------------------


def test_the_schema_knows_every_setting_and_lets_no_secret_into_the_values() -> None:
    assert len(SECRETS) == 5
    known = dict(SCHEMA["settings"]["properties"])
    assert known.pop("AUTHAPP_RATE_LIMIT_STORAGE") is False, "else the pattern of limits would let it in"
    assert known.keys() == VARIABLES.keys() - SECRETS - OF_THE_CHART
    assert SCHEMA["secrets"]["properties"]["serving"]["properties"]["keys"]["properties"].keys() == SECRETS


def test_the_comments_name_settings() -> None:
    text = (CHART / "values.yaml").read_text() + (CHART / "templates" / "_checks.tpl").read_text()
    named = set(re.findall(r"\bAUTHAPP_[A-Z_]+[A-Z]\b", text))
    assert named <= VARIABLES.keys()


@every_variant
def test_each_container_starts_with_the_settings_that_it_is_given(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    everything = {**values, "settings": {n: v for n, v in values.get("settings", {}).items() if "NOTES" not in n}}
    for name, container in containers(render(everything)):
        for variable in [*VARIABLES, *(f"{each}_FILE" for each in VARIABLES), *SERVER, "DATABASE_URL"]:
            monkeypatch.delenv(variable, raising=False)
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        for each in container["env"]:
            path = Path(each["value"])
            if each["name"].endswith("_FILE") and each["name"].startswith("AUTHAPP_"):
                assert str(path.parent) in mounts, name
                monkeypatch.setenv(each["name"], str(tmp_path / path.name))
            else:
                monkeypatch.setenv(each["name"], each["value"])
        settings = load_settings()
        assert settings.database_url.endswith("@db.example/authapp"), name
        assert "AUTHAPP_HASHING_CONCURRENCY" in {each["name"] for each in container["env"]}, "cores are the node's"


def test_the_values_that_the_page_shows_for_traces_give_each_container_the_headers_of_the_collector() -> None:
    (shown,) = re.findall(r"^```yaml\n(extraEnv:.+?)^```", TEXTS["docs/kubernetes.md"], re.MULTILINE | re.DOTALL)
    objects = render(MAIL, yaml.safe_load(shown))
    for each in objects:
        kubernetes_validate.validate(each, "1.37", strict=True)
    secret = {"secretKeyRef": {"name": "authapp-traces", "key": "headers"}}
    for name, container in containers(objects):
        given = {each["name"]: each for each in container["env"]}
        assert given["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"] == secret, name


def test_a_file_that_a_setting_names_is_in_the_volume() -> None:
    for name, pod in pods(render(EVERYTHING)).items():
        there = {
            f"{mount['mountPath']}/{item['path']}"
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
            for mount in container["volumeMounts"]
            for volume in pod["spec"]["volumes"]
            if volume["name"] == mount["name"]
            for item in volume.get("secret", {}).get("items", [])
        }
        assert "/run/secrets/authapp/ca.crt" in there, name
        for container in pod["spec"]["containers"]:
            named = {each["value"] for each in container["env"] if each["value"].startswith("/run/")}
            assert named <= there, name


def sender(values: Values) -> tuple[set[str], bool]:
    """Return what AUTHAPP_MAIL_SENDER is, and whether there is a process that sends."""
    objects = render(values)
    said = {
        variable["value"]
        for _, each in containers(objects)
        for variable in each["env"]
        if variable["name"] == "AUTHAPP_MAIL_SENDER"
    }
    return said, "authapp-mail" in pods(objects)


def test_somebody_sends_the_mails_and_only_one_kind_of_process() -> None:
    assert sender({}) == (set(), False)
    assert sender(MAIL) == ({"off"}, True)
    assert sender(WORKERS_SEND) == ({"workers"}, False)


# --- commands --------------------------------------------------------------------------------------------------------


def command_of(container: Any) -> list[str]:
    command: list[str] = container.get("command") or container["args"]
    return command


def test_each_command_of_flask_is_one_with_options_that_it_has(app: Flask) -> None:
    seen = set()
    for _, container in containers(render(EVERYTHING)):
        words = command_of(container)
        if words[0] == "flask":
            group: Any = app.cli
            rest = words[1:]
            while hasattr(group, "commands"):
                group, rest = group.commands[rest[0]], rest[1:]
            # Parses, and runs nothing.
            group.make_context(group.name, list(rest))
            seen.add(" ".join(words[1:3]))
    assert seen == {
        *("serve --bind", "db upgrade", "tokens prune", "audit prune", "mail deliver", "doctor"),
    }


def test_the_notes_name_commands_that_there_are(app: Flask) -> None:
    commands = re.findall(r"flask ((?:[a-z]+ ?)+)", (CHART / "templates" / "NOTES.txt").read_text())
    assert commands
    for each in commands:
        group, *rest = each.split()
        assert app.cli.commands[group].commands[rest[0]]  # type: ignore[attr-defined]


def test_the_chart_serves_as_the_image_does() -> None:
    command = re.search(r"^CMD (.+)$", (ROOT / "deploy" / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert command
    (api,) = pod_of(one(render(), "Deployment"))["spec"]["containers"]
    assert api["args"] == [{"/dev/shm": "/tmp"}.get(word, word) for word in json.loads(command[1])]
    assert "command" not in api, "the image has no entrypoint"


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"metrics": {"port": 9999}}], ids=["defaults", "all", "port"])
def test_the_ports_of_probes_services_and_policies_are_those_that_are_listened_at(values: Values) -> None:
    objects = render(values)
    (api,) = pod_of(one(objects, "Deployment"))["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in api["ports"]}
    variables = {each["name"]: each["value"] for each in api["env"]}
    bind = api["args"][api["args"].index("--bind") + 1]
    host = bind.rpartition(":")[0]
    assert (bind, variables["AUTHAPP_METRICS_BIND"]) == (f"{host}:{ports['http']}", f"{host}:{ports['metrics']}")
    assert host in {"0.0.0.0", "[::]"}
    assert one(objects, "Service")["spec"]["ports"][0]["targetPort"] == "http"
    reachable = [port["port"] for rule in network_policies(objects)["api"]["ingress"] for port in rule["ports"]]
    assert reachable == [ports["http"], ports["metrics"]]


def test_probes_ask_routes_that_guests_may_ask_and_a_started_pod_is_not_asked_for_the_database(app: Flask) -> None:
    (api,) = pod_of(one(render(), "Deployment"))["spec"]["containers"]
    probes = {kind: api[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/health/ready",
        "readiness": "/health/live",
        "liveness": "/health/live",
    }
    for probe in probes.values():
        assert app.test_client().get(probe["path"]).status_code == 200
        assert probe["port"] == "http"


def test_prometheus_finds_each_pod_under_the_job_of_the_alerts() -> None:
    monitor = one(render(EVERYTHING), "PodMonitor")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
    labels = pods(render(EVERYTHING))["authapp"]["metadata"]["labels"]
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    assert set(re.findall(r'job="(\w+)"', alerts)) == {labels[monitor["jobLabel"]]}
    annotations = pods(render())["authapp"]["metadata"]["annotations"]
    found = {name: value for name, value in annotations.items() if name.startswith("prometheus.io/")}
    assert found == {
        f"prometheus.io/{name}": value for name, value in {"scrape": "true", "port": "9464", "path": "/metrics"}.items()
    }


# --- the database and the version ------------------------------------------------------------------------------------


def test_the_grants_are_those_of_compose() -> None:
    assert (CHART / "files" / "grants.sql").read_text() == (ROOT / "deploy/docker/grants.sql").read_text()
    rendered = one(render(EVERYTHING), "ConfigMap", "authapp-grants")["data"]["grants.sql"]
    assert rendered.count(" TO serves;") == 3
    assert rendered.count(" TO audits;") == 2
    assert re.findall(r" TO (\w+);", rendered) == ["serves"] * 3 + ["audits"] * 2
    assert rendered.rstrip().endswith("SELECT 1;")


def test_the_chart_is_of_the_version_of_the_package() -> None:
    version = re.search(r"^version = (.+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert version
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version[1]
    # As Helm wants it, which knows semantic versions alone.
    assert chart["version"] == version[1].replace(".dev", "-dev.")
