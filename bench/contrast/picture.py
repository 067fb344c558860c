"""The picture: asyncio's one lane above weft's, a bar for every task, stolen ones marked.

The first timeline is asyncio's; the others are weft's and share one scale, which a wedge shows to
be a magnified piece of asyncio's. Plain SVG, light background, colours that colour-blind eyes tell
apart (and a hatch, for print). Below them, bars: the requests a second of the echo servers.
"""

import textwrap
from xml.sax.saxutils import escape

from lanes import duration

WIDTH = 1120
LEFT, RIGHT = 118, 128  # for the lanes' names and for what they add up to
PLOT = WIDTH - LEFT - RIGHT
LANE, LANE_SMALL, LANES_TALL = 30, 8, 420  # a lane's height; all lanes' height before they shrink

STYLE = """
  text { font-family: Inter, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif;
         fill: #1f2933; }
  .title { font-size: 25px; font-weight: 600; }
  .text { font-size: 14px; fill: #47535f; }
  .head { font-size: 16px; font-weight: 600; }
  .note { font-size: 13px; fill: #5f6b76; }
  .total { font-size: 19px; font-weight: 600; }
  .name { font-size: 13px; fill: #47535f; text-anchor: end; }
  .tick { font-size: 11.5px; fill: #6b7680; text-anchor: middle; }
  .number { font-size: 8px; fill: #ffffff; text-anchor: middle; }
  .dark { fill: #2c1d00; }
  .lane { fill: #f1f4f6; }
  .axis { stroke: #b8c1c9; stroke-width: 1; fill: none; }
  .own { fill: #0069a8; }
  .stolen { fill: #eda215; }
  .rate { fill: #0069a8; }
  .inside { font-size: 13px; fill: #ffffff; }
  .hatch { fill: url(#hatch); }
  .wedge { fill: #e8eef3; }
  .piece { stroke: #1f2933; stroke-width: 4; }
  .edge { stroke: #aebbc6; stroke-width: 1; stroke-dasharray: 3 3; fill: none; }
"""


class Canvas:
    """Collects elements from the top down; y is where the next one goes."""

    def __init__(self):
        self.y = 0
        self._elements = []

    def add(self, element):
        self._elements.append(element)

    def text(self, x, y, style, text, extra=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}"{extra}>{escape(text)}</text>')

    def paragraph(self, style, text, characters=138, leading=21):
        for line in textwrap.wrap(text, characters):
            self.y += leading
            self.text(40, self.y, style, line)

    def document(self, height, title, summary):
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" role="img" aria-labelledby="title summary">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="summary">{escape(summary)}</desc>',
            f"<style>{STYLE}</style>",
            '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="2.5" height="6" fill="#a04a00" '
            'fill-opacity="0.30"/></pattern></defs>',
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
            *self._elements, "</svg>", ""])


def bar_width(bar, scale):
    width = (bar["t1_us"] - bar["t0_us"]) * scale
    return max(width - (1 if width > 3 else 0), 0.5)


def numbers_fit(timeline, scale):
    """All bars of a timeline show their task's number, or none does."""
    return all(bar_width(bar, scale) > 5.3 * len(str(bar["task"]))
               for lane in timeline.lanes for bar in lane.bars)


def draw_bar(canvas, bar, y, height, scale, numbered):
    begin, width = LEFT + bar["t0_us"] * scale, bar_width(bar, scale)
    took = duration(bar["t1_us"] - bar["t0_us"])
    where = f'worker {bar["worker"]}' + (", stolen" if bar["stolen"] else "")
    shape = (f'x="{begin:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height:.1f}" '
             f'rx="{1.5 if width > 4 else 0}"')
    canvas.add(f'<g><title>task {bar["task"]}: {took} on {where}</title>'
               f'<rect class="{"stolen" if bar["stolen"] else "own"}" {shape}/>')
    if bar["stolen"]:
        canvas.add(f'<rect class="hatch" {shape}/>')
    if numbered:
        style = "number dark" if bar["stolen"] else "number"
        canvas.text(begin + width / 2, y + height / 2 + 3, style, str(bar["task"]))
    canvas.add("</g>")


