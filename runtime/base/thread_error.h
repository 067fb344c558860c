/* The calling thread's errno, out of line.
 *
 * glibc declares the address of errno constant, so a compiler keeps it in a register across a call
 * in which the caller may have moved to another thread. These two functions compute it each time.
 */
#ifndef WEFT_BASE_THREAD_ERROR_H
#define WEFT_BASE_THREAD_ERROR_H

int weft__thread_error_get(void);
void weft__thread_error_set(int value);

#endif
