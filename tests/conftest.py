"""For all tests: whoever changes an object of the API server's cache is caught in the act."""

from kubewheel.apiserver import frozen

frozen.guard(True)
