"""What the pods of deploy/helm do, on this machine: as a uid of no account, on a read-only file system."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
from sqlalchemy.engine import make_url

from databases import Databases, psql
from e2e.processes import ROOT, START
from helm_charts import MAIL, containers, needs_helm, one, render
from ports import free_port
from settings import KEYS

UID = 1_000_650_000
"""As OpenShift gives them: of no account, in the group root."""

SEALED = r"""
set -eu
# Whatever is mounted is read-only, but for the kernel's own, and the folder that stands for the volumes of the pod.
awk '{print $2}' /proc/self/mounts | grep -vE '^/(proc|sys|dev$|dev/(pts|mqueue))' | while read -r mount; do
    mount -o remount,bind,ro "$mount" 2>/dev/null || true
done
mount -t tmpfs -o mode=1777 tmp "$1"
shift
exec setpriv --reuid "$1" --regid 0 --clear-groups --no-new-privs --inh-caps -all,+dac_read_search \
    --ambient-caps -all,+dac_read_search --bounding-set -all,+dac_read_search "${@:2}"
"""
"""Reading is let through, for a developer's Python may be in a folder that is for root alone; writing is not."""

ROLES = ("owns", "serves", "audits")
NAMESPACE = ["unshare", "--mount", "--propagation", "private"]


def _may_mount() -> bool:
    # Without the privilege for it, as in most containers, even root may not.
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


needs_root = pytest.mark.skipif(not _may_mount(), reason="needs root that may mount, for a read-only file system")
pytestmark = [needs_helm, needs_root]


class Pods:
    """Runs containers of the rendered chart, with the folders that their volumes stand for below ``folder``."""

    def __init__(self, folder: Path, addresses: dict[str, str], objects: list[Any]) -> None:
        self._folder = folder
        self._containers = dict(containers(objects))
        self._ports = {":8000": f":{free_port()}", ":9464": f":{free_port()}"}
        self.url, self.metrics = (f"http://127.0.0.1{self._ports[port]}" for port in (":8000", ":9464"))
        folder.chmod(0o755)
        (folder / "tmp").mkdir()
        for mount, files in {
            "authapp": {"database-url": addresses["serves"], "jwt-keys.json": KEYS, "mail-url": "smtp://127.0.0.1:1"},
            "authapp-owner": {"database-url": addresses["owns"]},
            "authapp-audit": {"database-url": addresses["audits"]},
            "grants": one(objects, "ConfigMap", "authapp-grants")["data"],
        }.items():
            (folder / mount).mkdir()
            for name, text in files.items():
                (folder / mount / name).write_text(text)

    def start(self, name: str) -> "subprocess.Popen[str]":
        """Start the container ``object/container``."""
        container = self._containers[name]
        words = [self._here(word) for word in container.get("command") or container["args"]]
        program = [sys.executable, "-m", "flask", *words[1:]] if words[0] == "flask" else [sys.executable, *words[1:]]
        given = {each["name"]: self._here(each["value"]) for each in container["env"]}
        return subprocess.Popen(
            [*NAMESPACE, "bash", "-c", SEALED, "pod", str(self._folder / "tmp"), str(UID), *program],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self._folder / "tmp"), "FLASK_APP": "wsgi.py", **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str) -> None:
        """Run a container until it has ended well."""
        process = self.start(name)
        output, _ = process.communicate(timeout=START)
        assert process.returncode == 0, output

    def _here(self, text: str) -> str:
        paths = {
            "/tmp": f"{self._folder}/tmp",
            "/run/secrets": str(self._folder),
            "/grants/": f"{self._folder}/grants/",
        }
        there = "|".join(map(re.escape, paths | self._ports))
        return re.sub(there, lambda found: (paths | self._ports)[found[0]], text)


