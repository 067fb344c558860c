"""What may be changed in a C file of the runtime, one small change at a time.

Works on tokens, so that comments, strings and preprocessor lines stay as they are, and only inside
function bodies: the declarations of a protocol's constants are names, not behaviour. Left out too:
what checks, reports and counts (CHECKS and FIGURES below), since a change there changes no
behaviour that a caller could see, and the branch hints.

The source is formatted by clang-format, which tells a binary operator from a unary one: it stands
between two spaces.
"""
import hashlib
import re
from collections import namedtuple

# The text [start, end) of the file becomes `new`. `function` and `line` say where, `old_text` and
# `new_text` are the changed lines before and after, with single spaces: the name of the mutation in
# the list of the accepted ones. `name` is one that stays while the function does.
Mutation = namedtuple('Mutation',
                      'file operator start end new function line old_text new_text name')

OPERATORS = ('relation', 'arithmetic', 'logic', 'negation', 'constant', 'deletion', 'jump', 'order')

CHECKS = {'WEFT__ASSERT', 'WEFT__DEBUG_ASSERT', '_Static_assert', 'weft__log', 'weft__fatal',
          'sizeof'}
# Counters that only weft_stats shows. (Not spawned and finished: the shutdown reads them.)
FIGURES = re.compile(r'tasks_run|inline_run|steals|parks|turns|lease_count|hog_count')
COUNTING = {'weft__count', 'weft__counter_add', 'weft__counter_set'}

TOKEN = re.compile(r'''
    (?P<skip>\s+|/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)[uUlL]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
''', re.X | re.S | re.M)

RELATIONS = {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '=='}
BINARY = {'+': '-', '-': '+', '*': '/', '/': '*', '%': '/', '&': '|', '|': '&', '<<': '>>',
          '>>': '<<'}
ALWAYS = {'++': '--', '--': '++', '+=': '-=', '-=': '+=', '|=': '&=', '&=': '|='}
LOGIC = {'&&': '||', '||': '&&'}
ASSIGNS = {'=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=', '++', '--'}
KEYWORDS = {'if', 'else', 'for', 'while', 'do', 'switch', 'case', 'default', 'return', 'break',
            'continue', 'goto', 'struct', 'enum', 'union', 'static', 'const', 'typedef', 'extern',
            'register', '__asm__', '_Alignas'}
HEADS = {'if', 'for', 'while', 'switch'}
JUMPS = {'break': (';', 'continue;'), 'continue': (';', 'break;')}
ORDERS = (('weft__load_acquire_', 'weft__load_relaxed_'),
          ('weft__load_seq_', 'weft__load_acquire_'),
          ('weft__store_release_', 'weft__store_relaxed_'),
          ('weft__store_seq_', 'weft__store_release_'),
          ('weft__cas_seq_', 'weft__cas_'), ('weft__add_u', 'weft__add_relaxed_u'),
          ('weft__counter_read_acquire', 'weft__counter_read'),
          ('weft__counter_add_release', 'weft__counter_add'))


class Token:
    __slots__ = ('kind', 'text', 'start', 'end', 'spaced')

    def __init__(self, match, source):
        self.kind, self.text = match.lastgroup, match.group()
        self.start, self.end = match.span()
        before, after = source[self.start - 1:self.start], source[self.end:self.end + 1]
        self.spaced = before.isspace() and after.isspace()


def tokenize(source):
    return [Token(m, source) for m in TOKEN.finditer(source) if m.lastgroup != 'skip']


def matching(tokens):
    """Index of the partner of every bracket."""
    pairs, stack = {}, []
    for i, t in enumerate(tokens):
        if t.kind != 'mark':
            continue
        if t.text in '([{':
            stack.append(i)
        elif t.text in ')]}':
            j = stack.pop()
            pairs[i], pairs[j] = j, i
    return pairs


def functions(tokens, pairs):
    """(name, first token of the body, its closing brace) of every function."""
    i, begin = 0, 0
    while i < len(tokens):
        text = tokens[i].text
        if text == '{':
            if tokens[i - 1].text == ')':
                name = next(tokens[k].text for k in range(begin, i)
                            if tokens[k + 1].text == '(' and tokens[k].kind == 'name'
                            and tokens[k].text not in ('__attribute__', '_Alignas'))
                yield name, i + 1, pairs[i]
            i = pairs[i]
            begin = i + 1
        elif text in ('(', '['):
            i = pairs[i]
        elif text == ';':
            begin = i + 1
        i += 1


def statement_starts(tokens, pairs, first, last):
    """Indices at which a statement begins. Nothing inside parentheses is one."""
    i, starts = first, []
    at_start = True
    while i < last:
        text = tokens[i].text
        if at_start and text not in '{}':
            starts.append(i)
        at_start = text in (';', '{', '}', 'else', 'do')
        if text == '(':
            head = tokens[i - 1].text in HEADS
            i = pairs[i]
            at_start = head
        elif text == '{' and tokens[i - 1].text in ('=', ')', ',') and \
                not is_block(tokens, pairs, i):
            i = pairs[i]  # an initialiser
        elif text == ':' and tokens[i - 2].text in ('case', '{', ';', '}') or text == ':' and \
                tokens[i - 1].text == 'default':
            at_start = True
        i += 1
    return starts


def is_block(tokens, pairs, i):
    if tokens[i - 1].text != ')':
        return False
    return tokens[pairs[i - 1] - 1].text in HEADS


def is_declaration(tokens, i):
    """`T x` and `T *x`; a statement that begins with a name and goes on otherwise is none."""
    if tokens[i].kind != 'name' or tokens[i].text in KEYWORDS:
        return tokens[i].text in KEYWORDS
    after = tokens[i + 1]
    return after.kind == 'name' or (after.text == '*' and not after.spaced)


