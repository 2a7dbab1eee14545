"""`logs [component] [-f] [--tail N]`: our processes' logs, through tail(1)."""

from __future__ import annotations

import os

from kubewheel.cli.main import Failure, parser_of
from kubewheel.run import supervisor

COMPONENTS = ("control-plane", "node", "containerd", "supervisor")
PART_OF = {"apiserver": "control-plane", "controller-manager": "control-plane", "scheduler": "control-plane",
           "kubelet": "node", "proxy": "node"}


def run(verb: str, args: list[str]) -> int:
    parser = parser_of(verb)
    supervisor.add_settings_flags(parser)
    parser.add_argument("component", nargs="?", choices=[*COMPONENTS, *PART_OF], help="default: all")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written")
    parser.add_argument("--tail", default="", help="only the last N lines")
    options = parser.parse_args(args)
    settings = supervisor.settings_of(options)
    wanted = [PART_OF.get(options.component, options.component)] if options.component else list(COMPONENTS)
    files = [str(path) for name in wanted if (path := settings.log_dir / f"{name}.log").exists()]
    if not files:
        raise Failure(f"no logs in {settings.log_dir}")
    lines = options.tail or ("+1" if options.component else "20")
    os.execvp("tail", ["tail", "-n", lines, *(["-F"] if options.follow else []), *files])
