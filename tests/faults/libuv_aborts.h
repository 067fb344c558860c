/* Where libuv 1.44 ends the process instead of giving an error, and what weft does about it. Of its
 * code only what weft calls: loops, polls, async handles, timers. */
#ifndef WEFT_FAULTS_LIBUV_ABORTS_H
#define WEFT_FAULTS_LIBUV_ABORTS_H

void libuv_aborts_print(void);

#endif
