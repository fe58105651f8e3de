"""The log of a mail sender of its own is that of the workers, which alerts and log shippers read."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from e2e.processes import ROOT, environment, with_mail
from ports import free_port


def log_of_sender(tmp_path: Path) -> list[dict[str, Any]]:
    """Run the sender without a database until it has logged something; return its log."""
    nowhere = f"postgresql://authapp@127.0.0.1:{free_port()}/authapp"
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "mail", "deliver", "--watch"],
            cwd=ROOT,
            env=with_mail(environment(nowhere), tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        end = time.monotonic() + 60
        while not log.read_text().endswith("\n") and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_line_of_the_sender_is_json_with_the_fields_of_an_event(tmp_path: Path) -> None:
    first, *_ = log_of_sender(tmp_path)
    timestamp = first.pop("timestamp")
    assert timestamp.endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "name": "authapp.domain.background",
        "message": "mails wait: the database cannot be asked: nothing listens at its address",
    }
