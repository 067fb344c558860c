"""The list of mutations that no test can or should kill, each with its reason (file `accepted`).

An entry names a mutation by its text, so that it goes out of use when the line changes:

    equivalent timers.c weft__timers_fire
      - the changed line before
      + and after
      why nobody can tell the difference, over as many lines as it needs

`equivalent`: no caller can observe the change. `tuning`: it changes a heuristic only (how long to
spin, how often to look), so that a result comes sooner or later but is the same.
"""
CLASSES = ('equivalent', 'tuning')


def parse(text):
    """{(file, function, old_text, new_text): (class, reason)}"""
    found = {}
    for block in text.split('\n\n'):
        lines = [line for line in block.splitlines() if line and not line.startswith('#')]
        if not lines:
            continue
        kind, file, function = lines[0].split()
        old = ' '.join(x.strip()[2:] for x in lines[1:] if x.strip().startswith('- '))
        new = ' '.join(x.strip()[2:] for x in lines[1:] if x.strip().startswith('+ '))
        reason = ' '.join(x.strip() for x in lines[1:] if not x.strip().startswith(('- ', '+ ')))
        if kind not in CLASSES or not old or not new or not reason:
            raise SystemExit('mutate: accepted: cannot read the entry\n' + block)
        found[(file, function, old, new)] = (kind, reason)
    return found


def key(m):
    return (m.file, m.function, m.old_text, m.new_text)


def entry(m, kind='?'):
    """The text of an entry for m, without its reason."""
    return '%s %s %s\n  - %s\n  + %s\n' % (kind, m.file, m.function, m.old_text, m.new_text)
