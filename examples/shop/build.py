"""Assembles dist/<service>/: the service's own files and the library they share, without tests."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parent

shutil.rmtree(ROOT / "dist", ignore_errors=True)
for service in sorted((ROOT / "services").iterdir()):
    target = ROOT / "dist" / service.name
    for source in (ROOT / "lib", service):
        ignored = shutil.ignore_patterns("tests", "__pycache__")
        shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
    print(f"built {target.relative_to(ROOT)}")
