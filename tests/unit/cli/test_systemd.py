"""Units that systemd understands, and that leave services alone."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from andon.cli.systemd import units


def written(folder: Path, state: str, *options: str) -> list[Path]:
    texts = units(
        python=Path(sys.executable),
        state=Path(state),
        user=getpass.getuser(),
        environment_file=Path("/etc/andon/environment"),
        options=options,
    )
    for name, text in texts.items():
        (folder / name).write_text(text)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("state", ["/var/lib/andon", '/srv/my shop/100 % "sure" $HOME'])
def test_systemd_finds_nothing_wrong(tmp_path: Path, state: str):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    files = written(tmp_path, state, "--port", "0")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, files)], capture_output=True, text=True
    )
    about_ours = [line for line in checked.stderr.splitlines() if "andon" in line]
    assert about_ours == []


def test_ending_a_unit_ends_its_main_process_only(tmp_path: Path):
    for file in written(tmp_path, "/var/lib/andon"):
        assert "KillMode=process" in file.read_text()
