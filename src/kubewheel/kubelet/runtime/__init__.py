"""From a pod's spec to the runtime's configuration: pure builders, one file per part."""
