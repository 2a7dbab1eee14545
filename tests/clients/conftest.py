"""One server a module, in a thread with a loop of its own: clients that block, and programs, come over TLS."""

import gc
import re

import pytest
from tests.clients.serving import Served


@pytest.fixture(scope="module")
def served(request):
    """A cluster that the module's tests share; each takes a namespace of its own. A module says SERVED = {...}, the
    arguments of testing.cluster, where it wants another than two nodes and everything."""
    with Served(**{"nodes": 2, **getattr(request.module, "SERVED", {})}) as made:
        yield made


@pytest.fixture
def namespace(request, served):
    """A fresh namespace with its default service account, named after the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")[:50].strip("-")
    served.namespace(name)
    return name


@pytest.fixture
def no_leftovers():
    """What a client leaves to the garbage collector is collected in its own test, under that test's filters."""
    yield
    gc.collect()
