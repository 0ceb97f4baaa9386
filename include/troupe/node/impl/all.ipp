// What is long to compile, once: include this in one source file of a program that is built
// with TROUPE_SEPARATE_COMPILATION.
#include "troupe/node/impl/client.ipp"
#include "troupe/node/impl/init.ipp"
#include "troupe/node/impl/node.ipp"
#include "troupe/node/impl/services.ipp"
