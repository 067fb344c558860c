"""The report: numbers per file and operator, and every survivor with its line."""
from collections import Counter

from mutations import OPERATORS

VERDICTS = ('killed', 'survived', 'equivalent', 'tuning', 'invalid')


def share(counts):
    judged = counts['killed'] + counts['survived']
    return '%.1f %%' % (100.0 * counts['killed'] / judged) if judged else '-'


def table(head, names, counts):
    lines = ['| %s | %s | killed of judged |' % (head, ' | '.join(VERDICTS)),
             '|---' * (len(VERDICTS) + 2) + '|']
    for name in names:
        c = counts[name]
        lines.append('| %s | %s | %s |' % (name, ' | '.join(str(c[v]) for v in VERDICTS), share(c)))
    return lines


def count(results):
    by_file, by_operator, total = {}, {}, Counter()
    for m, outcome in results:
        for counts, name in ((by_file, m.file), (by_operator, m.operator)):
            counts.setdefault(name, Counter())[outcome.verdict] += 1
        total[outcome.verdict] += 1
    return by_file, by_operator, total


def summary(results):
    total = count(results)[2]
    return '%d mutants: %s; %s of those judged were killed' % (
        len(results), ', '.join('%d %s' % (total[v], v) for v in VERDICTS), share(total))


def survivors(results):
    lines = []
    for m, outcome in results:
        if outcome.verdict == 'survived':
            lines += ['', '%s:%d, %s, %s' % (m.file, m.line, m.function, m.operator), '', '```diff',
                      '- ' + m.old_text, '+ ' + m.new_text, '```']
    return lines


def killers(results):
    c = Counter()
    for _m, outcome in results:
        if outcome.verdict == 'killed':
            c[outcome.by.split(':')[0]] += 1
    return ['| program | killed |', '|---|---|'] + ['| %s | %d |' % k for k in c.most_common()]


def markdown(results, chosen, possible, seed, sanitizers):
    by_file, by_operator, total = count(results)
    named = 'all %d possible mutations' % possible
    if len(chosen) < possible:
        named = 'a sample of %d (seed %d) of the %d possible mutations' % (
            len(chosen), seed, possible)
    judged = {m for m, _outcome in results}
    missing = Counter(m.operator for m in chosen if m not in judged)
    lines = ['# Mutants of runtime/core', '',
             'What `scripts/proof --mutants` found in %s.' % named]
    if missing:
        headers = sum(m.file.endswith('.h') for m in chosen if m not in judged)
        lines += ['%d of them were judged when the run was ended. The other %d (%d in headers):' % (
            len(results), sum(missing.values()), headers),
                  ', '.join('%d %s' % (missing[o], o) for o in OPERATORS if missing[o]) + '.']
    lines += ['How it works is told in',
             '[judge.py](judge.py) and [mutations.py](mutations.py); what counts as equivalent or',
             'as tuning, with a reason each, in [accepted](accepted). "Invalid" does not build.',
             'The judge was the suite as it runs in an optimised build with its assertions, the',
             'simulation and, for memory orders, the explorer%s.' % (
                 ', then AddressSanitizer or ThreadSanitizer' if sanitizers else
                 '; no sanitizer was asked'),
             'A kill is taken over from an earlier run while the function is as it was.',
             '',
             '**%s.**' % summary(results), '', '## By file', '']
    lines += table('file', sorted(by_file), by_file)
    lines += ['', '## By operator', '']
    lines += table('operator', [o for o in OPERATORS if o in by_operator], by_operator)
    lines += ['', '## What killed', '', 'The first program that did.', ''] + killers(results)
    lines += ['', '## Survivors', '',
              'Nothing in the suite tells these from the code as it is.'
              if total['survived'] else 'None.']
    return '\n'.join(lines + survivors(results)) + '\n'
