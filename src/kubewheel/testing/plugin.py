"""The pytest plugin: a `cluster` fixture, and `with_cluster` for tests in virtual time.

In: the marker `@pytest.mark.kubewheel(nodes=3, controllers="*", …)` (the arguments of testing.cluster).
Out: a fresh Cluster per test. Loaded by pytest's entry point; heavy imports wait for the first use.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

try:
    import pytest_asyncio
except ImportError:  # without it there is no async fixture; with_cluster needs none
    pytest_asyncio = None  # type: ignore[assignment]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kubewheel(**options): how the test's cluster is made; see kubewheel.testing.cluster")


if pytest_asyncio is not None:

    @pytest_asyncio.fixture
    async def cluster(request: pytest.FixtureRequest) -> Any:
        """A cluster in the test's own loop, in real time. Ready for the first call."""
        from kubewheel.testing.cluster import cluster as make

        marker = request.node.get_closest_marker("kubewheel")
        async with make(**(marker.kwargs if marker else {})) as made:
            yield made


def with_cluster(*, virtual_time: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates `async def test(cluster, …)`: runs it in a loop of its own, in virtual time if asked. Other
    parameters stay fixtures. Equal seeds give equal histories in virtual time."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        from kubewheel.testing import virtual_time as virtual
        from kubewheel.testing.cluster import cluster as make

        @functools.wraps(test)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            async def main() -> Any:
                async with make(**options) as made:
                    return await test(made, *args, **kwargs)

            return virtual.run(main()) if virtual_time else asyncio.run(main())

        parameters = list(inspect.signature(test).parameters.values())[1:]
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        del wrapper.__wrapped__
        return wrapper

    return decorate
