"""Runs the test suite against one changed copy of the sources.

A tree is a copy of the committed sources with its own build folders. A mutation is written into it,
built, judged and taken back. The judge goes from the fast to the slow and stops at the first test
that fails:

    suite   the programs of tests/core, tests/api and tests/sim: on four workers, on one, with a
            move at every suspension, and simulated under some seeds; those that know the file best
            come first, then the quick ones; invariants and debug assertions are on
    models  for memory orders, and before the suite: those programs of the explorer that the
            change rebuilt
    asan    the quick ones again with AddressSanitizer and its leak check
    tsan    for a memory order in place of asan

The sanitizers come when all else is done (Judge.again). A failure counts only if the same program
passes at that moment on unchanged code (the reference tree), and fails on the changed code a second
time; a hang is a run of more than LIMIT_FACTOR times what the unchanged program takes then.
"""
import ctypes
import filecmp
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_FACTOR, LIMIT_LEAST, LIMIT_MORE = 10, 6.0, 30.0
AREAS = ('core', 'api', 'model', 'sim')
SLOW = 1.0  # seconds; what takes longer unchanged is asked last, on four workers only
# The programs that take seconds, and the files that they are about: for others they are not asked.
ABOUT = {
    'api_churn': r'(task|tasklist|deque|ring|await|ready|finish|worker|next)\.',
    'api_hogs': r'(stats|monitor|reserve|next|worker|ready|loop|idle|timers)\.',
    'api_limits': r'(run|task|spawn|worker|timers|thread)\.',
    'api_races': r'(claim|cancel|await|park|task|waitq|timers|finish)\.',
    'api_shutdown': r'(shutdown|run|idle|blocking.*|monitor|reserve|cancel|submit)\.',
    'api_sleep': r'(sleep|timers|park|idle|loop|reserve|monitor|worker)\.',
    'api_steal': r'(next|idle|deque|ring|ready|worker|monitor|tasklist)\.',
    'blocking': r'(blocking.*|to_thread|thread)\.',
    'blocking_growth': r'(blocking.*|to_thread|thread)\.',
    'deque': r'(deque|next|await)\.',
    'sim_net': r'(fdwait|loop)\.',
}
# Where to begin: the programs that know the file best.
FIRST = (
    (r'blocking|to_thread', 'blocking_attention api_to_thread:w1 blocking_growth blocking'),
    (r'timers|sleep', 'timers api_sleep:w1 api_timeout:w1'),
    (r'next|deque|ring|tasklist|ready', 'next ring deque api_spawn:w1 api_migration:w4'),
    (r'task\.|finish', 'task_memory api_await:w1 api_group:w1'),
    (r'run|submit|self|thread', 'runtime api_options api_run:w1 api_submit:w1 api_fork_child'),
    (r'introspect|stats|spawn', 'api_spawn:w1 api_run:w1 api_misuse'),
    (r'cancel|claim|park|await|waitq', 'api_cancel:w1 api_await:w1 api_wait_for:w1 api_timeout:w1'),
    (r'fdwait|loop|idle|worker', 'fdwait:w1 fdwait:w4 loop wake api_exact api_run:w1'),
    (r'shutdown', 'api_leftovers api_shutdown'),
    (r'crash', 'api_overflow'),
    (r'monitor|reserve', 'api_to_thread:w4 api_hogs'),
)
VARIANTS = (('w4', {'WEFT_WORKERS': '4'}), ('w1', {'WEFT_WORKERS': '1'}),
            ('migrate', {'WEFT_WORKERS': '4', 'WEFT_MIGRATE': '1'}))
SEEDS = '1+12'  # of each test that can be simulated
BUILDS = {
    'plain': ['-DCMAKE_C_FLAGS=-O2 -w', '-DWEFT_POINTS=ON'],
    'asan': ['-DCMAKE_C_FLAGS=-O1 -g1 -w', '-DWEFT_SANITIZE=address'],
    'tsan': ['-DCMAKE_C_FLAGS=-O1 -g1 -w', '-DWEFT_SANITIZE=thread', '-DWEFT_POINTS=ON',
             '-DCMAKE_C_COMPILER=clang-19'],
}
SANITIZERS = {
    'plain': {},
    'asan': {'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1:'
                             'allocator_may_return_null=1',
             'UBSAN_OPTIONS': 'halt_on_error=1'},
    'tsan': {'TSAN_OPTIONS': 'halt_on_error=1:allocator_may_return_null=1'},
}


