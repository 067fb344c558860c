"""The table of the rows, with one line below each workload that says how to read it."""

COLUMNS = (
    ("seconds", 9), ("CPU %", 7), ("peak MiB", 10), ("x asyncio", 11), ("x 1 worker", 12),
    ("delay p50 / p99 / worst, ms", 33),
)
LABEL_WIDTH = 32


def number(value):
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}"


def seconds(row):
    """Of a server, which ends when its client does, the requests a second instead."""
    if "requests_per_s" in row:
        return f"{row['requests_per_s']:,.0f}/s"
    return f"{row['wall_s']:.4f}" if row["wall_s"] < 1 else f"{row['wall_s']:.3f}"


def cells(row):
    def ratio(key):
        return f"{number(row[key])}" if key in row else ""

    delay = ""
    for name in ("lateness", "latency"):
        if f"{name}_p99_ms" in row:
            delay = " / ".join(number(row[f"{name}_{key}_ms"]) for key in ("p50", "p99", "max"))
    return (seconds(row), f"{row['cpu_percent']:.0f}", f"{row['max_rss_kb'] / 1024:.1f}",
            ratio("speedup_asyncio"), ratio("speedup_one_worker"), delay)


def draw(rows, workloads):
    lines = [" " * LABEL_WIDTH + "".join(name.rjust(width) for name, width in COLUMNS).rstrip()]
    for workload in workloads:
        mine = [row for row in rows if row["workload"] == workload.name]
        if not mine:
            continue
        lines += ["", f"{workload.name}: {workload.title.format(**mine[0])}"]
        for row in mine:
            values = zip(cells(row), COLUMNS)
            text = "".join(cell.rjust(width) for cell, (_, width) in values)
            lines.append(f"  {row['label']:<{LABEL_WIDTH - 2}}{text}".rstrip())
        lines.append(f"  -> {READINGS[workload.name](mine)}")
    return "\n".join(lines)


def find(rows, runner, **wanted):
    for row in rows:
        if row["runner"] == runner and all(row.get(key) == value for key, value in wanted.items()):
            return row
    return None


def weft_all(rows, **wanted):
    return find(rows, "weft", reserve=True, **wanted)


def kib(value):
    return f"{value / 1024:.1f} KiB"


def read_sleepers(rows):
    python, weft, thread = find(rows, "asyncio"), weft_all(rows), find(rows, "threads")
    kernel = thread["kernel_bytes_per_task"]
    return (f"a sleeper keeps {kib(python['bytes_per_task'])} in asyncio, "
            f"{kib(weft['bytes_per_task'])} in weft (it has a stack of its own), "
            f"{kib(thread['bytes_per_task'])} as an OS thread"
            + (f" plus {kib(kernel)} in the kernel." if kernel > 0 else "."))


def read_primes(rows):
    loop, threads = find(rows, "asyncio"), find(rows, "asyncio+threads")
    return (f"the GIL keeps asyncio near one core, with threads too "
            f"({loop['cpu_percent']:.0f} % and {threads['cpu_percent']:.0f} % CPU); processes "
            f"and weft's workers use them all. That C is compiled is the rest of x asyncio.")


def read_skynet(rows):
    def cost(row):
        return row["wall_s"] / row["leaves"] * 9 / 10 * 1e9  # 10 of 9 tasks are leaves

    return (f"about {cost(find(rows, 'asyncio')):,.0f} ns a task in asyncio, "
            f"{cost(weft_all(rows)):,.1f} ns in weft with all workers.")


def read_blocking(rows):
    python = find(rows, "asyncio+threads")
    weft = weft_all(rows, mode="offloaded")
    return (f"on a loop the calls wait for each other. With default options asyncio's pool has "
            f"CPUs + 4 threads ({python['wall_s']:.2f} s); weft's grows while calls block "
            f"({weft['wall_s']:.2f} s).")


def read_hogs(rows):
    python, weft = find(rows, "asyncio"), weft_all(rows)
    return (f"99 of 100 ticks are at most {number(python['lateness_p99_ms'])} ms late in asyncio, "
            f"{number(weft['lateness_p99_ms'])} ms in weft; beside the ticker weft's hogs make "
            f"{100 * weft['hog_progress']:.0f} % of what they make alone.")


def read_index(rows):
    same = len({row["output_sha256"] for row in rows}) == 1
    one = find(rows, "weft", reserve=False)
    return (f"the outputs are {'byte for byte the same' if same else 'NOT THE SAME'}; "
            f"{100 * one['serial_share']:.1f} % of weft's run is in stretches that cannot be "
            f"shared among workers.")


def read_echo(rows):
    python, weft = find(rows, "asyncio"), weft_all(rows)
    return (f"{python['requests_per_s']:,.0f} requests a second in asyncio, "
            f"{weft['requests_per_s']:,.0f} in weft; 99 of 100 replies come within "
            f"{number(python['latency_p99_ms'])} and {number(weft['latency_p99_ms'])} ms. The client "
            f"shares the CPUs: {weft['client_cpu_percent']:.0f} % beside weft.")


READINGS = {
    "sleepers": read_sleepers, "primes": read_primes, "skynet": read_skynet,
    "blocking": read_blocking, "hogs": read_hogs, "index": read_index, "echo": read_echo,
}
