"""Timelines: when each task ran, and on which worker; and how a terminal shows them.

A program that is given trace=PATH writes one JSON object a line for every task:
    {"t0_us", "t1_us", "worker", "task", "name", "stolen"}
A task is stolen when another worker than the one that spawned it ran it.
"""

import json
import re
from dataclasses import dataclass, field


@dataclass
class Lane:
    worker: int
    bars: list = field(default_factory=list)  # of the trace's objects, in the order of time

    @property
    def steals(self):
        return sum(bar["stolen"] for bar in self.bars)


@dataclass
class Timeline:
    title: str
    lanes: list

    @property
    def tasks(self):
        return sum(len(lane.bars) for lane in self.lanes)

    @property
    def length_us(self):
        return max((bar["t1_us"] for lane in self.lanes for bar in lane.bars), default=0)


def load(path, title, workers):
    """A timeline of at least so many lanes: a worker that ran nothing has an empty one."""
    with open(path, encoding="ascii") as file:
        bars = [json.loads(line) for line in file]
    bars.sort(key=lambda bar: bar["t0_us"])
    lanes = [Lane(worker) for worker in
             range(max([workers - 1] + [bar["worker"] for bar in bars]) + 1)]
    for bar in bars:
        lanes[bar["worker"]].bars.append(bar)
    return Timeline(title, lanes)


def duration(us):
    """With a space that no line is broken at."""
    if us >= 1e6:
        return f"{us / 1e6:.2f}\u00a0s"
    return f"{us / 1e3:.0f}\u00a0ms" if us >= 1e4 else f"{us / 1e3:.1f}\u00a0ms"


# How a terminal shows them: own tasks in blue, stolen ones in orange, each ended by a gap.
OWN, STOLEN, RESET = "\x1b[38;5;32m", "\x1b[38;5;214m", "\x1b[0m"
LANES_MOST = 16


def draw_lane(lane, length_us, width, colour):
    cells = [" "] * width
    for bar in lane.bars:
        first = int(bar["t0_us"] / length_us * width)
        last = max(first + 1, int(bar["t1_us"] / length_us * width))
        glyph = "\u2592" if bar["stolen"] else "\u2588"
        for at in range(first, min(last, width)):
            cells[at] = glyph
        if last - first >= 2 and last <= width:
            cells[last - 1] = "\u258c" if not bar["stolen"] else "\u2591"
    text = "".join(cells)
    if not colour:
        return text
    text = re.sub("[\u2588\u258c]+", rf"{OWN}\g<0>{RESET}", text)
    return re.sub("[\u2592\u2591]+", rf"{STOLEN}\g<0>{RESET}", text)


def draw(timelines, columns, colour):
    """The timelines one above the other, asyncio's first, each at a scale of its own."""
    width = max(20, min(columns, 140) - 30)
    lines = []
    for number, timeline in enumerate(timelines):
        lines.append(f"{timeline.title}: {timeline.tasks} tasks in {duration(timeline.length_us)}")
        for lane in timeline.lanes[:LANES_MOST]:
            name = f"worker {lane.worker}" if number else "the loop"
            stolen = f" {lane.steals} stolen" if lane.steals else ""
            bars = draw_lane(lane, timeline.length_us or 1, width, colour)
            lines.append(f"  {name:>9} |{bars}|{stolen}")
        if len(timeline.lanes) > LANES_MOST:
            lines.append(f"  and {len(timeline.lanes) - LANES_MOST} lanes more")
        end = duration(timeline.length_us)
        lines.append(" " * 12 + "0" + end.rjust(width))
    lines.append("A bar is one task, a lane is one thread that runs tasks; the scales differ. "
                 "\u2588 own, \u2592 stolen from another worker.")
    return "\n".join(lines)