class Program:
    """One way to run one test program."""

    def __init__(self, path, variant, environment, left_out=''):
        self.path, self.variant, self.environment = path, variant, environment
        self.left_out = left_out.split()  # regular expressions of tests
        self.arguments = []
        self.name = os.path.basename(path)[len('test_'):] + (':' + variant if variant else '')
        self.model = '/model/' in path
        self.normal = 0.0  # seconds of an unchanged run


class Outcome:
    def __init__(self, verdict, by='', seconds=0.0):
        self.verdict, self.by, self.seconds = verdict, by, seconds


def in_child():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a hanging mutant does not outlive the judge


def run_program(build, program, limit, kind, library=None):
    """'pass', 'fail' or 'hang', and the seconds. Ends the program at its first failed test."""
    environment = dict(os.environ, **SANITIZERS[kind], **program.environment)
    if library:
        environment['LD_LIBRARY_PATH'] = library
    begin = time.monotonic()
    child = subprocess.Popen([os.path.join(build, program.path)] + program.arguments,
                             cwd=build, env=environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True,
                             preexec_fn=in_child)
    late = []

    def expire():
        late.append(True)
        end_group(child)
    timer = threading.Timer(limit, expire)
    timer.start()
    failed = False
    for line in child.stdout:
        if b'[  FAILED  ]' in line:
            failed = True
            break
    end_group(child) if failed else None
    child.stdout.close()
    status = child.wait()
    timer.cancel()
    end_group(child)  # what it started and left behind
    seconds = time.monotonic() - begin
    if failed or (status not in (0, 77) and not late):
        return 'fail', seconds
    return ('hang' if late else 'pass'), seconds


