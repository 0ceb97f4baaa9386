#pragma once

/// Marks what is long to compile. It is inline where only headers are used (CMake's
/// troupe::header_only). Where TROUPE_SEPARATE_COMPILATION is defined it is in a library (CMake's
/// troupe::troupe), or in the one source of a program that includes troupe/node/impl/all.ipp.
#ifdef TROUPE_SEPARATE_COMPILATION
#define TROUPE_COMPILED
#else
#define TROUPE_COMPILED inline
#endif
