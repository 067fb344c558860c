#include "core/waitkind.h"

const struct weft__wait_kind weft__waits_task = {"a task"};
const struct weft__wait_kind weft__waits_group = {"a group"};
const struct weft__wait_kind weft__waits_lock = {"a lock"};
const struct weft__wait_kind weft__waits_to_read = {"a lock, to read"};
const struct weft__wait_kind weft__waits_to_write = {"a lock, to write"};
const struct weft__wait_kind weft__waits_time = {"a timer"};
const struct weft__wait_kind weft__waits_job = {"a thread of the blocking pool"};
const struct weft__wait_kind weft__waits_fd = {"a descriptor"};
