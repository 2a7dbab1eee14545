"""ImageLocality: prefers nodes that have the pod's images, the larger and the rarer to find the more."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins.base import MAX_SCORE, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

MEBI = 1024 * 1024
LEAST, MOST_PER_CONTAINER = 23 * MEBI, 1000 * MEBI


def normalized(image: str) -> str:
    """With `:latest` where no tag or digest is given."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else image + ":latest"


class ImageLocality(Plugin):
    name = "ImageLocality"
    is_local = True

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return bool(table.images) and any(normalized(i) in table.images for i in pod.shape.images)

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        total = np.zeros(table.size)
        for image in pod.shape.images:
            holders = table.images.get(normalized(image), {})
            spread = len(holders) / max(len(table), 1)
            for row, size in holders.items():
                total[row] += int(size * spread)
        most = MOST_PER_CONTAINER * max(pod.shape.container_count, 1)
        return np.floor(MAX_SCORE * (np.clip(total[rows], LEAST, most) - LEAST) / (most - LEAST))
