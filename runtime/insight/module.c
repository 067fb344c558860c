#include "insight/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutex.h"

enum { KEPT = 32 };

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards the table; entries are constant */
static struct weft__module kept[KEPT];
static unsigned nkept;

/* ---- the file ---- */

static struct weft__bytes map_file(const char *path) {
  struct weft__bytes none = {NULL, NULL};
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return none;
  void *p = fstat(fd, &st) == 0 && st.st_size > 0
                ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                : MAP_FAILED;
  close(fd);
  if (p == MAP_FAILED) return none;
  return (struct weft__bytes){p, (const unsigned char *)p + st.st_size};
}

/* The part of the file, or nothing where it is not all there. */
static struct weft__bytes part(const struct weft__module *m, uint64_t offset, uint64_t size) {
  size_t have = (size_t)(m->file.end - m->file.at);
  if (offset > have || size > have - offset) return (struct weft__bytes){NULL, NULL};
  return (struct weft__bytes){m->file.at + offset, m->file.at + offset + size};
}

static bool has(struct weft__bytes b, size_t size) {
  return b.at && (size_t)(b.end - b.at) >= size;
}

/* The string at the offset; "" where there is none. */
static const char *string_at(struct weft__bytes b, uint64_t offset) {
  if (!b.at || offset >= (size_t)(b.end - b.at)) return "";
  const unsigned char *s = b.at + offset;
  return memchr(s, '\0', (size_t)(b.end - s)) ? (const char *)s : "";
}

static void take_section(struct weft__module *m, const ElfW(Shdr) * all, size_t n,
                         const ElfW(Shdr) * s, const char *name) {
  struct weft__bytes b = {NULL, NULL};
  if (s->sh_type != SHT_NOBITS && !(s->sh_flags & SHF_COMPRESSED))
    b = part(m, s->sh_offset, s->sh_size);
  if (s->sh_type == SHT_SYMTAB && s->sh_link < n) {
    m->symbols = b;
    m->names = part(m, all[s->sh_link].sh_offset, all[s->sh_link].sh_size);
  } else if (strcmp(name, ".debug_line") == 0) {
    m->lines = b;
  } else if (strcmp(name, ".debug_line_str") == 0) {
    m->line_strings = b;
  } else if (strcmp(name, ".debug_str") == 0) {
    m->strings = b;
  }
}

static void read_sections(struct weft__module *m) {
  const ElfW(Ehdr) *head = (const void *)m->file.at;
  if (!has(m->file, sizeof *head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
      head->e_shentsize != sizeof(ElfW(Shdr)))
    return;
  struct weft__bytes table = part(m, head->e_shoff, (uint64_t)head->e_shnum * sizeof(ElfW(Shdr)));
  if (!table.at || head->e_shstrndx >= head->e_shnum) return;
  const ElfW(Shdr) *all = (const void *)table.at;
  struct weft__bytes names =
      part(m, all[head->e_shstrndx].sh_offset, all[head->e_shstrndx].sh_size);
  m->fixed = head->e_type == ET_EXEC;
  for (size_t i = 0; i < head->e_shnum; i++)
    take_section(m, all, head->e_shnum, &all[i], string_at(names, all[i].sh_name));
}

/* ---- the table ---- */

static const struct weft__module *find(const Dl_info *info) {
  for (unsigned i = 0; i < nkept; i++)
    if (kept[i].base == info->dli_fbase) return &kept[i];
  if (nkept == KEPT) return NULL;
  struct weft__module *m = &kept[nkept];
  m->base = info->dli_fbase;
  /* The program itself is known by the name it was called by, which is relative to where it began. */
  m->file = map_file(info->dli_fname[0] == '/' ? info->dli_fname : "/proc/self/exe");
  if (m->file.at) read_sections(m);
  nkept++;
  return m;
}

const struct weft__module *weft__module_of(const void *address, uint64_t *ret_address) {
  Dl_info info;
  if (!address || !dladdr(address, &info) || !info.dli_fname) return NULL;
  weft__mutex_lock(&lock);
  const struct weft__module *m = find(&info);
  weft__mutex_unlock(&lock);
  if (!m) return NULL;
  *ret_address = (uintptr_t)address - (m->fixed ? 0 : (uintptr_t)m->base);
  return m;
}

const char *weft__module_symbol(const struct weft__module *m, uint64_t address,
                                uint64_t *ret_offset) {
  const ElfW(Sym) *symbols = (const void *)m->symbols.at;
  size_t n = m->symbols.at ? (size_t)(m->symbols.end - m->symbols.at) / sizeof *symbols : 0;
  for (size_t i = 0; i < n; i++) {
    const ElfW(Sym) *s = &symbols[i];
    if ((s->st_info & 15) != STT_FUNC || address < s->st_value ||
        address - s->st_value >= s->st_size)
      continue;
    *ret_offset = address - s->st_value;
    return string_at(m->names, s->st_name);
  }
  return NULL;
}
