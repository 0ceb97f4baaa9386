// What the program of these mutants needs of the library.

#include "troupe/core/compiled.hpp"
#include "troupe/router/impl/content_text.ipp"

namespace troupe::detail {

const char TROUPE_LIBRARY = 0;

} // namespace troupe::detail
