"""`image import FILE… | ls | rm NAME…`: images of the node's containerd."""

from __future__ import annotations

from pathlib import Path

from kubewheel.cli.main import Failure, parser_of
from kubewheel.run import containerd, images, supervisor


def run(verb: str, args: list[str]) -> int:
    parser = parser_of(verb)
    supervisor.add_settings_flags(parser)
    actions = parser.add_subparsers(dest="action", required=True, metavar="import|ls|rm")
    actions.add_parser("import", help="OCI or docker archives").add_argument("files", nargs="+", type=Path)
    actions.add_parser("ls", help="names and digests")
    actions.add_parser("rm", help="remove by name").add_argument("names", nargs="+")
    options = parser.parse_args(args)
    settings = supervisor.settings_of(options)
    if not containerd.is_listening(settings):
        raise Failure("containerd is not running here: kubewheel up starts it")
    try:
        if options.action == "import":
            for file in options.files:
                if not file.exists():
                    raise Failure(f"no file {file}")
                print("\n".join(images.import_tar(settings, file)))
        elif options.action == "ls":
            for name, digest in sorted(images.present(settings).items()):
                if "@" not in name and not name.startswith("sha256:"):  # the CRI's second names of the same image
                    print(f"{name}\t{digest}")
        else:
            for name in options.names:
                images.remove(settings, name)
                print(f"removed {name}")
    except containerd.ContainerdError as e:
        raise Failure(str(e)) from e
    return 0
