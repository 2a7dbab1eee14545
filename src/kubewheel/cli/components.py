"""Components alone, with upstream's flags; and the two processes of `up`: control-plane, node.

In: flags. Out: a process that runs until it is told to end. run/components.py and run/alone do the assembly.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from kubewheel import KUBERNETES_VERSION
from kubewheel.api import durations
from kubewheel.cli import component_flags, flags
from kubewheel.cli.main import parser_of
from kubewheel.lib import verbosity


def run(verb: str, args: list[str]) -> int:
    # Lines without a time are continuations: one clock for all logs.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s",
                        datefmt="%Y-%m-%dT%H:%M:%S")
    if verb in ("control-plane", "node"):
        return _process(verb, args)
    if verb == "dns":
        return _dns(args)
    return _component(verb, args)


def _process(verb: str, args: list[str]) -> int:
    from kubewheel.run import components, supervisor
    from kubewheel.run.ended import Ended

    parser = parser_of(verb)
    supervisor.add_settings_flags(parser)
    settings = supervisor.settings_of(parser.parse_args(args))
    main = {"control-plane": components.control_plane, "node": components.node}[verb]
    try:
        return components.run_process(partial(main, settings))
    except Ended as e:
        print(f"Error: {e}", file=sys.stderr)
        return 1


def parse(verb: str, args: list[str]) -> argparse.Namespace:
    """Options named as upstream's flags, `-` as `_`; durations in seconds, lists as tuples, maps as dicts. `given`
    holds the names that were on the command line. pflag takes underscores in flag names too."""
    parser = flags.Parser(prog=f"kubewheel {verb}", usage=f"kubewheel {verb} [flags]", allow_abbrev=False,
                          formatter_class=flags.Help, description=parser_of(verb).description)
    flags.add(parser, component_flags.TABLES[verb])
    dashed = [_dashed(arg) for arg in args]
    given = {arg[2:].partition("=")[0] for arg in dashed if arg.startswith("--")}
    upstream = verb if verb == "kubelet" else f"kube-{verb}"
    if given & {"version"}:
        print(f"Kubernetes {KUBERNETES_VERSION}")
        raise SystemExit(0)
    absent = component_flags.ABSENT[verb]
    for name in sorted(given & absent.keys()):
        parser.error(f"--{name} is known to {upstream} but not supported by kubewheel: {absent[name]}")
    options = parser.parse_strictly(dashed)
    options.given = {name.replace("-", "_") for name in given}
    options.flagz = in_effect(component_flags.TABLES[verb], options)
    return options


def in_effect(table: Iterable[flags.Flag], options: argparse.Namespace) -> dict[str, str]:
    """Every flag with its value, as /flagz shows them."""
    return {flag.name: _shown(flag.kind, getattr(options, flag.name.replace("-", "_"))) for flag in table}


def _shown(kind: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{k}={_shown('', v)}" for k, v in value.items())
    if isinstance(value, tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return durations.go(float(value)) if kind == "duration" else str(value)  # type: ignore[arg-type]


def _dashed(arg: str) -> str:
    if not arg.startswith("--"):
        return arg
    name, equals, value = arg.partition("=")
    return name.replace("_", "-") + equals + value


def _component(verb: str, args: list[str]) -> int:
    from kubewheel.run import alone, components

    options = parse(verb, args)
    verbosity.apply(options.v)
    try:
        return components.run_process(partial(alone.COMPONENTS[verb], options))
    except alone.Ended as e:
        print(f"Error: {e}", file=sys.stderr)
        return 1


def _dns(args: list[str]) -> int:
    from kubewheel.run import components

    parser = parser_of("dns")
    parser.add_argument("--kubeconfig", type=Path, default=None, help="none: the pod's service account")
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--domain", default="cluster.local")
    parser.add_argument("--upstream", action="append", default=[], help="ip[:port]; none: /etc/resolv.conf")
    parser.add_argument("--stub-domains", default="{}", help='JSON: {"domain": ["ip[:port]"]}')
    options = parser.parse_args(args)
    stubs = {domain: tuple(servers) for domain, servers in json.loads(options.stub_domains).items()}
    return components.run_process(partial(
        components.dns, kubeconfig=options.kubeconfig, port=options.port, domain=options.domain,
        upstreams=tuple(options.upstream), stub_domains=stubs))
