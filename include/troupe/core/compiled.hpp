#pragma once

/// Marks functions that take long to compile. They are inline in header-only use (CMake's
/// troupe::header_only). If TROUPE_SEPARATE_COMPILATION is defined, they are in a library (CMake's
/// troupe::troupe), or in the one source of a program that includes troupe/node/impl/all.ipp.
#ifdef TROUPE_SEPARATE_COMPILATION
#define TROUPE_COMPILED
#else
#define TROUPE_COMPILED inline
#endif

#ifdef TROUPE_SEPARATE_COMPILATION
#ifdef TROUPE_FLAWS
#define TROUPE_LIBRARY library_with_TROUPE_FLAWS
#else
#define TROUPE_LIBRARY library_without_TROUPE_FLAWS
#endif

namespace troupe::detail {

/// Defined in the library. Code that is compiled with another setting of TROUPE_FLAWS refers to a
/// symbol that the library lacks, and does not link: otherwise one class would have two
/// definitions.
extern const char TROUPE_LIBRARY;

[[gnu::used]] inline const char* const needed_library = &TROUPE_LIBRARY;

} // namespace troupe::detail
#endif
