"""The chart of deploy/helm: Helm accepts it, Kubernetes would, and a mistake in the values is refused in words."""

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from authapp.serving.metrics import RESERVED
from authapp.serving.settings import graceful_timeout
from helm_charts import (
    CHART,
    LITTLE,
    MAIL,
    NEEDED,
    ROOT,
    VARIANTS,
    WORKERS_SEND,
    Values,
    containers,
    every_variant,
    helm,
    needs_helm,
    network_policies,
    one,
    pod_of,
    pods,
    render,
)

pytestmark = needs_helm
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OLDEST, NEWEST = "1.30", "1.37"


@every_variant
def test_helm_finds_nothing_wrong(values: Values) -> None:
    done = helm("lint", NEEDED, values, options=("--strict",))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_helm_finds_nothing_wrong_without_values_as_those_who_publish_charts_ask_it() -> None:
    assert helm("lint").returncode == 0


@every_variant
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_each_object_is_of_the_schema_of_kubernetes_without_unknown_fields(values: Values, version: str) -> None:
    for each in render(values):
        # A kind of the Prometheus Operator, which Kubernetes has no schema of.
        if each["kind"] != "PodMonitor":
            kubernetes_validate.validate(each, version, strict=True)


def test_the_oldest_kubernetes_is_the_one_that_the_chart_asks_for() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={OLDEST}.0-0"


# --- values ----------------------------------------------------------------------------------------------------------


def test_the_schema_has_the_values_that_there_are_and_no_other() -> None:
    def names(values: Any, schema: Any, path: str) -> None:
        if not isinstance(values, dict) or "properties" not in schema:
            return
        assert schema["additionalProperties"] is False, path
        if not path.endswith((".settings", ".keys")):  # these may be left out; the tests of the settings hold them
            named = set(schema["properties"]) - {"global", "claims"}
            assert named == set(values) | (named if path.endswith(".resources") else set()), path
        for name, value in values.items():
            names(value, schema["properties"][name], f"{path}.{name}")

    names(DEFAULTS, SCHEMA, "")


def test_everything_that_is_missing_is_said_at_once() -> None:
    done = helm("template")
    assert "authapp: 8 problem(s) in the values:" in done.stderr
    for name in (
        *("image.repository", "image.digest", "secrets.serving.name", "secrets.owner.name", "secrets.audit.name"),
        *("settings.AUTHAPP_ISSUER", "settings.AUTHAPP_AUDIENCE", "networkPolicy.http.from"),
    ):
        assert f"\n  - {name} is missing: " in done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"metrics": {"port": 8000}}, "metrics.port is 8000, which is the port of the API"),
        ({"settings": {"AUTHAPP_DATABASE_POOL_SIZE": "08"}}, "/settings/AUTHAPP_DATABASE_POOL_SIZE"),
        ({"settings": {"AUTHAPP_TRUSTED_PROXIES": "01"}}, "/settings/AUTHAPP_TRUSTED_PROXIES"),
        ({"settings": {"AUTHAPP_MAIL_TIMEOUT": "3e2"}}, "/settings/AUTHAPP_MAIL_TIMEOUT"),
        ({"setings": {}}, "'setings' not allowed"),
        ({"metrics": {"podmonitor": {}}}, "'podmonitor' not allowed"),
        ({"settings": {"AUTHAPP_ISUER": "x"}}, "'AUTHAPP_ISUER' not allowed"),
        ({"settings": {"AUTHAPP_LEEWAY": 5}}, "got number, want null or string"),
        ({"settings": {"AUTHAPP_JWT_KEYS": "{}"}}, "'AUTHAPP_JWT_KEYS' not allowed"),
        ({"settings": {"AUTHAPP_RATE_LIMIT_STORAGE": "redis://:secret@redis"}}, "/settings/AUTHAPP_RATE_LIMIT_STORAGE"),
        ({"settings": {"AUTHAPP_ENV": "development"}}, "'AUTHAPP_ENV' not allowed"),
        ({"extraEnv": [{"name": "AUTHAPP_ISUER", "value": "x"}]}, "/extraEnv/0/name"),
        ({"extraEnv": [{"name": "GUNICORN_CMD_ARGS", "value": "--workers 9"}]}, "/extraEnv/0/name"),
        ({"secrets": {"serving": {"files": ["jwt-keys.json"]}}}, "secrets.serving.files has jwt-keys.json"),
        ({"podLabels": {"app.kubernetes.io/component": "mail"}}, "propertyName 'app.kubernetes.io/component'"),
        ({"podAnnotations": {"prometheus.io/scrape": "false"}}, "propertyName 'prometheus.io/scrape'"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"image": {"repository": "authapp:latest"}}, "/image/repository"),
        ({"auditPrune": {"olderThan": "1y"}}, "/auditPrune/olderThan"),
        ({"metrics": {"enabled": "on"}}, "want boolean"),
        ({"secrets": {"serving": {"keys": {"AUTHAPP_JWT_KEYS": None}}}}, "secrets.serving.keys.AUTHAPP_JWT_KEYS is m"),
        ({"ingress": {"enabled": True, "host": "a.example"}}, "AUTHAPP_TRUSTED_PROXIES is missing or 0"),
        ({"ingress": {"enabled": True}}, "ingress.host is missing"),
        ({"secrets": MAIL["secrets"]}, "AUTHAPP_MAIL_FROM is missing"),
        ({"networkPolicy": {"metrics": {"from": None}}}, "networkPolicy.metrics.from is missing"),
        ({"networkPolicy": {"dns": {"to": None}}}, "networkPolicy.dns.to is missing"),
        ({"terminationGracePeriodSeconds": 40}, "at least preStopSeconds and 35"),
        ({"autoscaling": {"minReplicas": 9}}, "maxReplicas is below"),
        ({"migrations": {"grants": {"servingRole": "a; DROP TABLE users"}}}, "/migrations/grants/servingRole"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: Values, said: str) -> None:
    done = helm("template", NEEDED, values)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize(("replicas", "fits"), [(4, True), (5, False)])
