/* The lease of a worker's loop and timers: core/reserve.c with the driver word of core/loop.c, the
 * monitor's want, and the recall of a worker that is about to sleep (core/idle.c).
 *
 * The owner runs slices; in some a timer falls due or a ready task waits behind it, and some of
 * those go on until somebody else has seen to it (hogs). Then it goes idle, and an event comes to
 * its loop. Its reserve sleeps until wanted, takes the driver word, serves, and lets go when the
 * lease is recalled, has run out (RUNS_OUT) or the runtime ends. The monitor looks again and again.
 *
 * Shown: the loop is never driven by two; a due timer and a ready task behind a hog are served; the
 * event is seen by the owner or the reserve whatever came before; what the reserve has made ready
 * when it lets go is run; both sides end when the runtime does (no deadlock, and the properties at
 * the end).
 *
 * Planted defects: ENTER_STORE (the driver word is looked at, then stored), NO_RING_BACK (the
 * reserve lets go without waking the owner), NO_HAND_OVER (what is in the reserve's queue stays
 * there), ONE_WANT (the monitor does not repeat a want: one that comes as a lease ends goes with
 * it), NO_END (the end wakes nobody).
 */
#ifndef SLICES
#define SLICES 2
#endif
#define all_served (all_made && served == made)

mtype = { AWAKE, ASLEEP, NOTIFIED };
mtype = { NONE, WANTED, RECALLED };
mtype = { NOBODY, OWNER, RESERVE };

mtype driver = NOBODY;
mtype lease = NONE;
mtype owner_park = AWAKE, reserve_park = AWAKE;
bool out_of_time = false; /* the lease has lasted long enough */

bool hogging = false;    /* the owner is in a slice that does not end by itself */
bool timer_due = false;  /* in the owner's heap: for who drives */
bool task_ready = false; /* in the owner's ring */
bool event = false;      /* in the loop */
bool in_reserve = false; /* a task in the reserve's own queue */
bool in_shared = false;  /* and in the list that all share */
byte served = 0;         /* of timer, ready task, event */
byte made = 0;
bool idle = false;       /* the owner has no slices left */
bool all_made = false;
bool over = false;       /* the runtime has ended */
byte inside = 0;         /* threads inside the loop */

/* An unpark: whoever sleeps is woken, who is awake will look again. */
inline unpark(word) {
  atomic { word = NOTIFIED }
}

inline enter(me, entered) {
#ifdef ENTER_STORE
  if
  :: driver == NOBODY -> driver = me; entered = true
  :: else -> entered = false
  fi
#else
  atomic {
    if
    :: driver == NOBODY -> driver = me; entered = true
    :: else -> entered = false
    fi
  }
#endif
}

/* A turn of the loop and a look at the timers, by who drives. What a timer makes ready goes to
 * `queue`. */
inline turn(queue) {
  inside++;
  assert(inside == 1);
  if
  :: event -> atomic { event = false; served++ }
  :: else
  fi;
  inside--;
  if
  :: timer_due -> atomic { timer_due = false; queue = true }
  :: else
  fi
}

inline run_from(queue) {
  atomic {
    if
    :: queue -> queue = false; served++
    :: else
    fi
  }
}

/* AWAKE to ASLEEP, unless there is a notice, which is then used up. */
inline try_sleep(word, asleep) {
  atomic {
    if
    :: word == AWAKE -> word = ASLEEP; asleep = true
    :: else -> word = AWAKE; asleep = false
    fi
  }
}

active proctype owner() {
  bool entered, asleep, own = false;
  byte slice;
  for (slice : 1 .. SLICES) {
    if
    :: atomic { timer_due = true; made++; hogging = true } /* a hog: on and on until it is served */
    :: atomic { task_ready = true; made++; hogging = true }
    :: atomic { timer_due = true; made++ } /* ends by itself */
    fi;
    if
    :: hogging -> served == made; hogging = false
    :: else
    fi;
    enter(OWNER, entered); /* between slices a look at the loop, unless the reserve has it */
    if
    :: entered -> turn(own); driver = NOBODY
    :: else
    fi;
    run_from(own);
    run_from(task_ready)
  }
  idle = true;
  do
  :: all_served -> break
  :: else ->
     run_from(own);
     run_from(task_ready);
     run_from(in_shared);
     enter(OWNER, entered);
     if
     :: entered -> turn(own)
     :: else ->
        atomic {
          if
          :: lease == WANTED -> lease = RECALLED; reserve_park = NOTIFIED
          :: else
          fi
        }
     fi;
     try_sleep(owner_park, asleep);
     if
     :: asleep && !own && !task_ready && !in_shared && !all_served ->
        if
        :: entered -> event || timer_due || owner_park != ASLEEP
        :: else -> owner_park != ASLEEP
        fi
     :: else
     fi;
     owner_park = AWAKE;
     if
     :: entered -> driver = NOBODY
     :: else
     fi
  od;
  over = true;
#ifndef NO_END
  unpark(reserve_park)
#endif
}

/* What the reserve ran may be what the owner was waiting for. */
inline tell_owner() {
  if
  :: all_served -> unpark(owner_park)
  :: else
  fi
}

active proctype reserve() {
  bool entered, asleep, behind = false;
  do
  :: over -> break
  :: else ->
     if
     :: lease == WANTED ->
        enter(RESERVE, entered);
        if
        :: entered ->
           do
           :: lease != WANTED || over || out_of_time -> break
           :: else ->
              turn(in_reserve);
              if
              :: run_from(in_reserve); run_from(task_ready); run_from(in_shared)
              :: !behind -> behind = true /* once it has more before it than it gets to */
              fi;
              tell_owner();
              try_sleep(reserve_park, asleep);
              if
              :: asleep && !in_reserve && !task_ready && !in_shared && lease == WANTED && !over ->
                 event || timer_due || reserve_park != ASLEEP || out_of_time
              :: else
              fi;
              reserve_park = AWAKE
           od;
#ifndef NO_HAND_OVER
           atomic {
             if
             :: in_reserve -> in_reserve = false; in_shared = true
             :: else
             fi
           }
#endif
           driver = NOBODY;
#ifndef NO_RING_BACK
           unpark(owner_park)
#endif
        :: else
        fi;
        lease = NONE;
        out_of_time = false
     :: else
     fi;
     try_sleep(reserve_park, asleep);
     if
     :: asleep && !over -> reserve_park != ASLEEP
     :: else
     fi;
     reserve_park = AWAKE
  od
}

/* Looks about every millisecond, and wants as long as it finds the same slice: ONE_WANT, once. */
active proctype monitor() {
  bool wanted = false;
  do
  :: over -> break
  :: hogging && (timer_due || task_ready || in_shared) && !wanted ->
     lease = WANTED;
     unpark(reserve_park);
#ifdef ONE_WANT
     wanted = true;
     !hogging || over;
     wanted = false
#endif
  od
}

/* Something comes to the loop once the owner is idle. */
active proctype outside() {
  idle;
  atomic { made++; event = true; all_made = true }
}

/* Time passes. */
active proctype clock() {
#ifdef RUNS_OUT
  do
  :: over -> break
  :: lease == WANTED && !out_of_time && !hogging -> out_of_time = true
  od
#else
  skip
#endif
}

ltl all_is_served { <> over }
