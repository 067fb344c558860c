"""f. The index: an inverted index over a folder of text files, an index of the characters' names,
and a thousand queries. README.md says exactly what a word is and what the output looks like; the
weft program writes the same bytes.
"""

import asyncio
import bisect
import os
import re
from collections import Counter

from asyncio_common import timed

NAMES_FILE = b"UnicodeData.txt"
QUERIES_PER_TASK = 50
WORD = re.compile(rb"[A-Za-z0-9_]+")
WORD_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
MASK = (1 << 64) - 1


def list_files(root):
    """Paths of all .txt files below root, relative to it, in byte order."""
    paths = []
    for folder, _, names in os.walk(os.fsencode(root)):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(b".txt") and not os.path.islink(path):
                paths.append(os.path.relpath(path, os.fsencode(root)))
    return sorted(paths)


async def count_words(text):
    return Counter(WORD.findall(text.lower()))


async def read_file(root, path, chunk_bytes):
    """Read in chunks off the loop; a task counts each. Return (size, words' counts, names)."""
    size = 0
    kept = [] if path == NAMES_FILE else None
    carry = b""
    tasks = []
    with open(os.path.join(os.fsencode(root), path), "rb", buffering=0) as file:
        while chunk := await asyncio.to_thread(file.read, chunk_bytes):
            size += len(chunk)
            if kept is not None:
                kept.append(chunk)
            # A word may go on in the next chunk: its beginning waits for it.
            text = carry + chunk
            cut = len(text.rstrip(WORD_BYTES))
            carry = text[cut:]
            tasks.append(asyncio.create_task(count_words(text[:cut])))
    tasks.append(asyncio.create_task(count_words(carry)))
    words = Counter()
    for task in tasks:
        words.update(await task)
    names = await index_names(b"".join(kept)) if kept is not None else None
    return size, words, names


async def index_names(text):
    """Return ([(code point, name's words)], {word: [position in that list]})."""
    characters = []
    postings = {}
    for line in text.split(b"\n"):
        fields = line.split(b";", 2)
        if len(fields) < 3 or fields[1].startswith(b"<"):
            continue
        words = WORD.findall(fields[1].lower())
        if not words:
            continue
        for word in dict.fromkeys(words):
            postings.setdefault(word, []).append(len(characters))
        characters.append((fields[0].lower(), words))
    return characters, postings


def merge(counts):
    """{word: [(file, count)]} with the files in order."""
    postings = {}
    for file, words in enumerate(counts):
        for word, count in words.items():
            postings.setdefault(word, []).append((file, count))
    return postings


def mix(number):
    """splitmix64: the query's number becomes its choice of words."""
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def word_query(index, choice, miss):
    word = index.order[choice % len(index.order)]
    if miss:
        word += b"_"
    found = index.words.get(word, ())
    total = sum(count for _, count in found)
    best = max(found, key=lambda item: (item[1], -item[0]))[0] if found else "-"
    return b"word %b %d %d %b" % (word, total, len(found), str(best).encode())


def name_query(index, choice):
    words = index.characters[choice % len(index.characters)][1]
    first, last = words[0], words[-1]
    others = index.names[last]
    matches = []
    for position in index.names[first]:
        at = bisect.bisect_left(others, position)
        if at < len(others) and others[at] == position:
            matches.append(position)
    shown = b",".join(index.characters[position][0] for position in matches[:5])
    return b"name %b %b %d %b" % (first, last, len(matches), shown)


async def answer(index, begin, end):
    lines = []
    for number in range(begin, end):
        choice = mix(number)
        if number % 2 == 0:
            line = word_query(index, choice, number % 10 == 8)
        else:
            line = name_query(index, choice)
        lines.append(b"%d %b\n" % (number, line))
    return b"".join(lines)


class Index:
    def __init__(self, words, names):
        self.words = words
        self.order = sorted(words)
        self.characters, self.names = names


async def format_files(paths, sizes):
    lines = [b"files %d\n" % len(paths)]
    lines += (b"%d %b %d\n" % (i, path, sizes[i]) for i, path in enumerate(paths))
    return b"".join(lines)


async def format_words(index):
    total = 0
    lines = []
    for word in index.order:
        found = index.words[word]
        count = sum(count for _, count in found)
        total += count
        where = b" ".join(b"%d:%d" % item for item in found)
        lines.append(b"%b %d %b\n" % (word, count, where))
    return b"words %d %d\n" % (len(index.order), total) + b"".join(lines)


async def format_names(index):
    lines = [b"names %d %d\n" % (len(index.names), len(index.characters))]
    for word in sorted(index.names):
        where = b" ".join(index.characters[position][0] for position in index.names[word])
        lines.append(b"%b %b\n" % (word, where))
    return b"".join(lines)


async def format_answers(index, queries):
    tasks = [
        answer(index, begin, min(begin + QUERIES_PER_TASK, queries))
        for begin in range(0, queries, QUERIES_PER_TASK)
    ]
    return b"queries %d\n" % queries + b"".join(await asyncio.gather(*tasks))


def write(path, sections):
    with open(path, "wb") as out:
        out.writelines(sections)


async def build(root, out, chunk_bytes, queries):
    paths = await asyncio.to_thread(list_files, root)
    read = await asyncio.gather(*(read_file(root, path, chunk_bytes) for path in paths))
    sizes = [size for size, _, _ in read]
    names = next((names for _, _, names in read if names), None)
    if names is None:
        raise SystemExit(f"there is no {NAMES_FILE.decode()} in {root}")
    index = Index(merge(words for _, words, _ in read), names)
    sections = await asyncio.gather(
        format_files(paths, sizes), format_words(index), format_names(index),
        format_answers(index, queries))
    await asyncio.to_thread(write, out, sections)
    return len(paths), sum(sizes), len(index.order)


def run(args):
    root = args.text("root", "/usr/share/unicode")
    out = args.text("out", "index.txt")
    chunk_bytes = args.number("chunk_kb", 512) * 1024
    queries = args.number("queries", 1000)
    wall, (files, size, words) = timed(build, root, out, chunk_bytes, queries)
    return {"wall_s": wall, "files": files, "bytes": size, "words": words, "queries": queries}
