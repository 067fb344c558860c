/* What a dying process says about the task it died in. */
#ifndef WEFT_CORE_CRASH_H
#define WEFT_CORE_CRASH_H

/* Installs the handler of stack overflows and the context of broken invariants, for as long as any
 * runtime of the process runs. begin: 0 or an error of the system. */
int weft__crash_begin(void);
void weft__crash_end(void);

#endif
