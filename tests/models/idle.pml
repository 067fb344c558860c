/* Idle workers: the park word, `parked` and `searching` of core/idle.c, and who is woken when.
 *
 * One worker is busy for ever and pushes tasks that others are to take (it has more than it can do
 * next); two others search, sleep and are woken; with ONE_EACH each is busy for ever with its first
 * task. Somebody gives one of the two an earlier deadline, which it does not look at again before
 * it sleeps. The queue is a number; what is between two accesses of shared memory may come in any
 * order, memory itself is sequentially consistent (the fences are the explorer's subject,
 * tests/model).
 *
 * Shown: whatever the order, every task is taken although the pusher wakes somebody only when
 * nobody searches; when all is done and all sleep nobody is counted as searching and all are
 * counted as parked.
 *
 * Planted defects: NO_SECOND_LOOK (sleeps without looking again after it has said so), PARK_STORE
 * (the sleeper stores its park word and so wipes out a notice), WAKE_STORE (the waker looks, then
 * stores, and leaves its notice with one that is awake already), NO_SUCCESSOR (the last one that
 * searches and finds something wakes nobody), STILL_SEARCHING (who is woken and finds nothing stays
 * counted as searching), SEARCH_AFTER (stops searching after its last look at the queue).
 */
#ifndef TASKS
#define TASKS 3
#endif
#define WORKERS 2

mtype = { AWAKE, ASLEEP, NOTIFIED };
mtype park[WORKERS] = AWAKE;
byte parked = 0;
short searching = 0; /* below the truth while a waker has not yet counted whom it woke */
byte queue = 0;
byte taken = 0;
bool alarm = false; /* of worker 0: an earlier deadline, which it looks at only before it sleeps */
bool alarm_seen = false;

/* Wakes one sleeper; the first that is found. */
inline wake_one() {
  byte v;
  v = 0;
  do
  :: v == WORKERS -> break
  :: v < WORKERS && park[v] == ASLEEP ->
#ifdef WAKE_STORE
     park[v] = NOTIFIED;
     searching++;
     break
#else
     atomic {
       if
       :: park[v] == ASLEEP -> park[v] = NOTIFIED; woke = true
       :: else -> woke = false
       fi
     }
     if
     :: woke -> atomic { searching++; woke = false }; break
     :: else -> v++
     fi
#endif
  :: else -> v++
  od
}

inline notify() {
  if
  :: parked == 0
  :: else ->
     if
     :: searching > 0
     :: else -> wake_one()
     fi
  fi
}

active proctype pusher() {
  byte i;
  bool woke = false;
  for (i : 1 .. TASKS) {
    queue++;
    notify()
  }
}

/* Somebody gives worker 0 an earlier deadline: timers.c, weft__unpark. */
active proctype timer_adder() {
  bool woke = false;
  alarm = true;
  atomic {
    if
    :: park[0] == ASLEEP -> woke = true
    :: else
    fi;
    park[0] = NOTIFIED
  }
  if
  :: woke -> atomic { searching++; woke = false }
  :: else
  fi
}

inline take(found) {
  atomic {
    if
    :: queue > 0 -> queue--; found = true
    :: else -> found = false
    fi
  }
}

proctype worker(byte me) {
  bool found, counted = false, asleep, last;
  bool woke = false;
  do
  :: /* look, as one that searches if there is room for it */
     if
     :: !counted && searching <= 0 -> atomic { searching++; counted = true }
     :: else
     fi;
     take(found);
#ifndef SEARCH_AFTER
     if
     :: !found && counted ->
#ifdef STILL_SEARCHING
        counted = false
#else
        atomic { searching--; counted = false }
#endif
     :: else
     fi;
#endif
     if
     :: found ->
        taken++;
        if
        :: counted ->
           atomic { counted = false; searching--; last = (searching <= 0) }
#ifndef NO_SUCCESSOR
           if
           :: last -> notify()
           :: else
           fi
#endif
        :: else
        fi;
#ifdef ONE_EACH
        break
#endif
     :: else -> /* park */
        if
        :: me == 0 && alarm -> alarm_seen = true
        :: else
        fi;
        parked++;
#ifdef PARK_STORE
        park[me] = ASLEEP;
        asleep = true;
#else
        atomic {
          if
          :: park[me] == AWAKE -> park[me] = ASLEEP; asleep = true
          :: else -> park[me] = AWAKE; asleep = false
          fi
        }
#endif
        if
        :: asleep ->
#ifndef NO_SECOND_LOOK
           if
           :: queue > 0 -> goto up
           :: else
           fi;
#endif
#ifdef SEARCH_AFTER
           if
           :: counted -> atomic { searching--; counted = false }
           :: else
           fi;
#endif
end_asleep:
           park[me] != ASLEEP;
up:
           atomic {
             if
             :: park[me] == ASLEEP -> park[me] = AWAKE
             :: else -> park[me] = AWAKE; counted = true /* by its waker */
             fi
           }
        :: else
        fi;
        parked--
     fi
  od
}

init {
  atomic {
    run worker(0);
    run worker(1)
  }
  timeout; /* nothing can happen any more */
  assert(taken == TASKS);
  assert(searching == 0);
#ifndef ONE_EACH
  assert(alarm_seen);
  assert(parked == WORKERS)
#endif
}

ltl every_task_is_taken { <> (taken == TASKS) }
