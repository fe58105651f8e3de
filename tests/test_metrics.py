"""The metrics, their documentation, the alert rules and the dashboard agree."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from prometheus_client import Counter, Gauge, Histogram

from authapp import metrics
from authapp.domain.database_metrics import DatabaseReadings
from authapp.domain.services import Services
from authapp.errors import catalogue

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
DOCS = (ROOT / "docs" / "metrics.md").read_text()


def counted() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the type and the labels of each metric that the code counts, by the name that Prometheus shows."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, metric._labelnames)
    return found


def read_at_a_scrape(app: Flask) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the same of what is read from the database."""
    with app.app_context():
        read = DatabaseReadings(Services.of(app), app.app_context).read()
    return {metric.name: (metric.type, tuple(metric.samples[0].labels)) for metric in read}


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    rows = re.findall(r"^\| `(authapp_\w+)` \| (\w+) \| (.*?) \|", DOCS, re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def samples() -> set[str]:
    """Return the names that a query may use."""
    names = set(documented())
    for name, (kind, _) in documented().items():
        if kind == "histogram":
            names |= {f"{name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return names


def queries() -> list[str]:
    dashboard = json.loads((PROMETHEUS / "dashboard.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return [*shown, *variables, *re.split("- alert:", (PROMETHEUS / "alerts.yml").read_text())[1:]]


def test_every_metric_is_documented_with_its_labels(app: Flask) -> None:
    assert documented() == counted() | read_at_a_scrape(app)


@pytest.mark.parametrize("query", queries(), ids=range(len(queries())))
def test_a_query_names_metrics_and_labels_that_there_are(query: str) -> None:
    names = set(re.findall(r"authapp_\w+", query))
    assert names <= samples()
    there = {each for name in names for each in _labels(name)} | {"instance", "le", "job", "severity"}
    used = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*\\?"', query)
    used += [each.strip() for listed in re.findall(r"\bby \(([\w, ]+)\)", query) for each in listed.split(",")]
    used += re.findall(r"label_values\(\w+, (\w+)\)", query)
    assert set(used) <= there


def _labels(sample: str) -> tuple[str, ...]:
    return documented()[re.sub("_(bucket|sum|count)$", "", sample)][1]


def test_every_alert_says_what_to_do_and_fires_in_a_test() -> None:
    rules = set(re.findall(r"- alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text()))
    assert set(re.findall(r"^\| `(Authapp\w+)` \|", DOCS, re.MULTILINE)) == rules
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == rules


def hashing_routes(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Return method and path of the operations that take a password, in the body or by HTTP Basic."""

    def has_password(schema: dict[str, Any]) -> bool:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        parts = [part for kind in ("oneOf", "anyOf", "allOf") for part in schema.get(kind, ())]
        return any("password" in name for name in schema.get("properties", ())) or any(map(has_password, parts))

    return {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
        if any(has_password(body["schema"]) for body in operation.get("requestBody", {}).get("content", {}).values())
        or any("basic" in name.lower() for scheme in operation.get("security", ()) for name in scheme)
    }


def test_the_alert_on_slow_requests_leaves_out_probes_and_routes_that_hash_passwords_and_no_others(app: Flask) -> None:
    rule = (PROMETHEUS / "alerts.yml").read_text().partition("- alert: AuthappSlow")[2]
    (routes,) = re.findall(r'route!~"(.*?)"', rule)[:1]
    (pair,) = re.findall(r'unless .*?route=~"(.*?)", method=~"(.*?)"', rule)[:1]
    document = app.test_client().get("/openapi.json").get_json()
    hashing = hashing_routes(document)

    def is_left_out(method: str, path: str) -> bool:
        by_method = re.fullmatch(pair[0], path) and re.fullmatch(pair[1], method.upper())
        return bool(re.fullmatch(routes, path) or by_method)

    assert len(hashing) > 10
    assert {(method, path) for method, path in hashing if not is_left_out(method, path)} == set()
    left_out = {
        path for path, operations in document["paths"].items() for each in operations if is_left_out(each, path)
    }
    assert left_out == {path for _, path in hashing} | {path for path in document["paths"] if "/health/" in path}


# CI has it: there, its absence is a failure.
@pytest.mark.skipif(
    not shutil.which("promtool") and "CI" not in os.environ, reason="needs promtool: apt install prometheus"
)
def test_prometheus_accepts_the_configuration_and_the_rules() -> None:
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_codes_in_the_advice_are_codes() -> None:
    advised = {
        code for row in re.findall(r"^\| `Authapp.*", DOCS, re.MULTILINE) for code in re.findall(r"`(\w+_\w+)`", row)
    }
    assert {code for code in advised if not code.isupper()} - {"request_id"} <= set(catalogue())
