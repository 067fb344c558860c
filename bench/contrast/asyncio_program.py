"""The contrast workloads in CPython's asyncio.

    asyncio_program.py <workload> key=value ...

prints one line of JSON. `wall_s` runs from before the event loop exists until after it has been
closed; starting the interpreter is not in it. The weft program is called in the same way.
"""

import importlib
import json
import sys

from asyncio_common import Args, peak_memory_kb

WORKLOADS = ("sleepers", "primes", "skynet", "blocking", "hogs", "index", "echo")


def main(argv):
    if len(argv) < 2 or argv[1] not in WORKLOADS:
        print(f"usage: {argv[0]} {'|'.join(WORKLOADS)} key=value ...", file=sys.stderr)
        return 2
    args = Args(argv[2:])
    module = importlib.import_module(f"asyncio_{argv[1]}")
    result = {"workload": argv[1], "workers": 1}
    result.update(module.run(args))
    args.refuse_unused()
    result["max_rss_kb"] = peak_memory_kb()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