class File:
    """The mutations of one file."""

    def __init__(self, name, source):
        self.name, self.source = name, source
        self.tokens = tokenize(source)
        self.pairs = matching(self.tokens)
        self.found, self.body = [], (0, '')

    def add(self, operator, function, start, end, new):
        s = self.source
        a = s.rfind('\n', 0, start) + 1
        b = s.find('\n', end)
        b = len(s) if b < 0 else b
        flat = lambda text: ' '.join(text.split())
        begin, digest = self.body
        name = '%s %s %s %d %d %s' % (self.name, function, digest, start - begin, end - begin,
                                      flat(new))
        self.found.append(Mutation(self.name, operator, start, end, new, function,
                                   s.count('\n', 0, start) + 1, flat(s[a:b]),
                                   flat(s[a:start] + new + s[end:b]), name))

    def left_out(self, first, last):
        """Token indices that belong to checks and figures."""
        out = set()
        for i in range(first, last):
            t = self.tokens[i]
            if t.kind != 'name' or self.tokens[i + 1].text != '(':
                continue
            span = range(i, self.pairs[i + 1] + 1)
            inside = ' '.join(self.tokens[k].text for k in span)
            if t.text in CHECKS or (t.text in COUNTING and FIGURES.search(inside)):
                out.update(span)
        return out

    def token_mutations(self, function, first, last, skip):
        for i in range(first, last):
            if i in skip:
                continue
            t = self.tokens[i]
            put = lambda operator, new: self.add(operator, function, t.start, t.end, new)
            if t.kind == 'mark':
                if t.text in RELATIONS and t.spaced:
                    put('relation', RELATIONS[t.text])
                elif t.text in BINARY and t.spaced:
                    put('arithmetic', BINARY[t.text])
                elif t.text in ALWAYS:
                    put('arithmetic', ALWAYS[t.text])
                elif t.text in LOGIC:
                    put('logic', LOGIC[t.text])
                elif t.text == '!':
                    put('negation', '')
            elif t.kind == 'number':
                self.number(function, i)
            elif t.text in ('true', 'false'):
                put('constant', 'false' if t.text == 'true' else 'true')
            elif t.kind == 'name':
                for old, new in ORDERS:
                    if t.text.startswith(old):
                        put('order', new + t.text[len(old):])

    def number(self, function, i):
        t, before, after = self.tokens[i], self.tokens[i - 1].text, self.tokens[i + 1].text
        try:
            value = int(t.text.rstrip('uUlL'), 0)
        except ValueError:
            return
        if before == '{' and after == '}' or (before == '[' and after == ']' and value):
            return  # {0}; the size of an array
        for new in {0: (1,), 1: (0, 2)}.get(value, (value - 1, value + 1)):
            self.add('constant', function, t.start, t.end, str(new))

    def conditions(self, function, first, last):
        for i in range(first, last):
            if self.tokens[i].text not in ('if', 'while') or self.tokens[i + 1].text != '(':
                continue
            a, b = i + 1, self.pairs[i + 1]
            marks = [t.text for t in self.tokens[a + 1:b] if t.kind == 'mark']
            if not any(m in LOGIC for m in marks):
                # One comparison or one negation: the other operators negate it.
                if self.tokens[a + 1].text == '!' or '==' in marks or '!=' in marks:
                    continue
            start, end = self.tokens[a].end, self.tokens[b].start
            self.add('negation', function, start, end, '!(%s)' % self.source[start:end])

    def statements(self, function, first, last, skip):
        starts = statement_starts(self.tokens, self.pairs, first, last)
        for i in starts:
            if i in skip:
                continue
            t, end = self.tokens[i], i
            while end < last and self.tokens[end].text != ';':
                end = self.pairs[end] + 1 if self.tokens[end].text in ('(', '[', '{') else end + 1
            if end >= last:
                continue
            stop = self.tokens[end].end
            if t.text in JUMPS:
                for new in JUMPS[t.text]:
                    self.add('jump', function, t.start, stop, new)
            elif t.text == 'return':
                if any(k.text != '}' for k in self.tokens[end + 1:last]):
                    self.add('jump', function, t.start, stop, ';')
            elif not is_declaration(self.tokens, i):
                self.deletion(function, i, end)

    def deletion(self, function, i, end):
        body = self.tokens[i:end]
        depth, assigns = 0, False
        for t in body:
            depth += (t.text in ('(', '[', '{')) - (t.text in (')', ']', '}'))
            assigns = assigns or (depth == 0 and t.kind == 'mark' and t.text in ASSIGNS)
        call = body[-1].text == ')' if body else False
        if [t.text for t in body[:3]] == ['(', 'void', ')'] and not call:
            return  # (void)unused;
        if not (assigns or call):
            return
        operator = 'order' if body[0].text.startswith('weft__fence_') else 'deletion'
        self.add(operator, function, body[0].start, self.tokens[end].end, ';')

    def mutations(self):
        for name, first, last in functions(self.tokens, self.pairs):
            begin, end = self.tokens[first - 1].start, self.tokens[last].end
            self.body = begin, hashlib.sha256(self.source[begin:end].encode()).hexdigest()[:12]
            skip = self.left_out(first, last)
            self.token_mutations(name, first, last, skip)
            self.conditions(name, first, last)
            self.statements(name, first, last, skip)
        return sorted(self.found, key=lambda m: (m.start, m.end, m.operator, m.new))


def mutations(name, source):
    """All mutations of a file, in the order of their places."""
    return File(name, source).mutations()


def apply(mutation, source):
    return source[:mutation.start] + mutation.new + source[mutation.end:]
