import io
import json
import sys

import pytest

from heliograph import __version__
from heliograph.cli.exits import Exit
from heliograph.cli.main import run
from heliograph.wire.connector.package import connector_package
from heliograph.wire.connector.targets import HELIOGRAPH, RETARUS


@pytest.fixture
def build(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    def build_one(*arguments):
        code = run(["connector", "build", *map(str, arguments)])
        return code, *capsys.readouterr()

    return build_one


def contents_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_writes_the_package_for_ones_own_gateway_and_says_what_it_wrote(build, tmp_path):
    code, out, err = build("--out", "deep/connector")
    written = contents_of(tmp_path / "deep/connector")
    assert (code, err) == (Exit.OK, "")
    assert written == connector_package(HELIOGRAPH, __version__)
    assert sorted(out.splitlines()) == sorted(f"deep/connector/{name}" for name in written)


def test_it_writes_the_vendors(build, tmp_path):
    assert build("--out", tmp_path, "--target", "retarus")[0] == Exit.OK
    assert contents_of(tmp_path) == connector_package(RETARUS, __version__)


def test_the_host_is_that_of_the_definition(build, tmp_path):
    build("--out", tmp_path, "--host", "sms.example.com:8443")
    assert json.loads((tmp_path / "apiDefinition.swagger.json").read_text())["host"] == "sms.example.com:8443"


def test_a_second_build_replaces_its_files_and_no_others(build, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "settings.json").write_text("old")
    build("--out", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "settings.json").read_text() != "old"


def test_a_host_with_a_scheme_is_refused_and_nothing_written(build, tmp_path):
    code, out, err = build("--out", tmp_path / "connector", "--host", "https://sms.example.com/")
    assert (code, out) == (Exit.USAGE, "")
    assert "--host must be a host name" in err
    assert "it is https://sms.example.com/" in err
    assert not (tmp_path / "connector").exists()


def test_a_folder_that_cannot_be_made_is_told(build, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = build("--out", tmp_path / "file")
    assert code == Exit.FAILED
    assert "file" in err
