"""docs/how-to/command-line.md and csv.md: every example is run by a shell, and prints what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import heliograph
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, password_hash, running_server

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
FENCE = re.compile(r"^```(console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
CHANGING = [
    (r"[JS]\.\d{8}-\d{6}\.\d{3}-0[0-9a-z]{8}[A-Z0-9]{9}", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"in \d+\.\d s \([\d,]+/s\)", "in SECONDS"),
    (r"─+", "─"),
    (r" +", " "),
    (r" +$", ""),
]
"""What is another with each run."""

WRONG = "dst,text,customerRef\n+49 176 04069099,,1\n+447700900123,Hello,2\n+447700900123,Hello, you,3\n"


def commands(page):
    blocks = [body for kind, body in FENCE.findall(page) if kind == "console"]
    return [each for body in blocks for each in COMMAND.findall(body)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    account = an_account(password_hash=password_hash(), rate_limit=None)
    with running_server(tmp_path_factory.mktemp("server"), account) as running:
        yield running


def plain(text):
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("name", ["command-line.md", "csv.md"])
def test_examples_print_what_the_page_says(name, server, tmp_path):
    page = (HOW_TO / name).read_text("utf-8")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/heliograph"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m heliograph "$@"\n')
    program.chmod(0o755)
    (tmp_path / "parcels.csv").write_text(FENCE.findall((HOW_TO / "csv.md").read_text("utf-8"))[0][1], "utf-8")
    (tmp_path / "wrong.csv").write_text(WRONG, "utf-8")
    # `echo $?` tells of the command before it, as it does for who types it.
    script = "".join(f"{command}\ncode=$?\necho @@@\n(exit $code)\n" for command, _ in commands(page))
    (tmp_path / "script").write_text(script, "utf-8")
    ran = subprocess.run(
        ["bash", "--norc", "script"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(heliograph.__file__).parents[1]),
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "HELIOGRAPH_URL": server.url,
            "HELIOGRAPH_USERNAME": "acme",
            "HELIOGRAPH_PASSWORD": PASSWORD,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    printed = ran.stdout.split("@@@\n")[:-1]
    assert len(printed) == len(commands(page)), ran.stdout
    for (command, expected), seen in zip(commands(page), printed, strict=True):
        pattern = re.escape(plain(expected)).replace("…", ".*")
        assert re.fullmatch(pattern, plain(seen), re.DOTALL), f"{command}\n{seen}"
