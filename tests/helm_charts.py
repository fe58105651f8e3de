"""The chart of deploy/helm, rendered by Helm."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.helm import PROGRAM

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm"
HELM = str(PROGRAM) if PROGRAM.exists() else shutil.which("helm")

# CI has it: there, its absence is a failure.
needs_helm = pytest.mark.skipif(not HELM and "CI" not in os.environ, reason="needs helm: make build/helm/helm")

Values = dict[str, Any]

NEEDED: Values = {
    "image": {"repository": "registry.example.com/authapp", "digest": f"sha256:{'0' * 64}"},
    "settings": {"AUTHAPP_ISSUER": "https://auth.example.com", "AUTHAPP_AUDIENCE": "authapp"},
    "secrets": {"serving": {"name": "authapp"}, "owner": {"name": "authapp-owner"}, "audit": {"name": "authapp-audit"}},
    "networkPolicy": {"http": {"from": [{"namespaceSelector": {"matchLabels": {"a": "ingress"}}}]}},
}
"""What has no default."""

MAIL: Values = {
    "settings": {"AUTHAPP_MAIL_FROM": "authapp <no-reply@example.com>"},
    "secrets": {"serving": {"keys": {"AUTHAPP_MAIL_URL": "mail-url"}}},
}

_RULE = [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
_EXPRESSIONS = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
EVERYTHING: Values = {
    "imagePullSecrets": [{"name": "registry"}],
    "settings": {
        **MAIL["settings"],
        "AUTHAPP_TRUSTED_PROXIES": "1",
        "AUTHAPP_REFRESH_TOKEN_TTL": "2592000",
        "AUTHAPP_RATE_LIMIT_NOTES": "9/minute",
    },
    "bindAddress": "[::]",
    "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/etc/company/ca.crt"}],
    "secrets": {
        "serving": {
            "keys": {
                **MAIL["secrets"]["serving"]["keys"],
                "AUTHAPP_ENCRYPTION_KEYS": "encryption-keys.json",
                "AUTHAPP_RATE_LIMIT_STORAGE": "rate-limit-storage",
            },
            "files": ["ca.crt"],
        }
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "auth.example.com",
        "tlsSecretName": "tls",
        "annotations": {"a/b": "c"},
    },
    "service": {"annotations": {"a/b": "c"}},
    "metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "networkPolicy": {
        **{name: {"to": _RULE} for name in ("database", "ownerDatabase", "mail")},
        "extraEgress": [{"ports": [{"protocol": "TCP", "port": 443}]}],
    },
    "migrations": {"grants": {"servingRole": "serves", "auditRole": "audits", "extra": "SELECT 1;"}},
    "podLabels": {"team": "identity"},
    "podAnnotations": {"a/b": "c"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _EXPRESSIONS}}
    },
    "priorityClassName": "high",
    "extraVolumes": [{"name": "templates", "configMap": {"name": "templates"}}],
    "extraVolumeMounts": [{"name": "templates", "mountPath": "/templates", "readOnly": True}],
}
LITTLE: Values = {
    **{name: {"enabled": False} for name in ("autoscaling", "metrics", "networkPolicy", "podDisruptionBudget")},
    **{name: {"enabled": False} for name in ("migrations", "prune", "auditPrune")},
    "secrets": {"owner": {"name": ""}, "audit": {"name": ""}},
    "replicas": 1,
}
WORKERS_SEND: Values = {**MAIL, "mail": {"sender": "workers"}}
VARIANTS = {"defaults": {}, "everything": EVERYTHING, "little": LITTLE, "workers send": WORKERS_SEND}

every_variant = pytest.mark.parametrize("values", VARIANTS.values(), ids=list(VARIANTS))


def helm(command: str, *values: Values, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """Run ``helm template`` or ``helm lint`` with the values, the later ones over the earlier."""
    assert HELM, "make build/helm/helm"
    name = ["authapp"] if command == "template" else []
    folder = str(PROGRAM.parent / "home")
    return subprocess.run(
        [HELM, command, *name, str(CHART), "--values", "-", *options],
        input=json.dumps(_merged(*values)),
        capture_output=True,
        text=True,
        env=os.environ | {f"HELM_{kind}_HOME": folder for kind in ("CACHE", "CONFIG", "DATA")},
    )


def render(*values: Values) -> list[Any]:
    """Return the objects of a release with ``NEEDED`` and the values."""
    objects: list[Any] = json.loads(_rendered(json.dumps(_merged(NEEDED, *values))))
    return objects


@functools.cache
def _rendered(values: str) -> str:
    done = helm("template", json.loads(values))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.dumps([each for each in yaml.safe_load_all(done.stdout) if each])


def one(objects: list[Any], kind: str, name: str = "authapp") -> Any:
    """Return the object of this kind and name."""
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pod_of(found: Any) -> Any:
    """Return the pod that an object makes, with ``metadata`` and ``spec``, or ``None``."""
    if found["kind"] == "Pod":
        return found
    spec = found["spec"]["jobTemplate"]["spec"] if found["kind"] == "CronJob" else found.get("spec", {})
    return spec.get("template")


def pods(objects: list[Any]) -> dict[str, Any]:
    """Return the pods that the objects make, by the names of these."""
    return {each["metadata"]["name"]: pod for each in objects if (pod := pod_of(each))}


def containers(objects: list[Any]) -> Iterator[tuple[str, Any]]:
    """Return each container, with the name of its object and its own."""
    for name, pod in pods(objects).items():
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            yield f"{name}/{container['name']}", container


def network_policies(objects: list[Any]) -> dict[str, Any]:
    """Return what each policy says, by the component whose pods it is about."""
    found = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    return {each["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: each for each in found}


def _merged(*values: Values) -> Values:
    result: Values = {}
    for each in values:
        for name, value in each.items():
            known = result.get(name)
            result[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
