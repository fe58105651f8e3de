"""Schemathesis against the live server: the contract holds for what nobody thought of."""

import os
import subprocess
import sys
from pathlib import Path

from databases import Databases
from e2e.processes import environment, flask, serving
from factories import PASSWORD

HERE = Path(__file__).parent / "schemathesis"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "4")
# The phase "coverage", each value at the limits of its schema, takes a minute and a half, so it is run by hand:
# FUZZ_PHASES=coverage,fuzzing make test ARGS=tests/e2e/test_contract.py
PHASES = os.environ.get("FUZZ_PHASES", "fuzzing")
SEED = "20261123"
ADMINS = [f"admin-{number}" for number in range(8)]


def test_schemathesis_finds_nothing(databases: Databases, tmp_path: Path) -> None:
    # Hashing is not what is tested here; at its production cost it would be most of the time.
    cheap = {"AUTHAPP_ENV": "development", "AUTHAPP_ARGON2_MEMORY_KIB": "8", "AUTHAPP_ARGON2_TIME_COST": "1"}
    with databases.migrated() as url, serving(tmp_path, environment(url, **cheap)) as server:
        for name in ADMINS:
            account = [name, f"{name}@example.com", "--role", "admin", "--password-stdin"]
            assert flask(environment(url, **cheap), "users", "create", *account, stdin=PASSWORD).returncode == 0
        command = [str(Path(sys.executable).with_name("schemathesis"))]
        command += ["--config-file", str(HERE / "schemathesis.toml"), "run", f"{server.url}/openapi.json"]
        command += ["--checks", "all", "--phases", PHASES, "--max-examples", EXAMPLES, "--seed", SEED]
        variables = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "FUZZ_URL": server.url}
        variables["FUZZ_ADMINS"] = " ".join(ADMINS)
        result = subprocess.run(
            command, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, timeout=540
        )
        errors = [line for line in server.log.splitlines() if '"ERROR"' in line]
    assert result.returncode == 0, result.stdout + result.stderr
    assert errors == []
