/* What the program does in the libuv loops of the workers. */
#ifndef WEFT_CORE_UV_H
#define WEFT_CORE_UV_H

struct weft__worker;

/* Tells the log what the program has left open in the worker's loop. As the loop's last user. */
void weft__uv_report_left(struct weft__worker *w);

#endif
