"""Cluster DNS: a Deployment of the system image behind the Service kube-dns."""
