"""What runs in kube-system: one folder each. They hold a Client only."""
