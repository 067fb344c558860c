/* weft: a multi-threaded, work-stealing async runtime.
 *
 * The one header to include. Each topic has a header of its own that reads as its documentation:
 *
 * Running
 *   weft/run.h       start the runtime, its options, its statistics
 *   weft/runner.h    several runs in one runtime
 *   weft/submit.h    tasks for plain threads, which wait for the result
 * Tasks
 *   weft/task.h      spawn, await, cancel, sleep, yield, names, the list of live tasks
 *   weft/group.h     groups of tasks that end together
 *   weft/timeout.h   deadlines around any code: timeout scopes and wait_for
 *   weft/scope.h     cleanup on every way out: defer
 *   weft/local.h     values that go from a task to those that it starts
 *   weft/call.h      callbacks: soon, later, at a time
 *   weft/strand.h    the rules of a single-threaded program for a part of a run
 * Waiting
 *   weft/future.h    results that arrive later, from anywhere
 *   weft/wait.h      gather, wait, select, as_completed, map: several things at once
 *   weft/awaitable.h one type for everything that can be waited for, and how to make your own
 *   weft/sync.h      locks, events, conditions, semaphores
 *   weft/barrier.h   barriers, wait groups, what is done once
 * Items
 *   weft/queue.h     queues between tasks, and from and to plain threads
 *   weft/channel.h   the latest value, or every item, from anybody to all
 *   weft/interval.h  something every so often
 *   weft/gen.h       generators: functions that hand out items one by one
 *   weft/iter.h      one interface for all that gives items, collect and fold
 *   weft/typed.h     generators, queues and futures of which the compiler knows the items
 * Input and output
 *   weft/addr.h      addresses of sockets
 *   weft/connect.h   streams to somewhere: connections by name or address, pipes
 *   weft/datagram.h  UDP and Unix datagrams, one or many at a time
 *   weft/dns.h       names to addresses and back
 *   weft/fd.h        waiting for any descriptor, for libraries that do their own reading
 *   weft/file.h      files: open, read, write, whole files
 *   weft/fs.h        the file system by path: names, directories, copies
 *   weft/server.h    servers: listening, accepting, a task for each connection, and their end
 *   weft/signal.h    signals, to wait for and as callbacks
 *   weft/std.h       stdin, stdout and stderr as streams; terminals
 *   weft/stream.h    streams: reading and writing over sockets, pipes, terminals
 * Other threads and processes
 *   weft/offload.h   calls that block (threads) and jobs that must be isolated (processes)
 *   weft/process.h   child processes: started, talked to, waited for, ended
 * Looking on
 *   weft/report.h    failures that nobody is there to hear of: the error handler
 *   weft/debug.h     the debug mode
 *   weft/graph.h     the call graph: who waits for whom, and which waits can never end
 *   weft/sim.h       simulation: a program's schedules, drawn from a seed and replayed
 * And
 *   weft/errors.h    the error codes and their texts
 *   weft/time.h      nanoseconds
 *   weft/version.h   the version
 *
 * How the contract lines are read: every function says in brackets
 *   [task]            callable from a task only; elsewhere it answers WEFT_ENOTASK
 *   [any thread]      callable from a task, and from any thread of the process
 *   [suspends]        may let other tasks run before it returns; after it the task may be on
 *                     another thread: do not keep errno or the address of a thread-local across it
 *   [never suspends]  returns without letting another task run
 *   [cancel point]    returns WEFT_ECANCELED when the task has been cancelled
 * In a child made by fork() during a run every function that can fail answers WEFT_ECHILD. What
 * needs no runtime works on there: cleanup scopes (weft/scope.h), the time, the texts of codes.
 *
 * Who waits for itself is told so: WEFT_ESELF when a task awaits itself, its own shared future, or
 * joins the group that it is a child of; WEFT_EDEADLK for a lock that it holds, and for a once
 * inside its own function; WEFT_EBUSY for a generator inside its own body. Longer circles:
 * weft/graph.h finds them.
 */
#ifndef WEFT_H
#define WEFT_H

#include <weft/addr.h>
#include <weft/awaitable.h>
#include <weft/barrier.h>
#include <weft/call.h>
#include <weft/channel.h>
#include <weft/connect.h>
#include <weft/datagram.h>
#include <weft/debug.h>
#include <weft/dns.h>
#include <weft/errors.h>
#include <weft/fd.h>
#include <weft/file.h>
#include <weft/fs.h>
#include <weft/future.h>
#include <weft/gen.h>
#include <weft/graph.h>
#include <weft/group.h>
#include <weft/interval.h>
#include <weft/iter.h>
#include <weft/local.h>
#include <weft/offload.h>
#include <weft/process.h>
#include <weft/queue.h>
#include <weft/report.h>
#include <weft/run.h>
#include <weft/runner.h>
#include <weft/scope.h>
#include <weft/server.h>
#include <weft/signal.h>
#include <weft/sim.h>
#include <weft/std.h>
#include <weft/strand.h>
#include <weft/stream.h>
#include <weft/submit.h>
#include <weft/sync.h>
#include <weft/task.h>
#include <weft/time.h>
#include <weft/timeout.h>
#include <weft/typed.h>
#include <weft/version.h>
#include <weft/wait.h>

#endif
