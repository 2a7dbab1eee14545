"""What runs in kube-system: one folder each, listed in `manager.ADDONS`. Strangers to the rest: they hold a Client only."""
