"""The connector's definition, read by npm's `swagger-parser`: HELIOGRAPH_NODE_MODULES, or tests/interop."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from heliograph.wire.connector.package import DEFINITION_FILE, connector_package
from heliograph.wire.connector.targets import HELIOGRAPH, TARGETS
from tests.interop.programs import NODE, PATIENCE_S, missing

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("HELIOGRAPH_NODE_MODULES") or HERE / "node_modules")


def validated(content, folder):
    if not (MODULES / "@apidevtools" / "swagger-parser").is_dir():
        missing("npm's swagger-parser is not in tests/interop/node_modules: make test puts it there")
    file = folder / DEFINITION_FILE
    file.write_bytes(content)
    command = [NODE, HERE / "swagger_parser.mjs", MODULES, file]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("target", TARGETS.values(), ids=[name.value for name in TARGETS])
def test_the_definition_is_valid(target, tmp_path):
    ran = validated(connector_package(target, "1.2.3")[DEFINITION_FILE], tmp_path)
    assert ran.stderr == ""
    told = json.loads(ran.stdout)
    assert told["title"] == target.title
    assert "/jobs/{jobId}" in told["paths"]


def test_a_wrong_one_is_not(tmp_path):
    wrong = json.loads(connector_package(HELIOGRAPH, "1.2.3")[DEFINITION_FILE])
    wrong["paths"]["/jobs/{jobId}"]["get"]["parameters"].clear()
    ran = validated(json.dumps(wrong).encode(), tmp_path)
    assert ran.returncode == 1
    assert "jobId" in ran.stderr
