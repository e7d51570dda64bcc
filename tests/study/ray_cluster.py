"""A Ray cluster of two cores in a process of its own, which ends when its input does.

Ray leaves processes and sockets open that pytest, rightly, takes for mistakes of ours.
"""

import sys

from vireo.study.ray_cluster import connected

if __name__ == "__main__":
    with connected("", cores=2) as ray:
        sys.stdout.write(f"{ray.get_runtime_context().gcs_address}\n")
        sys.stdout.flush()
        sys.stdin.read()
