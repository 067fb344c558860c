/* Marks the declarations of the public headers. Every public header puts its prototypes between
 * WEFT_BEGIN_DECLS and WEFT_END_DECLS: they get C linkage in C++, and they are what the shared
 * library exports (it is compiled with everything else hidden). */
#ifndef WEFT_DECLS_H
#define WEFT_DECLS_H

#if defined(__GNUC__)
#define WEFT__EXPORT_PUSH _Pragma("GCC visibility push(default)")
#define WEFT__EXPORT_POP _Pragma("GCC visibility pop")
#else
#define WEFT__EXPORT_PUSH
#define WEFT__EXPORT_POP
#endif

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS WEFT__EXPORT_PUSH extern "C" {
#define WEFT_END_DECLS                                                                             \
  }                                                                                                \
  WEFT__EXPORT_POP
#else
#define WEFT_BEGIN_DECLS WEFT__EXPORT_PUSH
#define WEFT_END_DECLS WEFT__EXPORT_POP
#endif

#endif
