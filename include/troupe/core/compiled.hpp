#pragma once

/// Marks what is long to compile: inline by default, as all of troupe is header-only. A
/// program of several source files can compile it once: define
/// TROUPE_SEPARATE_COMPILATION everywhere (CMake's troupe::compiled does) and include
/// troupe/node/impl/all.ipp in one of them.
#ifdef TROUPE_SEPARATE_COMPILATION
#define TROUPE_COMPILED
#else
#define TROUPE_COMPILED inline
#endif