def test_pods_that_could_need_more_connections_than_there_are_are_refused(replicas: int, fits: bool) -> None:
    # Two more while pods are replaced; each has two pools of 4 in 2 workers. Then the mail sender and a prune job.
    limit = (4 + 2) * 2 * 2 * 4 + 2 * 2 * 4
    done = helm("template", NEEDED, {"autoscaling": {"maxReplicas": replicas}, "databaseConnectionLimit": limit})
    assert (done.returncode == 0) == fits
    assert ("databaseConnectionLimit is 112, but 5 pods" in done.stderr) != fits


def test_the_autoscaler_makes_as_many_pods_as_the_values_say_and_connections_are_counted_for() -> None:
    values = {"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}
    spec = one(render(values), "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 2)
    assert spec["scaleTargetRef"]["name"] == one(render(values), "Deployment")["metadata"]["name"]


def test_while_pods_are_replaced_there_are_no_more_than_connections_are_counted_for() -> None:
    """One that is new, and one that is going and no longer counts as a replica: the two of the test above."""
    strategy = one(render(), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_one_pod_at_a_time_may_be_moved() -> None:
    spec = one(render(), "PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_no_two_runs_of_a_job_delete_at_once() -> None:
    jobs = {each["metadata"]["name"]: each["spec"] for each in render() if each["kind"] == "CronJob"}
    assert {name: job["concurrencyPolicy"] for name, job in jobs.items()} == {
        "authapp-prune": "Forbid",
        "authapp-audit-prune": "Forbid",
    }


# --- pods ------------------------------------------------------------------------------------------------------------


@every_variant
def test_each_pod_is_restricted(values: Values) -> None:
    objects = render(values)
    for name, pod in pods(objects).items():
        spec = pod["spec"]
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False), name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "secret", "configMap"}, name
    for name, container in containers(objects):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["image"] == f"registry.example.com/authapp@sha256:{'0' * 64}", name
        assert "memory" in container["resources"]["limits"], name
        assert "cpu" in container["resources"]["requests"], name


@every_variant
def test_a_secret_is_a_file_for_any_uid_and_of_nobody_who_does_not_need_it(values: Values) -> None:
    for name, pod in pods(render(values)).items():
        secrets = {each["secret"]["secretName"]: each["secret"] for each in pod["spec"]["volumes"] if "secret" in each}
        other = {"authapp-migrate": "authapp-owner", "authapp-audit-prune": "authapp-audit"}.get(name)
        assert set(secrets) == {"authapp", other} - {None}, name
        assert all(secret["defaultMode"] == 0o444 and secret["items"] for secret in secrets.values()), name
        # Whoever has another role does not see the address of the one that serves.
        assert ("database-url" in {item["key"] for item in secrets["authapp"]["items"]}) == (other is None), name
        for container in pod["spec"]["containers"]:
            assert not any("valueFrom" in variable for variable in container["env"]), name


def test_who_reaches_what() -> None:
    policies = network_policies(render(WORKERS_SEND))
    assert all(each["policyTypes"] == ["Ingress", "Egress"] for each in policies.values())
    assert {component for component, policy in policies.items() if policy["ingress"]} == {"api"}
    assert all(rule["from"] for rule in policies["api"]["ingress"]), "nobody else"
    asks = {
        component: {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        for component, policy in policies.items()
    }
    assert asks.pop("api") == asks.pop("doctor") == {53, 5432, 587}
    assert asks == {component: {53, 5432} for component in ("prune", "audit-prune", "migrate")}


def test_the_mail_sender_reaches_the_mail_server_and_the_api_does_not() -> None:
    policies = network_policies(render(MAIL))
    mail = {"protocol": "TCP", "port": 587}
    asks = {name for name, policy in policies.items() if any(mail in rule["ports"] for rule in policy["egress"])}
    assert asks == {"mail", "doctor"}


def test_whatever_makes_traces_reaches_what_more_egress_is_opened_for() -> None:
    collector = {"ports": [{"protocol": "TCP", "port": 4318}]}
    policies = network_policies(render(MAIL, {"networkPolicy": {"extraEgress": [collector]}}))
    asks = {name for name, policy in policies.items() if collector in policy["egress"]}
    assert asks == {"api", "doctor", "mail"}


@pytest.mark.parametrize("values", [{}, MAIL], ids=["defaults", "mail"])
def test_each_pod_has_a_network_policy(values: Values) -> None:
    objects = render(values)
    selectors = [each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"]
    for name, pod in pods(objects).items():
        labels = pod["metadata"]["labels"].items()
        assert [selector for selector in selectors if selector.items() <= labels], name


@every_variant
def test_each_selector_finds_its_own_pods_and_no_other(values: Values) -> None:
    objects = render(values)
    made = pods(objects)
    for name, kind in [("authapp", "Deployment"), ("authapp-mail", "Deployment"), ("authapp", "Service")]:
        for each in objects:
            if (each["kind"], each["metadata"]["name"]) == (kind, name):
                selector = each["spec"]["selector"]
                selector = selector.get("matchLabels", selector).items()
                found = [of for of, pod in made.items() if selector <= pod["metadata"]["labels"].items()]
                assert found == [name], kind


def test_migrations_are_a_hook_that_comes_after_what_it_needs() -> None:
    objects = render()

    def weight(each: Any) -> int:
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        return int(annotations["helm.sh/hook-weight"])

    job = one(objects, "Job", "authapp-migrate")
    needed = [one(objects, "ConfigMap", "authapp-grants"), one(objects, "NetworkPolicy", "authapp-migrate")]
    assert all(weight(each) < weight(job) for each in needed)
    # What else it names must be there before the release: nothing of the chart is, before its hooks.
    assert "serviceAccountName" not in pod_of(job)["spec"]


def test_a_pod_that_stops_has_time_for_what_it_does() -> None:
    spec = pod_of(one(render(), "Deployment"))["spec"]
    before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= before + graceful_timeout + 5


@pytest.mark.parametrize("timeout", ["1", "20", "59.9", "299.5"])
def test_a_mail_that_is_on_its_way_is_finished_and_its_sender_not_taken_for_one_that_hangs(timeout: str) -> None:
    spec = pod_of(one(render(MAIL, {"settings": {"AUTHAPP_MAIL_TIMEOUT": timeout}}), "Deployment", "authapp-mail"))[
        "spec"
    ]
    # It may take the time for the connection, and as much for itself.
    longest = 2 * float(timeout)
    assert spec["terminationGracePeriodSeconds"] >= longest + 10
    (minutes,) = re.findall(r"-mmin -(\d+)", str(spec["containers"][0]["livenessProbe"]))
    assert 60 * int(minutes) >= longest + 60


@pytest.mark.parametrize("workers", [1, 30])
def test_there_is_room_for_what_the_workers_count_and_for_those_of_a_reload(workers: int) -> None:
    spec = pod_of(one(render({"workers": workers, "databaseConnectionLimit": 10_000}), "Deployment"))["spec"]
    (tmp,) = (each["emptyDir"]["sizeLimit"] for each in spec["volumes"] if each["name"] == "tmp")
    assert int(tmp.removesuffix("Mi")) << 20 >= 2 * workers * 3 * RESERVED


def test_a_restart_is_of_every_pod_that_reads_the_secrets_when_it_starts() -> None:
    selector = "app.kubernetes.io/instance"
    deployments = [each for each in render(MAIL) if each["kind"] == "Deployment"]
    assert [each["metadata"]["labels"][selector] for each in deployments] == ["authapp"] * 2
    for page in (CHART / "templates" / "NOTES.txt", ROOT / "docs" / "kubernetes.md"):
        (command,) = re.findall(r"kubectl .*rollout restart.*", page.read_text())
        assert f" deployment --selector {selector}=" in command


@pytest.mark.parametrize("seconds", [50, 120])
def test_the_next_pod_is_replaced_when_the_one_that_stops_is_gone_with_its_connections(seconds: int) -> None:
    spec = one(render({"terminationGracePeriodSeconds": seconds}), "Deployment")["spec"]
    assert (
        spec["minReadySeconds"] >= pod_of({"kind": "Deployment", "spec": spec})["spec"]["terminationGracePeriodSeconds"]
    )


def test_little_is_little() -> None:
    assert sorted({each["kind"] for each in render(LITTLE)}) == ["Deployment", "Pod", "Service"]
    assert one(render(LITTLE), "Deployment")["spec"]["replicas"] == 1
    assert "replicas" not in one(render(), "Deployment")["spec"], "the autoscaler's"
    assert set(VARIANTS) == {"defaults", "everything", "little", "workers send"}