def draw_lanes(canvas, timeline, scale, one_name):
    """The lanes of a timeline, and at the right how many tasks each worker has stolen."""
    count = len(timeline.lanes)
    height = max(LANE_SMALL, min(LANE, LANES_TALL / count - 5))
    step = height + (6 if height > 12 else 2)
    numbered = height >= 16 and numbers_fit(timeline, scale)
    named = 1 if step >= 14 else 4  # lanes too low for a name each: every fourth
    for lane in timeline.lanes:
        middle = canvas.y + height / 2 + 4.5
        canvas.add(f'<rect class="lane" x="{LEFT}" y="{canvas.y:.1f}" width="{PLOT}" '
                   f'height="{height:.1f}" rx="2"/>')
        for bar in lane.bars:
            draw_bar(canvas, bar, canvas.y, height, scale, numbered)
        if lane.worker % named == 0:
            name = one_name if count == 1 else f"worker {lane.worker}"
            canvas.text(LEFT - 12, middle, "name", name)
            if count > 1:
                canvas.text(LEFT + PLOT + 12, middle, "note",
                            f"stole {lane.steals} of {len(lane.bars)}" if lane.steals else
                            f"ran {len(lane.bars)}, stole 0")
        canvas.y += step


def tick_step(length_us):
    """The step of an axis: 1, 2 or 5 times a power of ten, eight ticks at most."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if length_us / (step * factor) <= 8:
                return step * factor
        step *= 10


def draw_axis(canvas, length_us, scale):
    y = canvas.y + 2
    canvas.add(f'<path class="axis" d="M{LEFT} {y:.1f}H{LEFT + PLOT}"/>')
    step = tick_step(length_us)
    unit, name = (1e6, "s") if step >= 1e5 else (1e3, "ms")
    digits = 0 if step >= unit else (1 if step >= unit / 10 else 2)
    for number in range(int(length_us / step) + 1):
        x = LEFT + number * step * scale
        canvas.add(f'<path class="axis" d="M{x:.1f} {y:.1f}v5"/>')
        label = f"{number * step / unit:.{digits}f} {name}" if number else "0"
        canvas.text(x, y + 19, "tick", label)
    canvas.y = y + 26


def draw_heading(canvas, head, note, total):
    canvas.y += 22
    canvas.add(f'<text x="{LEFT}" y="{canvas.y:.1f}"><tspan class="head">{escape(head)}</tspan>'
               f'<tspan class="note" dx="10">{escape(note)}</tspan></text>')
    canvas.text(LEFT + PLOT + 12, canvas.y, "total", total)
    canvas.y += 10


def draw_wedge(canvas, share, factor):
    """From the piece of asyncio's axis that weft's lanes cover down to weft's whole width."""
    top, bottom = canvas.y + 3, canvas.y + 66
    right = LEFT + max(PLOT * share, 1)
    canvas.add(f'<path class="wedge" d="M{LEFT} {top:.1f}H{right:.1f}L{LEFT + PLOT} {bottom:.1f}'
               f'H{LEFT}Z"/>')
    canvas.add(f'<path class="edge" d="M{right:.1f} {top:.1f}L{LEFT + PLOT} {bottom:.1f}"/>')
    canvas.add(f'<path class="piece" d="M{LEFT} {top:.1f}H{right:.1f}"/>')
    canvas.text(LEFT + 14, bottom - 9, "note", "all of weft's run fits into the marked piece; "
                f"below, time is drawn {factor} times as wide")


def draw_legend(canvas):
    canvas.y += 14
    y = canvas.y
    for x, style, text in ((LEFT, "own", "a task, on the worker that started it"),
                           (LEFT + 320, "stolen", "a stolen task: a worker with nothing to do took "
                            "it from another one")):
        shape = f'x="{x}" y="{y:.1f}" width="28" height="15" rx="2"'
        canvas.add(f'<rect class="{style}" {shape}/>')
        if style == "stolen":
            canvas.add(f'<rect class="hatch" {shape}/>')
        canvas.text(x + 38, y + 12, "note", text)
    canvas.y += 22


def weft_note(timeline):
    if len(timeline.lanes) == 1:
        return "one lane: as in asyncio the tasks follow each other"
    stolen = sum(lane.steals for lane in timeline.lanes)
    return f"a lane for each worker: {stolen} of the {timeline.tasks} tasks were stolen"


