"""Look at a folder that Andon has never seen and write its first ``andon.yaml``."""

from andon.cli.init.inspect_folder import Findings, ServiceFindings, inspect_folder
from andon.cli.init.render import render_andon_yaml
from andon.cli.init.write import FILE_NAME, InitResult, init

__all__ = [
    "FILE_NAME",
    "Findings",
    "InitResult",
    "ServiceFindings",
    "init",
    "inspect_folder",
    "render_andon_yaml",
]
