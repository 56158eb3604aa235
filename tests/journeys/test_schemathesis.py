"""The service does what its OpenAPI document says; schemathesis looks for the contrary."""

import os
import re
import subprocess
import sys
from pathlib import Path

from heliograph.wire.operations import OPERATIONS
from tests.fakes.service import PASSWORD, running_server

HERE = Path(__file__).parent


def test_schemathesis_finds_nothing(tmp_path):
    with running_server(tmp_path) as server:
        program = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"),
                *("run", f"{server.url}/rest/v1/openapi.json", "--auth", f"acme:{PASSWORD}"),
                # DELETE cancels a job, which is there afterwards to say what became of it. (What is taken off the
                # blocklist is asked for in tests/api/test_inbound.py.)
                *("--exclude-checks", "use_after_free"),
                *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
                *(
                    "--workers",
                    "1",
                    "--no-color",
                    "--continue-on-failure",
                ),  # more stumble over a defect of Python 3.11's ast
            ],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.journeys.schemathesis_hooks",
                "PYTHONPATH": str(HERE.parents[1]),
                "PYTHONUTF8": "1",
            },
            check=False,
        )
    # Without the bodies of the requests, which may have thousands of characters.
    told = re.sub(r"(?m)^(.{500}).*$", r"\1 ...", program.stdout + program.stderr)
    assert program.returncode == 0, told
    assert f"{len(OPERATIONS)} selected / {len(OPERATIONS)} total" in told, told