def caption(asyncio, weft):
    alone, all_workers = weft[0], weft[-1]
    python_to_c = asyncio.length_us / alone.length_us
    text = ("asyncio is concurrent: many tasks can be under way, but one thread runs them, so work "
            "that computes queues up in one lane. weft keeps that way of writing programs and runs "
            "the tasks on all cores at once: whoever has nothing to do steals work. ")
    text += (f"How to read the times: from {duration(asyncio.length_us)} to "
             f"{duration(alone.length_us)} is mostly Python against compiled C "
             f"({python_to_c:.0f} times)")
    if len(all_workers.lanes) > 1:
        gain = alone.length_us / all_workers.length_us
        text += (f"; from {duration(alone.length_us)} to {duration(all_workers.length_us)} is what "
                 f"{len(all_workers.lanes)} lanes bring ({gain:.2f} times)")
    return text + "."


def draw_echo(canvas, rows):
    """A bar for each runner: its requests a second, with how long a request takes beside it."""
    canvas.y += 44
    canvas.text(40, canvas.y, "title", "The same echo server: one core, or all of them")
    canvas.y += 8
    canvas.paragraph("text", f"{rows[0]['connections']} clients send {rows[0]['size']} bytes each and "
                     f"wait for them to come back; each request costs the server "
                     f"{rows[0]['work_us']} us of computing. A bar is the requests a second.")
    canvas.y += 16
    left = LEFT + 22  # the runners' names are longer than the workers'
    scale = (LEFT + PLOT - left) / max(row["requests_per_s"] for row in rows)
    for row in rows:
        middle, width = canvas.y + LANE / 2 + 4.5, row["requests_per_s"] * scale
        canvas.text(left - 12, middle, "name", row["label"])
        canvas.add(f'<rect class="rate" x="{left}" y="{canvas.y:.1f}" width="{width:.1f}" '
                   f'height="{LANE}" rx="2"/>')
        rate, delays = f"{row['requests_per_s']:,.0f}/s", (
            f"half within {row['latency_p50_ms']:.1f} ms, 99 of 100 within "
            f"{row['latency_p99_ms']:.1f} ms")
        canvas.text(left + width + 10, middle + 1.5, "head", rate)
        if width > 300:
            canvas.text(left + 12, middle, "inside", delays)
        else:
            canvas.text(left + width + 30 + 9 * len(rate), middle, "note", delays)
        canvas.y += LANE + 6


def draw(timelines, echo=()):
    """timelines: asyncio's, then weft's from one worker to all; echo: the rows of that workload.
    Returns the SVG's text."""
    asyncio, weft = timelines[0], timelines[1:]
    canvas = Canvas()
    title = f"The same {asyncio.tasks} tasks: one lane, or a lane for every core"
    canvas.y = 50
    canvas.text(40, canvas.y, "title", title)
    canvas.y += 8
    canvas.paragraph("text", "Each bar is one task; it counts the primes below 50,000, which is "
                     "nothing but computing. A lane is one thread that runs tasks, one after the "
                     "other. Time goes from left to right.")
    canvas.y += 12
    weft_us = max(timeline.length_us for timeline in weft)
    wide = max(asyncio.length_us, weft_us)
    draw_heading(canvas, asyncio.title, "one event loop on one thread",
                 duration(asyncio.length_us))
    draw_lanes(canvas, asyncio, PLOT / wide, "the loop")
    draw_wedge(canvas, weft_us / wide, round(wide / weft_us))
    draw_axis(canvas, wide, PLOT / wide)
    canvas.y += 40
    for timeline in weft:
        draw_heading(canvas, timeline.title, weft_note(timeline), duration(timeline.length_us))
        draw_lanes(canvas, timeline, PLOT / weft_us, "worker 0")
        canvas.y += 4
    draw_axis(canvas, weft_us, PLOT / weft_us)
    draw_legend(canvas)
    canvas.y += 8
    reading = caption(asyncio, weft)
    canvas.paragraph("text", reading)
    if echo:
        draw_echo(canvas, echo)
    return canvas.document(canvas.y + 30, title, reading)