def end_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Tree:
    """A copy of the sources at a commit, and its builds."""

    def __init__(self, root, folder, commit):
        self.folder, self.source = folder, os.path.join(folder, 'src')
        self.own = False  # its programs are of its own sources, not the reference tree's
        fresh = os.path.join(folder, 'fresh')
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(fresh)
        archive = subprocess.Popen(['git', '-C', root, 'archive', commit], stdout=subprocess.PIPE)
        subprocess.run(['tar', '-x', '-C', fresh], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise SystemExit('mutate: git archive %s failed' % commit)
        self.take_over(fresh)

    def take_over(self, fresh):
        """Makes the source folder equal to the fresh one; files that are equal keep their age, so
        that the builds of an earlier run are of use."""
        inside = lambda top: {os.path.relpath(os.path.join(d, f), top)
                              for d, _, files in os.walk(top) for f in files}
        new = inside(fresh)
        for name in inside(self.source) - new:
            os.remove(os.path.join(self.source, name))
        for name in new:
            old, path = os.path.join(self.source, name), os.path.join(fresh, name)
            if not os.path.exists(old) or not filecmp.cmp(old, path, shallow=False):
                os.makedirs(os.path.dirname(old), exist_ok=True)
                shutil.copy(path, old)
        shutil.rmtree(fresh)

    def build_folder(self, kind):
        return os.path.join(self.folder, kind)

    def configure(self, kind):
        folder = self.build_folder(kind)
        if not os.path.exists(os.path.join(folder, 'build.ninja')):
            lld = ['-DCMAKE_%s_LINKER_FLAGS=-fuse-ld=lld' % k for k in ('EXE', 'SHARED')]
            subprocess.run(['cmake', '-G', 'Ninja', '-S', self.source, '-B', folder,
                            '-DCMAKE_BUILD_TYPE=None', '-DWEFT_BUILD_BENCH=OFF',
                            '-DWEFT_BUILD_EXAMPLES=OFF', '-DWEFT_INSTALL=OFF',
                            '-DCMAKE_PROJECT_weft_INCLUDE=' + os.path.join(HERE, 'judge.cmake')] +
                           (lld if shutil.which('ld.lld') else []) + BUILDS[kind],
                           check=True, stdout=subprocess.DEVNULL)

    def build(self, kind, targets):
        """False when it does not build."""
        self.configure(kind)
        return self.ninja(kind, targets)

    def ninja(self, kind, targets, *options):
        return subprocess.run(['ninja', '-C', self.build_folder(kind), '-j2', *options, *targets],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def build_all(self, kind):
        """Every test program that builds; the others are not asked."""
        self.configure(kind)
        self.ninja(kind, ['build.ninja'])  # what CMake has to say about new tests
        programs = sorted({p.path for p in self.programs(kind)})
        if not self.ninja(kind, programs, '-k', '0'):
            programs = [p for p in programs if self.ninja(kind, [p])]
        return programs

    def write(self, path, text):
        with open(os.path.join(self.source, path), 'w', encoding='utf-8') as f:
            f.write(text)

    def programs(self, kind):
        """Every way to run every test program of the build."""
        found, build = [], self.build_folder(kind)
        for area in AREAS if kind == 'plain' else (a for a in AREAS if a != 'model'):
            folder = os.path.join(build, 'tests', area)
            for settings in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                if not settings.endswith('.settings.cmake') or 'planted' in settings:
                    continue  # (those build the runtime once more, with bugs of their own)
                with open(os.path.join(folder, settings), encoding='utf-8') as f:
                    value = dict(re.findall(r'set\((\w+) "(.*)"\)', f.read()))
                path = 'tests/%s/%s' % (area, settings[:-len('.settings.cmake')])
                own = dict(e.split('=', 1) for e in value['environment'].split(';')
                           if '=' in e and not e.startswith(('ASAN', 'UBSAN', 'TSAN')))
                ways = VARIANTS if value['variants'] == 'TRUE' else (('', {}),)
                for variant, more in ways:
                    found.append(Program(path, variant, dict(own, **more)))
                if value.get('seeds', '0') != '0' and kind == 'plain':
                    found.append(Program(path, 'seeds', dict(own, WEFT_TEST_SEEDS=SEEDS),
                                         value['seeds_exclude'].replace(';', ' ')))
        return found


class Judge:
    """What all workers share: the reference tree, the programs and how long they take."""

    def __init__(self, root, folder, commit, say):
        self.say = say
        self.reference = Tree(root, os.path.join(folder, 'reference'), commit)
        self.lock = threading.Lock()
        self.kills = {}   # (file, program name): number, so that the likeliest killer comes first
        self.lists = {}   # kind: programs with their normal times
        self.targets = {}  # kind: what to build
        self.normal_path = os.path.join(folder, 'normal')  # seconds, kept for the next run
        self.normal = {}
        if os.path.exists(self.normal_path):
            with open(self.normal_path, encoding='utf-8') as f:
                self.normal = json.load(f)

    def prepare(self, kind):
        """Builds the reference and measures it; programs that fail unchanged are not asked."""
        with self.lock:
            if kind in self.lists:
                return
            self.targets[kind] = self.reference.build_all(kind)
            self.lists[kind] = [p for p in self.reference.programs(kind)
                                if p.path in self.targets[kind] and self.usable(kind, p)]

    def usable(self, kind, p):
        """Whether the program passes on unchanged code, and how long it takes."""
        if p.left_out:
            path = os.path.join(self.reference.build_folder(kind), p.path)
            names = subprocess.run([path, '--list'], stdout=subprocess.PIPE,
                                   universal_newlines=True).stdout.split()
            p.arguments = ['--except'] + [n for n in names
                                          if any(re.search(r, n) for r in p.left_out)]
            p.arguments = p.arguments[1:] and p.arguments
        if kind != 'plain' and p.variant not in ('', 'w4'):
            return False
        if kind + p.name not in self.normal:
            for _ in range(3):
                result, seconds = run_program(self.reference.build_folder(kind), p, 120, kind)
                if result == 'pass':
                    break
            self.normal[kind + p.name] = seconds if result == 'pass' else -1.0
            with open(self.normal_path, 'w', encoding='utf-8') as f:
                json.dump(self.normal, f)
            if result != 'pass':
                self.say('not asked, it fails on unchanged code: %s (%s)' % (p.name, kind))
        p.normal = self.normal[kind + p.name]
        if p.normal < 0:
            return False
        return p.normal < SLOW or p.model or (kind == 'plain' and p.variant in ('', 'w4', 'seeds'))

    def order(self, file, programs):
        """Quick ones that have killed mutants of this file first, slow ones last."""
        programs = [p for p in programs if re.match(ABOUT.get(p.name.split(':')[0], ''), file)]
        first = ' '.join(names for pattern, names in FIRST if re.match(pattern, file)).split()
        likely = lambda p: self.kills.get((file, p.name), 0) + 0.5 * (p.name in first)
        rank = lambda p: (p.normal > SLOW and not likely(p),
                          -likely(p) / (0.05 + p.normal), p.normal)
        return sorted(programs, key=rank)

    def ask(self, tree, kind, program):
        """Whether the program kills what is in the tree."""
        unchanged = self.reference.build_folder(kind)
        changed, library = unchanged, tree.build_folder(kind)
        if tree.own or program.model:
            changed, library = tree.build_folder(kind), None
        limit = max(LIMIT_LEAST, min(LIMIT_FACTOR * program.normal,
                                     2 * program.normal + LIMIT_MORE))
        for _ in range(3):
            result, _seconds = run_program(changed, program, limit, kind, library)
            if result == 'pass':
                return False
            control, seconds = run_program(unchanged, program, limit * 3, kind)
            if control != 'pass' or seconds * LIMIT_FACTOR / 2 > limit:
                limit = max(limit, seconds * LIMIT_FACTOR)
                continue  # the machine is too busy for this program now, or the test is weak
            for _ in range(1 if result == 'hang' else 3):  # it must come again
                if run_program(changed, program, limit, kind, library)[0] != 'pass':
                    return True
            self.say('failed once and not again, not counted: %s' % program.name)
            return False
        return False

    def ask_all(self, tree, kind, file, programs):
        """The name of the program that kills the mutant, or None."""
        for p in self.order(file, programs):
            if self.ask(tree, kind, p):
                with self.lock:
                    self.kills[(file, p.name)] = self.kills.get((file, p.name), 0) + 1
                return p.name
        return None

    @staticmethod
    def stamps(tree):
        folder = os.path.join(tree.build_folder('plain'), 'tests', 'model')
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return {n: os.stat(os.path.join(folder, n)).st_mtime_ns for n in names
                if n.startswith('test_')}

    def build_changed(self, tree, mutation, kind):
        """A source is in the library, which the programs of the reference tree then take; a header
        is in the programs too."""
        tree.own = mutation.file.endswith('.h')
        programs = [t for t in self.targets[kind] if '/model/' not in t]
        return tree.build(kind, programs if tree.own else ['weft_judged'])

    def models(self, tree, mutation):
        """Builds the models; those that the change rebuilt, or None when they do not build."""
        targets = [t for t in self.targets['plain'] if '/model/' in t]
        before = self.stamps(tree)
        if not tree.build('plain', targets):
            return None
        after = self.stamps(tree)
        return [p for p in self.lists['plain'] if p.model
                and before.get(os.path.basename(p.path)) != after.get(os.path.basename(p.path))]

    def first(self, tree, mutation):
        """The suite; for memory orders the models first."""
        if not self.build_changed(tree, mutation, 'plain'):
            return 'invalid', ''
        groups = [[p for p in self.lists['plain'] if not p.model]]
        if mutation.operator == 'order':
            groups.insert(0, self.models(tree, mutation) or [])
        for group in groups:
            by = self.ask_all(tree, 'plain', mutation.file, group)
            if by:
                return 'killed', by
        return 'left', ''

    def again(self, tree, mutation):
        """The sanitizers, for what the rest has left."""
        kind = 'tsan' if mutation.operator == 'order' else 'asan'
        self.prepare(kind)
        if not self.build_changed(tree, mutation, kind):
            return 'survived', ''
        by = self.ask_all(tree, kind, mutation.file, self.lists[kind])
        return ('killed', kind + ' ' + by) if by else ('survived', '')

    def judge(self, tree, mutation, source, changed, stage):
        """Tries one mutation in the tree and takes it back."""
        begin = time.monotonic()
        path = 'runtime/core/' + mutation.file
        if mutation.operator == 'order':
            self.models(tree, mutation)  # so that the change rebuilds only what it concerns
        tree.write(path, changed)
        try:
            verdict, by = stage(tree, mutation)
        finally:
            tree.write(path, source)
        return Outcome(verdict, by, time.monotonic() - begin)
