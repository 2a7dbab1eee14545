"""`kubewheel VERB …`: reads flags, hands over. What a verb needs is imported when the verb is known.

In: argv. Out: an exit status. A file per family of verbs, as VERBS says.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

# verb -> (module below kubewheel.cli, what it does); in the order of the help
VERBS = {
    "up": ("up", "start the cluster in the background, wait until it is ready"),
    "down": ("up", "stop everything and leave the host as it was found; data stays"),
    "reset": ("up", "down, and delete all data"),
    "status": ("status", "what runs"),
    "logs": ("logs", "show the log of a component: control-plane, node, containerd, supervisor"),
    "kubectl": ("kubectl", "run kubectl against this cluster"),
    "image": ("image", "import, list or remove images of the node"),
    "version": ("status", "print versions"),
    "control-plane": ("components", "API server, controllers and scheduler in one process"),
    "node": ("components", "kubelet and proxy in one process"),
    "apiserver": ("components", "kube-apiserver alone"),
    "controller-manager": ("components", "kube-controller-manager alone"),
    "scheduler": ("components", "kube-scheduler alone"),
    "kubelet": ("components", "kubelet alone"),
    "proxy": ("components", "kube-proxy alone"),
    "dns": ("components", "cluster DNS alone"),
}


def usage() -> str:
    lines = ["usage: kubewheel VERB [flags]    (kubewheel VERB --help shows the flags)", "",
             "Kubernetes in Python.", ""]
    return "\n".join([*lines, *(f"  {verb:20}{text}" for verb, (_, text) in VERBS.items())])


def main(argv: Sequence[str] | None = None) -> int:
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if args else 2
    verb = "version" if args[0] == "--version" else args[0]
    if verb not in VERBS:
        print(f"kubewheel: unknown verb {verb!r}\n\n{usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"kubewheel.cli.{VERBS[verb][0]}")
    try:
        code = int(module.run(verb, args[1:]) or 0)
        sys.stdout.flush()  # here, where a reader that went away (`| head`) can still be told from a fault
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a program that SIGPIPE ended
    except Failure as e:
        print(f"kubewheel: {e}", file=sys.stderr)
        return 1


class Failure(Exception):
    """What went wrong, for people; printed without a trace."""


def parser_of(verb: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"kubewheel {verb}", description=VERBS[verb][1], allow_abbrev=False)


if __name__ == "__main__":
    # Under its real name, so that `Failure` is one class however the program was started.
    from kubewheel.cli import main as real

    sys.exit(real.main())
