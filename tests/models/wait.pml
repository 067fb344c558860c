/* Waiting, being woken, timing out and being cancelled: the claim word of core/claim.h, as park.c,
 * the lists of waiters, timers.c and cancel.c change it.
 *
 * A task waits twice. An event comes to each wait; a timeout of the first may come late, during the
 * second; one cancel comes at any time. The word is one compare-and-swap each time: an atomic step.
 * The task's worker commits the wait after the task has left its stack.
 *
 * Shown: each wait is won once, by what belongs to it; a task is made ready once and never while it
 * uses its stack; a masked wait is not cancelled; a cancel is delivered once or still pending;
 * every permit is with the task or with its source; nothing stays asleep (no deadlock, and the task
 * ends).
 *
 * Planted defects: COMMIT_STORE (the worker looks, then stores), NO_GENERATION (a late timeout is
 * not told from one of this wait), WINNER_RESUMES (the winner makes ready a task that has not left
 * its stack), NO_SECOND_LOOK (the worker drops a task whose commit failed), IGNORE_MASK (a cancel
 * ends a masked wait), CANCEL_LOST (a cancel that finds no wait is not kept).
 */
#define WAITS 2

mtype = { RUNNING, ARMED, PARKED };
mtype = { EVENT, TIMEOUT, CANCEL };

/* The claim word. */
mtype phase = RUNNING;
byte generation = 0;
bool cancel_pending = false;
bool masked = false;
mtype reason;

byte ticket[WAITS]; /* what sources know of a wait; 0: not linked yet */
bool passed[WAITS]; /* the task is past this wait */
byte wins[WAITS + 1];
byte permits_won = 0, permits_kept = 0, permits_got = 0;
byte delivered = 0;
bool ready = false;
bool on_stack = true;
bool ended = false;
byte finished = 0; /* processes */

inline make_ready() {
  assert(!ready);
  assert(!on_stack);
  ready = true
}

/* One compare-and-swap: ends the wait that t names, if it is open. */
inline win(t, why, outcome) {
  atomic {
    if
#ifdef NO_GENERATION
    :: (phase == ARMED || phase == PARKED) ->
#else
    :: (phase == ARMED || phase == PARKED) && generation == t ->
#endif
       outcome = (phase == PARKED -> 2 : 1);
       assert(generation == t);
       wins[generation]++;
       assert(wins[generation] == 1);
       phase = RUNNING;
       reason = why;
       masked = false
    :: else -> outcome = 0
    fi
  }
}

inline won(outcome) {
  if
#ifdef WINNER_RESUMES
  :: outcome != 0 -> make_ready()
#else
  :: outcome == 2 -> make_ready()
#endif
  :: else
  fi
}

active proctype task() {
  byte w;
  bool opened, mask, parked;
  for (w : 0 .. WAITS - 1) {
    if
    :: mask = true
    :: mask = false
    fi;
    atomic { /* arm */
      if
      :: cancel_pending && !mask ->
         cancel_pending = false;
         delivered++;
         opened = false
      :: else ->
         generation++;
         phase = ARMED;
         masked = mask;
         opened = true
      fi
    }
    if
    :: opened ->
       ticket[w] = generation; /* linked into its source, under the source's lock */
       on_stack = false;       /* switched away; the rest of this branch is the worker's */
#ifdef COMMIT_STORE
       if
       :: phase == ARMED -> phase = PARKED; parked = true
       :: else -> parked = false
       fi;
#else
       atomic { /* commit */
         if
         :: phase == ARMED -> phase = PARKED; parked = true
         :: else -> parked = false
         fi
       }
#endif
       if
       :: parked -> ready; ready = false
#ifdef NO_SECOND_LOOK
       :: else -> ready; ready = false
#else
       :: else /* won meanwhile: the worker makes it ready itself */
#endif
       fi;
       on_stack = true;
       assert(phase == RUNNING);
       assert(wins[generation] == 1);
       if
       :: reason == CANCEL -> assert(!mask); delivered++
       :: reason == EVENT -> permits_got++
       :: reason == TIMEOUT -> assert(w == 0)
       fi
    :: else
    fi;
    passed[w] = true
  }
  ended = true;
  finished++
}

/* A source with one permit for wait i: given to who still waits, or kept. */
proctype event(byte i) {
  byte outcome;
  ticket[i] != 0 || passed[i];
  win(ticket[i], EVENT, outcome);
  if
  :: outcome != 0 -> permits_won++
  :: else -> permits_kept++
  fi;
  won(outcome);
  finished++
}

/* Of the first wait, at any time from then on. */
active proctype timeout_of_first() {
  byte outcome;
  if
  :: ticket[0] != 0 ->
     win(ticket[0], TIMEOUT, outcome);
     won(outcome)
  :: passed[0]
  fi;
  finished++
}

active proctype canceller() {
  bool wins_wait, was_parked;
  atomic {
    wins_wait = (phase == ARMED || phase == PARKED);
#ifndef IGNORE_MASK
    wins_wait = wins_wait && !masked;
#endif
    was_parked = (phase == PARKED);
    if
    :: wins_wait ->
       wins[generation]++;
       assert(wins[generation] == 1);
       phase = RUNNING;
       reason = CANCEL
    :: else ->
#ifndef CANCEL_LOST
       cancel_pending = true
#else
       skip
#endif
    fi
  }
  if
#ifdef WINNER_RESUMES
  :: wins_wait -> make_ready()
#else
  :: wins_wait && was_parked -> make_ready()
#endif
  :: else
  fi;
  finished++
}

init {
  atomic {
    run event(0);
    run event(1)
  }
  finished == 5;
  assert(delivered + cancel_pending == 1);
  assert(permits_won == permits_got && permits_won + permits_kept == WAITS);
  assert(!ready)
}

ltl woken { <> ended }
