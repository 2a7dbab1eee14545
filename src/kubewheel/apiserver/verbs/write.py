"""What create, update, patch and apply share, under one name.

The order of a write, top-down (upstream's registry.Store and handlers), and the file of each step:
    options, decode → schema check → defaults      write_body.py
    managedFields                                  write_fields.py (apply.py has its own)
    prepare → mutating admission → validation
    → validating admission → store                 write_create.py, write_update.py
    what the server keeps of metadata and status   write_meta.py
    the server's own changes                       write_mutate.py
"""

from kubewheel.apiserver.verbs.write_body import (
    check_address,
    check_kind,
    check_options,
    decode,
    fitted,
    policy_of,
    report,
)
from kubewheel.apiserver.verbs.write_create import create
from kubewheel.apiserver.verbs.write_mutate import mutate
from kubewheel.apiserver.verbs.write_update import Make, is_finished, update

__all__ = ["Make", "check_address", "check_kind", "check_options", "create", "decode", "fitted", "is_finished", "mutate",
           "policy_of", "report", "update"]