@pytest.fixture
def addresses(databases: Databases) -> Iterator[dict[str, str]]:
    """The addresses of an empty database for the three roles of the chart."""
    with databases.empty() as url:
        name = make_url(url).database
        made = "".join(f"CREATE ROLE kubernetes_{role} LOGIN PASSWORD 'secret';" for role in ROLES)
        psql(url, f'{made} ALTER DATABASE "{name}" OWNER TO kubernetes_owns;')
        try:
            yield {role: _address(url, role) for role in ROLES}
        finally:
            for role in ROLES:
                psql(url, f"DROP OWNED BY kubernetes_{role};")
            admin = make_url(url).set(database="postgres").render_as_string(hide_password=False)
            psql(admin, f'DROP DATABASE "{name}" WITH (FORCE);')
            psql(admin, "".join(f"DROP ROLE kubernetes_{role};" for role in ROLES))


def _address(url: str, role: str) -> str:
    # The owner's names its driver, as the settings accept it; the grants are made without them.
    driver = "postgresql+psycopg2" if role == "owns" else "postgresql"
    address = make_url(url).set(drivername=driver, username=f"kubernetes_{role}", password="secret")
    return address.render_as_string(hide_password=False)


@contextlib.contextmanager
def started(release: Pods, name: str) -> Iterator["subprocess.Popen[str]"]:
    process = release.start(name)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + START
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).status_code == 200
    return False


def test_a_release_migrates_and_serves_as_any_uid_on_a_read_only_file_system(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    grants = {"servingRole": "kubernetes_serves", "auditRole": "kubernetes_audits"}
    release = Pods(tmp_path, addresses, render({"migrations": {"grants": grants}, "workers": 1}))
    release.run("authapp-migrate/migrate")
    release.run("authapp-migrate/grant")
    with started(release, "authapp/api") as api:
        wait_for(lambda: answers(f"{release.url}/health/ready") or api.poll() is not None)
        assert answers(f"{release.url}/health/ready"), api.communicate()[0]
        assert Path(f"/proc/{api.pid}").stat().st_uid == UID
        body = {"username": "ada", "password": "correct horse battery"}
        assert requests.post(f"{release.url}/api/v1/auth/login", json=body, timeout=9).status_code == 401
        assert "authapp_http_requests_total" in requests.get(f"{release.metrics}/metrics", timeout=9).text
        for job in ("prune", "audit-prune"):
            release.run(f"authapp-{job}/{job}")
        release.run("authapp-doctor/doctor")
        api.send_signal(signal.SIGTERM)
        log, _ = api.communicate(timeout=30)
    assert api.returncode == 0, log
    assert '"level": "ERROR"' not in log
    with contextlib.closing(psycopg2.connect(addresses["serves"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM users")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM audit_events")


def test_the_probe_of_the_mail_sender_sees_whether_it_goes_on(databases: Databases, tmp_path: Path) -> None:
    probes = dict(containers(render(MAIL)))["authapp-mail/mail"]
    with databases.migrated() as url:
        release = Pods(tmp_path, dict.fromkeys(ROLES, url), render(MAIL))
        with started(release, "authapp-mail/mail") as sender:
            inside = f"/proc/{sender.pid}/root{tmp_path}/tmp"

            def succeeds(kind: str) -> bool:
                words = [word.replace("/tmp", inside) for word in probes[f"{kind}Probe"]["exec"]["command"]]
                return subprocess.run(words, check=False).returncode == 0

            assert not succeeds("startup")
            wait_for(lambda: succeeds("startup"))
            assert succeeds("liveness")
            sender.send_signal(signal.SIGSTOP)
            heartbeat = Path(inside) / "mail-heartbeat"
            long_ago = heartbeat.stat().st_mtime - 181
            os.utime(heartbeat, (long_ago, long_ago))
            assert not succeeds("liveness")
            sender.send_signal(signal.SIGCONT)
            wait_for(lambda: succeeds("liveness"))
            sender.send_signal(signal.SIGTERM)
            assert sender.wait(30) == 0
